"""Segments of a run's users: found in its space or by their ratings, questioned, kept, and used again.

How many segments there are is a choice, which four measures inform: silhouette (Rousseeuw, "Silhouettes", JCAM 1987),
Davies-Bouldin (IEEE TPAMI 1979), Calinski-Harabasz (Communications in Statistics 1974), and stability, the adjusted
Rand index (Hubert and Arabie, "Comparing Partitions", 1985) between the segments of all users and those found again in
bootstrap samples of them (Hennig, "Cluster-wise Assessment of Cluster Stability", CSDA 2007).

A run's directory has them in `segments/`:

    segments.csv       a row for each user with ratings: `user_id`, `segment` (from 1, by size), `name`
    segments.json      names, profiles, measures, settings, and the fingerprint of the ratings that all is made of
    segmentation.npz   what assigns somebody new
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import track
from sklearn import metrics
from sklearn.preprocessing import normalize

from recsys.analysis.segment_profiles import Profile, profiles
from recsys.data.dataset import Dataset, History
from recsys.data.split import Split
from recsys.errors import UserError
from recsys.evaluation.significance import Interval, mean_interval
from recsys.files import write_whole
from recsys.models.base import EmbedsHistories, Recommender
from recsys.models.neural import one_of
from recsys.models.rating_profiles import RatingProfiles
from recsys.models.segmentation import Segmentation

EMBEDDINGS, RATINGS = "embeddings", "ratings"
SAMPLED = 5000  # users that a silhouette is computed of, as it needs all their pairs
MEASURES = {
    "silhouette": "max",
    "davies_bouldin": "min",
    "calinski_harabasz": "max",
    "stability": "max",
}  # what is best

# What values mean. Steinley, "Properties of the Hubert-Arabie Adjusted Rand Index", Psychological Methods 2004: below
# 0.65 agreement is poor, from 0.8 on good. Kaufman and Rousseeuw, "Finding Groups in Data", 1990: a silhouette of up to
# 0.25 is no substantial structure, one of more than 0.5 a reasonable one.
POOR, GOOD = 0.65, 0.8
NO_STRUCTURE, STRUCTURE = 0.25, 0.5


@dataclass(frozen=True)
class SegmentStudy:
    """What is chosen about segments.

    Attributes:
        segments: finds them.
        space: where users are near each other: in the run's `embeddings`, by direction, or by their `ratings`.
        map: what draws the map: `pca`, or `tsne` (van der Maaten and Hinton, "Visualizing Data using t-SNE", JMLR
            2008).
        max_k: numbers of segments from 2 to this, or to half the users, are measured.
        n_bootstraps: samples of users that segments are looked for in again.

    Raises:
        UserError: there is no such space or map, or a number is too small.
    """

    segments: Segmentation
    space: str = EMBEDDINGS
    map: str = "pca"
    max_k: int = 20
    n_bootstraps: int = 20

    def __post_init__(self) -> None:
        one_of("space", self.space, (EMBEDDINGS, RATINGS))
        one_of("map", self.map, ("pca", "tsne"))
        for name, least in (("max_k", 2), ("n_bootstraps", 2)):
            if getattr(self, name) < least:
                raise UserError(f"{name}={getattr(self, name)} is too few: give {least} or more.")

    def find(self, points: np.ndarray, ratings: Dataset, per_user: pd.DataFrame) -> Found:
        """Find segments of the users with ratings, measure and describe them; fits `segments`.

        Args:
            points: (n_users, d) where users are.
            ratings: what was known of them before the test.
            per_user: test metrics with a column `user_id`.

        Raises:
            UserError: there are too few users, or no segments among them.
        """
        users = np.flatnonzero(ratings.user_counts)
        points = points[users]
        labels = self.segments.fit(points).predict(points)
        if len(self.segments.centres) < 2:
            raise UserError(
                f"{self.segments.method} finds no segments among {len(points)} users: raise segments.n_segments, which "
                "lets it find smaller ones, or take segments=kmeans."
            )
        described = profiles(ratings, users, labels, per_user)
        return Found(users, points, labels, self._measures(points), described, float(self.segments.noise))

    def _measures(self, points: np.ndarray) -> pd.DataFrame:
        """See `Found.measured`."""
        chosen = self.segments
        up_to = min(self.max_k, len(points) // 2)
        ks = sorted({*range(2, up_to + 1), chosen.n_segments}) if chosen.takes_number else [chosen.n_segments]
        console = Console(stderr=True)
        tracked = track(ks, "Measuring", console=console, transient=True, disable=not console.is_terminal)
        return pd.DataFrame([self._measured(points, chosen.with_number(k)) for k in tracked])

    def _measured(self, points: np.ndarray, segmentation: Segmentation) -> dict[str, float]:
        labels = segmentation.fit(points).predict(points)
        reduced = segmentation.reduce(points)
        seed, size = segmentation.seed, min(SAMPLED, len(points))
        again = stability(segmentation, points, labels, self.n_bootstraps)
        return {
            "k": len(segmentation.centres),
            "silhouette": metrics.silhouette_score(reduced, labels, sample_size=size, random_state=seed),
            "davies_bouldin": metrics.davies_bouldin_score(reduced, labels),
            "calinski_harabasz": metrics.calinski_harabasz_score(reduced, labels),
            "stability": again.mean,
            "low": again.low,
            "high": again.high,
        }


@dataclass(frozen=True, eq=False)
class Found:
    """Segments that were found.

    Attributes:
        users: int64 (n,) codes of those in segments.
        points: (n, d) where they are.
        labels: int64 (n,) the segment of each.
        measured: a row a number `k` of segments that could be chosen: the `MEASURES`, and `low` and `high`, the ends of
            the interval of the mean stability over bootstraps. One row where the method finds the number itself.
        profiles: of the segments.
        noise: share of the users whom the method left out, and who are assigned nevertheless.
    """

    users: np.ndarray
    points: np.ndarray
    labels: np.ndarray
    measured: pd.DataFrame
    profiles: list[Profile]
    noise: float

    @property
    def k(self) -> int:
        """How many segments."""
        return len(self.profiles)

    def at(self, k: int) -> dict[str, float]:
        """Measures of a number of segments."""
        row = self.measured[self.measured["k"] == k].iloc[0]
        return {str(name): float(value) for name, value in row.items()}


def stability(segmentation: Segmentation, points: np.ndarray, labels: np.ndarray, n_bootstraps: int) -> Interval:
    """How far segments are found again: the mean adjusted Rand index over bootstraps, with its interval.

    Args:
        segmentation: whose settings are used.
        points: (n, d) all of them; each sample's segments are assigned to all.
        labels: int64 (n,) their segments.
        n_bootstraps: how many samples of n points, drawn with replacement.
    """
    rng = np.random.default_rng(segmentation.seed)
    samples = (points[rng.integers(len(points), size=len(points))] for _ in range(n_bootstraps))
    again = (segmentation.with_number(segmentation.n_segments).fit(sample).predict(points) for sample in samples)
    return mean_interval([metrics.adjusted_rand_score(labels, found) for found in again])


def favourites(measured: pd.DataFrame) -> dict[str, int]:
    """The number of segments that each measure favours, by its name."""
    return {name: int(measured["k"][getattr(measured[name], f"idx{best}")()]) for name, best in MEASURES.items()}


def verdict(measures: Mapping[str, float]) -> str:
    """What the measures of a number of segments say of it, in words."""
    half = (measures["high"] - measures["low"]) / 2
    found = f"Stability at k={measures['k']:.0f} is {measures['stability']:.2f} (± {half:.2f} for few bootstraps)"
    apart = f"the silhouette {measures['silhouette']:.2f}"
    if measures["stability"] < POOR or measures["silhouette"] <= NO_STRUCTURE:
        again = "poor" if measures["stability"] < POOR else "moderate" if measures["stability"] < GOOD else "good"
        meaning = f"recovery is {again}, and the segments are a convenient cut of a continuum, not natural groups"
    elif measures["stability"] >= GOOD and measures["silhouette"] > STRUCTURE:
        meaning = "the segments are found again and lie apart, as natural groups do"
    else:
        meaning = "there is some structure, with blurred borders between the segments"
    return f"{found}, {apart}: {meaning}."


def embedding_points(vectors: np.ndarray) -> np.ndarray:
    """Users' vectors (n, d) by their direction: their length is for how much somebody watches, not for what."""
    return normalize(vectors)


