"""Statistical comparisons of the pairs of models that a study declares in its config, as one family of tests."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from recsys.evaluation.intervals import LEVEL, Interval
from recsys.evaluation.resampling import EQUIVALENCE_LEVEL, UserMetrics, compare
from recsys.evaluation.significance import SIGNIFICANT, holm
from recsys.studies.outcome import Outcome, outcomes_by_row
from recsys.studies.study import Study
from recsys.studies.study_statistics import user_metrics
from recsys.studies.tables import markdown

COLUMNS = [
    "setting", "metric", "row", "other", "users", "difference", "low", "high", "detectable", "effect_size", "p",
    "p_holm", "equivalent", "conclusion",
]  # fmt: skip
# The difference that a two-sided test at 5% finds with a power of 80%, in standard errors: 1.96 + 0.84.
DETECTABLE = 2.8


class PairOfRows(NamedTuple):
    """Two rows of a study's table (models with their configurations), to be compared by a per-user metric.

    Attributes:
        setting: name of the setting (data, split and protocol).
        metric: name of the metric, such as `ndcg@10`.
        row: name of the first row.
        other: name of the second row; differences are `row` minus `other`.
        values: values of the metric for `row`: (seed, split) -> series indexed by user.
        other_values: values of the metric for `other`.
        margin: difference within which the rows count as equivalent; None for no test of equivalence.
    """

    setting: str
    metric: str
    row: str
    other: str
    values: UserMetrics
    other_values: UserMetrics
    margin: float | None = None


def pair_statistics(study: Study, outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """Compare the pairs of rows (models) that a study declares in its config.

    Pairs without complete runs on shared splits are left out.

    Returns:
        The frame that `compare_pairs` returns.
    """
    return compare_pairs(list(_declared(study, outcomes)))


def _declared(study: Study, outcomes: Sequence[Outcome]) -> Iterator[PairOfRows]:
    for name, setting in study.settings.items():
        by_row = outcomes_by_row(setting, [outcome for outcome in outcomes if outcome.setting == name])
        metrics = sorted({pair.metric for pair in setting.pairs})
        values = {row: user_metrics(by_row[row], metrics) for pair in setting.pairs for row in pair.rows}
        for pair in setting.pairs:
            own, other = (values[row].get(pair.metric) for row in pair.rows)
            if own and other:
                yield PairOfRows(name, pair.metric, *pair.rows, own, other, setting.margin)


def compare_pairs(pairs: Sequence[PairOfRows]) -> pd.DataFrame:
    """Compare pairs of rows (models with their configurations) as one family of tests.

    Returns:
        A frame with a row for each pair of models that share test users. Its columns are `setting`, `metric`, `row` and
        `other`; the number of shared `users`; the `difference` with the ends `low` and `high` of its confidence
        interval; the smallest `detectable` difference (see `DETECTABLE`); the `effect_size`; the p-value `p`; the
        p-value `p_holm`, which is adjusted for all pairs; `equivalent`: whether the models are equivalent within the
        margin, NaN without a margin; and the `conclusion`: `above` or `below` if the value of `row` is significantly
        larger or smaller than the value of `other`, else `undecided`.
    """
    records = []
    for setting, metric, row, other, values, other_values, margin in pairs:
        found = compare(values, other_values)
        if found is not None:
            ends = (found.interval.mean, found.interval.low, found.interval.high)
            equivalent = np.nan if margin is None else found.is_equivalent(margin)
            tested = (DETECTABLE * found.standard_error, found.effect_size, found.p_value, np.nan, equivalent, "")
            records.append((setting, metric, row, other, found.n_users, *ends, *tested))
    frame = pd.DataFrame(records, columns=COLUMNS)
    frame["p_holm"] = holm(frame["p"].to_numpy(float))
    direction = np.where(frame["difference"] > 0, "above", "below")
    frame["conclusion"] = np.where(frame["p_holm"] < SIGNIFICANT, direction, "undecided")
    return frame


def pairs_markdown(pairs: pd.DataFrame, margins: Collection[float] = (), by: str = "config") -> str:
    """Format the comparisons of pairs as a Markdown table, with a note on how to read it.

    Args:
        pairs: frame that `compare_pairs` returned.
        margins: declared margins of equivalence.
        by: `config` or `script`: where the pairs and margins are declared, for the note.
    """
    note = (
        f"Differences of means with {LEVEL:.0%} intervals. Users, splits and seeds are resampled, each kind where "
        f"there are several. p is adjusted by Holm's method for the {len(pairs)} "
        f"pair{'s' * (len(pairs) > 1)}, which the {by} declares. "
        "A difference of the size `detectable` is found with a power of 80% by one test at 5%."
    )
    if margins:
        note += (
            f" Equivalent: the {EQUIVALENCE_LEVEL:.0%} interval is within the margin of "
            f"{', '.join(f'{margin:g}' for margin in sorted(margins))}, which the {by} declares."
        )
    return f"{markdown(pairs_text(pairs))}\n\n{note}"


def pairs_text(pairs: pd.DataFrame) -> pd.DataFrame:
    """Format the frame that `compare_pairs` returned as a frame of text, in which `p` is the adjusted p-value."""
    text = pairs[["setting", "metric", "row", "other", "users"]].astype(str)
    ends = pairs[["difference", "low", "high"]].itertuples(index=False)
    text["difference"] = [str(Interval(*each)) for each in ends]
    text["detectable"] = pairs["detectable"].map("{:.4f}".format)
    text["p"] = pairs["p_holm"].map("{:.2g}".format)
    equivalent = pairs["equivalent"].map({True: ", equivalent", False: ""}).fillna("")
    text["conclusion"] = pairs["conclusion"] + equivalent
    return text
