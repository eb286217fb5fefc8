"""Draws the figures of a study for each setting (data, split and protocol) whose runs have the necessary data."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, cycle
from pathlib import Path
from textwrap import wrap

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator
from scipy.optimize import isotonic_regression
from scipy.stats import kendalltau

from recsys.analysis import charts, figures
from recsys.evaluation.intervals import LEVEL
from recsys.evaluation.resampling import resampled_means
from recsys.files import read_csv
from recsys.metrics.direction import direction
from recsys.progress_bar import ProgressBar
from recsys.studies.budget import budget_curves
from recsys.studies.curves import learning_curve
from recsys.studies.outcome import Outcome, complete_runs, outcomes_by_row
from recsys.studies.slice_figures import is_of_a_group, slice_figures
from recsys.studies.study import Study
from recsys.studies.study_statistics import seed_means, user_metrics
from recsys.studies.study_table import StudyTable
from recsys.studies.table_notes import TIMES, clock

N_COLOURED = 5  # the best rows by the main metric; readers cannot distinguish more colours
STYLES = ("solid", "dashed", "dotted", "dashdot")  # of lines; they distinguish the rows without a colour
LINE_HEIGHT = 0.15  # height of a label, in inches
LEADER = {"arrowstyle": "-", "linewidth": 0.6, "relpos": (0, 0.5), "shrinkA": 1, "shrinkB": 3}
MIN_RATINGS = 50  # minimum number of ratings in a calibration bin; the mean over fewer is noise
ABBREVIATIONS = ("auc", "dcg", "hr", "mae", "map", "mrr", "ndcg", "rmse")
LIST_METRICS = ("coverage", "novelty", "diversity", "miscalibration")  # drawn against the main metric


@dataclass(frozen=True, eq=False)
class _SettingData:
    """The data from which the figures of one setting are drawn.

    Attributes:
        metric: the main metric.
        other_metrics: the other metrics of the setting's table.
        by_row: outcomes of each row (model) to draw, the best row first.
        colours: colour of each row, the same in all figures; only the best rows are highlighted.
        intervals: lower and upper end of the main metric's confidence interval, in a column for each row; rows without
            an interval have no column, see `_intervals`.
        seconds: mean training time of each row, in CPU or wall-clock seconds as in the table; NaN where it was not
            measured.
    """

    metric: str
    other_metrics: tuple[str, ...]
    by_row: dict[str, list[Outcome]]
    colours: dict[str, str]
    intervals: pd.DataFrame
    seconds: pd.Series

    def test_means(self, metric: str) -> pd.Series:
        """Return the mean of a test metric over seeds, for each row (model) that has the metric."""
        return pd.Series({row: seed_means(own, f"test/{metric}").mean() for row, own in self.by_row.items()}).dropna()


def write_figures(
    directory: Path, runs: Path, study: Study, outcomes: Sequence[Outcome], tables: Sequence[StudyTable]
) -> None:
    """Write each figure of a study as PNG and SVG.

    If the study has several settings, file names end with the name of the setting.

    Args:
        directory: directory of the figures; created if missing.
        runs: directory of the study's runs, which contains its searches.
        study: the study.
        outcomes: outcomes of all runs of the study.
        tables: tables of the study's settings.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with figures.style():
        for table in ProgressBar(tables, desc="figures", unit="settings", leave=False):
            own = [outcome for outcome in outcomes if outcome.setting == table.setting]
            suffix = "" if len(tables) == 1 else "_" + re.sub(r"\W+", "_", table.setting)
            setting = study.settings[table.setting]
            data = _setting_data(table, outcomes_by_row(setting, own))
            for name, title, fig in chain(_figures(data), _budget(data, budget_curves(runs, table.setting, setting))):
                _save(fig, directory, name + suffix, title, _subtitle(table.setting, own))
        if (ranks := _ranks_by_protocol(tables)) is not None:
            _save(ranks, directory, "orders", "Ranks of the models in each setting")


def _save(fig: Figure, directory: Path, name: str, title: str, subtitle: str = "") -> None:
    """Write a figure, with names of metrics such as NDCG in capitals in its title and axis labels."""
    for ax in fig.axes:
        ax.set(xlabel=_in_capitals(ax.get_xlabel()), ylabel=_in_capitals(ax.get_ylabel()))
    figures.freeze_layout(fig)
    title = _in_capitals(title)
    figures.save(fig, directory, name, title[0].upper() + title[1:], subtitle)


def _in_capitals(text: str) -> str:
    return re.sub(rf"\b(?:{'|'.join(ABBREVIATIONS)})\b", lambda found: found[0].upper(), text)


