"""The panel with the test metrics of runs, each with its meaning in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from recsys.metrics.direction import direction
from recsys.web.loaded_run import LoadedRun
from recsys.web.pages.components import Section, Tag
from recsys.web.pages.metric_names import in_words

TEST = "test/"


def metrics_panel(runs: Sequence[LoadedRun], names: Sequence[str] | None = None) -> None:
    """Add a table with a row for each metric and a column for each run; the best value of each row is bold.

    Args:
        runs: the runs.
        names: names of the metrics to show, such as `ndcg@10`; metrics that no run has are left out. None for all
            test metrics whose list length is 10 or that have no list length.
    """
    if names is None:
        known = dict.fromkeys(name for run in runs for name in run.run.metrics if name.startswith(TEST))
        names = [name.removeprefix(TEST) for name in known if name.endswith("@10") or "@" not in name]
    rows = {name: [run.run.metrics.get(TEST + name) for run in runs] for name in names}
    rows = {name: values for name, values in rows.items() if any(value is not None for value in values)}
    with Section("Test metrics"):
        if rows:
            _table(runs, rows)
        else:
            Tag("p", "No run has test metrics.", "meta")


def _table(runs: Sequence[LoadedRun], rows: Mapping[str, Sequence[float | None]]) -> None:
    with Tag("div", classes="scroll", tabindex=0, role="group", aria_label="Table of metrics"), Tag("table"):
        with Tag("thead"), Tag("tr"):
            Tag("th", "Metric", scope="col")
            for run in runs:
                Tag("th", run.name, "number", scope="col")
        with Tag("tbody"):
            for name, values in rows.items():
                _row(name, values)


def _row(name: str, values: Sequence[float | None]) -> None:
    words = in_words(name)
    known = [direction(name) * value for value in values if value is not None]
    best = max(known) if len(known) > 1 and direction(name) else None
    with Tag("tr"):
        with Tag("th", words.name, scope="row"):
            Tag("span", words.sentence, "meaning")
        for value in values:
            is_best = value is not None and direction(name) * value == best
            Tag("td", "" if value is None else _digits(value), "number best" if is_best else "number")


def _digits(value: float) -> str:
    return f"{value:.4f}" if abs(value) < 10 else f"{value:,.1f}"
