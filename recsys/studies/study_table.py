"""A study's tables: what each row of a setting reached, how sure its lead is, and what it cost.

A figure is the mean over seeds. Where a setting has several variants, such as folds, a seed's figure is the mean over
all of them, so that ± tells what the seed does and not what the fold does. Seeds that lack a variant do not count.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.markup import escape
from rich.table import Table

from recsys.evaluation.significance import (
    LEVEL,
    N_RESAMPLES,
    bootstrap_interval,
    effect_size,
    holm,
    randomisation,
    user_differences,
)
from recsys.studies.runs import Run
from recsys.studies.selection import ERRORS, ORDERED
from recsys.studies.study import Outcome, Setting, Study
from recsys.studies.tables import markdown, shared

SIGNIFICANT = 0.05  # adjusted p-values below it are marked
ABOVE, BELOW = "↑", "↓"
COMPARED = ["metric", "row", "baseline", "users", "difference", "low", "high", "effect_size", "p", "p_holm"]


@dataclass(frozen=True, eq=False)
class StudyTable:
    """The table of one setting.

    Attributes:
        title: the setting's name.
        metrics: of the columns.
        numbers: a line for each metric and row: `setting`, `metric`, `row`; `status` (complete, failed, not run);
            `seeds` that count, `mean` and `std` over them; `published` by others; `configurations` that were tuned;
            `seconds` of training, mean over runs; the `baseline` that it is compared with, on how many `users`, the
            mean `difference` over users, the ends `low` and `high` of its interval, the `effect_size`, `p` and
            `p_holm`, adjusted for all rows; NaN where there is no such thing.
        notes: what a reader has to know, in sentences.
    """

    title: str
    metrics: tuple[str, ...]
    numbers: pd.DataFrame
    notes: list[str]

    def markdown(self) -> str:
        """The table with its notes."""
        return "\n\n".join([markdown(self._text(_MARKDOWN)), *map(_plain, self.notes)])

    def latex(self) -> str:
        """A `table` environment; the document needs the package booktabs."""
        text = self._text(_LATEX)
        columns = [_escaped(str(name)) for name in text.columns]
        return text.set_axis(columns, axis=1).to_latex(
            index=False,
            column_format="l" + "r" * (len(columns) - 1),
            escape=False,
            caption=(" ".join(map(_escaped, [f"{self.title}.", *self.notes])), _escaped(self.title)),
        )

    def rich(self) -> Table:
        """The table for the terminal, without its notes."""
        text = self._text(_RICH)
        shown = Table(title=self.title, title_justify="left")
        for place, name in enumerate(text.columns):
            shown.add_column(str(name), justify="right" if place else "left")
        for row in text.to_numpy().tolist():
            shown.add_row(*row)
        return shown

    @property
    def baseline(self) -> str | None:
        """The row that others are compared with, if one is complete."""
        return next(iter(self.numbers["baseline"].dropna()), None)

    def _text(self, look: _Look) -> pd.DataFrame:
        """A row for each row of the study, a column for each metric, for what was published of it, and for the cost."""
        columns: dict[str, pd.Series] = {}
        for metric in self.metrics:
            own = self.numbers[self.numbers["metric"] == metric].set_index("row")
            columns[metric] = own.assign(place=_places(metric, own["mean"])).apply(look.cell, axis=1)
            if own["published"].notna().any():
                columns[f"{metric} published"] = _texts(own["published"], "{:.4g}".format)
        cost = self.numbers.drop_duplicates("row").set_index("row")
        columns["configurations"] = _texts(cost["configurations"], "{:,.0f}".format)
        columns["seconds"] = _texts(cost["seconds"], _seconds)
        frame = pd.DataFrame(columns)
        frame.insert(0, "model", [look.plain(str(row)) for row in frame.index])
        return frame


@dataclass(frozen=True)
class _Look:
    """How cells are written.

    Attributes:
        best: around the best figure.
        second: around the second.
        plain: text into the language of the table.
    """

    best: str
    second: str
    plain: Callable[[str], str]

    def cell(self, line: pd.Series) -> str:
        """Mean, deviation and mark; the status where there is no mean."""
        if pd.isna(line["mean"]):
            return str(line["status"])
        figure = figure_text(line["mean"])
        written = {1: self.best, 2: self.second}.get(line["place"], "{}").format(figure)
        spread = "" if pd.isna(line["std"]) else f" ± {line['std']:.{_decimals(line['mean'])}f}"
        mark = "" if not line["p_holm"] < SIGNIFICANT else f" {ABOVE if line['difference'] > 0 else BELOW}"
        return written + self.plain(spread + mark)


_LATEX_SIGNS = str.maketrans(
    {
        **{sign: f"\\{sign}" for sign in "&%$#_{}"},
        **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
        **{"<": "$<$", ">": "$>$", "±": r"$\pm$", ABOVE: r"$\uparrow$", BELOW: r"$\downarrow$"},
    }
)


def _escaped(text: str) -> str:
    """Plain text in LaTeX."""
    return text.translate(_LATEX_SIGNS)


def _plain(text: str) -> str:
    """Text whose signs mean nothing to Markdown."""
    return re.sub(r"([\\`*_\[\]|<])", r"\\\1", text)


_MARKDOWN = _Look("**{}**", "<u>{}</u>", _plain)
_LATEX = _Look(r"\textbf{{{}}}", r"\underline{{{}}}", _escaped)
_RICH = _Look("[bold]{}[/bold]", "[underline]{}[/underline]", escape)


def study_tables(study: Study, outcomes: Sequence[Outcome]) -> list[StudyTable]:
    """The table of each setting.

    Args:
        study: whose order of settings, rows and metrics the tables keep.
        outcomes: of all runs that it asks for, finished or not.

    Raises:
        UserError: a finished run was not tested.
    """
    tables = []
    for name, setting in study.settings.items():
        by_row = rows_of(setting, [outcome for outcome in outcomes if outcome.setting == name])
        numbers = _numbers(setting, by_row)
        baseline = best_baseline(setting, study.baselines, by_row)
        compared = [] if baseline is None else _comparisons(setting.metrics, baseline, by_row)
        numbers = numbers.merge(pd.DataFrame(compared, columns=COMPARED), how="left", on=["metric", "row"])
        numbers.insert(0, "setting", name)
        tables.append(StudyTable(name, setting.metrics, numbers, _notes(setting, study, numbers, by_row)))
    return tables


def rows_of(setting: Setting, outcomes: Iterable[Outcome]) -> dict[str, list[Outcome]]:
    """What became of the runs of each row, in the order of the rows."""
    by_row: dict[str, list[Outcome]] = {row: [] for row in setting.rows}
    for outcome in outcomes:
        by_row[outcome.row].append(outcome)
    return by_row


def counting(outcomes: Sequence[Outcome]) -> list[tuple[int, Run]]:
    """Seed and run of a row's outcomes that count: of seeds that have all their variants, so that means compare."""
    lacking = {outcome.seed for outcome in outcomes if outcome.run is None}
    return [(each.seed, each.run) for each in outcomes if each.run is not None and each.seed not in lacking]


