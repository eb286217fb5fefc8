"""Reads the studies that configs describe."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import cast

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from recsys.config import loader
from recsys.config.composition import compose
from recsys.config.overrides import complete, values_of
from recsys.errors import UserError
from recsys.studies.study import Study

STUDY = re.compile(r"experiment$|study\.")  # keys that choose the study, or change it


def study_names() -> list[str]:
    """Return the sorted names of all experiments in configs/experiment, which are studies or plain sweeps."""
    return sorted(file.stem for file in (loader.CONFIGS / "experiment").glob("*.yaml"))


def read_study(overrides: Sequence[str]) -> tuple[Study, list[str]]:
    """Return the study that a command names with `experiment=`, and the command's overrides that apply to every run.

    Overrides of `study.` change the study. Overrides of keys that the study varies, such as `seed` or `model`, select
    among the study's runs.

    Raises:
        UserError: an override is not valid, the experiment is not a study, or no run is selected.
    """
    overrides = complete("train", overrides)
    with loader.config_loader() as config_loader:
        parsed = OverridesParser.create(config_loader=config_loader).parse_overrides(list(overrides))
    node = compose("train", [str(o.input_line) for o in parsed if STUDY.match(o.key_or_group)]).study
    if node is None:
        raise UserError("This experiment is a plain sweep and not a study: its config has no node named study.")
    study = Study.from_config(cast(dict, OmegaConf.to_container(node, resolve=True)))
    varied = {"seed", "model", *(key for setting in study.settings.values() for key in setting.overrides)}
    command = {o.key_or_group: values_of(o) for o in parsed if o.key_or_group in varied}
    common = [
        str(o.input_line) for o in parsed if o.key_or_group not in varied and not o.key_or_group.startswith("study.")
    ]
    return study.restricted_to(command), [*common, "study=null"]
