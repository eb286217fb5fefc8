"""Refits of a tiny run with feedback from a store, and what is served after them."""

import fcntl
import json
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf

import train
from recsys.config import compose
from recsys.config.splits import Splits
from recsys.data.address import Address
from recsys.errors import UserError
from recsys.studies.runs import Run, read_run
from recsys.web import refit as module
from recsys.web import serving
from recsys.web.events import Event, Kind
from recsys.web.promotion import USERS, VIEWERS, Promotion
from recsys.web.refit import KEPT, SNAPSHOT, Refits
from recsys.web.store import Store

ROOT = Path(__file__).parents[2]
NOW = 1_500_000_000


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> list[str]:
    """Overrides for 30 users who rated 6 to 11 of the 24 films that are of their parity or, rarely, not."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    rows = [
        (user, film, rng.integers(3, 6), 10**9 + rng.integers(10**6))
        for user in range(30)
        for film in rng.permutation([*range(user % 2, 24, 2), 5, 6])[: rng.integers(6, 12)]
    ]
    ratings = pd.DataFrame(rows, columns=["user_id", "movie_id", "rating", "time"])
    ratings.drop_duplicates(["user_id", "movie_id"]).to_csv(folder / "ratings.csv", index=False)
    return ["data=files", f"data.path={folder}/ratings.csv", "data.scale=[1,5]", "ks=[5,10]", "logger=none"]


@pytest.fixture(scope="module")
def make_run(data, tmp_path_factory) -> Callable[..., Path]:
    """Train on these."""

    def make_run(*overrides: str) -> Path:
        folder = tmp_path_factory.mktemp("run")
        train.train(compose("train", [*data, f"cache_dir={folder}/cache", f"run_dir={folder}/run", *overrides]))
        return folder / "run"

    return make_run


@pytest.fixture(scope="module")
def trained_ease(make_run) -> Path:
    return make_run("model=ease", "model.l2=5")


@pytest.fixture
def ease(trained_ease, tmp_path) -> Path:
    return shutil.copytree(trained_ease, tmp_path / "run")


@pytest.fixture
def store(tmp_path) -> Iterator[Store]:
    store = Store.open(Address.parse(f"{tmp_path}/feedback.sqlite"))
    yield store
    store.close()


@pytest.fixture
def rates(store) -> Callable[..., None]:
    """Somebody rates some films."""
    keys = count()

    def rates(user: str, *films: int | str, stars: float = 5.0, at: int = NOW) -> None:
        store.add([Event(f"k{(n := next(keys))}", user, Kind.RATING, at + n, str(film), stars) for film in films])

    return rates


@pytest.fixture
def refits(store) -> Callable[..., Refits]:
    """Refits that train in this process."""

    def train_here(config, directory: Path) -> None:
        train.train(OmegaConf.create(config))

    return lambda run, **chosen: Refits(run, store, lambda config: Splits().of(config), train_here, **chosen)


def compared(promotion: Promotion) -> dict[tuple[str, str], int]:
    """How many users, by earlier run and group."""
    return {(each.earlier, each.who): each.users for each in promotion.comparisons}


def data_of(run: Run) -> pd.DataFrame:
    """The ratings that a run was made of, by raw ids."""
    dataset = Splits().of(run.config).dataset
    ids = dataset.user_frame["user_id"].astype(str).to_numpy(), dataset.item_frame["movie_id"].astype(str).to_numpy()
    return pd.DataFrame(
        {"user_id": ids[0][dataset.users], "movie_id": ids[1][dataset.items], "rating": dataset.ratings}
    )


def test_a_refit_learns_from_what_viewers_said_and_takes_the_place_of_the_run(ease, refits, rates):
    rates("web-1", 0, 2, 4, 6)
    rates("3", 8, stars=1.0)
    rates("web-2", 1)
    promotion = refits(ease).refit()
    assert promotion.promoted
    assert compared(promotion) == {(str(ease), USERS): 30}  # the one viewer with more than one rating is not compared
    assert serving.current(ease) == Path(promotion.refit) != ease
    refit = read_run(serving.current(ease))
    said = data_of(refit).merge(pd.read_csv(refit.directory / SNAPSHOT, dtype={"user_id": str, "movie_id": str}))
    assert len(said) == 6
    assert (said["user_id"] == "3").sum() == 1
    assert refit.config["model"] == read_run(ease).config["model"]
    assert json.loads((refit.directory / "promotion.json").read_text())["promoted"]


def test_later_feedback_replaces_the_earlier_and_leaves_earlier_refits_as_they_were(ease, refits, rates):
    rates("web-1", 0, 2, 4, 6)
    first = Path(refits(ease).refit().refit)
    rates("abe", 1, 3, 5, 7)  # before web-1, so that codes of viewers change
    rates("web-1", 0, stars=2.0)
    second = refits(ease).refit()
    assert second.served == str(first)
    assert list(read_run(Path(second.refit)).config["data"]["sources"]) == ["files", "feedback"]
    assert len(data_of(read_run(Path(second.refit)))) == len(data_of(read_run(first))) + 4
    read_run(first).check_split(Splits().of(read_run(first).config))
    assert [path.name for path in serving.promoted(ease)] == [first.name, Path(second.refit).name]


def test_a_warm_refit_continues_and_is_compared_on_what_no_weights_have_learned(make_run, refits, rates):
    run = make_run("model=mf", "model.embedding_dim=4", "model.max_epochs=2", "model.batch_size=8")
    rates("web-1", 0, 2, 4, 6)
    promotion = refits(run, warm=True, margin=0.9).refit()
    refit = read_run(Path(promotion.refit))
    assert refit.config["warm_from"] == str(run)
    assert (refit.directory / "learned_before.npz").is_file()
    assert compared(promotion) == {(str(run), USERS): 30}


def test_without_new_ratings_nothing_is_trained(ease, refits, rates):
    rates("web-1", 0, 2, 4, 6)
    assert refits(ease).refit() is not None
    assert refits(ease).refit() is None
    rates("web-1", 8)
    assert refits(ease).refit() is not None


def test_a_refit_that_may_be_worse_is_kept_and_not_served(ease, refits, rates, monkeypatch):
    rng = np.random.default_rng(0)
    rates("web-1", 0, 2, 4, 6)
    monkeypatch.setattr(Run, "model", spoiled(Run.model, rng))
    promotion = refits(ease).refit()
    (comparison,) = promotion.comparisons
    assert comparison.after < comparison.before
    assert not promotion.promoted
    assert serving.current(ease) == ease
    figures, viewers, verdict = promotion.sentences()
    assert "may be worse" in figures
    assert "fewer than two" in viewers
    assert "is not served" in verdict


def spoiled(model_of: Callable, rng: np.random.Generator) -> Callable:
    """A model that ranks at random, where it is a refit's."""

    def model(self: Run, trusted: bool = False):
        model = model_of(self, trusted)
        if self.directory.parent.name == serving.REFITS:
            model.item_weights = rng.standard_normal(model.item_weights.shape).astype(np.float32)
        return model

    return model


