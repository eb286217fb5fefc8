"""Splitters, which split a data set into training, validation and test ratings in different ways.

Each splitter is deterministic given its seed. This seed is separate from the seeds of models, and 0 by default, so that
runs with different model seeds share one split. Random splits draw from ratings sorted by user and item code, so they
do not depend on the order of the source's rows. Among ratings with equal times, the source's last row is the latest
(`Dataset` preserves that order), unless `TimeSplitter.ties` is `shuffled`.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import Any, ClassVar

import numpy as np

from recsys.counted import counted
from recsys.data import invariants
from recsys.data.dataset import Dataset
from recsys.data.split import TEST, TEST_KNOWN, TRAIN, VALID, VALID_KNOWN, WITHHELD, Invariant, Split
from recsys.data.targets import AFTER_A_CUT, OF_COLD_ITEMS
from recsys.data.ties import shuffle_ties
from recsys.errors import UserError, check_positive, check_seed, one_of

LATER = {"later": True}
_SHARE_ROUNDING = 1e-9  # 0.29 of 100 ratings is 29, though 0.29 * 100 < 29 in floating point


@dataclass(frozen=True)
class Splitter(ABC):
    """Base class of splitters, which assign each rating to training, validation or the test, or to none of them.

    Subclasses are frozen dataclasses with JSON-able fields.
    """

    name: ClassVar[str]
    invariants: ClassVar[tuple[Invariant, ...]]

    def __call__(self, dataset: Dataset) -> Split:
        """Split a data set.

        Raises:
            UserError: a setting is not valid, the data cannot be split in this way, or no ratings would be left for
                training, validation or the test.
        """
        check_seed(**{name: value for name, value in asdict(self).items() if name in ("seed", "ties_seed")})
        labels = self.labels(dataset)
        counts = dataset.total(np.bincount(labels, minlength=WITHHELD + 1))
        for label, purpose in ((TRAIN, "train on"), (VALID, "validate on"), (TEST, "test on")):
            if not counts[label]:
                raise UserError(
                    f"The split {self} leaves no rating of {dataset.name} to {purpose}: choose other settings or data."
                )
        guaranteed = (invariants.PAIRS_ARE_DISJOINT, *self.invariants)
        return Split(dataset, self.name, self._fingerprint(dataset, labels), labels, guaranteed)

    @property
    def is_by_user(self) -> bool:
        """Return whether the labels of each user's ratings depend only on this user's ratings."""
        return False

    @abstractmethod
    def labels(self, dataset: Dataset) -> np.ndarray:
        """Return the label of each rating of a data set, uint8 (n,); `recsys.data.split` defines the labels."""

    def _fingerprint(self, dataset: Dataset, labels: np.ndarray) -> str:
        described = json.dumps([dataset.fingerprint, self.name, self._settings()], sort_keys=True)
        of_all = labels if dataset.shard is None else dataset.shard.joined(labels)
        digest = hashlib.sha256(described.encode() + of_all.tobytes()).hexdigest()[:16]
        return digest if dataset.shard is None else dataset.shard.of_each(digest)[0]  # the first has the labels of all

    def _settings(self) -> dict[str, Any]:
        """Return the settings that are part of the split's fingerprint."""
        later = {own.name: own.default for own in fields(self) if own.metadata == LATER}
        return {name: value for name, value in asdict(self).items() if name not in later or value != later[name]}


def later_setting(default: Any) -> Any:
    """Return a dataclass field with a default; its value is part of the fingerprint only if it is not the default.

    Settings that are added to a splitter later must be declared in this way, so that the fingerprints of published
    splits do not change.
    """
    return field(default=default, metadata=LATER)


@dataclass(frozen=True, kw_only=True)
class TimeSplitter(Splitter):
    """Base class of splitters that depend on the order in time of a user's ratings.

    Args:
        ties: order of a user's ratings with equal times: `last_row` (the source's last row is the latest) or `shuffled`
            (a random order, also in the histories that models read).
        ties_seed: seed of the random order if `ties` is `shuffled`.
    """

    ties: str = later_setting("last_row")
    ties_seed: int = later_setting(0)

    def __call__(self, dataset: Dataset) -> Split:
        """Split a data set, in which ratings with equal times are ordered as `ties` says; see `Splitter.__call__`."""
        one_of("ties", self.ties, ("last_row", "shuffled"))
        return super().__call__(dataset if self.ties == "last_row" else shuffle_ties(dataset, self.ties_seed))


