"""Splits: which ratings a model is trained on, which it is validated on, and which it is tested on.

A `Split` gives each rating of a data set one label. The labels are numbers, in the order in which their ratings become
known: at validation, the ratings with labels below VALID are known; at the test, those with labels below TEST are
known.

    TRAIN        training ratings
    VALID_KNOWN  history of users who are new at validation; only the refit trains on it
    VALID        held out for validation
    TEST_KNOWN   history of users who are new at test; never trained on
    TEST         held out for the test
    WITHHELD     not used: neither trained on nor in a history; its item is not ranked for the user

A user's history at the test therefore contains all ratings before the test rating, including validation ratings. In
some splits, the ratings labelled VALID or TEST become known one after another; see `recsys.data.targets`. The splitters
that assign the labels are in `recsys.data.splitters`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from recsys.counted import counted
from recsys.data.dataset import Dataset, Holdout, Shard, StepHoldout
from recsys.data.targets import ALL, Targets

TRAIN, VALID_KNOWN, VALID, TEST_KNOWN, TEST, WITHHELD = range(6)


@dataclass(frozen=True, eq=False)
class Split:
    """A data set with a label for each rating; its training, validation and test parts are computed on first access.

    Attributes:
        dataset: the data set that was split.
        name: name of the splitter, such as `leave_last_out`.
        fingerprint: digest of the data, the splitter's settings and the labels. It is stored with embeddings, to
            identify the split that they were trained on.
        labels: uint8 (n,) label of each rating, one of this module's constants.
        invariants: properties that every split of this splitter must have; `recsys.data.leakage` checks them.
        valid_candidates: int32 (m,) the items that are ranked at validation, or None for the whole catalogue.
        test_candidates: int32 (m,) the items that are ranked at the test, or None for the whole catalogue.
        targets: which of the ratings labelled VALID and TEST are predicted, and from which histories.
    """

    dataset: Dataset
    name: str
    fingerprint: str
    labels: np.ndarray
    invariants: tuple[Invariant, ...] = ()
    valid_candidates: np.ndarray | None = None
    test_candidates: np.ndarray | None = None
    targets: Targets = ALL

    def __repr__(self) -> str:
        n_train, n_valid, n_test = (int(np.count_nonzero(self.labels == label)) for label in (TRAIN, VALID, TEST))
        counts = f"{counted(n_train, 'rating')} to train, {n_valid:,} to validate, {n_test:,} to test"
        return f"{type(self).__name__}({self.name!r} of {self.dataset.name!r}: {counts})"

    @cached_property
    def train(self) -> Dataset:
        """Return the ratings that a model is trained on before validation.

        The fingerprint of this data set is the fingerprint of the split followed by `/train`.
        """
        return replace(self.dataset.select(self.labels == TRAIN), fingerprint=f"{self.fingerprint}/train")

    @cached_property
    def valid(self) -> Holdout:
        """Return the ratings held out for validation, with the users' histories at validation."""
        return self._holdout(VALID, self.train, self.valid_candidates)

    @cached_property
    def refit_train(self) -> Dataset:
        """Return the ratings on which a model is refitted for the test: those labelled TRAIN, VALID_KNOWN or VALID."""
        return replace(self.dataset.select(self.labels <= VALID), fingerprint=f"{self.fingerprint}/train+valid")

    @cached_property
    def test(self) -> Holdout:
        """Return the ratings held out for the test, with the users' histories at the test."""
        return self._holdout(TEST, self.refit_train, self.test_candidates)

    def of_shard(self, shard: Shard) -> Split:
        """Return the split restricted to the ratings of one process's users; its fingerprint is unchanged."""
        data = self.dataset
        own = slice(data.indptr[shard.own.start], data.indptr[shard.own.stop])
        return replace(self, dataset=replace(data.of_users(shard.own), shard=shard), labels=self.labels[own].copy())

    def for_warm_start(self, learned: np.ndarray) -> Split:
        """Adapt the split to a model that starts from weights already trained on some of its ratings.

        Held-out ratings that the model was trained on would inflate its metrics. Therefore, validation ratings that it
        was trained on become training ratings, and test ratings that it was trained on are withheld. The fingerprint
        and the training ratings of the refit (`refit_train`) do not change.

        Args:
            learned: bool (n,) mask of the data set's ratings that the model was trained on.
        """
        labels = self.labels.copy()
        labels[learned & (labels == VALID)] = TRAIN
        labels[learned & (labels == TEST)] = WITHHELD
        return replace(self, labels=labels)

    def _holdout(self, label: int, train: Dataset, candidates: np.ndarray | None) -> Holdout:
        """Return a holdout of the ratings with `label`, which is VALID or TEST, that are to be predicted.

        Histories consist of the training ratings and the known ratings of new users. If `targets.histories_run_on`,
        they also include a user's earlier held-out ratings.
        """
        held_out = np.flatnonzero(self.labels == label)
        positions = held_out[self.targets.chosen(self.dataset.users[held_out])]
        ratings = self.dataset.select(positions)
        before, withheld = self.labels < label, self.labels == WITHHELD
        has_new_users = self.dataset.total(np.array([np.count_nonzero(self.labels == label - 1)])).item() > 0
        known = self.dataset.select(before) if has_new_users else train
        if self.targets.one_by_one:
            runs_on = self.targets.histories_run_on
            timeline = self.dataset if runs_on else known
            ends = positions if runs_on else np.cumsum(before)[positions]
            return StepHoldout(
                ratings, train, candidates, None, self.targets.separates_cold, timeline=timeline, ends=ends
            )
        rated = self.dataset.select(before | withheld) if withheld.any() else None
        return Holdout(ratings, known, candidates, rated, self.targets.separates_cold)


@dataclass(frozen=True)
class Invariant:
    """A property that a split must have, with a function that checks it.

    Attributes:
        sentence: the property as a sentence.
        holds: function that returns whether a split has the property.
    """

    sentence: str
    holds: Callable[[Split], bool]
