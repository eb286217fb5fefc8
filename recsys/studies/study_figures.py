"""A study's figures: what its tables cannot show at a glance, each drawn for every setting that has the data for it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator
from rich.console import Console
from rich.progress import track
from scipy.optimize import isotonic_regression
from scipy.stats import kendalltau

from recsys.analysis import charts, figures
from recsys.studies.curves import learning_curve
from recsys.studies.study import Outcome, Study
from recsys.studies.study_numbers import counting, direction, rows_of, seed_means, training_seconds
from recsys.studies.study_table import StudyTable

COLOURED = 5  # rows that stand out, the best by the main metric; more would not be told apart
LABEL = 0.15  # inches that a label's line takes
LEADER = {"arrowstyle": "-", "linewidth": 0.6, "relpos": (0, 0.5), "shrinkA": 1, "shrinkB": 3}
N_VALUES = 10  # of a slice that fit a figure, in short
FITTING = 5  # that fit in full
FEW = 50  # ratings; a mean of fewer says little of calibration
BANDED = ("activity", "popularity")  # slices by numbers of ratings, whose ends differ between variants
SLICES = {
    "activity": "known ratings of the user",
    "segment": "the user's segment",
    "popularity": "known ratings of the film",
    "genre": "the film's genre",
}
OF_LISTS = ("coverage", "novelty", "diversity", "miscalibration")  # metrics worth a figure beside the main one
OF_FILMS = ("popularity", "genre")
OF_RATINGS = {"ndcg": "dcg", "hr": "recall", "rmse": "mse"}  # what slices of films have for a metric of users


@dataclass(frozen=True, eq=False)
class _Drawn:
    """What the figures of one setting are drawn from.

    Attributes:
        metric: the main one.
        others: the other metrics of the setting's table.
        by_row: outcomes of rows with a figure, the best row first.
        colours: of rows; the best stand out, in all figures alike.
    """

    metric: str
    others: tuple[str, ...]
    by_row: dict[str, list[Outcome]]
    colours: dict[str, str]

    def test(self, metric: str) -> pd.Series:
        """A test metric of each row that has it, mean over seeds."""
        return pd.Series({row: seed_means(own, f"test/{metric}").mean() for row, own in self.by_row.items()}).dropna()


def write_figures(directory: Path, study: Study, outcomes: Sequence[Outcome], tables: Sequence[StudyTable]) -> None:
    """Write each figure as PNG and SVG, named after its setting where there are several.

    Args:
        directory: made if need be.
        study: what was asked.
        outcomes: of all its runs.
        tables: of its settings.
    """
    directory.mkdir(parents=True, exist_ok=True)
    console = Console(stderr=True)
    with figures.style():
        for table in track(tables, "Drawing", console=console, transient=True, disable=not console.is_terminal):
            own = [outcome for outcome in outcomes if outcome.setting == table.setting]
            suffix = "" if len(tables) == 1 else "_" + re.sub(r"\W+", "_", table.setting)
            for name, title, figure in _figures(_drawn(table, rows_of(study.settings[table.setting], own))):
                figures.freeze_layout(figure)
                figures.save(figure, directory, name + suffix, title)
        if (orders := _orders(study, tables)) is not None:
            figures.freeze_layout(orders)
            figures.save(orders, directory, "orders", "Does the protocol change the order?")


def _drawn(table: StudyTable, by_row: Mapping[str, list[Outcome]]) -> _Drawn:
    main = table.metrics[0]
    means = table.numbers[table.numbers["metric"] == main].set_index("row")["mean"].dropna()
    order = means.sort_values(ascending=direction(main) < 0, kind="stable").index
    colours = dict.fromkeys(order, figures.FAINT) | dict(zip(order[:COLOURED], figures.COLOURS, strict=False))
    return _Drawn(main, table.metrics[1:], {row: by_row[row] for row in order}, colours)


def _figures(drawn: _Drawn) -> Iterator[tuple[str, str, Figure]]:
    """Name, title and figure, of those that there are data for."""
    makers: dict[str, tuple[str, Callable[[_Drawn], Figure | None]]] = {
        "list_length": (f"{drawn.metric.partition('@')[0]} by length of the list", _by_list_length),
        "learning_curves": (f"{drawn.metric} on validation by epoch", _learning_curves),
        "popularity_bias": (f"{drawn.metric} and how popular the films are", _popularity_bias),
        "training_time": (f"{drawn.metric} and training time", _training_time),
        "calibration": ("Stars given beyond those predicted", _calibration),
    }
    if not drawn.by_row:
        return
    for name, (title, make) in makers.items():
        if (figure := make(drawn)) is not None:
            yield name, title, figure
    for metric in [metric for metric in drawn.others if metric.partition("@")[0] in OF_LISTS]:
        yield metric.partition("@")[0], f"{drawn.metric} and {metric}", _against(drawn, metric)
    yield from _slices(drawn)


def _against(drawn: _Drawn, metric: str) -> Figure:
    """A metric of what lists are made of, and the main one."""
    reached = drawn.test(drawn.metric)
    figure, axes = _axes(len(reached))
    _points(axes, drawn.test(metric), reached, drawn.colours)
    axes.set(xlabel=metric, ylabel=drawn.metric)
    return figure


def _orders(study: Study, tables: Sequence[StudyTable]) -> Figure | None:
    """Places of the rows by one metric under each protocol and setting that measures it, the same rows in all."""
    base = tables[0].metrics[0].partition("/")[0]
    places = {}
    for table in tables:
        for metric in (metric for metric in table.metrics if metric.partition("/")[0] == base):
            means = table.numbers[table.numbers["metric"] == metric].set_index("row")["mean"].dropna()
            name = "\n".join([table.setting, *metric.split("/")])
            places[name] = means.rank(ascending=direction(metric) < 0)
    frame = pd.DataFrame(places)
    if frame.shape[1] < 2 or len(tables) < 2 or len(frame) < 3 or frame.isna().to_numpy().any():
        return None
    frame = frame.sort_values(frame.columns[0])
    colours = dict.fromkeys(frame.index, figures.FAINT) | dict(
        zip(frame.index, figures.COLOURS[:COLOURED], strict=False)
    )
    figure, axes = _axes(len(frame))
    _lines(axes, {str(row): pd.Series(-own.to_numpy()) for row, own in frame.iterrows()}, colours)
    first = frame.columns[0]
    agreement = [f"{name}\ntau {kendalltau(frame[first], frame[name]).statistic:.2f}" for name in frame]
    axes.set_xticks(range(frame.shape[1]), agreement, fontsize=charts.SMALL)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{-y:.0f}"))
    axes.set(ylabel="place", xlabel="tau: Kendall's rank correlation with the first column")
    return figure


def _by_list_length(drawn: _Drawn) -> Figure | None:
    base, at, rest = drawn.metric.partition("@")
    suffix = rest.lstrip("0123456789")
    pattern = re.compile(rf"test/{re.escape(base)}@(\d+){re.escape(suffix)}")
    runs = [run for own in drawn.by_row.values() for _, run in counting(own)]
    ks = sorted({int(found[1]) for run in runs for name in run.metrics if (found := pattern.fullmatch(name))})
    if len(ks) < 2:
        return None
    means = pd.DataFrame({k: drawn.test(f"{base}{at}{k}{suffix}") for k in ks})  # (rows, ks)
    figure, axes = _axes(len(means))
    _lines(
        axes, {row: pd.Series(own, ks) for row, own in zip(means.index, means.to_numpy(), strict=True)}, drawn.colours
    )
    axes.set(xscale="log", xlabel="length of the list", ylabel=base + suffix)
    axes.set_xticks(ks, [str(k) for k in ks])
    axes.minorticks_off()
    return figure


def _learning_curves(drawn: _Drawn) -> Figure | None:
    metric = drawn.metric.partition("/")[0]  # training validates among all films, whatever the protocol
    curves = {}
    for row, own in drawn.by_row.items():
        of_runs = [learning_curve(run, metric) for _, run in counting(own)]
        curves[row] = pd.concat(of_runs, axis=1).dropna().mean(axis=1)
    curves = {row: curve for row, curve in curves.items() if len(curve)}
    if not curves:
        return None
    figure, axes = _axes(len(curves))
    axes.set(xscale="log", xlabel="epochs, as many as every run of the row trained", ylabel=f"{metric} on validation")
    _lines(axes, curves, drawn.colours, marker="")
    _plain_logarithms(axes, (1, 2, 5))
    return figure


def _popularity_bias(drawn: _Drawn) -> Figure | None:
    suffix = "".join(re.findall(r"/sampled\d+", drawn.metric))
    popularity = drawn.test(f"mean_popularity@10{suffix}")
    if len(popularity) < 2:
        return None
    figure, axes = _axes(len(popularity))
    _points(axes, popularity, drawn.test(drawn.metric), drawn.colours)
    axes.set(xlabel="ratings of a film in the lists of ten, on average", ylabel=drawn.metric)
    return figure


def _training_time(drawn: _Drawn) -> Figure | None:
    seconds = pd.Series({row: training_seconds(own) for row, own in drawn.by_row.items()}).dropna()
    reached = drawn.test(drawn.metric)
    reached = reached[reached.index.intersection(seconds.index)]
    if len(reached) < 2:
        return None
    figure, axes = _axes(len(reached))
    _points(axes, seconds, reached, drawn.colours)
    front = pareto_front(seconds, reached, direction(drawn.metric))
    axes.step(seconds[front], reached[front], where="post", color=figures.MUTED, linewidth=1, zorder=0)
    axes.set(
        xscale="log", xlabel="seconds of training\nthe line joins those that none beats in both", ylabel=drawn.metric
    )
    _plain_logarithms(axes, (1,))
    return figure


def pareto_front(seconds: pd.Series, reached: pd.Series, direction: int) -> list[str]:
    """Rows that no other row beats in time and in the metric, the fastest first."""
    order = seconds[reached.index].sort_values(kind="stable").index
    best = (reached[order] * (direction or 1)).cummax()
    return list(order[~best.duplicated()])


def _calibration(drawn: _Drawn) -> Figure | None:
    gaps = {}
    for row, own in drawn.by_row.items():
        paths = [run.directory / "calibration.csv" for _, run in counting(own)]
        bins = [pd.read_csv(path) for path in paths if path.is_file()]
        if bins and len(found := calibration_gaps(pd.concat(bins))):
            gaps[row] = found
    if not gaps:
        return None
    figure, axes = _axes(len(gaps))
    axes.axhline(0, color=figures.MUTED, linewidth=1, linestyle=charts.DASHED)
    _lines(axes, gaps, drawn.colours)
    axes.set(xlabel="predicted stars", ylabel="stars given, less those predicted")
    return figure


def calibration_gaps(bins: pd.DataFrame) -> pd.Series:
    """Mean actual less mean predicted stars by mean predicted ones, bins of several runs pooled.

    Args:
        bins: `n` ratings of each with their means `predicted` and `actual`.
    """
    sums = bins[["predicted", "actual"]].mul(bins["n"], axis=0).assign(n=bins["n"])
    pooled = sums.groupby((4 * bins["predicted"]).round()).sum()
    means = pooled[pooled["n"] >= FEW]
    predicted, actual = means["predicted"] / means["n"], means["actual"] / means["n"]
    return pd.Series((actual - predicted).to_numpy(), predicted.to_numpy())


def _slices(drawn: _Drawn) -> Iterator[tuple[str, str, Figure]]:
    """Each kind of slice as cells, rows by values, shaded against the mean of a column."""
    frames = {row: [_read_slices(run.directory) for _, run in counting(own)] for row, own in drawn.by_row.items()}
    base, at, rest = drawn.metric.partition("@")
    for kind, words in SLICES.items():
        metric = f"{OF_RATINGS.get(base, base)}{at}{rest}" if kind in OF_FILMS else drawn.metric
        found = {row: slice_means(own, kind, metric) for row, own in frames.items()}
        of_rows = {row: means for row, means in found.items() if len(means) > 1}
        if of_rows:
            shown = next(iter(of_rows.values())).nlargest(N_VALUES, "n")
            shown = shown.sort_index() if kind in BANDED else shown
            means = pd.DataFrame({row: own["mean"].reindex(shown.index) for row, own in of_rows.items()}).T
            values, named = (means**0.5, "rmse") if metric == "mse" else (means, metric)
            yield f"slices_{kind}", f"{named} by {words}", _cells(values, shown, kind, drawn.metric)


def _read_slices(directory: Path) -> pd.DataFrame:
    frame = pd.read_csv(directory / "slices.csv", keep_default_na=False, na_values=[""])  # a genre may be called None
    return frame.assign(place=frame.groupby("slice").cumcount())


def slice_means(frames: Sequence[pd.DataFrame], kind: str, metric: str) -> pd.DataFrame:
    """`value`, `n` and `mean` of a metric in each slice of a kind, over runs; empty where a run has none of it."""
    if not all(metric in frame and (frame["slice"] == kind).any() for frame in frames):
        return pd.DataFrame()
    own = pd.concat(frames).query("slice == @kind")
    groups = own.assign(mean=own[metric]).groupby("place" if kind in BANDED else "value", sort=False)
    means = groups.agg(n=("n", "mean"), mean=("mean", "mean"), n_names=("value", "nunique"), value=("value", "first"))
    bands = "band " + pd.Series(np.arange(1, 1 + len(means)), means.index).astype(str)
    return means.assign(value=means["value"].where(means["n_names"] == 1, bands)).dropna(subset="mean")


def _cells(values: pd.DataFrame, shown: pd.DataFrame, kind: str, metric: str) -> Figure:
    """Values (rows, slices) as cells, with the size of each slice."""
    figure, axes = figures.subplots(charts.height_of(len(values)) + 0.8)
    against = (values / values.mean() - 1).fillna(0) * (direction(metric) or 1)
    limit = max(0.01, float(np.quantile(against.abs(), 0.9)))
    many = len(shown) > FITTING
    digits, between = (3, " ") if many else (4, "\n")
    texts = [
        ["" if np.isnan(value) else f"{value:.{digits}f}".lstrip("0") for value in row] for row in values.to_numpy()
    ]
    labels = [f"{value}{between}({n:,.0f})" for value, n in zip(shown["value"], shown["n"], strict=True)]
    charts.heatmap(axes, against.to_numpy(), list(values.index), labels, texts, figures.BELOW_ABOVE, (-limit, limit))
    if many:
        axes.set_xticks(axes.get_xticks(), labels, rotation=40, ha="left", rotation_mode="anchor")
    counted = "ratings" if kind in OF_FILMS else "users"
    axes.set_xlabel(f"blue: better than the column's mean\norange: worse; in brackets: {counted}")
    return figure


def _axes(n_labels: int) -> tuple[Figure, Axes]:
    return figures.subplots(max(3.4, 1.3 + LABEL * n_labels), grid="y")


def _lines(axes: Axes, curves: Mapping[str, pd.Series], colours: Mapping[str, str], marker: str = "o") -> None:
    """A line for each row, its name at the right; the best drawn last, on top."""
    for row, curve in reversed(list(curves.items())):
        axes.plot(curve.index, curve, color=colours[row], marker=marker, markersize=3.5, linewidth=1.6)
    _names(axes, {row: (float(curve.index[-1]), float(curve.iloc[-1])) for row, curve in curves.items()}, colours)


def _points(axes: Axes, x: pd.Series, y: pd.Series, colours: Mapping[str, str]) -> None:
    """A dot for each row, its name at the right."""
    rows = list(x.index.intersection(y.index))
    axes.scatter(x[rows], y[rows], c=[colours[row] for row in rows], s=34, zorder=2)
    axes.margins(0.06)
    _names(axes, {row: (x[row], y[row]) for row in rows}, colours)


def _plain_logarithms(axes: Axes, subs: Sequence[int]) -> None:
    """Numbers in full along a logarithmic axis, at these multiples of powers of ten."""
    axes.xaxis.set_major_locator(LogLocator(subs=subs))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,g}"))
    axes.minorticks_off()


def _names(axes: Axes, ends: Mapping[str, tuple[float, float]], colours: Mapping[str, str]) -> None:
    """Names in a column right of the axes, a thin line from each to its end; apart, and as near as that allows."""
    rows = sorted(ends, key=lambda row: ends[row][1])
    low, high = axes.get_ylim()
    axes.set_ylim(low, high)
    heights = (np.array([ends[row][1] for row in rows]) - low) / (high - low)
    gap = LABEL / (axes.figure.get_figheight() - 0.8)  # type: ignore[union-attr]
    steps = gap * np.arange(len(rows))
    apart = np.clip(isotonic_regression(heights - steps).x, 0, max(0, 1 - steps[-1])) + steps
    for row, height in zip(rows, apart, strict=True):
        colour = colours[row]
        axes.annotate(
            row, ends[row], (1.06, height), textcoords="axes fraction", va="center", fontsize=charts.SMALL,
            color=figures.MUTED if colour == figures.FAINT else colour,
            arrowprops=LEADER | {"color": colour},
        )  # fmt: skip