def test_a_refit_of_a_refit_is_held_to_the_first_run_too(ease, refits, rates):
    for viewer in ("web-1", "web-2"):
        rates(viewer, 0, 2, 4, 6)
    first = refits(ease).refit()
    assert compared(first) == {(str(ease), USERS): 30, (str(ease), VIEWERS): 2}
    rates("web-1", 8)
    groups = {(run, who): n for run in (first.refit, str(ease)) for who, n in ((USERS, 30), (VIEWERS, 2))}
    assert compared(refits(ease).refit()) == groups


def test_stars_are_compared_by_their_error(make_run, refits, rates):
    run = make_run("model=bias", "protocol=ratings", "split=ratio")
    rates("web-1", *range(12), stars=1.0)
    promotion = refits(run, margin=0.5).refit()
    (comparison,) = promotion.comparisons
    assert promotion.metric == "rmse"
    assert comparison.better == pytest.approx(comparison.before - comparison.after)
    assert comparison.low <= comparison.better <= comparison.high


def test_data_without_times_take_feedback_without_times(make_run, refits, rates):
    run = make_run("model=ease", "split=leave_one_out", "data.columns.time=null")
    rates("web-1", 0, 2, 4, 6)
    refit = read_run(Path(refits(run, margin=0.9).refit().refit))
    assert len(data_of(refit)) == len(data_of(read_run(run))) + 4