@dataclass(frozen=True)
class LeaveLastOut(TimeSplitter):
    """Holds out each user's last rating for the test and the second-to-last rating for validation.

    Args:
        train_only_below: users with fewer ratings than this are used only for training. All other users must have at
            least 3 ratings, otherwise a `UserError` is raised.
    """

    train_only_below: int = 0
    name: ClassVar[str] = "leave_last_out"
    invariants: ClassVar[tuple[Invariant, ...]] = (invariants.ONE_IS_HELD_OUT, invariants.HISTORIES_ARE_OLDER)

    @property
    def is_by_user(self) -> bool:
        """See `Splitter.is_by_user`; False if ties are shuffled, because one random draw then covers all users."""
        return self.ties == "last_row"

    def labels(self, dataset: Dataset) -> np.ndarray:
        """Return labels, uint8 (n,): each user's last rating is TEST, and the second-to-last VALID.

        Raises:
            UserError: the data have no times, or a user has too few ratings.
        """
        _require_times(dataset, self.name)
        return _hold_out_last_two(dataset, self)


@dataclass(frozen=True)
class LeaveOneOut(Splitter):
    """Holds out a random rating of each user for the test and another one for validation; for sources without times.

    Args:
        train_only_below: users with fewer ratings than this are used only for training. All other users must have at
            least 3 ratings, otherwise a `UserError` is raised.
        seed: seed of the draw.
    """

    train_only_below: int = 0
    seed: int = 0
    name: ClassVar[str] = "leave_one_out"
    invariants: ClassVar[tuple[Invariant, ...]] = (invariants.ONE_IS_HELD_OUT,)

    def labels(self, dataset: Dataset) -> np.ndarray:
        """Return labels, uint8 (n,): a random rating of each user is TEST, and another VALID.

        Raises:
            UserError: a user has too few ratings.
        """
        return _scatter(_hold_out_last_two(dataset, self), _shuffled_within_users(dataset, self.seed))


@dataclass(frozen=True)
class GlobalTime(TimeSplitter):
    """Splits all users' ratings at the same two points in time, the start of validation and the start of the test.

    Ratings with equal times are never separated. Users and items that first appear after a split point are not removed,
    because how a model handles them is part of what is measured. Unless `target` is `all`, metrics are reported also
    without these users and items (`ndcg@10/warm`), as in published figures.

    Args:
        valid_from: start of validation, given as a quantile of the times of all ratings or as an ISO date (in UTC
            unless it has an offset).
        test_from: start of the test, in the same form.
        target: which of a user's ratings after a split point are predicted, and from which history. `all`: all of them
            together, from the user's ratings before the split point. `first`: only the first, from the same history.
            `last`: only the last, from all of the user's earlier ratings. `successive`: each in turn, from all of the
            user's earlier ratings. In all cases, the model is trained only on ratings before the split point.
    """

    valid_from: float | str = 0.8
    test_from: float | str = 0.9
    target: str = later_setting("all")
    name: ClassVar[str] = "global_time"
    invariants: ClassVar[tuple[Invariant, ...]] = (invariants.STAGES_ARE_IN_ORDER,)

    @property
    def is_by_user(self) -> bool:
        """See `Splitter.is_by_user`; False if ties are shuffled or a split point is a quantile of all times."""
        return self.ties == "last_row" and isinstance(self.valid_from, str) and isinstance(self.test_from, str)

    def __call__(self, dataset: Dataset) -> Split:
        """Split a data set; `target` determines which held-out ratings are predicted. See `Splitter.__call__`."""
        one_of("target", self.target, AFTER_A_CUT)
        return replace(super().__call__(dataset), targets=AFTER_A_CUT[self.target])

    def labels(self, dataset: Dataset) -> np.ndarray:
        """Return labels, uint8 (n,): TRAIN before `valid_from`, then VALID before `test_from`, then TEST.

        Raises:
            UserError: the data have no times, or the settings are not two points in time in ascending order.
        """
        times = _require_times(dataset, self.name)
        valid_from = _cut(times, "valid_from", self.valid_from)
        test_from = _cut(times, "test_from", self.test_from)
        if not valid_from < test_from:
            raise UserError(
                f"valid_from must be earlier than test_from (got {self.valid_from} and {self.test_from}, which are "
                f"{valid_from} and {test_from} seconds in {dataset.name})."
            )
        labels = np.full(len(dataset), TRAIN, np.uint8)
        labels[times >= valid_from] = VALID
        labels[times >= test_from] = TEST
        return labels


