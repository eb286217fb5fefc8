"""Constructs encoders from plain settings, as they are stored in the hyperparameters of models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from recsys.data.text.encoder import Encoder
from recsys.data.text.ppmi import PPMIEncoder
from recsys.data.text.sentence import SentenceEncoder
from recsys.data.text.tfidf import TfidfEncoder
from recsys.errors import one_of
from recsys.renamed import current

ENCODERS: dict[str, type[Encoder]] = {cls.__name__: cls for cls in (SentenceEncoder, TfidfEncoder, PPMIEncoder)}


def make_encoder(setting: Mapping[str, Any]) -> Encoder:
    """Construct an encoder from a mapping that contains its class as `_target_`, and its settings.

    Only the class name, the last part of `_target_`, counts; former names of classes are accepted.

    Raises:
        UserError: `_target_` does not name an encoder.
    """
    settings = dict(setting)
    name = current(str(settings.pop("_target_", ""))).rpartition(".")[2]
    return ENCODERS[one_of("The _target_ of an encoder", name, ENCODERS)](**settings)
