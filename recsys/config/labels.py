"""Labels of runs: the model and the settings that the command overrides, such as `ncf lr=0.003 seed=1`.

TensorBoard shows the label of a run. The name of the run's directory ends with `folder_name` of the label, in which `=`
is left out and spaces become `_`, such as `ncf_lr0.003_seed1`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from recsys.files import slug

UNNAMED = ("data", "model", "debug", "experiment", "hparams_search", "hydra", "trainer")
UNNAMED_GROUPS = ("data.", "hydra.", "hydra/", "logger.", "metadata.", "study.", "trainer.")
LONGEST = 120  # characters of a directory's name, of which file systems allow 255


def register_labels() -> None:
    """Register the OmegaConf resolvers `run_label` and `folder_name`, by which configs name a run and its directory."""
    OmegaConf.register_new_resolver("run_label", _run_label, replace=True)
    OmegaConf.register_new_resolver("folder_name", folder_name, replace=True)


def label(model: str, overrides: Sequence[str]) -> str:
    """Return the label of a run: the model's name, then `name=value` for each override.

    `name` is the last part of the override's key. An override is left out if its key is in `UNNAMED` or below one of
    `UNNAMED_GROUPS` (except `data.cleaning`), if its key does not affect results, or if its value is a path.

    Args:
        model: name of the model's config.
        overrides: overrides of the command.
    """
    from recsys.studies.identity import NOT_DECISIVE  # imports pandas, which composing a config does not need

    unnamed = {*UNNAMED, *NOT_DECISIVE}
    given = [override.lstrip("+").partition("=") for override in overrides if not override.startswith("~")]
    named = [(key, value) for key, _, value in given if "/" not in value and _is_named(key, unnamed)]
    return " ".join([model, *(f"{key.rpartition('.')[2]}={value}" for key, value in named)])


def folder_name(label: str) -> str:
    """Convert a label to text that can be a part of a directory's name, with at most `LONGEST` characters.

    The text has no `=`, since a path with `=` would need quotes in Hydra's overrides.
    """
    return slug(label.replace("=", ""))[:LONGEST]


def _is_named(key: str, unnamed: Collection[str]) -> bool:
    return key.startswith("data.cleaning.") or not (key in unnamed or key.startswith(UNNAMED_GROUPS))


def _run_label(*, _root_: DictConfig) -> str | None:
    """Return the label of the run that a config belongs to; None if no Hydra command is running.

    Hydra's callbacks resolve the run directory before the job starts; at that time, the config `_root_` still contains
    Hydra's own settings.
    """
    if "hydra" not in _root_ and not HydraConfig.initialized():
        return None
    hydra = _root_.hydra if "hydra" in _root_ else HydraConfig.get()
    return label(str(hydra.runtime.choices["model"]), hydra.overrides.task)
