"""Traits of users (tastes, habits and demographics), and names of segments that are derived from traits.

The effect of a trait in a segment is the mean of the trait in the segment minus its mean over all users, divided by its
standard deviation over all users. Cohen, "Statistical Power Analysis for the Behavioral Sciences", 1988, calls an
effect of 0.2 small.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from recsys.data.dataset import Dataset
from recsys.data.features import MISSING
from recsys.models.rating_profiles import damped_item_means, genres_and_decades

MIN_EFFECT = 0.2  # smaller effects are not reported
# For each column of the users' table: the label of a value's trait, and the words for a segment that has more of it.
DEMOGRAPHICS = {
    "gender": ("{}", "more {}"),
    "age_group": ("aged {}", "more aged {}"),
    "occupation": ("occupation {}", ""),
}
GENDERS = {"F": "women", "M": "men"}


@dataclass(frozen=True)
class Trait:
    """A numeric property of users by which segments are compared.

    Attributes:
        label: label of the trait in tables.
        more: words for the name of a segment in which the trait has a positive effect; empty if names do not mention
            it.
        less: words for the name of a segment in which the trait has a negative effect; empty if names do not mention
            it.
        is_taste: whether the trait is the share of a genre or decade in a user's ratings; such traits come first in
            names.
        format: function that formats a mean of the trait as text.
    """

    label: str
    more: str
    less: str
    is_taste: bool
    format: Callable[[float], str]


def user_traits(ratings: Dataset, users: np.ndarray) -> tuple[list[Trait], np.ndarray]:
    """Return the traits by which users can be compared, and the value of each trait for each user.

    Args:
        ratings: ratings from which tastes and habits are computed.
        users: int64 (n,) codes of the users, who must have ratings.

    Returns:
        The traits, and their values, float64 (n, n_traits).
    """
    names, facts = genres_and_decades(ratings.item_frame)
    is_known = np.array([not name.endswith(f"={MISSING}") for name in names], bool)
    counts = ratings.user_counts[users][:, None]
    labels = [name.partition("=")[2] for name in names[is_known]]
    traits = [Trait(label, label, "", True, "{:.0%}".format) for label in labels]
    columns = [(ratings.matrix()[users] @ facts[:, is_known]) / counts]

    above_means = user_sums(ratings, ratings.ratings - damped_item_means(ratings)[ratings.items])[users][:, None]
    traits.append(Trait("stars above films' means", "generous raters", "strict raters", False, "{:+.2f}".format))
    traits.append(Trait("films rated", "frequent raters", "occasional raters", False, lambda v: f"{np.exp(v):.0f}"))
    columns += [above_means / counts, np.log(counts)]

    for column, (label, more) in DEMOGRAPHICS.items():
        if column in ratings.user_frame:
            values = ratings.user_frame[column].iloc[users].astype(str).replace(GENDERS)
            indicators = pd.get_dummies(values).drop(columns=["nan", "<NA>"], errors="ignore")
            columns.append(indicators.to_numpy(np.float64))
            for value in indicators:
                traits.append(Trait(label.format(value), more.format(value), "", False, "{:.0%}".format))
    return traits, np.concatenate(columns, axis=1)


def trait_effects(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Compute the effect of each trait in each of k segments, float64 (k, n_traits).

    The effect is the mean of the trait in the segment minus its mean over all users, divided by its standard deviation
    over all users. It is 0 for a trait that is the same for all users.

    Args:
        values: float64 (n, n_traits) value of each trait for each user.
        labels: int64 (n,) segment of each user, from 0 to k - 1.
    """
    frame = pd.DataFrame(values)
    deviations = (frame - frame.mean()) / frame.std(ddof=0).replace(0, np.inf)
    return deviations.groupby(labels).mean().to_numpy()


def segment_names(traits: Sequence[Trait], effects: np.ndarray) -> list[str]:
    """Name segments by their strongest traits, so that all names differ.

    A name has up to two tastes (genres or decades) and one other trait. If several segments would get the same name,
    their names get more traits or, if that does not suffice, numbers.

    Args:
        traits: traits of users.
        effects: float64 (k, n_traits) effect of each trait in each segment.
    """
    names = [_name(traits, row, 1) for row in effects]
    for n_others in range(2, len(traits)):
        names = [
            name if names.count(name) == 1 else _name(traits, row, n_others)
            for name, row in zip(names, effects, strict=True)
        ]
    return [
        name if names.count(name) == 1 else f"{name} ({1 + names[:segment].count(name)})"
        for segment, name in enumerate(names)
    ]


def user_sums(ratings: Dataset, values: np.ndarray) -> np.ndarray:
    """Return, for each user, the sum of `values` over the user's ratings, float64 (n_users,).

    Args:
        ratings: n ratings.
        values: (n,) value of each rating.
    """
    return np.bincount(ratings.users, values, minlength=ratings.n_users)


def _name(traits: Sequence[Trait], effects: np.ndarray, n_others: int) -> str:
    """Return a segment's name, composed of its strongest traits.

    Args:
        traits: traits of users.
        effects: float64 (n_traits,) effect of each trait in the segment.
        n_others: largest number of traits in the name that are not tastes. The name has at most `n_others` + 1 tastes.
    """
    strongest = [t for t in np.argsort(-np.abs(effects), kind="stable") if abs(effects[t]) >= MIN_EFFECT]
    words = [(traits[t].is_taste, traits[t].more if effects[t] > 0 else traits[t].less) for t in strongest]
    tastes = [word for is_taste, word in words if is_taste and word][: n_others + 1]
    others = [word for is_taste, word in words if not is_taste and word][:n_others]
    name = ", ".join(filter(None, [" and ".join(tastes), *others])) or "near the average"
    return name[0].upper() + name[1:]
