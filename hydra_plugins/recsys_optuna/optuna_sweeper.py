"""A Hydra sweeper that searches hyperparameters; `search` describes the algorithm and the syntax of search spaces.

The published hydra-optuna-sweeper needs an Optuna before version 3. The search space is in `hydra.sweeper.params` or on
the command line. All files are written to `hydra.sweep.dir`, with a directory for each trial; the same command
continues an interrupted search until `n_trials` are finished.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from hydra_plugins.recsys_optuna.search import Search

log = logging.getLogger(__name__)


class OptunaSweeper(Sweeper):
    """Maximises the return value of the task.

    Args:
        params: search space: sweeps by key.
        **search: further arguments of `Search`: `n_trials`, `seed`, `n_parallel`, `prune_after`.
    """

    def __init__(self, params: Mapping[str, str], **search: Any) -> None:
        self.params = dict(params)
        self.search = search

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """See `hydra.plugins.sweeper.Sweeper`."""
        self.config_loader = hydra_context.config_loader
        self.directory = Path(config.hydra.sweep.dir)
        self.model = config.hydra.runtime.choices.model
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> list[str]:
        """See `Search.run`."""
        assert self.launcher is not None  # noqa: S101  Hydra calls setup first
        parser = OverridesParser.create(config_loader=self.config_loader)
        given = parser.parse_overrides([f"{key}={value}" for key, value in self.params.items()] + list(arguments))
        lines = {override.key_or_group: override for override in given}  # the command line is last: it wins
        swept = {key: override for key, override in lines.items() if override.is_sweep_override()}
        space = {key: str(override.input_line).partition("=")[2] for key, override in swept.items()}
        fixed = [str(override.input_line) for key, override in lines.items() if key not in swept]
        best = Search(self.directory, space, fixed, **self.search).run(self.launcher.launch)
        log.info("to test it: python train.py model=%s %s", self.model, " ".join(best))
        return best
