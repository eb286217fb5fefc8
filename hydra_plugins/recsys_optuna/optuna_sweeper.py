"""A Hydra sweeper that searches hyperparameters; `recsys.config.search` describes the search and the syntax of spaces.

It replaces the published hydra-optuna-sweeper, which requires Optuna 2. The space is given in `hydra.sweeper.params` or
on the command line. `hydra.sweep.dir` contains all files, with a directory for each trial; if the same command is run
again, it continues until `n_trials` are done. Hydra imports every plugin whenever it starts, so this plugin imports the
search only when it is used.
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

from recsys.files import short
from recsys.invocation import train_command

log = logging.getLogger(__name__)


class OptunaSweeper(Sweeper):
    """Searches for the settings with which the value that the task returns is largest; see `Search`.

    Args:
        params: the search space, setting -> sweep; an override of the command line takes precedence.
        **search: further arguments of `Search`: `n_trials`, `seed`, `n_parallel`, `prune_after`, `halve_after`,
            `storage`, `keep_models`.
    """

    def __init__(self, params: Mapping[str, str], **search: Any) -> None:
        self.params = dict(params)
        self.search = search

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Store what `sweep` needs of Hydra's config, and build the launcher; Hydra calls this first."""
        self.config_loader = hydra_context.config_loader
        self.directory = Path(config.hydra.sweep.dir)
        self.model = config.hydra.runtime.choices.model
        sources = config.hydra.runtime.config_sources
        self.config_dirs = [Path(source.path) for source in sources if source.provider == "command-line"]
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> list[str]:
        """Search the space of `params` and of the command line, and return the overrides of the best settings.

        Args:
            arguments: overrides of the command line, whose sweeps extend the space; the others apply to every trial.

        Raises:
            UserError: the metric to optimise does not exist, or the search cannot run; see `Search.run`.
        """
        from recsys.config.composition import compose
        from recsys.config.measurements import check_optimized_metric
        from recsys.config.search import Search

        assert self.launcher is not None  # noqa: S101  Hydra calls setup first
        parser = OverridesParser.create(config_loader=self.config_loader)
        given = parser.parse_overrides([f"{key}={value}" for key, value in self.params.items()] + list(arguments))
        lines = {
            override.key_or_group: override for override in given
        }  # the command line comes last and takes precedence
        swept = {key: override for key, override in lines.items() if override.is_sweep_override()}
        space = {key: str(override.input_line).partition("=")[2] for key, override in swept.items()}
        fixed = [str(override.input_line) for key, override in lines.items() if key not in swept]
        check_optimized_metric(compose("train", fixed))
        best = Search(self.directory, space, fixed, **self.search).run(self.launcher.launch)
        folders = [word for directory in self.config_dirs for word in ("--config-dir", short(directory))]
        chosen = [line for line in fixed if line.partition("=")[0] not in ("hparams_search", "model")]
        log.info("to test it: %s", train_command(*folders, f"model={self.model}", *chosen, *best))
        return best
