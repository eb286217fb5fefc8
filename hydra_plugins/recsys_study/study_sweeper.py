"""A Hydra sweeper that runs a study; `recsys.config.study_sweep` describes the steps.

Hydra imports every plugin whenever it starts, so this plugin imports the study's modules only when it is used.
"""

from __future__ import annotations

from pathlib import Path

from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class StudySweeper(Sweeper):
    """Runs the study that `experiment=` names."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Store the directory of the study, and build the launcher; Hydra calls this first."""
        self.directory = Path(config.hydra.sweep.dir)
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Run what is missing and write the report; see `StudySweep.run`."""
        from recsys.config.study_sweep import StudySweep

        assert self.launcher is not None  # noqa: S101  Hydra calls setup first
        StudySweep(self.directory, self.launcher).run(arguments)