def rating_points(ratings: Dataset, history: History) -> np.ndarray:
    """Where people with some history (B rows) are by their ratings, float32 (B, d); others' say what is average."""
    return RatingProfiles().fit(ratings).transform(history)


def points_of(space: str, model: Recommender, ratings: Dataset, history: History) -> np.ndarray:
    """Where people with some history are, (B, d).

    Raises:
        UserError: the space is that of a model which places only users whom it was trained on.
    """
    if space == RATINGS:
        return rating_points(ratings, history)
    if not isinstance(model, EmbedsHistories):
        raise UserError(
            f"{type(model).__name__} places nobody new in its space: make segments with space=ratings, or of a run of "
            "a model that places histories, such as ials."
        )
    return embedding_points(model.embed(history))


@dataclass(frozen=True, eq=False)
class Segments:
    """Segments as a run's directory keeps them.

    Attributes:
        segmentation: fitted.
        names: of the segments.
        space: where they were found.
        ratings: fingerprint of the ratings that all is made of, `<split>/train+valid`.
    """

    segmentation: Segmentation
    names: list[str]
    space: str
    ratings: str

    def write(self, directory: Path, user_ids: pd.Series, found: Found) -> None:
        """Keep the segments, what is known of them, and who is in them.

        Args:
            directory: of the segments.
            user_ids: raw ids of the users in them.
            found: the segments.
        """
        names = np.array(self.names, object)[found.labels]
        members = pd.DataFrame({"user_id": user_ids, "segment": found.labels + 1, "name": names})
        described = {
            "ratings": self.ratings,
            "space": self.space,
            "segmentation": self.segmentation.hyperparameters(),
            "verdict": verdict(found.at(found.k)),
            "noise": found.noise,
            "names": self.names,
            "profiles": [asdict(profile) for profile in found.profiles],
            "measured": found.measured.to_dict("records"),
        }
        text = json.dumps(described, indent=2, ensure_ascii=False) + "\n"
        arrays = self.segmentation.arrays()
        write_whole(directory / "segmentation.npz", lambda file: np.savez(file, allow_pickle=False, **arrays))
        write_whole(directory / "segments.csv", lambda file: members.to_csv(file, index=False))
        write_whole(directory / "segments.json", lambda file: file.write(text.encode()))

    def check(self, split: Split) -> None:
        """Hold the segments against a split.

        Raises:
            UserError: they are of another one, whose training ratings may be test ratings here.
        """
        if self.ratings.partition("/")[0] != split.fingerprint:
            raise UserError(
                "These segments are of another split: take the data, cleaning and split of the run that they were made "
                "in, or make them anew with `python -m recsys segments RUN`."
            )


