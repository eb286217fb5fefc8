"""Search hyperparameters with Optuna's TPE, as a Hydra sweeper that goes on where it was stopped.

Bergstra, Bardenet, Bengio and Kégl, "Algorithms for Hyper-Parameter Optimization", NeurIPS 2011. The published
hydra-optuna-sweeper needs an Optuna before 3, so the few lines that a sweeper takes are here.

The search space is written in Hydra's sweep syntax, in `hydra.sweeper.params` or on the command line:

    choice(a, b)            one of these
    range(1, 5)             whole numbers (or steps), the end excluded, as in Hydra
    interval(0.0, 1.0)      any number between; int(interval(8, 128)) whole ones, the end included
    tag(log, interval(...)) drawn on a logarithmic scale

Everything lies in `hydra.sweep.dir`: `study.db`, a directory for each trial, `trials.csv` and `best.yaml`. The same
command again goes on until `n_trials` are done; trials that were stopped halfway do not count.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, RangeSweep
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from recsys.errors import UserError
from recsys.files import write_whole

try:
    import optuna
    from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
    from optuna.trial import TrialState
except ImportError:  # it is an extra, and Hydra imports this file at every start
    optuna = None  # type: ignore[assignment]

log = logging.getLogger(__name__)


class OptunaSweeper(Sweeper):
    """Maximises what the task returns.

    Args:
        n_trials: finished trials to reach, those of earlier commands counted.
        seed: of the sampler.
        params: the search space, key -> sweep.
    """

    def __init__(self, n_trials: int = 30, seed: int = 0, params: Mapping[str, str] | None = None) -> None:
        self.n_trials = n_trials
        self.seed = seed
        self.params = dict(params or {})

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """See `hydra.plugins.sweeper.Sweeper`."""
        self.config_loader = hydra_context.config_loader
        self.directory = Path(config.hydra.sweep.dir)
        self.model = config.hydra.runtime.choices.model
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> float:
        """Run trials until `n_trials` are finished.

        Returns:
            The best value.

        Raises:
            UserError: Optuna is missing, the space is not one, the directory holds another search, or the first trial
                fails. Later ones may fail: some settings diverge.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        parser = OverridesParser.create(config_loader=self.config_loader)
        given = parser.parse_overrides([f"{key}={value}" for key, value in self.params.items()] + list(arguments))
        overrides = {override.key_or_group: override for override in given}  # the command line comes last and wins
        space = {key: override for key, override in overrides.items() if override.is_sweep_override()}
        fixed = [str(override.input_line) for key, override in overrides.items() if key not in space]
        study = self._study({key: str(override.input_line) for key, override in space.items()}, fixed)
        distributions = {key: distribution(override) for key, override in space.items()}

        while (n_finished := _n_finished(study)) < self.n_trials:
            trial = study.ask(distributions)
            try:
                value = self._run(trial, fixed)
            except UserError:
                if not n_finished:
                    raise
                study.tell(trial, state=TrialState.PRUNED)
            else:
                study.tell(trial, value)
                log.info("trial %d of %d: %.5f, best %.5f", n_finished + 1, self.n_trials, value, study.best_value)
            _write_results(self.directory, study)
        best = " ".join(f"{key}={value}" for key, value in study.best_params.items())
        log.info("best of %d trials in %s: %.5f with %s", self.n_trials, self.directory, study.best_value, best)
        log.info("to test it: python train.py model=%s %s", self.model, best)
        return study.best_value

    def _study(self, space: Mapping[str, str], fixed: Sequence[str]) -> optuna.Study:
        """The search in the directory, new or stopped earlier."""
        if optuna is None:
            raise UserError("A search needs Optuna: install it with pip install 'recsys[search]'.")
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        storage = f"sqlite:///{self.directory}/study.db"
        study = optuna.create_study(storage=storage, study_name="search", direction="maximize", load_if_exists=True)
        searched = {"space": dict(space), "fixed": list(fixed)}
        if study.user_attrs.get("searched", searched) != searched:
            raise UserError(
                f"{self.directory} holds a search of another space or with other settings: "
                "choose another directory with hydra.sweep.dir=DIR, or remove that one."
            )
        study.set_user_attr("searched", searched)
        for trial in study.get_trials(states=[TrialState.RUNNING]):
            study.tell(trial.number, state=TrialState.FAIL)
        # A search that goes on draws on, instead of repeating its first draws.
        study.sampler = optuna.samplers.TPESampler(seed=self.seed + len(study.trials))
        return study

    def _run(self, trial: optuna.Trial, fixed: Sequence[str]) -> float:
        assert self.launcher is not None  # noqa: S101  Hydra calls setup first
        job = self.launcher.launch([[*fixed, *_overrides(trial.params)]], initial_job_idx=trial.number)[0]
        if job.return_value is None:
            raise UserError("The runs do not give the metric that is to be optimised: choose another optimized_metric.")
        return float(job.return_value)


def _overrides(params: Mapping[str, Any]) -> list[str]:
    """Of settings by force, since some are known to constructors alone; of groups, which have no dots, plainly."""
    return [f"{'++' if '.' in key else ''}{key}={value}" for key, value in params.items()]


def distribution(override: Override) -> BaseDistribution:
    """What Optuna draws from for a sweep in Hydra's syntax.

    Raises:
        UserError: the sweep is none of those above.
    """
    sweep: Any = override.value()
    on_log_scale = "log" in sweep.tags
    if isinstance(sweep, ChoiceSweep):
        return CategoricalDistribution(list(override.sweep_string_iterator()))
    if isinstance(sweep, RangeSweep) and isinstance(values := sweep.range(), range):
        return IntDistribution(values[0], values[-1], step=values.step, log=on_log_scale)
    if isinstance(sweep, IntervalSweep) and isinstance(sweep.start, int):
        return IntDistribution(sweep.start, int(sweep.end or 0), log=on_log_scale)
    if isinstance(sweep, IntervalSweep):
        return FloatDistribution(float(sweep.start or 0), float(sweep.end or 0), log=on_log_scale)
    raise UserError(f"{override.input_line} is no choice, interval or range of whole numbers.")


def _n_finished(study: optuna.Study) -> int:
    return len(study.get_trials(deepcopy=False, states=[TrialState.COMPLETE, TrialState.PRUNED]))


def _write_results(directory: Path, study: optuna.Study) -> None:
    trials = study.trials_dataframe(attrs=("number", "value", "params", "state", "duration"))
    write_whole(directory / "trials.csv", lambda file: file.write(trials.to_csv(index=False).encode()))
    best = {"value": study.best_value, "trial": study.best_trial.number, "overrides": _overrides(study.best_params)}
    write_whole(directory / "best.yaml", lambda file: file.write(yaml.safe_dump(best, sort_keys=False).encode()))
