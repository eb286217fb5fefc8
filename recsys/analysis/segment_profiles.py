"""What sets segments apart: tastes, habits and people, typical films, a name, and how well a model serves them.

A trait's effect is how far a segment's mean is from that of all users, in standard deviations of users (Cohen,
"Statistical Power Analysis for the Behavioral Sciences", 1988, calls 0.2 small). Films are typical by how many times as
often as by all users they are rated, damped, so that three raters make no film typical (after DuMouchel, "Bayesian Data
Mining in Large Frequency Tables", The American Statistician 1999).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from recsys.data.dataset import Dataset
from recsys.data.features import MISSING
from recsys.data.titles import item_names
from recsys.evaluation.significance import Interval, mean_interval
from recsys.models.segmentation import film_facts, film_means

SMALL = 0.2  # effects from here on are worth a word
FILM_DAMPING = 10.0  # viewers as by all users, that each film is given in each segment
N_TYPICAL = 6  # films
N_DISTINCT = 8  # traits that a profile tells
SHOWN_METRICS = r"^((hr|ndcg)@10\b|rmse$)"
PEOPLE = {"gender": ("{}", "more {}"), "age_group": ("aged {}", "more aged {}"), "occupation": ("occupation {}", "")}
GENDERS = {"F": "women", "M": "men"}


@dataclass(frozen=True)
class Trait:
    """Something that every user has more or less of.

    Attributes:
        label: what a table calls it.
        more: what a name says of a segment that has more of it.
        less: and of one that has less; empty where that is no news.
        is_taste: whether names begin with it.
        shown: a mean of it as text.
    """

    label: str
    more: str
    less: str
    is_taste: bool
    shown: Callable[[float], str]


@dataclass(frozen=True)
class Distinction:
    """How a segment differs in one trait: means there and of all users, as text, and the effect."""

    label: str
    here: str
    everybody: str
    effect: float


@dataclass(frozen=True)
class Film:
    """A film that is typical of a segment, and how many times as often as by all users it is watched there."""

    name: str
    lift: float


@dataclass(frozen=True)
class Profile:
    """A segment.

    Attributes:
        name: what sets it apart, in words.
        n_users: in it.
        share: of all users.
        median_ratings: by one of its users.
        mean_stars: of its ratings.
        above_means: stars that its users give above the films' means, on average.
        distinctions: what is most different from all users, strongest first.
        films: most typical first.
        n_tested: users that the model was tested on.
        metrics: of the model, by name: mean and interval over those users, where there are two at least.
    """

    name: str
    n_users: int
    share: float
    median_ratings: float
    mean_stars: float
    above_means: float
    distinctions: list[Distinction]
    films: list[Film]
    n_tested: int
    metrics: dict[str, Interval]


def profiles(ratings: Dataset, users: np.ndarray, labels: np.ndarray, per_user: pd.DataFrame) -> list[Profile]:
    """Describe segments.

    Args:
        ratings: what was known of users before the test.
        users: int64 (n,) codes of those in segments, all with ratings.
        labels: int64 (n,) their segments, each with somebody in it.
        per_user: test metrics with a column `user_id`.
    """
    traits, values = user_traits(ratings, users)
    effects = trait_effects(values, labels)
    films = typical_films(ratings, users, labels)
    tested = per_user.set_index("user_id").filter(regex=SHOWN_METRICS)
    tested = tested.reindex(ratings.user_frame["user_id"].iloc[users])
    counts, stars = ratings.user_counts[users], _sums(ratings, ratings.ratings)[users]
    above = _sums(ratings, ratings.ratings - film_means(ratings)[ratings.items])[users]
    described = []
    for segment, name in enumerate(segment_names(traits, effects)):
        inside = labels == segment
        measured = tested[inside].dropna()
        described.append(
            Profile(
                name=name,
                n_users=int(inside.sum()),
                share=float(inside.mean()),
                median_ratings=float(np.median(counts[inside])),
                mean_stars=float(stars[inside].sum() / counts[inside].sum()),
                above_means=float(above[inside].sum() / counts[inside].sum()),
                distinctions=_distinctions(traits, values, inside, effects[segment]),
                films=films[segment],
                n_tested=len(measured),
                metrics={str(column): mean_interval(measured[column]) for column in measured if len(measured) > 1},
            )
        )
    return described


def user_traits(ratings: Dataset, users: np.ndarray) -> tuple[list[Trait], np.ndarray]:
    """Traits, and how much of each some users (int64 (n,) codes) have: float64 (n, t)."""
    names, facts = film_facts(ratings.item_frame)
    told = np.array([not name.endswith(f"={MISSING}") for name in names], bool)
    counts = ratings.user_counts[users][:, None]
    labels = [name.partition("=")[2] for name in names[told]]
    traits = [Trait(label, label, "", True, "{:.0%}".format) for label in labels]
    columns = [(ratings.matrix()[users] @ facts[:, told]) / counts]

    above = _sums(ratings, ratings.ratings - film_means(ratings)[ratings.items])[users][:, None]
    traits.append(Trait("stars above films' means", "generous raters", "strict raters", False, "{:+.2f}".format))
    traits.append(Trait("films rated", "frequent raters", "occasional raters", False, lambda v: f"{np.exp(v):.0f}"))
    columns += [above / counts, np.log(counts)]

    for column, (label, more) in PEOPLE.items():
        if column in ratings.user_frame:
            values = ratings.user_frame[column].iloc[users].astype(str)
            people = pd.get_dummies(values.replace(GENDERS)).drop(columns=["nan", "<NA>"], errors="ignore")
            columns.append(people.to_numpy(np.float64))
            for value in people:
                traits.append(Trait(label.format(value), more.format(value), "", False, "{:.0%}".format))
    return traits, np.concatenate(columns, axis=1)


def trait_effects(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Effects (k, t) of traits (n, t) in segments (n,); 0 where everybody is the same."""
    frame = pd.DataFrame(values)
    deviations = (frame - frame.mean()) / frame.std(ddof=0).replace(0, np.inf)
    return deviations.groupby(labels).mean().to_numpy()