def seed_means(outcomes: Sequence[Outcome], metric: str) -> pd.Series:
    """A metric, `test/ndcg@10`, of each seed that counts: the mean over variants, NaN where one has no such metric."""
    runs = counting(outcomes)
    values = pd.Series([run.metrics.get(metric, np.nan) for _, run in runs], [seed for seed, _ in runs], float)
    return values.groupby(level=0).agg(lambda own: own.mean(skipna=False))


def direction(metric: str) -> int:
    """1 where more of a metric is better, -1 where less is, 0 where neither is by itself, as of popularity."""
    name = re.sub(r"@\d+|/sampled\d+", "", metric)
    return 1 if name in ORDERED else -1 if name in ERRORS else 0


def best_baseline(setting: Setting, baselines: Sequence[str], by_row: Mapping[str, Sequence[Outcome]]) -> str | None:
    """Of the baselines that count the one that is best on validation, by the setting's main metric."""
    main = setting.metrics[0]
    reached = pd.Series({row: seed_means(by_row[row], f"valid/{main}").mean() for row in baselines if row in by_row})
    reached = reached.astype(float).dropna() * (direction(main) or 1)
    return None if reached.empty else str(reached.idxmax())


def training_seconds(outcomes: Sequence[Outcome]) -> float:
    """What training took, refit included, mean over the runs that count; NaN where none does."""
    seconds = [run.manifest["seconds"] for _, run in counting(outcomes)]
    return float(np.mean([each["fit"] + each.get("refit", 0.0) for each in seconds])) if seconds else np.nan


def machine(run: Run) -> str:
    """What a run ran on."""
    hardware = run.manifest["hardware"]
    return ", ".join([f"{hardware['processor']}, {hardware['cores']} cores", *hardware["gpus"]])


def code_version(run: Run) -> str | None:
    """The digest of the code that a run ran, or else its commit; None where neither is known."""
    return run.manifest.get("code") or run.manifest["git"].get("commit")