@dataclass(frozen=True)
class Ratio(Splitter):
    """Holds out random shares of each user's ratings.

    Numbers of held-out ratings are rounded down, so every user has training ratings.

    Args:
        valid: share of a user's ratings for validation.
        test: share of a user's ratings for the test.
        seed: seed of the draw.
    """

    valid: float = 0.1
    test: float = 0.2
    seed: int = 0
    name: ClassVar[str] = "ratio"
    invariants: ClassVar[tuple[Invariant, ...]] = (invariants.USERS_ARE_TRAINED_ON, invariants.ALL_RATINGS_ARE_USED)

    def labels(self, dataset: Dataset) -> np.ndarray:
        """Return labels, uint8 (n,): random ratings of each user are VALID or TEST.

        Raises:
            UserError: a share is not above 0, or the shares do not sum to less than 1.
        """
        _check_shares(valid=self.valid, test=self.test)
        counts = dataset.user_counts
        n_valid, n_test = _share(counts, self.valid), _share(counts, self.test)
        labels = _in_turn({TRAIN: counts - n_valid - n_test, VALID: n_valid, TEST: n_test})
        return _scatter(labels, _shuffled_within_users(dataset, self.seed))


@dataclass(frozen=True)
class Folds(Splitter):
    """Cross-validation: holds out one fold of ratings for the test, and a random share of the rest for validation.

    The folds are the source's own if it has folds (such as u1 to u5 of MovieLens-100K). Otherwise they are random, with
    sizes that differ by at most one rating.

    Args:
        fold: number of the fold to use for the test, counted from 1.
        n_folds: number of random folds; ignored if the source has folds.
        valid: share of the ratings in the other folds that is used for validation.
        seed: seed of the random draws; for a given seed, the random folds are the same whichever `fold` is used.
    """

    fold: int = 1
    n_folds: int = 5
    valid: float = 0.1
    seed: int = 0
    name: ClassVar[str] = "folds"
    invariants: ClassVar[tuple[Invariant, ...]] = (invariants.ALL_RATINGS_ARE_USED,)

    def labels(self, dataset: Dataset) -> np.ndarray:
        """Return labels, uint8 (n,): TEST for the ratings of the test fold, VALID for a random share of the rest.

        Raises:
            UserError: there is no fold with the number `fold`, or another setting is not valid.
        """
        _check_shares(valid=self.valid)
        check_positive(n_folds=self.n_folds)
        canonical = _by_codes(dataset)
        rng = np.random.default_rng(self.seed)
        if dataset.parts is not None and len(dataset.part_names) > 1 and "test" not in dataset.part_names:
            folds, n_folds = dataset.parts[canonical], len(dataset.part_names)
        else:
            folds, n_folds = rng.permutation(len(dataset)) % self.n_folds, self.n_folds
        if not 1 <= self.fold <= n_folds:
            raise UserError(f"fold must be from 1 to {n_folds} for {dataset.name} (got {self.fold}).")
        in_test = folds == self.fold - 1
        labels = np.where(in_test, TEST, TRAIN).astype(np.uint8)
        others = np.flatnonzero(~in_test)
        labels[rng.choice(others, int(_share(len(others), self.valid)), replace=False)] = VALID
        return _scatter(labels, canonical)


