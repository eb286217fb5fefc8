"""Splits: which ratings a model learns from, is chosen on, and is tested on.

A splitter is a small value that turns a data set into a `Split`: one label a rating. The labels stand in the order in
which ratings become known, so everything that a model may see at some stage is "all labels up to this one":

    TRAIN        learned from
    VALID_KNOWN  history of users who are new at validation; learned from only by the refit
    VALID        to be found at validation
    TEST_KNOWN   history of users who are new at test; never learned from
    TEST         to be found at test
    WITHHELD     nowhere: neither learned from nor known, nor ranked for the user

At test a user's history thus holds everything before the test rating, validation included.

Each splitter is deterministic from its seed. A split's seed is apart from the models' seeds, and 0 unless chosen, so
that runs with several model seeds all share one split. Random splits draw in the order of codes, which are ranks of raw
ids, so the order of the source's rows has no part in them. Of equal times the source's last row is the latest
(`Dataset` keeps that order).
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import ClassVar

import numpy as np

from recsys.data import promises
from recsys.data.dataset import Dataset, Holdout
from recsys.data.promises import Promise
from recsys.errors import UserError

TRAIN, VALID_KNOWN, VALID, TEST_KNOWN, TEST, WITHHELD = range(6)
_SHARE_ROUNDING = 1e-9  # 0.29 of 100 ratings is 29, though 0.29 * 100 < 29 in floating point


@dataclass(frozen=True, eq=False)
class Split:
    """A data set with a label on each rating; its parts are made when first asked for.

    Attributes:
        dataset: what was split.
        name: of the splitter, `leave_last_out`.
        fingerprint: digest of the data, the splitter and the labels; embeddings trained on one split carry it.
        labels: uint8 (n,), a label of this module for each rating.
        promises: what the splitter's name stands for, see `recsys.data.leakage`.
        valid_candidates: int32 (m,) the films ranked at validation, or None for the whole catalogue.
        test_candidates: int32 (m,) the films ranked at test, or None for the whole catalogue.
    """

    dataset: Dataset
    name: str
    fingerprint: str
    labels: np.ndarray
    promises: tuple[Promise, ...] = ()
    valid_candidates: np.ndarray | None = None
    test_candidates: np.ndarray | None = None

    @cached_property
    def train(self) -> Dataset:
        """The ratings to learn from while validation chooses; their fingerprint is the split's and the part's."""
        return replace(self.dataset.select(self.labels == TRAIN), fingerprint=f"{self.fingerprint}/train")

    @cached_property
    def valid(self) -> Holdout:
        """What validation measures."""
        return self._holdout(VALID, self.train, self.valid_candidates)

    @cached_property
    def refit_train(self) -> Dataset:
        """The ratings to learn from once validation has chosen: everything known before the test."""
        return replace(self.dataset.select(self.labels <= VALID), fingerprint=f"{self.fingerprint}/train+valid")

    @cached_property
    def test(self) -> Holdout:
        """What the test measures."""
        return self._holdout(TEST, self.refit_train, self.test_candidates)

    def unlearned(self, learned: np.ndarray) -> Split:
        """The same split, for measuring a model whose weights have learned from some of its ratings before.

        Were such ratings still to be found, what is measured would flatter. Those of validation are training ratings
        here, as the model knows them; those of the test are withheld. The final training ratings stay what they are,
        and so does the fingerprint.

        Args:
            learned: bool (n,), of the data set's ratings.
        """
        labels = self.labels.copy()
        labels[learned & (labels == VALID)] = TRAIN
        labels[learned & (labels == TEST)] = WITHHELD
        return replace(self, labels=labels)

    def _holdout(self, found: int, learned: Dataset, candidates: np.ndarray | None) -> Holdout:
        """Ratings with one label to find; known is what was learned from, and the history of new users."""
        before, withheld = self.labels < found, self.labels == WITHHELD
        known = self.dataset.select(before) if found - 1 in self.labels else learned
        rated = self.dataset.select(before | withheld) if withheld.any() else None
        return Holdout(self.dataset.select(self.labels == found), known, candidates, rated)


class Splitter(ABC):
    """Labels ratings. Subclasses are frozen dataclasses whose fields are JSON-able."""

    name: ClassVar[str]
    promises: ClassVar[tuple[Promise, ...]]

    def __call__(self, dataset: Dataset) -> Split:
        """Split a data set.

        Raises:
            UserError: the data cannot be split this way, or a part would be empty.
        """
        labels = self.labels(dataset)
        for label, purpose in ((TRAIN, "train on"), (VALID, "validate on"), (TEST, "test on")):
            if label not in labels:
                raise UserError(
                    f"The split {self} leaves no rating of {dataset.name} to {purpose}: choose other settings or data."
                )
        made = (promises.PAIRS_ARE_APART, *self.promises)
        return Split(dataset, self.name, self._fingerprint(dataset, labels), labels, made)

    @abstractmethod
    def labels(self, dataset: Dataset) -> np.ndarray:
        """uint8 (n,): a label for each rating."""

    def _fingerprint(self, dataset: Dataset, labels: np.ndarray) -> str:
        described = json.dumps([dataset.fingerprint, self.name, asdict(self)], sort_keys=True)  # type: ignore[call-overload]
        return hashlib.sha256(described.encode() + labels.tobytes()).hexdigest()[:16]


@dataclass(frozen=True)
class LeaveLastOut(Splitter):
    """Each user's last rating is the test, the last but one validation, all before them train.

    Of ratings at the same time the one in the source's last row is the latest.

    Args:
        train_only_below: users with fewer ratings than this are trained on only. Of the others each needs 3.
    """

    train_only_below: int = 0
    name: ClassVar[str] = "leave_last_out"
    promises: ClassVar[tuple[Promise, ...]] = (promises.ONE_TO_FIND, promises.IN_ORDER_BY_USER)

    def labels(self, dataset: Dataset) -> np.ndarray:
        """See `Splitter.labels`."""
        _need_times(dataset, self.name)
        return _last_two_held_out(dataset, self)


@dataclass(frozen=True)
class LeaveOneOut(Splitter):
    """One random rating of each user is the test, another validation; for sources without times.

    Args:
        train_only_below: users with fewer ratings than this are trained on only. Of the others each needs 3.
        seed: of the draw.
    """

    train_only_below: int = 0
    seed: int = 0
    name: ClassVar[str] = "leave_one_out"
    promises: ClassVar[tuple[Promise, ...]] = (promises.ONE_TO_FIND,)

    def labels(self, dataset: Dataset) -> np.ndarray:
        """See `Splitter.labels`."""
        return _scatter(_last_two_held_out(dataset, self), _shuffled_within_users(dataset, self.seed))


@dataclass(frozen=True)
class GlobalTime(Splitter):
    """Two cuts in time for everybody: train before the first, validation up to the second, test from there on.

    Ratings at the same time lie on the same side of a cut. Users and films that first appear after a cut stay in: what
    a model does with them is part of the question.

    Args:
        valid_from: where validation starts: a quantile of the ratings' times, or an ISO date (UTC unless it says).
        test_from: where the test starts, likewise.
    """

    valid_from: float | str = 0.8
    test_from: float | str = 0.9
    name: ClassVar[str] = "global_time"
    promises: ClassVar[tuple[Promise, ...]] = (promises.IN_ORDER,)

    def labels(self, dataset: Dataset) -> np.ndarray:
        """See `Splitter.labels`."""
        times = _need_times(dataset, self.name)
        valid_from, test_from = _cut(times, self.valid_from), _cut(times, self.test_from)
        if not valid_from < test_from:
            raise UserError(
                f"global_time needs valid_from={self.valid_from} to lie before test_from={self.test_from}; "
                f"in {dataset.name} they fall at {valid_from} and {test_from} seconds: move one of them."
            )
        labels = np.full(len(dataset), TRAIN, np.uint8)
        labels[times >= valid_from] = VALID
        labels[times >= test_from] = TEST
        return labels


@dataclass(frozen=True)
class Ratio(Splitter):
    """Random shares of each user's ratings, rounded down, so that every user keeps some to train on.

    Args:
        valid: share of a user's ratings for validation.
        test: share of a user's ratings for the test.
        seed: of the draw.
    """

    valid: float = 0.1
    test: float = 0.2
    seed: int = 0
    name: ClassVar[str] = "ratio"
    promises: ClassVar[tuple[Promise, ...]] = (promises.ALL_ARE_TRAINED_ON, promises.NOTHING_IS_LEFT_OUT)

    def labels(self, dataset: Dataset) -> np.ndarray:
        """See `Splitter.labels`."""
        _check_shares(self, valid=self.valid, test=self.test)
        counts = dataset.user_counts
        n_valid, n_test = _share(counts, self.valid), _share(counts, self.test)
        labels = _in_turn({TRAIN: counts - n_valid - n_test, VALID: n_valid, TEST: n_test})
        return _scatter(labels, _shuffled_within_users(dataset, self.seed))


@dataclass(frozen=True)
class Folds(Splitter):
    """Cross-validation: one fold of the ratings is the test, a random share of the rest validation.

    Folds are the source's own where it has some (u1 to u5 of MovieLens-100K), else random and of equal size.

    Args:
        fold: which fold is the test, counted from 1.
        n_folds: how many random folds to make; the source's own folds are as many as they are.
        valid: share of the other folds' ratings for validation.
        seed: of the draws; the random folds are the same partition whatever `fold` is.
    """

    fold: int = 1
    n_folds: int = 5
    valid: float = 0.1
    seed: int = 0
    name: ClassVar[str] = "folds"
    promises: ClassVar[tuple[Promise, ...]] = (promises.NOTHING_IS_LEFT_OUT,)

    def labels(self, dataset: Dataset) -> np.ndarray:
        """See `Splitter.labels`."""
        _check_shares(self, valid=self.valid)
        canonical = _by_codes(dataset)
        rng = np.random.default_rng(self.seed)
        if dataset.parts is not None and len(dataset.part_names) > 1 and "test" not in dataset.part_names:
            folds, n_folds = dataset.parts[canonical], len(dataset.part_names)
        else:
            folds, n_folds = rng.permutation(len(dataset)) % self.n_folds, self.n_folds
        if not 1 <= self.fold <= n_folds:
            raise UserError(f"{dataset.name} has folds 1 to {n_folds}, and not {self.fold}: choose one of them.")
        tested = folds == self.fold - 1
        labels = np.where(tested, TEST, TRAIN).astype(np.uint8)
        rest = np.flatnonzero(~tested)
        labels[rng.choice(rest, int(_share(len(rest), self.valid)), replace=False)] = VALID
        return _scatter(labels, canonical)


@dataclass(frozen=True)
class ColdItems(Splitter):
    """Films that nobody has rated yet: all ratings of some films are the test, of others validation.

    Only the held-out films are ranked.

    Args:
        valid: share of the films for validation.
        test: share of the films for the test.
        seed: of the draw.
    """

    valid: float = 0.1
    test: float = 0.1
    seed: int = 0
    name: ClassVar[str] = "cold_items"
    promises: ClassVar[tuple[Promise, ...]] = (promises.FILMS_ARE_UNRATED, promises.NOTHING_IS_LEFT_OUT)

    def __call__(self, dataset: Dataset) -> Split:
        """Split a data set; see `Splitter.__call__`."""
        split = super().__call__(dataset)
        valid, test = (np.unique(dataset.items[split.labels == label]) for label in (VALID, TEST))
        return replace(split, valid_candidates=valid, test_candidates=test)

    def labels(self, dataset: Dataset) -> np.ndarray:
        """See `Splitter.labels`."""
        _check_shares(self, valid=self.valid, test=self.test)
        valid, test = _drawn(np.flatnonzero(dataset.item_counts), (self.valid, self.test), self.seed)
        label_of_item = np.full(dataset.n_items, TRAIN, np.uint8)
        label_of_item[valid] = VALID
        label_of_item[test] = TEST
        return label_of_item[dataset.items]


@dataclass(frozen=True)
class ColdUsers(Splitter):
    """Users whom the model never trained on: their first ratings are history, the rest is to be found.

    First in time; where the source has no times, at random. Drawn among users with at least 2 ratings.

    Args:
        valid: share of the users for validation.
        test: share of the users for the test.
        known: share of such a user's ratings that is history; at least one is, and at least one is not.
        seed: of the draws.
    """

    valid: float = 0.1
    test: float = 0.1
    known: float = 0.8
    seed: int = 0
    name: ClassVar[str] = "cold_users"
    promises: ClassVar[tuple[Promise, ...]] = (promises.USERS_ARE_UNLEARNED, promises.IN_ORDER_BY_USER)

    def labels(self, dataset: Dataset) -> np.ndarray:
        """See `Splitter.labels`."""
        _check_shares(self, valid=self.valid, test=self.test)
        _check_shares(self, known=self.known)
        counts = dataset.user_counts
        valid, test = _drawn(np.flatnonzero(counts >= 2), (self.valid, self.test), self.seed)
        sizes = {label: np.zeros_like(counts) for label in (VALID_KNOWN, VALID, TEST_KNOWN, TEST)}
        for users, history, to_find in ((valid, VALID_KNOWN, VALID), (test, TEST_KNOWN, TEST)):
            sizes[history][users] = np.clip(_share(counts[users], self.known), 1, counts[users] - 1)
            sizes[to_find][users] = counts[users] - sizes[history][users]
        return _known_first(dataset, sizes, self.seed)


@dataclass(frozen=True)
class NewUsers(Splitter):
    """Users whom the model never trained on, known by a handful of ratings: one step of a learning curve.

    Their first `n_known` ratings are history; all but the first `found_after` are to be found. What lies between is
    withheld, and not ranked either, so that the same films of the same users are looked for among the same others
    whatever `n_known` is. The refit learns from what was known and found of validation users. First in time; where the
    source has no times, at random. Drawn among users with more than `found_after` ratings.

    Args:
        valid: share of these users for validation.
        test: share of these users for the test.
        n_known: how many of such a user's ratings are history, from 1 to `found_after`.
        found_after: how many of such a user's ratings come before those that are to be found.
        seed: of the draws.
    """

    valid: float = 0.1
    test: float = 0.1
    n_known: int = 5
    found_after: int = 10
    seed: int = 0
    name: ClassVar[str] = "new_users"
    promises: ClassVar[tuple[Promise, ...]] = (
        promises.USERS_ARE_UNLEARNED,
        promises.AS_MUCH_IS_KNOWN,
        promises.IN_ORDER_BY_USER,
    )

    def labels(self, dataset: Dataset) -> np.ndarray:
        """See `Splitter.labels`."""
        _check_shares(self, valid=self.valid, test=self.test)
        if not 1 <= self.n_known <= self.found_after:
            raise UserError(
                f"new_users needs n_known from 1 to found_after={self.found_after}, and not {self.n_known}: "
                "choose it so, or raise found_after."
            )
        counts = dataset.user_counts
        valid, test = _drawn(np.flatnonzero(counts > self.found_after), (self.valid, self.test), self.seed)
        sizes = {label: np.zeros_like(counts) for label in (VALID_KNOWN, TEST_KNOWN, WITHHELD, VALID, TEST)}
        for users, history, to_find in ((valid, VALID_KNOWN, VALID), (test, TEST_KNOWN, TEST)):
            sizes[history][users] = self.n_known
            sizes[WITHHELD][users] = self.found_after - self.n_known
            sizes[to_find][users] = counts[users] - self.found_after
        return _known_first(dataset, sizes, self.seed)


@dataclass(frozen=True)
class Given(Splitter):
    """The source's own parts: `train`, `test` and perhaps `valid`.

    Without `valid` one training rating of each user who has at least 2 is validation: the last where the source has
    times, else a random one.

    Args:
        seed: of that draw.
    """

    seed: int = 0
    name: ClassVar[str] = "given"
    promises: ClassVar[tuple[Promise, ...]] = (promises.TEST_IS_THE_SOURCES,)

    def labels(self, dataset: Dataset) -> np.ndarray:
        """See `Splitter.labels`."""
        label_of_name = {"train": TRAIN, "valid": VALID, "test": TEST}
        names = dataset.part_names
        if dataset.parts is None or not {"train", "test"} <= set(names) <= set(label_of_name):
            raise UserError(
                f"split=given needs a source with parts named train, test and perhaps valid, and {dataset.name} has "
                f"{', '.join(names) or 'none'}: choose another split."
            )
        if n_loose := int((dataset.parts < 0).sum()):
            raise UserError(f"{n_loose} ratings of {dataset.name} belong to no part: name one for each, or drop them.")
        labels = np.array([label_of_name[name] for name in names], np.uint8)[dataset.parts]
        if "valid" not in names:
            positions = np.flatnonzero(labels == TRAIN)
            train = dataset.select(positions)
            if train.times is None:
                positions = positions[_shuffled_within_users(train, self.seed)]
            labels[positions[train.indptr[1:][train.user_counts >= 2] - 1]] = VALID
        return labels


def _need_times(dataset: Dataset, name: str) -> np.ndarray:
    if dataset.times is None:
        raise UserError(
            f"{name} needs the times of ratings, and {dataset.name} has none: choose leave_one_out, ratio, folds, "
            "cold_items, cold_users or new_users."
        )
    return dataset.times


def _last_two_held_out(dataset: Dataset, splitter: LeaveLastOut | LeaveOneOut) -> np.ndarray:
    counts = dataset.user_counts
    held_out = (counts >= splitter.train_only_below) & (counts > 0)
    short = np.flatnonzero(held_out & (counts < 3))
    if len(short):
        example = dataset.user_frame["user_id"].iloc[short[0]]
        raise UserError(
            f"{splitter.name} needs 3 ratings of each user, and {len(short)} of {dataset.name} have fewer "
            f"(user {example} has {counts[short[0]]}): drop such users with data.cleaning.user_core=3, "
            "or train on them only with split.train_only_below=3."
        )
    held_out = held_out.astype(np.int64)
    return _in_turn({TRAIN: counts - 2 * held_out, VALID: held_out, TEST: held_out})


def _cut(times: np.ndarray, at: float | str) -> int:
    """The first time (seconds UTC) that lies behind a cut."""
    if isinstance(at, str):
        try:
            moment = datetime.fromisoformat(at)
        except ValueError:
            raise UserError(f"{at!r} is no ISO date, like 1998-03-01, nor a quantile, like 0.8.") from None
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    if not 0 < at < 1:
        raise UserError(f"A cut in time is an ISO date, like 1998-03-01, or a quantile between 0 and 1, and not {at}.")
    nth = int(_share(len(times), at))
    return int(np.partition(times, nth)[nth])


def _check_shares(splitter: Splitter, **shares: float) -> None:
    if not (all(0 < share < 1 for share in shares.values()) and sum(shares.values()) < 1):
        told = ", ".join(f"{name}={share}" for name, share in shares.items())
        raise UserError(f"{splitter.name} needs shares above 0 that sum to less than 1, and not {told}.")


def _share(counts: np.ndarray | int, share: float) -> np.ndarray:
    """int64, shape of `counts`: that share of each count, rounded down."""
    return np.floor(np.multiply(counts, share) + _SHARE_ROUNDING).astype(np.int64)


def _drawn(codes: np.ndarray, shares: tuple[float, ...], seed: int) -> list[np.ndarray]:
    """Disjoint random shares of some codes."""
    ends = np.cumsum([int(_share(len(codes), share)) for share in shares])
    return np.split(np.random.default_rng(seed).permutation(codes), ends)[:-1]


def _in_turn(sizes: dict[int, np.ndarray]) -> np.ndarray:
    """uint8 (n,): each user's first `sizes[label][user]` ratings get the first label, the next the second, ..."""
    n_users = len(next(iter(sizes.values())))
    return np.repeat(np.tile(np.array(list(sizes), np.uint8), n_users), np.stack(list(sizes.values()), axis=1).ravel())


def _scatter(labels: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Labels of the ratings at some positions -> labels in the data set's order."""
    scattered = np.empty_like(labels)
    scattered[positions] = labels
    return scattered


def _known_first(dataset: Dataset, sizes: dict[int, np.ndarray], seed: int) -> np.ndarray:
    """Labels of new users' ratings in turn, oldest first, or at random without times; all other ratings train."""
    labels = _in_turn({TRAIN: dataset.user_counts - sum(sizes.values()), **sizes})
    return labels if dataset.times is not None else _scatter(labels, _shuffled_within_users(dataset, seed))


def _by_codes(dataset: Dataset) -> np.ndarray:
    """int64 (n,): positions of the ratings, user by user, each user's by film code: an order that all sources share."""
    return np.argsort(dataset.pairs)


def _shuffled_within_users(dataset: Dataset, seed: int) -> np.ndarray:
    """int64 (n,): positions of the ratings, user by user, each user's in random order."""
    keys = np.random.default_rng(seed).integers(2**32, size=len(dataset))
    keys += dataset.users.astype(np.int64) << 32  # `users` ascends, so it is the same by position and by code
    return _by_codes(dataset)[np.argsort(keys, kind="stable")]