def failure_text(failure: str) -> str:
    """Why a run failed, without the path of this machine."""
    return failure.replace(f"{Path.cwd()}/", "")


def figure_text(value: float) -> str:
    """A metric as tables and figures have it."""
    return f"{value:.{_decimals(value)}f}"


def _decimals(value: float) -> int:
    return 4 if abs(value) < 10 else 1


def _texts(values: pd.Series, text: Callable[[float], str]) -> pd.Series:
    """Numbers as text, nothing where there is none."""
    return values.astype(object).map(text, na_action="ignore").fillna("")


def _seconds(value: float) -> str:
    return f"{value:.2g}" if value < 10 else f"{value:,.0f}"


def _numbers(setting: Setting, by_row: Mapping[str, Sequence[Outcome]]) -> pd.DataFrame:
    """What concerns one row alone, of `StudyTable.numbers`."""
    lines = []
    for metric in setting.metrics:
        for name, row in setting.rows.items():
            values = seed_means(by_row[name], f"test/{metric}")
            lines.append(
                {
                    "metric": metric,
                    "row": name,
                    "status": _status(by_row[name]),
                    "seeds": len(values),
                    "mean": values.mean(),
                    "std": values.std(),
                    "published": row.published.get(metric, np.nan),
                    "configurations": _configurations(by_row[name]),
                    "seconds": training_seconds(by_row[name]),
                }
            )
    return pd.DataFrame(lines)


def _status(outcomes: Sequence[Outcome]) -> str:
    if any(outcome.failure for outcome in outcomes):
        return "failed"
    return "complete" if all(outcome.run for outcome in outcomes) else "not run"


def _configurations(outcomes: Sequence[Outcome]) -> float:
    return max((each.n_configurations for each in outcomes if each.n_configurations is not None), default=np.nan)


def _comparisons(
    metrics: Sequence[str], baseline: str, by_row: Mapping[str, Sequence[Outcome]]
) -> list[tuple[Any, ...]]:
    """How rows compare with the baseline, as `COMPARED` of `StudyTable.numbers`, on metrics that single users have."""
    of_users = {row: _users_by_split(outcomes, metrics) for row, outcomes in by_row.items()}
    lines: list[tuple[Any, ...]] = []
    for metric in metrics:
        values = {
            row: {split: users[metric] for split, users in by_split.items() if metric in users}
            for row, by_split in of_users.items()
        }
        pairs = {row: shared(own, values[baseline]) for row, own in values.items() if row != baseline}
        differences = {row: user_differences(*pair) for row, pair in pairs.items() if pair[0]}
        p_values = {row: randomisation(own) for row, own in differences.items()}
        adjusted = dict(zip(p_values, holm(list(p_values.values())), strict=True))
        for row, own in differences.items():
            found = bootstrap_interval(own)
            effect = effect_size(own)
            tested = (len(own), found.mean, found.low, found.high, effect, p_values[row], adjusted[row])
            lines.append((metric, row, baseline, *tested))
    return lines