def test_films_of_other_data_are_counted_and_left_out(ease, refits, rates, caplog):
    rates("web-1", "tt001")
    with pytest.raises(UserError, match="other data"):
        refits(ease).refit()
    rates("web-1", 0, 2, 4)
    refits(ease).refit()
    assert "1 of 4 ratings are of films that files lacks" in caplog.text


def test_what_cannot_continue_is_told_before_anything_is_trained(ease, refits, rates):
    rates("web-1", 0, 2, 4, 6)
    with pytest.raises(UserError, match="EASE is made anew"):
        refits(ease, warm=True).refit()
    assert not [path for path in (ease / serving.REFITS).iterdir() if path.is_dir()]


@pytest.fixture
def untrained(refits) -> Callable[..., Refits]:
    """Refits that may not come to train."""
    return lambda run, **chosen: replace(refits(run, **chosen), train=lambda config, directory: pytest.fail("trained"))


def test_feedback_that_is_all_tested_on_is_refused_before_anything_is_trained(make_run, untrained, rates):
    run = make_run("model=popularity", "split=global_time")
    rates("web-1", 0, 2, 4, 6)
    with pytest.raises(UserError, match="global_time leaves none of the viewers' 4 ratings to train on"):
        untrained(run).refit()
    assert not [path for path in (run / serving.REFITS).iterdir() if path.is_dir()]
    assert not [*Path(read_run(run).config["cache_dir"]).glob("prepared/*+*")]


def test_whom_nothing_can_be_compared_for_is_told_before_anything_is_trained(ease, untrained, rates, monkeypatch):
    rates("web-1", 0, 2, 4, 6)
    monkeypatch.setattr(Run, "has_learned", lambda run, split, later: np.ones(len(later), bool))
    with pytest.raises(UserError, match="fewer than two users of the data"):
        untrained(ease).refit()


def test_a_refit_that_failed_is_repeated_only_when_somebody_asks_for_it(ease, refits, rates):
    attempts = []

    def fail(config, directory: Path) -> None:
        attempts.append(directory)
        raise UserError("It failed.")

    failing = replace(refits(ease), train=fail)
    rates("web-1", 0, 2, 4, 6)
    with pytest.raises(UserError):
        replace(failing, unattended=True).refit()
    assert replace(failing, unattended=True).refit() is None
    assert json.loads((ease / serving.REFITS / module.TRIED).read_text())["failed"] == "It failed."
    with pytest.raises(UserError):
        failing.refit()
    rates("web-1", 8)
    with pytest.raises(UserError):
        replace(failing, unattended=True).refit()
    assert len(attempts) == 3


def test_other_options_are_another_refit(ease, refits, rates, monkeypatch):
    monkeypatch.setattr(Promotion, "promoted", False)
    rates("web-1", 0, 2, 4, 6)
    assert refits(ease).refit() is not None
    assert refits(ease).refit() is None
    assert refits(ease, margin=0.01).refit() is not None
    with pytest.raises(UserError, match="EASE is made anew"):
        refits(ease, warm=True).refit()


def test_a_roll_back_holds_until_somebody_rates_something_or_asks_for_a_refit(ease, refits, rates):
    rates("web-1", 0, 2, 4, 6)
    taken_back = refits(ease).refit().refit
    serving.roll_back(ease)
    assert refits(ease, unattended=True).refit() is None
    assert refits(ease, unattended=True, margin=0.01).refit() is None
    asked_for = refits(ease).refit()
    assert asked_for.promoted
    serving.roll_back(ease)
    rates("web-1", 8, at=int(time.time()) + 60)
    later = refits(ease, unattended=True).refit()
    assert later.served == str(ease)
    assert later.promoted
    assert later.refit not in (taken_back, asked_for.refit)