@dataclass(frozen=True)
class ColdItems(Splitter):
    """Holds out all ratings of some items for validation and of others for the test, so models are not trained on them.

    At validation, only the items held out for validation are ranked; at the test, only those held out for the test.

    Args:
        valid: share of the items with ratings that is held out for validation; the number of items is rounded down.
        test: share of the items with ratings that is held out for the test; the number of items is rounded down.
        seed: seed of the draw.
        target: which of a user's held-out ratings are predicted, and from which history. `all`: all of them together,
            from all of the user's known ratings. `last`: only the last, from the known ratings that are earlier.
            `successive`: each separately, also from the known ratings that are earlier. Use `last` or
            `successive` for models that read the order of a history.
    """

    valid: float = 0.1
    test: float = 0.1
    seed: int = 0
    target: str = later_setting("all")
    name: ClassVar[str] = "cold_items"
    invariants: ClassVar[tuple[Invariant, ...]] = (invariants.ITEMS_ARE_COLD, invariants.ALL_RATINGS_ARE_USED)

    def __call__(self, dataset: Dataset) -> Split:
        """Split a data set, with the held-out items as candidates; `target` determines which ratings are predicted.

        Raises:
            UserError: as in `Splitter.__call__`, or the data have no times although `target` is not `all`.
        """
        one_of("target", self.target, OF_COLD_ITEMS)
        if self.target != "all":
            _require_times(dataset, f"{self.name} split.target={self.target}")
        split = super().__call__(dataset)
        valid, test = (np.unique(dataset.items[split.labels == label]) for label in (VALID, TEST))
        split = replace(split, valid_candidates=valid, test_candidates=test, targets=OF_COLD_ITEMS[self.target])
        if self.target != "last":
            return split
        return replace(split, invariants=tuple(i for i in split.invariants if i is not invariants.ALL_RATINGS_ARE_USED))

    def labels(self, dataset: Dataset) -> np.ndarray:
        """Return labels, uint8 (n,): VALID or TEST for all ratings of the items drawn for validation or the test.

        Raises:
            UserError: a share is not above 0, or the shares do not sum to less than 1.
        """
        _check_shares(valid=self.valid, test=self.test)
        valid, test = _draw(np.flatnonzero(dataset.item_counts), (self.valid, self.test), self.seed)
        label_of_item = np.full(dataset.n_items, TRAIN, np.uint8)
        label_of_item[valid] = VALID
        label_of_item[test] = TEST
        return label_of_item[dataset.items]


@dataclass(frozen=True)
class ColdUsers(TimeSplitter):
    """Holds out whole users: their first ratings serve only as their history, and the rest are to be predicted.

    The first ratings are the oldest or, if the source has no times, random ones. The users are drawn from those with at
    least 2 ratings.

    Args:
        valid: share of the users with at least 2 ratings that is drawn for validation.
        test: share of these users that is drawn for the test.
        known: share of a held-out user's ratings that forms the history; the number is rounded down, but at least one
            rating is in the history and at least one is held out.
        seed: seed of the draws.
    """

    valid: float = 0.1
    test: float = 0.1
    known: float = 0.8
    seed: int = 0
    name: ClassVar[str] = "cold_users"
    invariants: ClassVar[tuple[Invariant, ...]] = (invariants.USERS_ARE_COLD, invariants.HISTORIES_ARE_OLDER)

    def labels(self, dataset: Dataset) -> np.ndarray:
        """Return labels, uint8 (n,): the ratings of held-out users are VALID_KNOWN and VALID, or TEST_KNOWN and TEST.

        Raises:
            UserError: a share is not valid.
        """
        _check_shares(valid=self.valid, test=self.test)
        _check_shares(known=self.known)
        counts = dataset.user_counts
        valid, test = _draw(np.flatnonzero(counts >= 2), (self.valid, self.test), self.seed)
        sizes = {label: np.zeros_like(counts) for label in (VALID_KNOWN, VALID, TEST_KNOWN, TEST)}
        for users, history, held_out in ((valid, VALID_KNOWN, VALID), (test, TEST_KNOWN, TEST)):
            sizes[history][users] = np.clip(_share(counts[users], self.known), 1, counts[users] - 1)
            sizes[held_out][users] = counts[users] - sizes[history][users]
        return _history_first(dataset, sizes, self.seed)


