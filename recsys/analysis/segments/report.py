"""The report on segments: writes a page with figures, and prints a summary to the terminal."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from rich.table import Table

from recsys.analysis import figures
from recsys.analysis.page import write_page
from recsys.analysis.segments.plots import MEASURE_NAMES, plot
from recsys.analysis.segments.study import FoundSegments, SegmentStudy
from recsys.analysis.segments.verdict import favourites, other_number, verdict
from recsys.data.dataset import Dataset
from recsys.data.split import Split
from recsys.terminal import terminal

TITLES = {
    "map": "Users by segment",
    "tastes": "Genres and decades by segment",
    "choice": "Measures of the number of segments",
}


def write_report(
    directory: Path, study: SegmentStudy, split: Split, ratings: Dataset, found: FoundSegments, model: str
) -> None:
    """Write `report.html`, which is self-contained, and its figures as PNG and SVG.

    Args:
        directory: directory of the run's segments.
        study: settings with which the segments were found.
        split: split of the run.
        ratings: ratings in which the segments were found.
        found: the segments.
        model: name of the run's model.
    """
    with figures.style():
        plots = plot(study, ratings, found)
        for fig in plots.values():
            figures.freeze_layout(fig)
        images = {name: figures.data_uri(fig) for name, fig in plots.items()}
        for name, fig in plots.items():
            figures.save(fig, directory, name, TITLES[name])
    write_page(
        directory / "report.html",
        "segments.html.j2",
        dataset=split.dataset,
        split=split,
        model=model,
        study=study,
        ratings=ratings.fingerprint,
        profiles=found.profiles,
        n_users=len(found.users),
        n_components=len(study.segments.directions),
        noise=found.noise,
        verdict=verdict(found.measures_at(found.k)),
        other_number=other_number(found.measures, found.k),
        measures=found.measures_at(found.k),
        favourites={name: found.measures_at(k) for name, k in favourites(found.measures).items()},
        measure_names=MEASURE_NAMES,
        images=images,
    )


def print_segments(found: FoundSegments) -> None:
    """Print the segments with the model's metrics, quality measures by number of segments, and a verdict in words."""
    metrics = list(dict.fromkeys(name for profile in found.profiles for name in profile.metrics))
    table = Table("", "segment", "users", "share", *metrics, title=f"{found.k} segments", title_justify="left")
    for number, profile in enumerate(found.profiles, start=1):
        cells = [str(profile.metrics.get(name, "")) for name in metrics]
        table.add_row(str(number), profile.name, str(profile.n_users), f"{profile.share:.0%}", *cells)
    terminal().print(table)
    if len(found.measures) > 1:
        _print_measures(found.measures)
    if found.noise:
        print(f"The method treats {found.noise:.0%} of the users as noise; each is assigned to the nearest segment.")
    print(verdict(found.measures_at(found.k)))
    if (other := other_number(found.measures, found.k)) is not None:
        print(other)


def _print_measures(measures: pd.DataFrame) -> None:
    best = favourites(measures)
    table = Table("k", *MEASURE_NAMES.values(), title="Measures by number of segments; * marks the best of each")
    for row in measures.to_dict("records"):
        marks = {name: "*" if row["k"] == k else "" for name, k in best.items()}
        interval = f" [{row['low']:.3f}, {row['high']:.3f}]"
        cells = [f"{row[name]:.3f}{interval if name == 'stability' else ''}{mark}" for name, mark in marks.items()]
        table.add_row(str(row["k"]), *cells)
    terminal().print(table)