def test_no_feedback_is_one_sentence(ease, refits):
    with pytest.raises(UserError, match="holds no rating yet"):
        refits(ease).refit()


def test_one_refit_or_roll_back_at_a_time(ease, refits, rates, command):
    rates("web-1", 0, 2, 4, 6)
    (ease / serving.REFITS).mkdir()
    with (ease / serving.REFITS / module.LOCK).open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="refitted already"):
            refits(ease).refit()
        status, _, err = command("refit", ease, "--roll-back")
        assert (status, "refitted already" in err) == (2, True)
    assert refits(ease).refit() is not None  # what is left of another process does not bar the way


def test_roll_back_serves_what_was_served_before(ease, refits, rates, command):
    rates("web-1", 0, 2, 4, 6)
    first = refits(ease).refit().refit
    rates("web-1", 8)
    refits(ease).refit()
    assert command("refit", ease, "--roll-back")[:2] == (0, f"{first} is served again.\n")
    assert command("refit", ease, "--roll-back")[:2] == (0, f"{ease} is served again.\n")
    status, _, err = command("refit", ease, "--roll-back")
    assert (status, err.count("\n")) == (2, 1)
    assert "served as it is" in err


def test_earlier_refits_are_removed_but_what_is_served_or_may_be_again(ease, refits, rates, monkeypatch):
    directories = []
    for film in range(KEPT + 3):
        monkeypatch.setattr(Promotion, "promoted", film < 2)
        rates("web-1", *(range(4) if film == 0 else [film + 4]))
        directories.append(Path(refits(ease).refit().refit))
    there = [directory.is_dir() for directory in directories]
    assert there == [True, True, False, *[True] * KEPT]
    assert serving.current(ease) == directories[1]
    cache = Path(read_run(ease).config["cache_dir"])
    assert [any(cache.glob(f"prepared/*+{directory.name}-*")) for directory in directories] == there


def test_the_command_trains_in_a_process_of_its_own_and_tells_the_verdict(ease, store, rates, command):
    rates("web-1", 0, 2, 4, 6)
    status, out, _ = command("refit", ease, "--store", store.address.url)
    assert status == 0
    figures, _, verdict = out.splitlines()
    assert figures.startswith("ndcg@10 of 30 users of the data:")
    assert verdict.startswith(str(serving.current(ease)))
    assert (serving.current(ease) / "train.log").is_file()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nowhere"], "holds no finished run"),
        (["RUN", "--store", "nowhere.sqlite"], "nowhere.sqlite does not exist"),
        (["RUN", "--store", "postgresql://localhost:9/nowhere"], "nowhere"),
        (["RUN", "--every", "soon"], "write 30s, 10m, 1h or 1d"),
        (["RUN", "--margin", "2"], "must be a share"),
    ],
)
def test_bad_input_is_told_before_anything_is_trained(ease, command, arguments, told):
    status, out, err = command("refit", *(ease if argument == "RUN" else argument for argument in arguments))
    assert (status, out) == (2, "")
    assert told in err.splitlines()[-1]
    assert not (ease / serving.REFITS).exists()


def test_one_failed_refit_does_not_end_what_goes_on(ease, store, rates, command, monkeypatch):
    """The first fails for want of feedback; then some is there; then Ctrl-C."""
    unattended = []

    def refit(self: Refits) -> None:
        unattended.append(self.unattended)
        if len(unattended) == 1:
            raise UserError("There is none.")
        raise KeyboardInterrupt

    monkeypatch.setattr(Refits, "refit", refit)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    status, out, err = command("refit", ease, "--store", store.address.url, "--every", "30s")
    assert (status, out, err) == (130, "", "error: There is none.\n")
    assert unattended == [True, True]
