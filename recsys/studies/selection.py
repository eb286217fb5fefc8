"""Which model to use: chosen on validation, confirmed on test, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from recsys.errors import UserError
from recsys.evaluation.intervals import Interval, bootstrap_interval
from recsys.evaluation.significance import randomisation_test, user_differences
from recsys.metrics.accuracy import ACCURACY
from recsys.studies.runs import Run
from recsys.studies.tables import check_metrics, named_results, shared, values_of_users

ERRORS = ("rmse", "mae")  # the less the better
ORDERED = (*ACCURACY, "auc", "precision/relevant", "recall/relevant", "f1/relevant")  # the more the better
CERTAIN, LIKELY = 0.001, 0.05  # p-values up to which a lead is beyond reasonable doubt, or likely


@dataclass(frozen=True, eq=False)
class Selection:
    """What was chosen, and how sure that is.

    Attributes:
        metric: `ndcg@10`.
        ranking: mean on validation by model, best first, of models that were run on all splits that count.
        left_out: models that were not, or have no such metric.
        n_splits: splits that count, which at least half of the models were run on.
        n_users: users whom the two best were tested on.
        test: mean on test of the two best, as a run measures it.
        seconds: mean training time of the two best.
        lead: of the best over the second on test, the mean over users, above zero where it is better. So it weighs all
            users alike, while errors in `test` weigh all ratings alike.
        p_value: of a paired randomisation test over users.
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
        """What to do, and why."""
        best, second = self.ranking.index[:2]
        order = ", ".join(f"{name} {value:.4f}" for name, value in self.ranking.items())
        told = [f"By {self.metric} on validation, mean over {_counted(self.n_splits, 'split')}: {order}."]
        if self.left_out:
            told.append(f"Left out, since not measured so on all of these splits: {', '.join(self.left_out)}.")
        told.append(
            f"On test {best} has {self.test[0]:.4f} and {second} {self.test[1]:.4f}; user by user, all weighing alike, "
            f"{best} is ahead by {self.lead} ({self.n_users:,} users, p {self.p_value:.2g})."
        )
        told.append(self._advice(best, second))
        told.append(f"To train, {best} took {self.seconds[0]:.3g} s and {second} {self.seconds[1]:.3g} s.")
        return told

    def _advice(self, best: str, second: str) -> str:
        if self.p_value > LIKELY:
            return f"That {best} is better than {second} is not shown: the difference may be chance."
        if self.lead.mean < 0:
            return f"Use {best} with care: validation chose it, but on test {second} is ahead by more than chance."
        sure = "beyond reasonable doubt" if self.p_value < CERTAIN else "likely, but not beyond reasonable doubt"
        return f"Use {best}: that it is better than {second} is {sure}."


def select(runs: Sequence[Run], metric: str) -> Selection:
    """Choose among the models of a study.

    Args:
        runs: of one data set and kind of split, all tested.
        metric: that single users have: `ndcg@10`, `rmse`.

    Raises:
        UserError: neither more nor less of the metric is better, or fewer than two models were run on all splits.
    """
    name = metric.partition("@")[0]
    if name not in ORDERED and name not in ERRORS:
        raise UserError(f"More of {metric} is not better or worse: choose by one of {', '.join([*ORDERED, *ERRORS])}.")
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
        raise UserError("There are no two models that were run on all splits: sweep models over the same splits.")
    best, second = ranking.index[:2]
    of_users = values_of_users(chosen, f"test/{metric}")
    pair = shared(of_users[best], of_users[second])
    leads = user_differences(*(reversed(pair) if name in ERRORS else pair))
    two = chosen.set_index("name").loc[[best, second]].groupby(level=0)
    test = two[f"test/{metric}"].mean()
    seconds = two["run"].agg(lambda own: sum(run.manifest["seconds"]["fit"] for run in own) / len(own))
    return Selection(
        metric,
        ranking,
        left_out=sorted(set(frame["name"]) - complete),
        n_splits=len(splits),
        n_users=len(set().union(*(values.index for values in pair[0]))),
        test=(test[best], test[second]),
        seconds=(seconds[best], seconds[second]),
        lead=bootstrap_interval(leads),
        p_value=randomisation_test(leads),
    )


def _counted(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"