@dataclass(frozen=True)
class NewUsers(TimeSplitter):
    """Holds out whole users, and gives them short histories of chosen lengths, for instance for a learning curve.

    A held-out user's first `n_known` ratings are the history, and all ratings after the first `found_after` are held
    out. The ratings in between are withheld, and their items are not ranked; so for every `n_known`, the same held-out
    items are ranked against the same candidates. If `n_known` is several numbers, each applies to an equal share of the
    users. When a model is refitted for the test, it is trained also on the histories and held-out ratings of validation
    users. The first ratings are the oldest or, if the source has no times, random ones. The users are drawn from those
    with more than `found_after` ratings.

    Args:
        valid: share of the users with more than `found_after` ratings that is drawn for validation.
        test: share of these users that is drawn for the test.
        n_known: number of ratings in the history of a held-out user, from 0 to `found_after`, or several numbers.
        found_after: number of a held-out user's ratings that precede the held-out ratings.
        seed: seed of the draws.
    """

    valid: float = 0.1
    test: float = 0.1
    n_known: int | Sequence[int] = 5
    found_after: int = 10
    seed: int = 0
    name: ClassVar[str] = "new_users"
    invariants: ClassVar[tuple[Invariant, ...]] = (
        invariants.USERS_ARE_UNTRAINED,
        invariants.EQUALLY_MANY_ARE_UNRANKED,
        invariants.HISTORIES_ARE_OLDER,
    )

    def labels(self, dataset: Dataset) -> np.ndarray:
        """Return labels, uint8 (n,): a held-out user's ratings are labelled as history, as withheld and as held out.

        Raises:
            UserError: a share or `n_known` is not valid.
        """
        _check_shares(valid=self.valid, test=self.test)
        lengths = np.atleast_1d(self.n_known)
        if not (len(lengths) and min(lengths) >= 0 and max(lengths) <= self.found_after):
            raise UserError(f"n_known must be from 0 to found_after={self.found_after} (got {self.n_known}).")
        counts = dataset.user_counts
        valid, test = _draw(np.flatnonzero(counts > self.found_after), (self.valid, self.test), self.seed)
        sizes = {label: np.zeros_like(counts) for label in (VALID_KNOWN, TEST_KNOWN, WITHHELD, VALID, TEST)}
        for users, history, held_out in ((valid, VALID_KNOWN, VALID), (test, TEST_KNOWN, TEST)):
            sizes[history][users] = np.resize(lengths, len(users))
            sizes[WITHHELD][users] = self.found_after - sizes[history][users]
            sizes[held_out][users] = counts[users] - self.found_after
        return _history_first(dataset, sizes, self.seed)


@dataclass(frozen=True)
class Given(TimeSplitter):
    """Uses the source's own partition of the ratings into `train`, `test` and optionally `valid`.

    If there is no part `valid`, one training rating of each user with at least 2 training ratings is used for
    validation instead: the last if the source has times, otherwise a random one.

    Args:
        seed: seed of the random validation ratings.
    """

    seed: int = 0
    name: ClassVar[str] = "given"
    invariants: ClassVar[tuple[Invariant, ...]] = (invariants.TEST_IS_GIVEN,)

    def labels(self, dataset: Dataset) -> np.ndarray:
        """Return labels, uint8 (n,), that follow from the source's parts.

        Raises:
            UserError: the source does not have these parts, or a rating belongs to no part.
        """
        label_of_name = {"train": TRAIN, "valid": VALID, "test": TEST}
        names = dataset.part_names
        if dataset.parts is None or not {"train", "test"} <= set(names) <= set(label_of_name):
            raise UserError(
                f"The parts of {dataset.name} must be named train, test and optionally valid for split=given "
                f"(got {', '.join(names) or 'none'}): choose another split."
            )
        if n_without := int((dataset.parts < 0).sum()):
            raise UserError(
                f"Every rating must belong to a part for split=given (got {counted(n_without, 'rating')} of "
                f"{dataset.name} without one): assign or drop them."
            )
        labels = np.array([label_of_name[name] for name in names], np.uint8)[dataset.parts]
        if "valid" not in names:
            positions = np.flatnonzero(labels == TRAIN)
            train = dataset.select(positions)
            if train.times is None:
                positions = positions[_shuffled_within_users(train, self.seed)]
            labels[positions[train.indptr[1:][train.user_counts >= 2] - 1]] = VALID
        return labels


SPLITTERS: dict[str, type[Splitter]] = {
    cls.name: cls
    for cls in (LeaveLastOut, LeaveOneOut, GlobalTime, Ratio, Folds, ColdItems, ColdUsers, NewUsers, Given)
}


def _require_times(dataset: Dataset, name: str) -> np.ndarray:
    if dataset.times is None:
        raise UserError(
            f"split={name} needs ratings with times, but {dataset.name} has none: choose leave_one_out, ratio, folds, "
            "cold_items, cold_users or new_users."
        )
    return dataset.times


def _hold_out_last_two(dataset: Dataset, splitter: LeaveLastOut | LeaveOneOut) -> np.ndarray:
    counts = dataset.user_counts
    held_out = (counts >= splitter.train_only_below) & (counts > 0)
    short = np.flatnonzero(held_out & (counts < 3))
    if len(short):
        example = dataset.user_frame["user_id"].iloc[short[0]]
        raise UserError(
            f"Every user must have at least 3 ratings for split={splitter.name} (got {counted(len(short), 'user')} of "
            f"{dataset.name} with fewer, such as {example} with {counts[short[0]]}): drop these users with "
            "data.cleaning.user_core=3, or only train on them with split.train_only_below=3."
        )
    held_out = held_out.astype(np.int64)
    return _in_turn({TRAIN: counts - 2 * held_out, VALID: held_out, TEST: held_out})


