"""Hyperparameter search with Optuna's tree-structured Parzen estimator (TPE); interrupted searches can be continued.

Bergstra, Bardenet, Bengio and Kégl, "Algorithms for Hyper-Parameter Optimization", NeurIPS 2011. The search space is
written in Hydra's sweep syntax:

    choice(a, b)            one of these values
    range(1, 5)             an integer from 1 to 4; range(1, 9, 2) has a step of 2
    interval(0.0, 1.0)      a real number; int(interval(8, 128)) is an integer from 8 to 128
    tag(log, interval(...)) a number on a logarithmic scale
"""

from __future__ import annotations

import logging
import math
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, RangeSweep
from hydra.core.utils import JobReturn

from recsys.counted import counted
from recsys.dotted import quoted_value
from recsys.errors import UserError
from recsys.extras import require
from recsys.files import write_text
from recsys.models.neural.callbacks import Pruning, search_storage
from recsys.progress import repeated
from recsys.studies.run_writer import failure_reason, remove_model

try:
    import optuna
    from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
    from optuna.samplers import RandomSampler, TPESampler
    from optuna.trial import FrozenTrial, TrialState
    from sqlalchemy.exc import SQLAlchemyError  # a dependency of Optuna
except ImportError:  # an extra, which a search requires
    pass

JOURNAL = "study.journal"
TRIALS = "trials.csv"
END = 0.05  # share of a range that counts as one of its ends
FAILURE = "failure"  # user attribute of a failed trial: the reason
WORKER = "worker"  # user attribute of a trial: the worker that runs it
SEEN = "seen"  # user attribute of a trial: Unix time at which its worker last reported that it runs
PLACE = "place"  # user attribute of a trial: the directory of its run
SEEN_EVERY = 60.0  # seconds between reports
LOST_AFTER = 900.0  # seconds without a report after which a trial is lost; long, since workers' clocks may differ
N_FAILED = 3  # number of failed trials, if no trial succeeded, that end a search: the settings are not the cause