def _users_by_split(outcomes: Sequence[Outcome], metrics: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Metrics of each user, a column each, the mean over seeds, by the fingerprint of the split."""
    frames: dict[str, list[pd.DataFrame]] = {}
    for _, run in counting(outcomes):
        frames.setdefault(run.manifest["split"]["fingerprint"], []).append(run.of_users(metrics))
    return {split: pd.concat(own).groupby(level=0).mean() for split, own in frames.items()}


def _places(metric: str, means: pd.Series) -> pd.Series:
    """1 for the best figure as it is shown, 2 for the second; 0 for all where neither end is better."""
    shown = means.map(figure_text, na_action="ignore").astype(float)
    return (shown * -direction(metric)).rank(method="dense") if direction(metric) else 0 * shown


def _notes(setting: Setting, study: Study, numbers: pd.DataFrame, by_row: Mapping[str, Sequence[Outcome]]) -> list[str]:
    """What a reader has to know of a table."""
    runs = [run for outcomes in by_row.values() for _, run in counting(outcomes)]
    notes = [_lacking(row, outcomes) for row, outcomes in by_row.items() if not all(each.run for each in outcomes)]
    if not runs:
        return notes
    notes.append(
        f"Test metrics{_averaged(numbers, by_row)}. The best figure is bold, the second underlined, where more "
        "or less is better by itself."
    )
    if numbers["published"].notna().any():
        notes.append("Published figures are others', for the same data and split; nothing is tested against them.")
    notes.append(_compared(setting, study, numbers))
    notes.append(
        "Configurations: how many were compared on validation to choose a row's settings, empty where nobody counted. "
        f"Seconds: training, with the refit to validation ratings, mean over runs ({_machines(runs)})."
    )
    return notes + _code(runs)


def _lacking(row: str, outcomes: Sequence[Outcome]) -> str:
    """Which runs of a row are not there, and why."""
    failures = Counter(failure_text(each.failure).rstrip(".") for each in outcomes if each.failure)
    n_left = sum(each.run is None and not each.failure for each in outcomes)
    told = [f"{n} of {len(outcomes)} runs failed ({failure})" for failure, n in failures.items()]
    told += [f"{n_left} of {len(outcomes)} not run yet"] if n_left else []
    n_seeds = len({seed for seed, _ in counting(outcomes)})
    counted = f"; its figures are of {_number(n_seeds, 'seed')}" if n_seeds else ""
    return f"{row}: {', '.join(told)}{counted}."


def _compared(setting: Setting, study: Study, numbers: pd.DataFrame) -> str:
    """What the marks say, and of which metrics and rows they cannot."""
    tested = numbers.dropna(subset=["p_holm"])
    if tested.empty:
        return (
            f"Nothing is tested: of the baselines ({', '.join(study.baselines)}) or of the others no row is complete."
        )
    baseline = tested["baseline"].iloc[0]
    n_rows = tested.groupby("metric").size()
    told = [
        f"{ABOVE} and {BELOW}: above or below {baseline} by more than chance, p < {SIGNIFICANT} of a paired "
        f"randomisation test over {_range(tested['users'], 'user')} ({N_RESAMPLES:,} draws, means over a user's runs), "
        f"adjusted by Holm for {_range(n_rows, 'row')}. {baseline} is, of {', '.join(study.baselines)}, the best by "
        f"{setting.metrics[0]} on validation. Effect sizes and {LEVEL:.0%} bootstrap intervals are in table.csv."
    ]
    pooled = [metric for metric in setting.metrics if direction(metric) < 0]
    if pooled:
        told.append(f"Tests weigh all users alike, while {' and '.join(pooled)} in the table weigh all ratings alike.")
    untested = numbers[numbers["mean"].notna() & (numbers["row"] != baseline) & numbers["p_holm"].isna()]
    whole = [metric for metric in setting.metrics if metric not in set(tested["metric"])]
    if whole:
        told.append(f"Of all users together, and so not tested: {', '.join(whole)}.")
    elsewhere = untested.loc[~untested["metric"].isin(whole), "row"].unique()
    if len(elsewhere):
        told.append(f"Not tested, since on other splits or users than {baseline}: {', '.join(elsewhere)}.")
    return " ".join(told)


def _machines(runs: Sequence[Run]) -> str:
    machines = {f"{machine(run)}, {_number(run.manifest['threads'], 'thread')}" for run in runs}
    alike = "" if len(machines) == 1 else "; they do not compare across machines"
    return "; ".join(sorted(machines)) + alike


def _code(runs: Sequence[Run]) -> list[str]:
    """That figures of one table came out of several codes, or out of one that nobody can check out."""
    notes = []
    n_versions = len({code_version(run) for run in runs})
    n_dirty = sum(run.manifest["git"].get("dirty", False) for run in runs)
    if n_versions > 1:
        notes.append(f"Runs are of {n_versions} versions of the code; runs.csv has each one's.")
    if n_dirty:
        notes.append(f"{n_dirty} of {_number(len(runs), 'run')} were of code that was not committed (+ in runs.csv).")
    return notes


def _averaged(numbers: pd.DataFrame, by_row: Mapping[str, Sequence[Outcome]]) -> str:
    """What figures are means of."""
    variants = list(dict.fromkeys(each.variant for outcomes in by_row.values() for each in outcomes))
    over = f"the mean over {', '.join(variants)}" if len(variants) > 1 else ""
    if numbers["std"].isna().all():
        return f" of one seed{over and f', {over}'}"
    each = f", each {over}" if over else ""
    seeds = _range(numbers["seeds"], "seed")
    return f", mean ± standard deviation over {seeds}{each}; no ± stands where there is one seed"


def _range(numbers: Iterable[float], what: str) -> str:
    """`5 seeds`, or `1 to 5 seeds`; numbers of nothing do not count."""
    found = [int(number) for number in numbers if number > 0]
    return _number(max(found), what) if min(found) == max(found) else f"{min(found):,} to {_number(max(found), what)}"


def _number(n: int, what: str) -> str:
    return f"{n:,} {what}" if n == 1 else f"{n:,} {what}s"
