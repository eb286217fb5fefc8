"""Labels of runs: the model and the settings that a command changes, such as `ncf lr=0.003 seed=1`.

TensorBoard shows the label of a run, and the name of its directory ends with it.
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
    """Let configs refer to the label of a run, and name its directory by it."""
    OmegaConf.register_new_resolver("run_label", _run_label, replace=True)
    OmegaConf.register_new_resolver("folder_name", folder_name, replace=True)


def label(model: str, overrides: Sequence[str]) -> str:
    """Return the label of a run of a model, given the overrides of its command; paths are left out."""
    from recsys.studies.identity import NOT_DECISIVE  # imports pandas, and composing a config does without

    unnamed = {*UNNAMED, *NOT_DECISIVE}
    given = [override.lstrip("+").partition("=") for override in overrides if not override.startswith("~")]
    named = [(key, value) for key, _, value in given if "/" not in value and _is_named(key, unnamed)]
    return " ".join([model, *(f"{key.rpartition('.')[2]}={value}" for key, value in named)])


def folder_name(label: str) -> str:
    """Return a label as part of a directory's name, without `=`, which Hydra's overrides would need quotes for."""
    return slug(label.replace("=", ""))[:LONGEST]


def _is_named(key: str, unnamed: Collection[str]) -> bool:
    return key.startswith("data.cleaning.") or not (key in unnamed or key.startswith(UNNAMED_GROUPS))


def _run_label(*, _root_: DictConfig) -> str | None:
    """Return the label of the run of a config, or None outside of a job.

    Callbacks name the directory of a run before it is a job, when the config itself has Hydra's settings.
    """
    if "hydra" not in _root_ and not HydraConfig.initialized():
        return None
    hydra = _root_.hydra if "hydra" in _root_ else HydraConfig.get()
    return label(str(hydra.runtime.choices["model"]), hydra.overrides.task)