Launch = Callable[[Sequence[Sequence[str]], int], Sequence[JobReturn]]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Search:
    """Searches for the configuration that maximises the return value of a job, and tries no configuration twice.

    A configuration is a combination of values for the searched settings; a trial is a job with one configuration. The
    search directory holds `study.journal` (the search as Optuna stores it), `trials.csv` (a row for each trial),
    `best.yaml` (the best configuration) and, at the end, `history.png` and `history.svg`. A trial ends in one of four
    states: complete, pruned (see `Pruning`), failed (for any reason, such as training that diverged), or interrupted
    together with the search. Interrupted trials do not count towards `n_trials`.

    Several workers, also on several machines, can share a search in one `storage`; each worker is a command with a
    directory of its own. If a worker is killed, its trials count as interrupted once the worker starts again, or has
    not reported for 15 minutes. A worker ends when all remaining trials are being run by others, so only the results of
    the last worker to end are complete.

    Args:
        directory: directory of the search or, if several workers share it, of this worker; created if missing.
        space: setting -> sweep in Hydra's syntax, such as `interval(0.0, 1.0)`.
        fixed: overrides that all trials share.
        n_trials: total number of trials, including those of earlier commands; fewer are run if the space has fewer
            configurations.
        seed: seed of Optuna's sampler.
        n_parallel: number of trials that are launched together; the next trials start when all of these have ended.
        prune_after: number of epochs after which the median stopping rule may prune a trial; None for no pruning.
            Models without epochs are never pruned.
        halve_after: number of epochs after which only the best third of the trials continues. If given, it replaces
            `prune_after`.
        storage: file or database in which the search is stored, see `search_storage`; None for `study.journal` in the
            directory.
        keep_models: whether every trial keeps its model, checkpoints and embeddings; if False, only the best trial so
            far keeps them.

    Raises:
        UserError: a number is not a positive integer, or the extra `search` or `plots` is not installed.
    """

    directory: Path
    space: Mapping[str, str]
    fixed: Sequence[str]
    n_trials: int
    seed: int
    n_parallel: int = 1
    prune_after: int | None = 20
    halve_after: int | None = None
    storage: str | None = None
    keep_models: bool = False

    def __post_init__(self) -> None:
        for name in ("n_trials", "n_parallel"):
            value = getattr(self, name)
            if not (isinstance(value, int) and value > 0):
                raise UserError(f"hydra.sweeper.{name} must be a positive integer (got {value}).")
        for name in ("prune_after", "halve_after"):
            value = getattr(self, name)
            if not (value is None or (isinstance(value, int) and value > 0)):
                raise UserError(f"hydra.sweeper.{name} must be a positive number of epochs, or null (got {value}).")
        for extra in ("search", "plots"):  # a search ends with a figure
            require(extra)

    def run(self, launch: Launch) -> list[str]:
        """Run trials until there are `n_trials`, and write the results to the directory.

        Args:
            launch: function that runs jobs and returns their results; its arguments are the overrides of each job and
                the number of the first job.

        Returns:
            The overrides of the best configuration.

        Raises:
            UserError: a sweep has none of the forms that the module describes; the storage cannot be reached or holds
                another search; all of the first `N_FAILED` trials failed; or a trial returned no value to maximise.
        """
        study = self._study()
        n_trials = int(min(self.n_trials, self.n_settings))
        while (n_left := n_trials - len(_finished(study)) - len(self._of_others(study))) > 0:
            trials = self._begin(study, min(n_left, self.n_parallel))
            if not trials:  # another worker has just begun the last one
                break
            with repeated(partial(_see, trials), SEEN_EVERY):
                jobs = launch([self._job(trial) for trial in trials], trials[0].number)
            self._record(study, trials, jobs)
            self._write_results(study)
            if not self.keep_models:
                self._remove_models(study)
            self._check_success(study, N_FAILED)
        if others := self._of_others(study):
            log.info("trials that other workers still run: %d", len(others))
        self._check_success(study, n_trials)
        self._plot(study)
        best = overrides(study.best_params)
        n_failed = sum(FAILURE in trial.user_attrs for trial in study.trials)
        n_all = f"{counted(n_trials, 'trial')} ({n_failed} failed)"
        log.info("best of %s in %s: %.5f with %s", n_all, self.directory, study.best_value, " ".join(best))
        for key, drawn in self.distributions.items():
            if _is_at_an_end(drawn, study.best_params[key]):
                log.warning(
                    "the best %s is at an end of its range (%g, from %g to %g), so the optimum may be outside it",
                    *(key, study.best_params[key], drawn.low, drawn.high),  # type: ignore[attr-defined]
                )
        return best

    @cached_property
    def distributions(self) -> dict[str, BaseDistribution]:
        """Return Optuna's distribution for each searched setting, by the setting's name.

        Raises:
            UserError: a sweep has none of the forms that the module describes.
        """
        parser = OverridesParser.create()
        return {key: distribution(parser.parse_override(f"{key}={sweep}")) for key, sweep in self.space.items()}

    @property
    def n_settings(self) -> float:
        """Return the number of configurations in the search space; infinity if it has an interval of real numbers."""
        return math.prod(map(_n_values, self.distributions.values()))

    @cached_property
    def address(self) -> str:
        """Return the address of the storage: `storage` or, if that is None, the path of `study.journal`."""
        return self.storage or str(self.directory / JOURNAL)

    @cached_property
    def worker(self) -> str:
        """Return the name of this worker: its machine and directory, so that the name is the same after a restart."""
        return f"{platform.node()}:{self.directory.resolve()}"

    def _study(self) -> optuna.Study:
        """Open the stored search, or start a new one, and record this worker's unfinished trials as interrupted.

        Raises:
            UserError: the storage cannot be reached, or holds another search.
        """
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.directory.mkdir(parents=True, exist_ok=True)
        try:
            storage = search_storage(self.address)
        except (ImportError, SQLAlchemyError) as error:
            raise UserError(
                "hydra.sweeper.storage must be a file, or the address of a reachable database, with the packages of "
                f"'recsys[databases]' (got {self.storage}): {str(error).splitlines()[0]}"
            ) from error
        study = optuna.create_study(storage=storage, study_name="search", direction="maximize", load_if_exists=True)
        searched = {"space": dict(self.space), "fixed": list(self.fixed)}
        if study.user_attrs.get("searched", searched) != searched:
            raise UserError(
                f"{self.storage or self.directory} holds a search of another space or with other fixed settings: "
                f"choose another one with hydra.{'sweeper.storage' if self.storage else 'sweep.dir'}=..., or remove it."
            )
        study.set_user_attr("searched", searched)
        for trial in _running(study):
            if trial.user_attrs.get(WORKER, self.worker) == self.worker:
                study.tell(trial.number, state=TrialState.FAIL)
        return study

    def _of_others(self, study: optuna.Study) -> list[FrozenTrial]:
        """Record the trials of lost workers as interrupted, and return the trials that other workers still run."""
        running = _running(study)
        lost = [trial for trial in running if time.time() - trial.user_attrs.get(SEEN, 0.0) > LOST_AFTER]
        for trial in lost:
            study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)
        return [trial for trial in running if trial not in lost]

    def _begin(self, study: optuna.Study, n: int) -> list[optuna.Trial]:
        """Start up to n trials, each with a configuration that has not been tried.

        Equal configurations would give equal results. Fewer than n trials are started if fewer untried configurations
        are left.

        Configurations are drawn in a copy of the Optuna study, in which rejected draws can be recorded. The seed of the
        draws depends on the number of trials so far, so that a continued search does not repeat its first draws.
        """
        seed = int(np.random.SeedSequence([self.seed, len(study.trials)]).generate_state(1)[0])
        random_sampler = RandomSampler(seed=seed)
        drawing = optuna.create_study(direction="maximize", sampler=TPESampler(seed=seed, constant_liar=True))
        drawing.add_trials(study.trials)
        tried = {frozenset(trial.params.items()) for trial in (*_finished(study), *_running(study))}
        begun: list[optuna.Trial] = []
        while len(begun) < n and len(tried) < self.n_settings:
            drawn = drawing.ask(self.distributions)
            settings = frozenset(drawn.params.items())
            if settings in tried:
                drawing.tell(drawn, state=TrialState.FAIL)
                drawing.sampler = random_sampler  # TPE might propose them again and again
            else:
                tried.add(settings)
                study.enqueue_trial(drawn.params)
                trial = study.ask(self.distributions)
                trial.set_user_attr(WORKER, self.worker)
                trial.set_user_attr(SEEN, time.time())
                begun.append(trial)
        return begun

    def _job(self, trial: optuna.Trial) -> list[str]:
        """Return a trial's overrides: `fixed`, its configuration and, if it may be pruned, the pruning callback."""
        settings = [*self.fixed, *overrides(trial.params)]
        halving = self.halve_after is not None
        after = self.halve_after if halving else self.prune_after
        if after is None:
            return settings
        journal = quoted_value(self.address)
        pruning = (
            f"_target_:{Pruning.__module__}.{Pruning.__qualname__},journal:{journal},trial:{trial.number},"
            f"metric:${{optimized_metric}},after:{after},halving:{halving}"
        )
        return [*settings, f"++pruning={{{pruning}}}"]

    def _record(self, study: optuna.Study, trials: Sequence[optuna.Trial], jobs: Sequence[JobReturn]) -> None:
        """Record the results of trials, except for those that another worker has meanwhile recorded as interrupted."""
        numbers = {trial.number for trial in _running(study)}
        ended = [(trial, job) for trial, job in zip(trials, jobs, strict=True) if trial.number in numbers]
        for trial, job in ended:
            value = _value(job)
            if job.hydra_cfg is not None:
                trial.set_user_attr(PLACE, job.hydra_cfg.hydra.runtime.output_dir)
            if isinstance(value, str):
                trial.set_user_attr(FAILURE, value)
                study.tell(trial, state=TrialState.PRUNED)  # the sampler treats it as worse than any other
            elif Pruning.PRUNED in study.trials[trial.number].user_attrs:
                study.tell(trial, state=TrialState.PRUNED)
            else:
                study.tell(trial, value)
        best = f"{study.best_value:.5f}" if _is_any_complete(study) else "none"
        for trial, _ in ended:
            result = _result(study.trials[trial.number])
            log.info("trial %d: %s; best %s; %d trials in all", trial.number, result, best, self.n_trials)

    def _write_results(self, study: optuna.Study) -> None:
        trials = _frame(study)
        write_text(self.directory / TRIALS, trials.to_csv(index=False))
        if not _is_any_complete(study):
            return
        best = {"value": study.best_value, "trial": study.best_trial.number, "overrides": overrides(study.best_params)}
        text = yaml.safe_dump(best, sort_keys=False)
        write_text(self.directory / "best.yaml", text)

    def _remove_models(self, study: optuna.Study) -> None:
        """Remove the models of this worker's trials, except that of the best trial, to save disk space."""
        best = study.best_trial.number if _is_any_complete(study) else None
        for trial in _finished(study):
            if trial.number != best and trial.user_attrs.get(WORKER) == self.worker and PLACE in trial.user_attrs:
                remove_model(Path(trial.user_attrs[PLACE]))

    def _check_success(self, study: optuna.Study, n_trials: int) -> None:
        """Check that at least one trial is complete, once `n_trials` trials have failed.

        Raises:
            UserError: `n_trials` or more trials have failed, and none is complete.
        """
        failures = [trial.user_attrs[FAILURE] for trial in study.trials if FAILURE in trial.user_attrs]
        if len(failures) >= n_trials and not _is_any_complete(study):
            raise UserError(f"All trials in {self.directory} ({len(failures)}) failed, the first: {failures[0]}")

    def _plot(self, study: optuna.Study) -> None:
        from recsys.analysis.search_history import write_history  # imports matplotlib

        figure, results = self.directory / "history.png", self.directory / TRIALS
        if figure.is_file() and results.is_file() and figure.stat().st_mtime_ns >= results.stat().st_mtime_ns:
            return  # the search was finished earlier
        trials = _frame(study)
        for key, drawn in self.distributions.items():
            if isinstance(drawn, CategoricalDistribution):
                trials[key] = pd.Categorical(trials[key], categories=list(dict.fromkeys(drawn.choices)))
        logarithmic = [key for key, drawn in self.distributions.items() if getattr(drawn, "log", False)]
        write_history(self.directory, trials, list(self.space), logarithmic)


