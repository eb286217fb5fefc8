"""Runs that continue from the weights of an earlier one, on a small file that grows."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

import train
from recsys.config import compose
from recsys.config.splits import Splits
from recsys.errors import UserError
from recsys.studies.runs import Run, read_run

SMALL = ("model=mf", "model.embedding_dim=4", "model.max_epochs=2", "model.batch_size=8")
RATIO = ("split=ratio", "split.valid=0.3")  # drawn anew for every seed


@pytest.fixture(scope="module")
def ratings() -> pd.DataFrame:
    """30 users who rated 5 to 15 of 25 films."""
    rng = np.random.default_rng(0)
    rows = [
        (f"u{user}", item, rng.integers(1, 6), 10**9 + rng.integers(10**6))
        for user in range(30)
        for item in rng.choice(25, rng.integers(5, 16), replace=False)
    ]
    return pd.DataFrame(rows, columns=["user_id", "movie_id", "rating", "time"])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Train MF on ratings, kept in a directory of a name."""
    cache = tmp_path_factory.mktemp("cache")

    def run(name: str, ratings: pd.DataFrame, *overrides: str, model: Sequence[str] = SMALL) -> Run:
        folder = tmp_path_factory.mktemp("warm")
        ratings.to_csv(folder / f"{name}.csv", index=False)
        places = [f"data.path={folder}/{name}.csv", f"cache_dir={cache}", f"run_dir={folder}/{name}"]
        train.train(compose("train", ["data=files", *places, "logger=none", "ks=[5,10]", *model, *overrides]))
        return read_run(folder / name)

    return run


@pytest.fixture(scope="module")
def first(run, ratings) -> Run:
    """The run that others continue from."""
    return run("first", ratings)


@pytest.fixture
def grown(ratings: pd.DataFrame) -> pd.DataFrame:
    """The same, then two users go on to rate, and somebody is new whose id lies before all others'."""
    rated = {user: set(films) for user, films in ratings.groupby("user_id")["movie_id"]}
    rows = [
        (user, film, 4, 10**9 + 2 * 10**6 + film)
        for user in ("u3", "u7", "anna")
        for film in sorted(set(range(25)) - rated.get(user, set()))[:4]
    ]
    return pd.concat([ratings, pd.DataFrame(rows, columns=ratings.columns)])


def test_nothing_is_measured_that_earlier_weights_have_learned_from(run, first, grown):
    second = run("second", grown, f"warm_from={first.directory}", "model.max_epochs=1")
    splits = Splits()
    before, after = (splits.of(one.config) for one in (first, second))
    assert not first.has_learned(before, after.test.ratings).any()
    assert set(after.for_warm_start(first.has_learned(before, after.dataset)).valid.ratings.users) == set(
        np.flatnonzero(after.dataset.user_frame["user_id"].isin(["u3", "u7", "anna"]))
    )
    assert second.manifest["split"]["fingerprint"] == after.fingerprint
    assert len(second.per_user) == 31


def test_learned_ratings_are_known_over_several_warm_starts(run, ratings):
    first = run("first", ratings, *RATIO)
    second = run("second", ratings, *RATIO, "split.seed=1", f"warm_from={first.directory}")
    third = run("third", ratings, *RATIO, "split.seed=2", f"warm_from={second.directory}")
    splits = Splits()
    last = splits.of(third.config)
    learned = [one.has_learned(splits.of(one.config), last.dataset) for one in (first, second, third)]
    assert (learned[0] <= learned[1]).all()
    assert (learned[1] <= learned[2]).all()
    tested = last.for_warm_start(learned[1]).test
    assert len(third.per_user) == len(tested.users) <= 30
    assert len(tested.ratings) < len(last.test.ratings)


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (["model=ease"], "EASE is fitted in one step"),
        (["model=gmf"], "GMF must continue from a run of the same model"),
        ([*SMALL, "model.lr=0.1"], r"the settings of the earlier run, lr .* \(got 0.1\): only "),
        (SMALL, "no rating to validate on"),
    ],
)
def test_a_run_that_cannot_be_continued_is_an_error_of_one_sentence(run, first, ratings, model, told):
    with pytest.raises(UserError, match=told):
        run("second", ratings, f"warm_from={first.directory}", model=model)


def test_other_films_are_refused(run, first, ratings):
    with pytest.raises(UserError, match="got 24 items, the model has 25"):
        run("second", ratings[ratings["movie_id"] != 3], f"warm_from={first.directory}")
