"""Checks and instantiates the trainer and the logger that a config describes.

Lightning takes seconds to import, so it is not imported to check trainer settings that always work.
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
    """Check the settings of the trainer before any work starts, for example whether this machine has the named device.

    Raises:
        UserError: a setting is unknown, is one that a fit chooses itself, or is refused by Lightning.
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
    """Instantiate the trainer and the logger that a config describes.

    Returns:
        The trainer, as a `functools.partial` to which a fit adds arguments, and the logger, which is None if the config
        has none.

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
    """Disable Lightning's handling of requeued Slurm jobs, which the project handles itself (`process.is_requeued`).

    Lightning would resume within an epoch. Since a batch cannot be drawn without drawing the batches before it, the
    rest of that epoch would have other samples. Requeued jobs of this project resume at the last complete epoch
    instead.
    """
    from pytorch_lightning.plugins.environments import SLURMEnvironment

    if trainer.keywords.get("plugins") or not SLURMEnvironment.detect():
        return trainer
    return partial(trainer, plugins=[SLURMEnvironment(auto_requeue=False)])


def _settings(node: DictConfig) -> Mapping[str, Any]:
    settings = cast(dict[str, Any], OmegaConf.to_container(node, resolve=True))
    return {name: value for name, value in settings.items() if name not in HYDRAS_OWN}