def overrides(params: Mapping[str, Any]) -> list[str]:
    """Format a configuration as overrides: dotted keys get the prefix `++`, config groups such as `model` do not.

    Values are not quoted, since they come from Hydra's own sweep syntax.
    """
    return [f"{'++' if '.' in key else ''}{key}={value}" for key, value in params.items()]


def distribution(override: Override) -> BaseDistribution:
    """Convert a sweep in Hydra's syntax to an Optuna distribution.

    Raises:
        UserError: the override has none of the forms that the module describes.
    """
    sweep: Any = override.value()
    if override.is_sweep_override():
        on_log_scale = "log" in sweep.tags
        if isinstance(sweep, ChoiceSweep):
            return CategoricalDistribution(list(override.sweep_string_iterator()))
        if isinstance(sweep, RangeSweep) and isinstance(values := sweep.range(), range):
            return IntDistribution(values[0], values[-1], step=values.step, log=on_log_scale)
        if isinstance(sweep, IntervalSweep) and isinstance(sweep.start, int):
            return IntDistribution(sweep.start, int(sweep.end or 0), log=on_log_scale)
        if isinstance(sweep, IntervalSweep):
            return FloatDistribution(float(sweep.start or 0), float(sweep.end or 0), log=on_log_scale)
    raise UserError(f"A search space must be a choice, an interval or a range of integers (got {override.input_line}).")


