"""Profiles of segments: size, habits, distinctive traits, typical films, a name, and a model's metrics.

A film is typical of a segment if it has a high lift in the segment. The lift is the film's observed number of ratings
by users of the segment, divided by the number expected from the ratings of all users. The lift is damped, so that a few
ratings do not make a film typical (after DuMouchel, "Bayesian Data Mining in Large Frequency Tables", The American
Statistician 1999).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from recsys.analysis.segments.traits import (
    MIN_EFFECT,
    Trait,
    segment_names,
    trait_effects,
    user_sums,
    user_traits,
)
from recsys.data.dataset import Dataset
from recsys.evaluation.intervals import Interval, bootstrap_ratio
from recsys.models.rating_profiles import damped_item_means

FILM_DAMPING = 10.0  # ratings that are added to the observed and the expected number of each film in each segment
N_TYPICAL = 6  # films in a profile
N_DISTINCTIONS = 8  # traits in a profile
SHOWN_METRICS = r"^((hr|ndcg)@10\b|rmse$)"


@dataclass(frozen=True)
class Distinction:
    """A trait by which a segment differs from all users.

    Attributes:
        label: label of the trait.
        here: mean of the trait in the segment, as text.
        overall: mean of the trait over all users, as text.
        effect: effect of the trait in the segment; see `recsys.analysis.segments.traits`.
    """

    label: str
    here: str
    overall: str
    effect: float


@dataclass(frozen=True)
class TypicalFilm:
    """A film that is typical of a segment.

    Attributes:
        name: title and year of the film.
        lift: damped ratio of the observed number of ratings by users of the segment to the number expected from the
            ratings of all users.
    """

    name: str
    lift: float


@dataclass(frozen=True)
class Profile:
    """The description of a segment.

    Attributes:
        name: name of the segment, composed of its strongest traits.
        n_users: number of users in the segment.
        share: number of users in the segment, as a share of all users with ratings.
        median_ratings: median number of ratings per user of the segment.
        mean_stars: mean of the ratings by users of the segment, in stars.
        above_means: how far the ratings by users of the segment are above the damped mean ratings of the rated films,
            on average, in stars; negative if they are below.
        distinctions: traits with the largest effects in the segment, the strongest first.
        films: most typical films, the highest lift first.
        n_tested: number of users of the segment on whom the model was tested.
        metrics: mean of each test metric over these tested users, with its bootstrap interval, keyed by the name of the
            metric; empty if fewer than two users of the segment were tested.
    """

    name: str
    n_users: int
    share: float
    median_ratings: float
    mean_stars: float
    above_means: float
    distinctions: list[Distinction]
    films: list[TypicalFilm]
    n_tested: int
    metrics: dict[str, Interval]


def describe(ratings: Dataset, users: np.ndarray, labels: np.ndarray, per_user: pd.DataFrame) -> list[Profile]:
    """Return the profiles of segments, in the order of their labels.

    Args:
        ratings: ratings on which the run's model was trained, without test ratings.
        users: int64 (n,) codes of the users who are in segments; each has at least one rating.
        labels: int64 (n,) segment of each of these users, from 0; no segment is empty.
        per_user: test metrics of the run's model, a row for each user, with a column `user_id`.
    """
    traits, values = user_traits(ratings, users)
    effects = trait_effects(values, labels)
    films = typical_films(ratings, users, labels)
    tested = per_user.set_index("user_id").filter(regex=SHOWN_METRICS)
    tested = tested.reindex(ratings.user_frame["user_id"].iloc[users])
    counts, stars = ratings.user_counts[users], user_sums(ratings, ratings.ratings)[users]
    above = user_sums(ratings, ratings.ratings - damped_item_means(ratings)[ratings.items])[users]
    profiles = []
    for segment, name in enumerate(segment_names(traits, effects)):
        inside = labels == segment
        metrics = tested[inside].dropna()
        profiles.append(
            Profile(
                name=name,
                n_users=int(inside.sum()),
                share=float(inside.mean()),
                median_ratings=float(np.median(counts[inside])),
                mean_stars=float(stars[inside].sum() / counts[inside].sum()),
                above_means=float(above[inside].sum() / counts[inside].sum()),
                distinctions=_distinctions(traits, values, inside, effects[segment]),
                films=films[segment],
                n_tested=len(metrics),
                # not Student's interval, whose ends leave the range of a metric where few users are tested
                metrics={
                    str(column): bootstrap_ratio(metrics[column], np.ones(len(metrics)))
                    for column in metrics
                    if len(metrics) > 1
                },
            )
        )
    return profiles


def typical_films(ratings: Dataset, users: np.ndarray, labels: np.ndarray) -> list[list[TypicalFilm]]:
    """Return the `N_TYPICAL` films of each segment that have the highest damped lift, the highest first.

    Args:
        ratings: ratings on which the run's model was trained, without test ratings.
        users: int64 (n,) codes of the users who are in segments.
        labels: int64 (n,) segment of each of these users, from 0.

    Returns:
        A list of films for each segment, in the order of the labels.
    """
    ones = np.ones(len(users), np.float32)
    members = sparse.csr_matrix((ones, (labels, users)), shape=(labels.max() + 1, ratings.n_users))
    counts = (members @ ratings.matrix()).toarray()  # (k, n_items)
    expected = np.outer(np.bincount(labels), counts.sum(axis=0) / len(users))
    lifts = (counts + FILM_DAMPING) / (expected + FILM_DAMPING)
    names = ratings.item_names
    best = np.argsort(-lifts, axis=1, kind="stable")[:, :N_TYPICAL]
    return [[TypicalFilm(str(names[i]), float(row[i])) for i in items] for row, items in zip(lifts, best, strict=True)]


def _distinctions(
    traits: Sequence[Trait], values: np.ndarray, inside: np.ndarray, effects: np.ndarray
) -> list[Distinction]:
    here, overall = values[inside].mean(axis=0), values.mean(axis=0)
    return [
        Distinction(traits[t].label, traits[t].format(here[t]), traits[t].format(overall[t]), float(effects[t]))
        for t in np.argsort(-np.abs(effects), kind="stable")[:N_DISTINCTIONS]
        if abs(effects[t]) >= MIN_EFFECT
    ]
