"""What the parts of a split share, counted, and whether the split keeps what it promises."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from recsys.data.dataset import Dataset
from recsys.data.promises import n_older
from recsys.data.split import Split

ON_THE_FUTURE = "share older than the newest rating learned before"
ON_OWN_FUTURE = "share older than the newest rating known of the same user"


@dataclass(frozen=True, eq=False)
class Leakage:
    """A report on a split.

    Attributes:
        split: what is looked into.
    """

    split: Split

    @property
    def broken(self) -> tuple[str, ...]:
        """The split's promises that it does not keep."""
        return tuple(promise.sentence for promise in self.split.promises if not promise.kept(self.split))

    def frame(self) -> pd.DataFrame:
        """Facts as rows, the parts as columns `train`, `valid` and `test`; NaN where a fact tells of earlier parts.

        What is learned before validation is training, before the test training and validation. Namesakes are films of
        one title and year, which may be one film under two ids.
        """
        train, valid, test = self.split.train, self.split.valid, self.split.test
        before_test = {"train": train, "valid": valid.ratings}
        columns = {
            "test": _sizes(test.ratings)
            | _shared(test.ratings, before_test)
            | _ages(test.ratings, self.split.refit_train, test.known),
            "valid": _sizes(valid.ratings)
            | _shared(valid.ratings, {"train": train})
            | _ages(valid.ratings, train, valid.known),
            "train": _sizes(train),
        }
        facts = pd.Index(list(columns["test"]), name="fact")
        return pd.DataFrame({part: pd.Series(columns[part], dtype=float) for part in reversed(columns)}, index=facts)

    def sentences(self) -> list[str]:
        """The promises, kept or broken, and what else a reader should know."""
        broken, fact = self.broken, self.frame()["test"]
        promises = (promise.sentence for promise in self.split.promises)
        told = [f"{'Broken' if sentence in broken else 'Kept'}: {sentence}" for sentence in promises]
        told.append(
            f"Of the {fact['users']:,.0f} users at test {fact['users also in train']:,.0f} are in training too, of the "
            f"{fact['films']:,.0f} films {fact['films also in train']:,.0f}."
        )
        if ON_THE_FUTURE in fact:
            told.append(
                f"{fact[ON_THE_FUTURE]:.1%} of test ratings are older than the newest rating that was learned from, "
                f"{fact[ON_OWN_FUTURE]:.1%} older than the newest that is known of the same user."
            )
        else:
            told.append("The source has no times, so whether models learn from the future cannot be told.")
        return told


def _sizes(part: Dataset) -> dict[str, float]:
    return {
        "ratings": len(part),
        "users": int((part.user_counts > 0).sum()),
        "films": int((part.item_counts > 0).sum()),
    }


def _shared(part: Dataset, earlier: Mapping[str, Dataset]) -> dict[str, float]:
    shared: dict[str, float] = {}
    names = _names(part)
    for name, other in earlier.items():
        pairs = part.matrix().multiply(other.matrix())
        both = (part.item_counts > 0) & (other.item_counts > 0)
        namesakes = np.isin(names[(part.item_counts > 0) & ~both], names[other.item_counts > 0])
        users = (part.user_counts > 0) & (other.user_counts > 0)
        shared |= {
            f"users also in {name}": int(users.sum()),
            f"films also in {name}": int(both.sum()),
            f"other films with a namesake in {name}": int(namesakes.sum()),
            f"pairs of user and film also in {name}": pairs.nnz,
        }
    return shared


def _names(part: Dataset) -> np.ndarray:
    """int64 (n_items,): a number for each title and year; a film without a title has its own."""
    films = part.item_frame.reindex(columns=["movie_id", "title", "year"]).astype(object)
    films["title"] = films["title"].fillna(films["movie_id"])
    return films.groupby(["title", "year"], dropna=False, sort=False).ngroup().to_numpy()


def _ages(part: Dataset, learned: Dataset, known: Dataset) -> dict[str, float]:
    if part.times is None or learned.times is None:
        return {}
    return {
        ON_THE_FUTURE: float((part.times < learned.times.max()).mean()),
        ON_OWN_FUTURE: n_older(part, known) / len(part),
    }