def _is_at_an_end(distribution: BaseDistribution, value: Any) -> bool:
    """Return whether a value is near an end of its range: within the share `END` of the range's width.

    If the distribution has a logarithmic scale, distances are measured on that scale.
    """
    if isinstance(distribution, CategoricalDistribution):
        return False
    low, high, own = distribution.low, distribution.high, value  # type: ignore[attr-defined]
    if distribution.log:  # type: ignore[attr-defined]
        low, high, own = math.log(low), math.log(high), math.log(own)
    return not END < (own - low) / max(high - low, 1e-12) < 1 - END


def _n_values(distribution: BaseDistribution) -> float:
    """Return how many different values a distribution can yield; infinity for real numbers."""
    if isinstance(distribution, CategoricalDistribution):
        return len(set(distribution.choices))
    if isinstance(distribution, IntDistribution):
        return (distribution.high - distribution.low) // distribution.step + 1
    return 1 if distribution.single() else math.inf


def _see(trials: Sequence[optuna.Trial]) -> None:
    """Store the current time in trials, as a sign that their worker still runs."""
    for trial in trials:
        # another worker took the trial for lost, or the storage does not answer at the moment
        with suppress(RuntimeError, optuna.exceptions.StorageInternalError):
            trial.set_user_attr(SEEN, time.time())