def _subtitle(setting: str, outcomes: Sequence[Outcome]) -> str:
    """Return a subtitle: the names of the data and of the setting.

    The names of the data are left out if the setting's name begins with one of these names.
    """
    names = sorted({run.manifest["data"]["name"] for _, run in complete_runs(outcomes)})
    return setting if setting.startswith(tuple(names)) else ", ".join([*names, setting])


def _setting_data(table: StudyTable, by_row: Mapping[str, list[Outcome]]) -> _SettingData:
    main = table.metrics[0]
    statistics = table.statistics[table.statistics["metric"] == main].set_index("row")
    order = statistics["mean"].dropna().sort_values(ascending=direction(main) < 0, kind="stable").index
    own = {row: by_row[row] for row in order}
    seconds = statistics.loc[order, clock(statistics)].rename(TIMES[clock(statistics)])
    return _SettingData(main, table.metrics[1:], own, _colours(order), _intervals(main, own), seconds)


def _intervals(metric: str, by_row: Mapping[str, Sequence[Outcome]]) -> pd.DataFrame:
    """Return the ends of the bootstrap interval of a metric's mean over users, in a column for each model.

    Models without per-user values of the metric have no column. Metrics such as rmse, and metrics whose names contain
    `/relevant`, have no intervals, because their means in tables are over ratings and not over users.
    """
    found = {row: user_metrics(own, [metric]).get(metric) for row, own in by_row.items()}
    values = {row: own for row, own in found.items() if own and direction(metric) > 0 and "/relevant" not in metric}
    return pd.DataFrame(resampled_means(values) if values else {}).quantile([(1 - LEVEL) / 2, (1 + LEVEL) / 2])


def _colours(rows: pd.Index) -> dict[str, str]:
    """Assign a colour to each row (model), given the best first; only the best ones are highlighted."""
    return dict.fromkeys(rows, figures.FAINT) | dict(zip(rows[:N_COLOURED], figures.COLOURS, strict=False))


def _figures(data: _SettingData) -> Iterator[tuple[str, str, Figure]]:
    """Yield the file name, title and figure for each figure for which the setting has data."""
    drawings: dict[str, tuple[str, Callable[[_SettingData], Figure | None]]] = {
        "list_length": (f"{re.sub(r'@[0-9]+', '', data.metric)} by length of the list", _by_list_length),
        "learning_curves": (f"{_curve_metric(data)} on validation by epoch", _learning_curves),
        "popularity_bias": (f"{data.metric} and how popular the films are", _popularity_bias),
        "training_time": (f"{data.metric} and training time", _training_time),
        "calibration": ("Mean rating less mean prediction", _calibration),
    }
    if not data.by_row:
        return
    for name, (title, draw) in drawings.items():
        if (fig := draw(data)) is not None:
            yield name, title, fig
    for metric in [metric for metric in data.other_metrics if metric.partition("@")[0] in LIST_METRICS]:
        yield metric.partition("@")[0], f"{data.metric} and {metric}", _against_list_metric(data, metric)
    yield from slice_figures(data.metric, data.by_row)


def _against_list_metric(data: _SettingData, metric: str) -> Figure:
    """Draw the main metric against a metric of lists that does not measure accuracy, such as diversity."""
    means = data.test_means(data.metric)
    fig, ax = _axes(len(means))
    _points(ax, data.test_means(metric), means, data)
    ax.set(xlabel=metric, ylabel=_with_intervals(data))
    return fig


def _ranks_by_protocol(tables: Sequence[StudyTable]) -> Figure | None:
    """Draw the ranks of the models by the main metric in each setting and under each protocol of this metric.

    Protocols that cover only a group of users are left out. Returns None unless there are several settings, all with
    the same three or more models.
    """
    base = tables[0].metrics[0].partition("/")[0]
    ranks = {}
    for table in tables:
        of_all_users = [metric for metric in table.metrics if not is_of_a_group(metric)]
        for metric in (metric for metric in of_all_users if metric.partition("/")[0] == base):
            means = table.statistics[table.statistics["metric"] == metric].set_index("row")["mean"].dropna()
            protocol = " ".join([table.setting, *metric.split("/")[1:]]).replace("sampled", "sampled ")
            name = "\n".join(wrap(protocol, 8))
            ranks[name] = means.rank(ascending=direction(metric) < 0)
    frame = pd.DataFrame(ranks)
    if frame.shape[1] < 2 or len(tables) < 2 or len(frame) < 3 or frame.isna().to_numpy().any():
        return None
    frame = frame.sort_values(frame.columns[0])
    fig, ax = _axes(len(frame))
    _lines(ax, {str(row): pd.Series(-own.to_numpy()) for row, own in frame.iterrows()}, _colours(frame.index))
    first = frame.columns[0]
    labels = [f"{name}\nτ {kendalltau(frame[first], frame[name]).statistic:.2f}" for name in frame]
    ax.set_xticks(range(frame.shape[1]), labels, fontsize=charts.SMALL)
    ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{-y:.0f}"))
    ax.set(ylabel=f"rank by {base}")
    figures.note_below(fig, "τ: Kendall's rank correlation with the first column")
    return fig