def segments_directory(run: Path) -> Path:
    """Where a run's segments are."""
    return run / "segments"


def read_segments(run: Path) -> Segments:
    """The segments of a run.

    Raises:
        UserError: there are none.
    """
    directory = segments_directory(run)
    if not (directory / "segments.json").is_file():
        raise UserError(f"{run} holds no segments: `python -m recsys segments {run}` makes them.")
    described = json.loads((directory / "segments.json").read_text(encoding="utf-8"))
    with np.load(directory / "segmentation.npz", allow_pickle=False) as arrays:
        segmentation = Segmentation(**described["segmentation"]).restore(arrays)
    return Segments(segmentation, described["names"], described["space"], described["ratings"])


def with_segments(split: Split, run: Path) -> Split:
    """A split whose users have a column `segment`: the names of the segments that a run's users are in.

    Segments of a run that was refitted to training and validation ratings know of the latter. As slices they do no
    harm, and the test is as clean as ever; but a model that reads the column is judged too well on validation, unless
    the segments are of a run with refit=false.

    Raises:
        UserError: the run has no segments, or they are of another split.
    """
    segments = read_segments(run)
    segments.check(split)
    members = pd.read_csv(segments_directory(run) / "segments.csv", dtype=str, keep_default_na=False)
    users = split.dataset.user_frame
    names = users["user_id"].astype(str).map(members.set_index("user_id")["name"])
    frame = users.assign(segment=pd.Categorical(names, categories=segments.names))
    return replace(split, dataset=replace(split.dataset, user_frame=frame))
