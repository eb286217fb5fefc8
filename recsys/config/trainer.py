"""Checks and instantiation of the settings of Lightning's Trainer and of the logger.

Lightning takes seconds to import, so it is not imported for settings that always work.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from omegaconf import DictConfig, OmegaConf

from recsys.config.names import class_name
from recsys.config.nodes import HYDRAS_OWN, check_node, instantiate
from recsys.errors import UserError
from recsys.models.base import Recommender
from recsys.models.fitting import quieten_lightning
from recsys.models.trainer_settings import check_trainer_settings

if TYPE_CHECKING:
    from pytorch_lightning import Trainer
    from pytorch_lightning.loggers import Logger

OWN_LOGS = ("TensorBoardLogger", "CSVLogger")
ALWAYS_WORKS = {"accelerator": "cpu", "devices": 1}  # Lightning need not be imported to check these

quieten_lightning()


def check_trainer(node: DictConfig) -> None:
    """Check settings of the trainer before any work, such as a device that this machine lacks.

    Raises:
        UserError: a setting is unknown, is chosen by a fit itself, or is refused by Lightning.
    """
    settings = _settings(node)
    check_trainer_settings(settings)
    if settings == ALWAYS_WORKS:
        return
    from pytorch_lightning.utilities.exceptions import MisconfigurationException

    import recsys.models.neural.sharding  # noqa: F401 - registers further strategies

    check_node(node)
    try:
        instantiate(node)(logger=False, callbacks=[])  # otherwise a Trainer appends to the config's list
    except (MisconfigurationException, RuntimeError, TypeError, ValueError) as error:
        raise UserError(f"Lightning cannot train with these settings of trainer: {error}") from error


def needs_lightning(cfg: DictConfig, model: Recommender) -> bool:
    """Return whether a run needs Lightning: to fit its model, or for a logger that is not in `OWN_LOGS`.

    TensorBoard's files are written without Lightning, and the CSV logger stores only the curves of deep models.
    """
    logger = cfg.get("logger")
    return model.uses_lightning or (bool(logger) and class_name(logger._target_) not in OWN_LOGS)


def lightning(cfg: DictConfig) -> tuple[partial[Trainer], Logger | None]:
    """Instantiate the trainer of a config, as a partial to which a fit adds arguments, and its logger.

    Raises:
        UserError: a setting of the trainer is not valid, see `check_trainer`, or the logger's package is missing.
    """
    check_trainer(cfg.trainer)
    trainer = cfg.trainer
    if cfg.get("pruning"):  # of a search, in addition to the user's own callbacks
        settings = cast(dict[str, Any], OmegaConf.to_container(trainer, resolve=True))
        pruning = OmegaConf.to_container(cfg.pruning, resolve=True)
        trainer = OmegaConf.create({**settings, "callbacks": [*settings.get("callbacks", []), pruning]})
    return _with_own_requeue(instantiate(trainer)), instantiate(cfg.get("logger"))


def _with_own_requeue(trainer: partial[Trainer]) -> partial[Trainer]:
    """Disable Lightning's requeuing of Slurm jobs, which `process.is_requeued` replaces.

    Lightning would resume within an epoch. A batch cannot be drawn again without the batches before it, so the rest of
    the epoch would have other samples; the project's requeued jobs resume at the last complete epoch.
    """
    from pytorch_lightning.plugins.environments import SLURMEnvironment

    if trainer.keywords.get("plugins") or not SLURMEnvironment.detect():
        return trainer
    return partial(trainer, plugins=[SLURMEnvironment(auto_requeue=False)])


def _settings(node: DictConfig) -> Mapping[str, Any]:
    settings = cast(dict[str, Any], OmegaConf.to_container(node, resolve=True))
    return {name: value for name, value in settings.items() if name not in HYDRAS_OWN}