def _running(study: optuna.Study) -> list[FrozenTrial]:
    return study.get_trials(deepcopy=False, states=[TrialState.RUNNING])


def _finished(study: optuna.Study) -> list[FrozenTrial]:
    return study.get_trials(deepcopy=False, states=[TrialState.COMPLETE, TrialState.PRUNED])


def _is_any_complete(study: optuna.Study) -> bool:
    return bool(study.get_trials(deepcopy=False, states=[TrialState.COMPLETE]))


def _value(job: JobReturn) -> float | str:
    """Return the value that a job returned or, as text, the reason why it failed.

    Raises:
        UserError: the job completed but returned no value, because its run does not measure `optimized_metric`.
    """
    try:
        value = job.return_value
    except Exception as error:  # whatever it is, other settings may work
        return failure_reason(error)
    if value is None:
        raise UserError("optimized_metric must be a validation metric of the runs.")
    return float(value)


def _state(trial: FrozenTrial) -> str:
    if FAILURE in trial.user_attrs:
        return "failed"
    return "stopped" if trial.state is TrialState.FAIL else trial.state.name.lower()


def _result(trial: FrozenTrial) -> str:
    """Describe the result of a trial for the log: its value, `failed`, or the number of epochs before it was pruned."""
    state = _state(trial)
    if state == "failed":
        return state
    return f"{trial.value:.5f}" if state == "complete" else f"pruned after {trial.last_step} epochs"


def _frame(study: optuna.Study) -> pd.DataFrame:
    """Return a frame with a row for each trial.

    Its columns are `trial`, `state`, `value`, `epochs`, `seconds`, a column for each setting, and `failure`.
    """
    rows = [
        {
            "trial": trial.number,
            "state": _state(trial),
            "value": trial.value,
            "epochs": trial.last_step,  # None for a model without epochs
            "seconds": trial.duration.total_seconds() if trial.duration else None,
            **trial.params,
            FAILURE: trial.user_attrs.get(FAILURE),
        }
        for trial in study.trials
    ]
    return pd.DataFrame(rows)
