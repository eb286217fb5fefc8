"""Construction of encoders from plain settings, as stored in a model's hyperparameters."""

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
    """Construct an encoder from a mapping with its class in `_target_` and its settings.

    Only the last part of `_target_` counts, and former names are accepted.

    Raises:
        UserError: `_target_` is not the name of an encoder.
    """
    settings = dict(setting)
    name = current(str(settings.pop("_target_", ""))).rpartition(".")[2]
    return ENCODERS[one_of("The _target_ of an encoder", name, ENCODERS)](**settings)
