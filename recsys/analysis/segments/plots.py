"""Figures of the report on segments: a map of the users, tastes by segment, and measures by number of segments."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from recsys.analysis import figures
from recsys.analysis.segments.study import FoundSegments, SegmentStudy
from recsys.analysis.segments.traits import Trait, trait_effects, user_traits
from recsys.analysis.segments.verdict import BEST
from recsys.data.dataset import Dataset

MAX_MAPPED = 5000  # users on the map; a random sample where there are more
MARKERS = "oX^"  # a marker for each round through the colours
MEASURE_NAMES = {
    "silhouette": "Silhouette",
    "davies_bouldin": "Davies-Bouldin",
    "calinski_harabasz": "Calinski-Harabasz",
    "stability": "Stability (ARI)",
}


def plot(study: SegmentStudy, ratings: Dataset, found: FoundSegments) -> dict[str, Figure]:
    """Draw the figures of the report, and return them keyed by name: `map`, `tastes` and `choice`.

    `tastes` is left out if the films have neither genres nor years. `choice` shows the measures by number of segments;
    it is left out if the clustering method determines this number itself.

    Args:
        study: settings with which the segments were found.
        ratings: ratings in which the segments were found.
        found: the segments.
    """
    traits, values = user_traits(ratings, found.users)
    plots = {"map": plot_map(found.points, found.labels, study.map, study.segments.seed)}
    if any(trait.is_taste for trait in traits):
        plots["tastes"] = plot_tastes(traits, trait_effects(values, found.labels))
    if study.segments.takes_number:
        plots["choice"] = plot_measures(found.measures, found.k)
    return plots


def project(points: np.ndarray, method: str, seed: int) -> np.ndarray:
    """Project points (n, d) to two dimensions, (n, 2).

    Args:
        points: (n, d) points.
        method: `pca` (principal components) or `tsne` (t-SNE).
        seed: seed of the projection.
    """
    if method == "tsne":
        return TSNE(init="pca", random_state=seed, perplexity=min(30, len(points) // 3)).fit_transform(points)
    return PCA(2, random_state=seed).fit_transform(points)


def plot_map(points: np.ndarray, labels: np.ndarray, method: str, seed: int) -> Figure:
    """Draw users as dots in two dimensions, coloured by segment; each segment's number is at the median of its dots.

    Args:
        points: (n, d) points that represent the users.
        labels: int64 (n,) segment of each user, from 0; the numbers in the figure start from 1.
        method: projection to two dimensions; see `project`.
        seed: seed of the sample of users, of the order in which they are drawn, and of the projection.
    """
    sample = np.random.default_rng(seed).permutation(len(points))[:MAX_MAPPED]  # shuffled, so that no segment is on top
    projected, segments = project(points[sample], method, seed), labels[sample]
    fig, ax = figures.subplots(4.4)
    colours, n_colours = np.array(figures.COLOURS), len(figures.COLOURS)
    for turn, marker in enumerate(MARKERS):
        shown = segments // n_colours == turn
        x, y = projected[shown].T
        ax.scatter(x, y, c=colours[segments[shown] % n_colours], s=9, alpha=0.55, linewidths=0, marker=marker)
    for segment in np.unique(segments):
        ax.annotate(
            str(segment + 1),
            np.median(projected[segments == segment], axis=0),
            ha="center",
            va="center",
            fontsize=13,
            fontweight="bold",
            path_effects=[withStroke(linewidth=4, foreground=figures.PAPER)],
        )
    axis = "t-SNE" if method == "tsne" else "Principal component"
    ax.set(xlabel=f"{axis} 1", ylabel=f"{axis} 2", xticks=[], yticks=[])
    return fig


def plot_measures(measures: pd.DataFrame, chosen: int) -> Figure:
    """Draw each quality measure by number of segments, with a mark at the chosen number.

    Args:
        measures: a row for each number of segments; see `recsys.analysis.segments.measures.measure`.
        chosen: the chosen number of segments.
    """
    fig, axes = figures.panels(5.2, rows=2, columns=2, grid="y", sharex=True)
    for ax, (name, best) in zip(axes, BEST.items(), strict=True):
        if name == "stability":
            ax.fill_between(measures["k"], measures["low"], measures["high"], color=figures.MAIN, alpha=0.2, lw=0)
        ax.plot(measures["k"], measures[name], marker="o", markersize=3.5, color=figures.MAIN)
        value = measures.loc[measures["k"] == chosen, name]
        ax.plot([chosen], value, marker="o", markersize=8, color=figures.OTHER)
        ax.set_title(MEASURE_NAMES[name], fontsize=10, loc="left")
        ax.set_xlabel("higher is better" if best == "max" else "lower is better")
        ax.locator_params(axis="x", integer=True, nbins=6)
    fig.supxlabel("Number of segments k", fontsize=9.5, color=figures.MUTED)
    return fig


def plot_tastes(traits: Sequence[Trait], effects: np.ndarray) -> Figure:
    """Draw a heatmap of the effects of genres and decades in each of k segments.

    Args:
        traits: all traits; only those with `is_taste` (genres and decades) are drawn.
        effects: float64 (k, n_traits) effect of each trait in each segment; see `trait_effects`.
    """
    tastes = [t for t, trait in enumerate(traits) if trait.is_taste]
    tastes.sort(key=lambda t: (traits[t].label[0].isdigit(), traits[t].label))  # decades come last
    labels, values = [traits[t].label for t in tastes], effects[:, tastes].T  # (n_tastes, k)
    fig, ax = figures.subplots(1.2 + 0.22 * len(tastes))
    limit = max(1.0, float(np.abs(values).max(initial=0)))
    image = ax.imshow(values, cmap=figures.BELOW_ABOVE, vmin=-limit, vmax=limit, aspect="auto")
    ax.set_yticks(range(len(labels)), labels, fontsize=9)
    ax.set_xticks(range(len(effects)), [str(1 + segment) for segment in range(len(effects))])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_xlabel("Segment")
    fig.colorbar(image, ax=ax, shrink=0.5, label="Standard deviations from all users")
    return fig
