"""Leakage reports: what the training, validation and test ratings of a split share, and whether its invariants hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from recsys.data.dataset import Dataset, Holdout
from recsys.data.invariants import n_older
from recsys.data.split import Split
from recsys.data.ties import tied

# Published reports contain these labels, and those of `_sizes` and `_shared`.
OLDER_THAN_TRAINING = "share older than the newest rating learned before"
OLDER_THAN_HISTORY = "share older than the newest rating known of the same user"
TIED = "share at the second of the same user's rating before"


@dataclass(frozen=True, eq=False)
class Leakage:
    """A report on the leakage between the training, validation and test ratings of a split.

    Attributes:
        split: the split that is examined.
    """

    split: Split

    @property
    def violated(self) -> tuple[str, ...]:
        """Return the invariants that the split violates, as sentences."""
        return tuple(invariant.sentence for invariant in self.split.invariants if not invariant.holds(self.split))

    def frame(self) -> pd.DataFrame:
        """Count what each part of the split contains, and what it shares with earlier parts.

        The parts are, in this order, `train`, `valid` and `test`. Namesakes are items with different ids but the same
        title and year, which may in fact be one item.

        Returns:
            A row for each statistic, such as `users also in train`, and the float64 columns `train`, `valid` and
            `test`. Values are counts, or shares from 0 to 1, and NaN where the statistic does not apply to a part. If
            the source has no times, there are no rows about times.
        """
        train, valid, test = self.split.train, self.split.valid, self.split.test
        before_test = {"train": train, "valid": valid.ratings}
        columns = {
            "test": _sizes(test.ratings)
            | _shared(test.ratings, before_test)
            | self._ages(test, self.split.refit_train),
            "valid": _sizes(valid.ratings) | _shared(valid.ratings, {"train": train}) | self._ages(valid, train),
            "train": _sizes(train),
        }
        facts = pd.Index(list(columns["test"]), name="fact")
        return pd.DataFrame({part: pd.Series(columns[part], dtype=float) for part in reversed(columns)}, index=facts)

    def sentences(self) -> list[str]:
        """Return the report as sentences: each invariant, marked `Holds` or `Violated`, then a summary of counts."""
        violated, fact = self.violated, self.frame()["test"]
        invariants = (invariant.sentence for invariant in self.split.invariants)
        sentences = [f"{'Violated' if sentence in violated else 'Holds'}: {sentence}" for sentence in invariants]
        sentences.append(
            f"Of the {fact['users']:,.0f} test users {fact['users also in train']:,.0f} are also in training, of the "
            f"{fact['films']:,.0f} test items {fact['films also in train']:,.0f}."
        )
        if OLDER_THAN_TRAINING in fact:
            sentences.append(
                f"{fact[OLDER_THAN_TRAINING]:.1%} of the test ratings are older than the newest training rating, "
                f"{fact[OLDER_THAN_HISTORY]:.1%} are older than the newest rating in the history of their user."
            )
            sentences.append(
                f"{fact[TIED]:.1%} of the test ratings were given at the second of the user's rating before, so that "
                "their order in time is unknown."
            )
        else:
            sentences.append("The source has no times, so it is unknown whether models train on later ratings.")
        return sentences

    def _ages(self, holdout: Holdout, train: Dataset) -> dict[str, float]:
        part, dataset = holdout.ratings, self.split.dataset
        if part.times is None or train.times is None:
            return {}
        return {
            OLDER_THAN_TRAINING: float((part.times < train.times.max()).mean()),
            OLDER_THAN_HISTORY: n_older(part, holdout.known) / len(part),
            TIED: float(tied(dataset)[np.isin(dataset.pairs, part.pairs)].mean()),
        }


def _sizes(part: Dataset) -> dict[str, float]:
    return {
        "ratings": len(part),
        "users": int((part.user_counts > 0).sum()),
        "films": int((part.item_counts > 0).sum()),
    }


def _shared(part: Dataset, earlier: Mapping[str, Dataset]) -> dict[str, float]:
    shared: dict[str, float] = {}
    titles = _title_codes(part)
    for name, other in earlier.items():
        pairs = part.matrix().multiply(other.matrix())
        both = (part.item_counts > 0) & (other.item_counts > 0)
        namesakes = np.isin(titles[(part.item_counts > 0) & ~both], titles[other.item_counts > 0])
        users = (part.user_counts > 0) & (other.user_counts > 0)
        shared |= {
            f"users also in {name}": int(users.sum()),
            f"films also in {name}": int(both.sum()),
            f"other films with a namesake in {name}": int(namesakes.sum()),
            f"pairs of user and film also in {name}": pairs.nnz,
        }
    return shared


def _title_codes(part: Dataset) -> np.ndarray:
    """Return a code for each item, int64 (n_items,); items with equal title and year have the same code.

    An item without a title has a code that no other item has.
    """
    frame = part.item_frame.reindex(columns=["movie_id", "title", "year"]).astype(object)
    frame["title"] = frame["title"].fillna(frame["movie_id"])
    return frame.groupby(["title", "year"], dropna=False, sort=False).ngroup().to_numpy()