def _by_list_length(data: _SettingData) -> Figure | None:
    base, at, rest = data.metric.partition("@")
    suffix = rest.lstrip("0123456789")
    pattern = re.compile(rf"test/{re.escape(base)}@(\d+){re.escape(suffix)}")
    runs = [run for own in data.by_row.values() for _, run in complete_runs(own)]
    ks = sorted({int(found[1]) for run in runs for name in run.metrics if (found := pattern.fullmatch(name))})
    if len(ks) < 2:
        return None
    means = pd.DataFrame({k: data.test_means(f"{base}{at}{k}{suffix}") for k in ks})  # (rows, ks)
    fig, ax = _axes(len(means))
    _lines(ax, {row: pd.Series(own, ks) for row, own in zip(means.index, means.to_numpy(), strict=True)}, data.colours)
    ax.set(xscale="log", xlabel="length of the list", ylabel=base + suffix)
    ax.set_xticks(ks, [str(k) for k in ks])
    ax.minorticks_off()
    return fig


def _curve_metric(data: _SettingData) -> str:
    """Return the metric of learning curves, which is the main metric without the suffix of its protocol.

    Validation during training covers all users and ranks all items, whatever the protocol of the test.
    """
    return data.metric.partition("/")[0]


def _learning_curves(data: _SettingData) -> Figure | None:
    metric = _curve_metric(data)
    curves = {}
    for row, own in data.by_row.items():
        of_runs = [learning_curve(run, metric) for _, run in complete_runs(own)]
        curves[row] = pd.concat(of_runs, axis=1).dropna().mean(axis=1)
    curves = {row: curve for row, curve in curves.items() if len(curve)}
    if not curves:
        return None
    fig, ax = _axes(len(curves))
    ax.set(xscale="log", xlabel="epochs that all runs of a row reached", ylabel=f"{metric} on validation")
    _lines(ax, curves, data.colours, marker="")
    _plain_logarithms(ax, (1, 2, 5))
    return fig


def _budget(data: _SettingData, curves: Mapping[str, pd.Series]) -> Iterator[tuple[str, str, Figure]]:
    curves = {row: curves[row] for row in data.by_row if row in curves}  # the best row first
    if curves:
        fig, ax = _axes(len(curves))
        ax.set(xlabel="trials of the search, drawn at random", ylabel="expected best on validation")
        _lines(ax, curves, data.colours, marker="")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        yield "budget", f"{data.metric} on validation by number of trials", fig


def _popularity_bias(data: _SettingData) -> Figure | None:
    suffix = "".join(re.findall(r"/sampled\d+", data.metric))
    popularity = data.test_means(f"mean_popularity@10{suffix}")
    if is_of_a_group(data.metric) or popularity.nunique() < 2:  # popularity is of all lists; new films have no ratings
        return None
    fig, ax = _axes(len(popularity))
    _points(ax, popularity, data.test_means(data.metric), data)
    ax.set(xlabel="mean number of ratings\nof the films in lists of ten", ylabel=_with_intervals(data))
    return fig


def _training_time(data: _SettingData) -> Figure | None:
    seconds = data.seconds.dropna()
    means = data.test_means(data.metric)
    means = means[means.index.intersection(seconds.index)]
    if len(means) < 2:
        return None
    fig, ax = _axes(len(means))
    _points(ax, seconds, means, data)
    front = pareto_front(seconds, means, direction(data.metric))
    ax.step(seconds[front], means[front], where="post", color=figures.MUTED, linewidth=1, zorder=0)
    ax.set(
        xscale="log", xlabel=f"{seconds.name} of training\nthe line is the Pareto front", ylabel=_with_intervals(data)
    )
    _plain_logarithms(ax, (1,))
    return fig


def pareto_front(seconds: pd.Series, values: pd.Series, direction: int) -> list[str]:
    """Return the models that no other model surpasses in both training time and metric, the fastest first.

    Args:
        seconds: training time by model.
        values: metric by model.
        direction: 1 (or 0) if larger values of the metric are better, -1 if smaller values are.
    """
    order = seconds[values.index].sort_values(kind="stable").index
    best = (values[order] * (direction or 1)).cummax()
    return list(order[~best.duplicated()])