def _cut(times: np.ndarray, name: str, at: float | str) -> int:
    """Return a split point as a Unix time in seconds; the setting gives it as a quantile or an ISO date.

    Args:
        times: int64 (n,) times of all ratings, Unix times in seconds.
        name: name of the setting, for the message.
        at: value of the setting: the quantile or the ISO date.

    Raises:
        UserError: `at` is neither an ISO date nor a number between 0 and 1.
    """
    refusal = f"{name} must be an ISO date, such as 1998-03-01, or a quantile between 0 and 1 (got {at!r})."
    if isinstance(at, str):
        try:
            moment = datetime.fromisoformat(at)
        except ValueError:
            raise UserError(refusal) from None
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    if not 0 < at < 1:
        raise UserError(refusal)
    nth = int(_share(len(times), at))
    return int(np.partition(times, nth)[nth])


def _check_shares(**shares: float) -> None:
    if not (all(0 < share < 1 for share in shares.values()) and sum(shares.values()) < 1):
        got = ", ".join(f"{name}={share}" for name, share in shares.items())
        raise UserError(f"{' and '.join(shares)} must be above 0 and sum to less than 1 (got {got}).")


def _share(counts: np.ndarray | int, share: float) -> np.ndarray:
    """Return `share * counts`, rounded down, int64 in the shape of `counts`."""
    return np.floor(np.multiply(counts, share) + _SHARE_ROUNDING).astype(np.int64)


def _draw(codes: np.ndarray, shares: tuple[float, ...], seed: int) -> list[np.ndarray]:
    """Return disjoint random samples of the codes, one array per share; their sizes are rounded down."""
    ends = np.cumsum([int(_share(len(codes), share)) for share in shares])
    return np.split(np.random.default_rng(seed).permutation(codes), ends)[:-1]


def _in_turn(sizes: dict[int, np.ndarray]) -> np.ndarray:
    """Return labels, uint8 (n,), where each user's first ratings get the first label, the next the second, and so on.

    Args:
        sizes: label -> number of each user's ratings that get this label, int64 (n_users,); labels are in the order of
            assignment. For each user, the numbers add up to the number of the user's ratings.
    """
    n_users = len(next(iter(sizes.values())))
    return np.repeat(np.tile(np.array(list(sizes), np.uint8), n_users), np.stack(list(sizes.values()), axis=1).ravel())


def _scatter(labels: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Return labels in the order of the data set, where `labels[i]` is the label of the rating at `positions[i]`."""
    scattered = np.empty_like(labels)
    scattered[positions] = labels
    return scattered


def _history_first(dataset: Dataset, sizes: dict[int, np.ndarray], seed: int) -> np.ndarray:
    """Return labels, uint8 (n,): a new user's ratings get the labels in `sizes`, and all other ratings are TRAIN.

    The oldest ratings of a new user get the first label, the next ones the second, and so on. If the data have no
    times, the ratings are in random order.

    Args:
        dataset: the data set.
        sizes: label -> number of each user's ratings that get this label, int64 (n_users,); labels are in the order of
            assignment; 0 for users who are not new.
        seed: seed of the random order.
    """
    labels = _in_turn({TRAIN: dataset.user_counts - sum(sizes.values()), **sizes})
    return labels if dataset.times is not None else _scatter(labels, _shuffled_within_users(dataset, seed))


def _by_codes(dataset: Dataset) -> np.ndarray:
    """Return the positions of the ratings, int64 (n,), sorted by user code, then item code."""
    return np.argsort(dataset.pairs)


def _shuffled_within_users(dataset: Dataset, seed: int) -> np.ndarray:
    """Return the positions of the ratings, int64 (n,), sorted by user, and in random order within each user."""
    keys = np.random.default_rng(seed).integers(2**32, size=len(dataset))
    keys += dataset.users.astype(np.int64) << 32  # `users` ascends, so it is the same by position and by code
    return _by_codes(dataset)[np.argsort(keys, kind="stable")]