def segment_names(traits: Sequence[Trait], effects: np.ndarray) -> list[str]:
    """Distinct names: two tastes and something else that set a segment apart, and more where others have those too."""
    names = [_name(traits, own, 1) for own in effects]
    for n_others in range(2, len(traits)):
        names = [
            name if names.count(name) == 1 else _name(traits, own, n_others)
            for name, own in zip(names, effects, strict=True)
        ]
    return [
        name if names.count(name) == 1 else f"{name} ({1 + names[:place].count(name)})"
        for place, name in enumerate(names)
    ]


def typical_films(ratings: Dataset, users: np.ndarray, labels: np.ndarray) -> list[list[Film]]:
    """The `N_TYPICAL` films of each segment with the highest damped lift, highest first."""
    ones = np.ones(len(users), np.float32)
    members = sparse.csr_matrix((ones, (labels, users)), shape=(labels.max() + 1, ratings.n_users))
    counts = (members @ ratings.matrix()).toarray()  # (k, n_items)
    expected = np.outer(np.bincount(labels), counts.sum(axis=0) / len(users))
    lifts = (counts + FILM_DAMPING) / (expected + FILM_DAMPING)
    names = item_names(ratings.item_frame)
    best = np.argsort(-lifts, axis=1, kind="stable")[:, :N_TYPICAL]
    return [[Film(str(names[i]), float(own[i])) for i in items] for own, items in zip(lifts, best, strict=True)]


def _distinctions(
    traits: Sequence[Trait], values: np.ndarray, inside: np.ndarray, effects: np.ndarray
) -> list[Distinction]:
    here, everybody = values[inside].mean(axis=0), values.mean(axis=0)
    return [
        Distinction(traits[t].label, traits[t].shown(here[t]), traits[t].shown(everybody[t]), float(effects[t]))
        for t in np.argsort(-np.abs(effects), kind="stable")[:N_DISTINCT]
        if abs(effects[t]) >= SMALL
    ]


def _name(traits: Sequence[Trait], effects: np.ndarray, n_others: int) -> str:
    """At most `n_others` and one tastes, and so many other words."""
    strongest = [t for t in np.argsort(-np.abs(effects), kind="stable") if abs(effects[t]) >= SMALL]
    words = [(traits[t].is_taste, traits[t].more if effects[t] > 0 else traits[t].less) for t in strongest]
    tastes = [word for is_taste, word in words if is_taste and word][: n_others + 1]
    others = [word for is_taste, word in words if not is_taste and word][:n_others]
    name = ", ".join(filter(None, [" and ".join(tastes), *others])) or "near the average"
    return name[0].upper() + name[1:]


def _sums(ratings: Dataset, values: np.ndarray) -> np.ndarray:
    """float64 (n_users,): sums over the ratings of each user."""
    return np.bincount(ratings.users, values, minlength=ratings.n_users)