def _calibration(data: _SettingData) -> Figure | None:
    gaps = {}
    for row, own in data.by_row.items():
        paths = [run.directory / "calibration.csv" for _, run in complete_runs(own)]
        bins = [read_csv(path, ["n", "predicted", "actual"], dtype=float) for path in paths if path.is_file()]
        if bins and len(found := calibration_gaps(pd.concat(bins))):
            gaps[row] = found
    if not gaps:
        return None
    fig, ax = _axes(len(gaps))
    ax.axhline(0, color=figures.MUTED, linewidth=1, linestyle=charts.DASHED)
    _lines(ax, gaps, data.colours)
    ax.set(xlabel="predicted rating", ylabel="mean rating less mean prediction")
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    return fig


def calibration_gaps(bins: pd.DataFrame) -> pd.Series:
    """Return mean actual rating minus mean predicted rating, indexed by mean predicted rating.

    Args:
        bins: a row for each bin of each run, with the number `n` of its ratings, and the means `predicted` and
            `actual`. Bins are pooled by predicted rating, rounded to quarters; pooled bins with fewer than
            `MIN_RATINGS` ratings are left out.
    """
    sums = bins[["predicted", "actual"]].mul(bins["n"], axis=0).assign(n=bins["n"])
    pooled = sums.groupby((4 * bins["predicted"]).round()).sum()
    means = pooled[pooled["n"] >= MIN_RATINGS]
    predicted, actual = means["predicted"] / means["n"], means["actual"] / means["n"]
    return pd.Series((actual - predicted).to_numpy(), predicted.to_numpy())


def _axes(n_labels: int) -> tuple[Figure, Axes]:
    return figures.subplots(max(3.4, 1.3 + LINE_HEIGHT * n_labels), grid="y")


def _lines(ax: Axes, curves: Mapping[str, pd.Series], colours: Mapping[str, str], marker: str = "o") -> None:
    """Draw a line for each row (model), with its name at the right; the line of the best model is on top."""
    others = [row for row in curves if colours[row] == figures.FAINT]
    styles = dict.fromkeys(curves, STYLES[0]) | dict(zip(others, cycle(STYLES), strict=False))
    for row, curve in reversed(list(curves.items())):
        ax.plot(
            curve.index, curve, color=colours[row], linestyle=styles[row], marker=marker, markersize=3.5, linewidth=1.6
        )
    _names(ax, {row: (float(curve.index[-1]), float(curve.iloc[-1])) for row, curve in curves.items()}, colours, styles)


def _points(ax: Axes, x: pd.Series, y: pd.Series, data: _SettingData) -> None:
    """Draw a dot for each row (model), with the confidence interval of the main metric and the name at the right."""
    rows = list(x.index.intersection(y.index))
    ax.scatter(x[rows], y[rows], c=[data.colours[row] for row in rows], s=34, zorder=2)
    for row in data.intervals.columns.intersection(rows):
        ax.vlines(x[row], *data.intervals[row], color=data.colours[row], linewidth=1)
    ax.margins(0.06)
    _names(ax, {row: (x[row], y[row]) for row in rows}, data.colours, dict.fromkeys(rows, STYLES[0]))


def _with_intervals(data: _SettingData) -> str:
    """Return the axis label of the main metric, which mentions intervals if some model has one."""
    return data.metric if data.intervals.empty else f"{data.metric}, {LEVEL:.0%} intervals"


def _plain_logarithms(ax: Axes, subs: Sequence[int]) -> None:
    """Label a logarithmic x axis with plain numbers, at the multiples `subs` of powers of ten."""
    ax.xaxis.set_major_locator(LogLocator(subs=subs))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,g}"))
    ax.minorticks_off()


def _names(
    ax: Axes, ends: Mapping[str, tuple[float, float]], colours: Mapping[str, str], styles: Mapping[str, str]
) -> None:
    """Write the names of rows (models) in a column at the right of the axes, without overlap.

    A thin line joins each name to the model's point (x, y), which `ends` contains.
    """
    rows = sorted(ends, key=lambda row: ends[row][1])
    low, high = ax.get_ylim()
    ax.set_ylim(low, high)
    heights = (np.array([ends[row][1] for row in rows]) - low) / (high - low)
    gap = LINE_HEIGHT / (ax.figure.get_figheight() - 0.8)  # type: ignore[union-attr]
    steps = gap * np.arange(len(rows))
    # The closest heights that are at least a gap apart.
    separated = np.clip(isotonic_regression(heights - steps).x, 0, max(0, 1 - steps[-1])) + steps
    for row, height in zip(rows, separated, strict=True):
        colour = colours[row]
        ax.annotate(
            row, ends[row], (1.06, height), textcoords="axes fraction", va="center", fontsize=charts.SMALL,
            color=figures.MUTED if colour == figures.FAINT else colour,
            arrowprops=LEADER | {"color": colour, "linestyle": styles[row]},
        )  # fmt: skip
