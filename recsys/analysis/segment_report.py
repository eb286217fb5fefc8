"""Segments as a page, as figures, and in the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from rich.console import Console
from rich.table import Table
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from recsys.analysis import figures
from recsys.analysis.page import write_page
from recsys.analysis.segment_profiles import Trait, trait_effects, user_traits
from recsys.analysis.segments import MEASURES, Found, SegmentStudy, favourites, verdict
from recsys.data.dataset import Dataset
from recsys.data.split import Split

MAPPED = 5000  # users, drawn at random where there are more
MEASURE_NAMES = {
    "silhouette": "Silhouette",
    "davies_bouldin": "Davies-Bouldin",
    "calinski_harabasz": "Calinski-Harabasz",
    "stability": "Stability (ARI)",
}
TITLES = {
    "map": "Users by segment",
    "tastes": "Genres and decades by segment",
    "choice": "Measures of the number of segments",
}
MARKS = "oX^"  # after each colour was used once


def projection(points: np.ndarray, how: str, seed: int) -> np.ndarray:
    """Points (n, d) on a plane, (n, 2): by `pca`, or by `tsne`, which keeps neighbours and bends distances."""
    if how == "tsne":
        return TSNE(init="pca", random_state=seed, perplexity=min(30, len(points) // 3)).fit_transform(points)
    return PCA(2, random_state=seed).fit_transform(points)


def map_figure(points: np.ndarray, labels: np.ndarray, how: str, seed: int) -> Figure:
    """Users on a plane, coloured by segment, with a number in the middle of each."""
    chosen = np.random.default_rng(seed).permutation(len(points))[:MAPPED]  # in random order, so that none lies on top
    placed, own = projection(points[chosen], how, seed), labels[chosen]
    figure, ax = figures.axes(4.4)
    colours, n = np.array(figures.COLOURS), len(figures.COLOURS)
    for turn, mark in enumerate(MARKS):
        shown = own // n == turn
        ax.scatter(
            placed[shown, 0], placed[shown, 1], c=colours[own[shown] % n], s=9, alpha=0.55, linewidths=0, marker=mark
        )
    for segment in np.unique(own):
        middle = np.median(placed[own == segment], axis=0)
        ax.annotate(
            str(segment + 1),
            middle,
            ha="center",
            va="center",
            fontsize=13,
            fontweight="bold",
            path_effects=[withStroke(linewidth=4, foreground=figures.PAPER)],
        )
    axis = "t-SNE" if how == "tsne" else "Principal component"
    ax.set(xlabel=f"{axis} 1", ylabel=f"{axis} 2", xticks=[], yticks=[])
    return figure


def choice_figure(measured: pd.DataFrame, chosen: int) -> Figure:
    """Each measure by the number of segments, the number chosen marked."""
    figure, panels = figures.panels(5.2, rows=2, columns=2, grid="y", sharex=True)
    for ax, (name, best) in zip(panels, MEASURES.items(), strict=True):
        if name == "stability":
            ax.fill_between(measured["k"], measured["low"], measured["high"], color=figures.MAIN, alpha=0.2, lw=0)
        ax.plot(measured["k"], measured[name], marker="o", markersize=3.5, color=figures.MAIN)
        at = measured.loc[measured["k"] == chosen, name]
        ax.plot([chosen], at, marker="o", markersize=8, color=figures.OTHER)
        ax.set_title(MEASURE_NAMES[name], fontsize=10, loc="left")
        ax.set_xlabel("higher is better" if best == "max" else "lower is better")
        ax.locator_params(axis="x", integer=True, nbins=6)
    figure.supxlabel("Number of segments k", fontsize=9.5, color=figures.MUTED)
    return figure


def taste_figure(traits: Sequence[Trait], effects: np.ndarray) -> Figure:
    """How far each segment's share of genres and decades is from everybody's."""
    tastes = [place for place, trait in enumerate(traits) if trait.is_taste]
    tastes.sort(key=lambda place: (traits[place].label[0].isdigit(), traits[place].label))  # decades come last
    labels, shown = [traits[t].label for t in tastes], effects[:, tastes].T  # (t, k)
    figure, ax = figures.axes(1.2 + 0.22 * len(tastes))
    limit = max(1.0, float(np.abs(shown).max(initial=0)))
    image = ax.imshow(shown, cmap=figures.BELOW_ABOVE, vmin=-limit, vmax=limit, aspect="auto")
    ax.set_yticks(range(len(labels)), labels, fontsize=9)
    ax.set_xticks(range(len(effects)), [str(1 + segment) for segment in range(len(effects))])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_xlabel("Segment")
    figure.colorbar(image, ax=ax, shrink=0.5, label="Standard deviations from all users")
    return figure


def draw(study: SegmentStudy, ratings: Dataset, found: Found) -> dict[str, Figure]:
    """The figures of a report, by name: none of tastes without genres and years, nor of numbers not chosen."""
    traits, values = user_traits(ratings, found.users)
    drawn = {"map": map_figure(found.points, found.labels, study.map, study.segments.seed)}
    if any(trait.is_taste for trait in traits):
        drawn["tastes"] = taste_figure(traits, trait_effects(values, found.labels))
    if study.segments.takes_number:
        drawn["choice"] = choice_figure(found.measured, found.k)
    return drawn


def write_report(
    directory: Path, study: SegmentStudy, split: Split, ratings: Dataset, found: Found, model: str
) -> None:
    """Write `report.html`, which needs no other file, and its figures as PNG and SVG.

    Args:
        directory: of the segments.
        study: what was chosen.
        split: of the run.
        ratings: what segments were made of.
        found: the segments and what is known of them.
        model: name of the run's.
    """
    with figures.style():
        drawn = draw(study, ratings, found)
        for figure in drawn.values():
            figures.settle(figure)
        images = {name: figures.data_uri(figure) for name, figure in drawn.items()}
        for name, figure in drawn.items():
            figures.save(figure, directory, name, TITLES[name])
    best = {name: found.at(k) for name, k in favourites(found.measured).items()}
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
        verdict=verdict(found.at(found.k)),
        found=found.at(found.k),
        favourites=best,
        measure_names=MEASURE_NAMES,
        images=images,
    )


def print_segments(found: Found) -> None:
    """The segments with the model's metrics, what measures say of their number, and how real they are."""
    metrics = list(dict.fromkeys(name for profile in found.profiles for name in profile.metrics))
    table = Table("", "segment", "users", "share", *metrics, title=f"{found.k} segments", title_justify="left")
    for number, own in enumerate(found.profiles, start=1):
        shown = [str(own.metrics.get(name, "")) for name in metrics]
        table.add_row(str(number), own.name, str(own.n_users), f"{own.share:.0%}", *shown)
    Console().print(table)
    if len(found.measured) > 1:
        _print_measures(found.measured)
    if found.noise:
        print(f"{found.noise:.0%} of the users are noise to the method, and in the segment with the nearest centre.")
    print(verdict(found.at(found.k)))


def _print_measures(measured: pd.DataFrame) -> None:
    best = favourites(measured)
    table = Table("k", *MEASURE_NAMES.values(), title="Numbers of segments, each measure's favourite marked *")
    for row in measured.to_dict("records"):
        stars = {name: "*" if row["k"] == k else "" for name, k in best.items()}
        interval = f" [{row['low']:.3f}, {row['high']:.3f}]"
        cells = [f"{row[name]:.3f}{interval if name == 'stability' else ''}{stars[name]}" for name in MEASURES]
        table.add_row(str(row["k"]), *cells)
    Console().print(table)
