"""Model selection: chooses the best model on validation, and tests its lead over the second best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from recsys.counted import counted
from recsys.errors import UserError
from recsys.evaluation.intervals import Interval
from recsys.evaluation.resampling import compare
from recsys.metrics.direction import ERRORS, ORDERED
from recsys.studies.runs import Run
from recsys.studies.tables import check_metrics, named_results, user_values

CERTAIN, LIKELY = 0.001, 0.05  # p-values below which a lead is beyond reasonable doubt, or likely


@dataclass(frozen=True, eq=False)
class Selection:
    """A ranking of models on validation, and a test of the best model against the second best.

    Attributes:
        metric: name of the metric, such as `ndcg@10`.
        ranking: mean of the metric on validation by model, best first. It contains the models that were run on all
            splits that count. A split counts if at least half of the models were run on it.
        left_out: models that were not run on all splits that count, or that lack the metric.
        n_splits: number of splits that count.
        n_users: number of test users whom the two best models share.
        test: test metric of the best and of the second best model, as their runs report it, mean over runs.
        seconds: training time of the best and of the second best model in seconds, mean over runs, without the refit.
        lead: lead of the best model over the second best on test, mean over users. It is positive if the best model is
            better on test too, also for metrics of which smaller values are better. The lead weights all users equally,
            while metrics such as rmse in `test` weight all ratings equally.
        p_value: two-sided p-value of the lead, see `recsys.evaluation.resampling`.
    """

    metric: str
    ranking: pd.Series
    left_out: list[str]
    n_splits: int
    n_users: int
    test: tuple[float, float]
    seconds: tuple[float, float]
    lead: Interval
    p_value: float

    def sentences(self) -> list[str]:
        """Return sentences on the ranking, the test, the model to use, and the training times."""
        best, second = self.ranking.index[:2]
        order = ", ".join(f"{name} {value:.4f}" for name, value in self.ranking.items())
        averaged = f", mean over {counted(self.n_splits, 'split')}" if self.n_splits > 1 else ""
        sentences = [f"By {self.metric} on validation{averaged}: {order}."]
        if self.left_out:
            sentences.append(
                f"Left out, because they were not measured on all of these splits: {', '.join(self.left_out)}."
            )
        sentences.append(
            f"On test {best} has {self.test[0]:.4f} and {second} {self.test[1]:.4f}. With all users weighted equally, "
            f"{self._lead(best, second)} ({counted(self.n_users, 'user')}, p {self.p_value:.2g})."
        )
        sentences.append(self._advice(best, second))
        sentences.append(f"Training took {self.seconds[0]:.3g} s for {best} and {self.seconds[1]:.3g} s for {second}.")
        return sentences

    def _lead(self, best: str, second: str) -> str:
        if self.lead.mean >= 0:
            return f"the lead of {best} is {self.lead}"
        behind = Interval(-self.lead.mean, -self.lead.high, -self.lead.low)
        return f"{best}, which validation chose, is behind {second} by {behind}"

    def _advice(self, best: str, second: str) -> str:
        if self.p_value > LIKELY and self.lead.mean < 0:
            return "There is no evidence that either of the two is better: the difference may be chance."
        if self.p_value > LIKELY:
            return f"There is no evidence that {best} is better than {second}: the difference may be chance."
        if self.lead.mean < 0:
            return f"Use {best} with care: validation chose it, but {second} is significantly better on test."
        if self.p_value < CERTAIN:
            return f"Use {best}: it is better than {second} beyond reasonable doubt."
        return f"Use {best}: it is probably better than {second}, but not beyond reasonable doubt."


def select(runs: Sequence[Run], metric: str) -> Selection:
    """Rank models on validation, and compare the two best on test.

    Args:
        runs: tested runs on one data set, with one kind of split.
        metric: a per-user metric, such as `ndcg@10`, `valid/ndcg@10` or `rmse`.

    Raises:
        UserError: the name of the metric begins with `test/`; the metric does not rank models, is missing from all
            runs, or is not computed per user; the runs are on several data sets or kinds of split; fewer than two
            models were run on all splits that count (see `Selection`); or the two best models share no test user.
    """
    if metric.startswith("test/"):
        raise UserError(
            f"Validation chooses the model, and the test only reports on the choice: give --metric "
            f"{metric.removeprefix('test/')} without the stage (got {metric})."
        )
    metric = metric.removeprefix("valid/")
    name = metric.partition("@")[0]
    if name not in ORDERED and name not in ERRORS:
        raise UserError(f"metric must be one that ranks models: {', '.join([*ORDERED, *ERRORS])} (got {metric}).")
    frame = named_results(runs)
    columns = [f"valid/{metric}", f"test/{metric}"]
    check_metrics(frame, columns)
    measured = frame.dropna(subset=columns)
    n_models = measured.groupby("fingerprint")["name"].nunique()
    splits = set(n_models.index[2 * n_models >= measured["name"].nunique()])
    complete = {name for name, own in measured.groupby("name")["fingerprint"] if splits <= set(own)}
    chosen = measured[measured["name"].isin(complete) & measured["fingerprint"].isin(splits)]
    ranking = chosen.groupby("name")[f"valid/{metric}"].mean().sort_values(ascending=name in ERRORS)
    if len(ranking) < 2:
        raise UserError("Fewer than two models were run on all splits: run models on the same splits.")
    best, second = ranking.index[:2]
    values = user_values(chosen, f"test/{metric}")
    ahead, behind = (second, best) if name in ERRORS else (best, second)
    lead = compare(values[ahead], values[behind])
    if lead is None:
        raise UserError(f"No user of {best} was tested with {second} too: run models on the same splits.")
    two = chosen.set_index("name").loc[[best, second]].groupby(level=0)
    test = two[f"test/{metric}"].mean()
    seconds = two["run"].agg(lambda own: sum(run.manifest["seconds"]["fit"] for run in own) / len(own))
    return Selection(
        metric,
        ranking,
        left_out=sorted(set(frame["name"]) - complete),
        n_splits=len(splits),
        n_users=lead.n_users,
        test=(test[best], test[second]),
        seconds=(seconds[best], seconds[second]),
        lead=lead.interval,
        p_value=lead.p_value,
    )
