"""Settings of Lightning's Trainer that users cannot change, since a fit chooses their values itself.

They are refused rather than ignored silently.
"""

from __future__ import annotations

from collections.abc import Iterable

from recsys.errors import UserError

_EVERY_USER = "validation measures all users once after each epoch"

# What to do instead of giving a setting, or why nothing needs to be done.
REFUSED = {
    "max_epochs": "set model.max_epochs, which counts for schedules and refits too",
    "fast_dev_run": "debug=default runs a few batches of everything",
    "logger": "choose one with logger=tensorboard, csv, wandb, mlflow or none",
    "default_root_dir": "hydra.run.dir=DIR chooses the directory of a run",
    "log_every_n_steps": "curves have a point every 50 steps and at the end of each epoch",
    "limit_val_batches": _EVERY_USER,
    "val_check_interval": _EVERY_USER,
    "check_val_every_n_epoch": _EVERY_USER,
    "num_sanity_val_steps": _EVERY_USER,
    "reload_dataloaders_every_n_epochs": "every epoch is drawn again",
    "use_distributed_sampler": "epochs are shared among processes already",
    "enable_checkpointing": "the weights of the best epoch are restored from a checkpoint",
    "enable_model_summary": "TensorBoard shows the model's settings",
    "barebones": "early stopping and curves need callbacks and a logger; logger=none leaves curves out",
}


def check_trainer_settings(names: Iterable[str]) -> None:
    """Check that a user's settings of Lightning's Trainer include none that a fit chooses itself (`REFUSED`).

    Args:
        names: names of the settings that the user gave.

    Raises:
        UserError: a fit chooses one of these settings itself.
    """
    for name in names:
        if name in REFUSED:
            raise UserError(f"trainer.{name} has no effect on a fit: {REFUSED[name]}.")
