"""Refitter of a tiny run with viewers' feedback, and which version is active after them."""

import fcntl
import json
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf

import train
from recsys.config.splits import Splits
from recsys.data.address import Address
from recsys.data.query import UNKNOWN
from recsys.data.split import Split
from recsys.errors import UserError
from recsys.studies.runs import Run, read_run
from recsys.web import refit as module
from recsys.web import rollout
from recsys.web.catalogue import Catalogue
from recsys.web.events import MARKS, Event, Kind, Opinions
from recsys.web.lists import ListOptions
from recsys.web.loaded_run import load_run
from recsys.web.promotion import USERS, VIEWERS, PromotionDecision
from recsys.web.pseudonyms import id_in_runs
from recsys.web.refit import SNAPSHOT, Refitter
from recsys.web.store import Store

ROOT = Path(__file__).parents[2]
NOW = 1_500_000_000


@pytest.fixture
def ease(small_ease, tmp_path) -> Path:
    """A copy of the run of EASE, to refit."""
    return shutil.copytree(small_ease, tmp_path / "run")


@pytest.fixture
def rates(feedback) -> Callable[..., None]:
    """Rate films as a viewer."""
    keys = count()

    def rates(user: str, *films: int | str, stars: float = 5.0, at: int = NOW) -> None:
        feedback.add([Event(f"k{(n := next(keys))}", user, Kind.RATING, at + n, str(film), stars) for film in films])

    return rates


@pytest.fixture(scope="module")
def splits() -> Splits:
    """The splits of all refits, each built once."""
    return Splits()


def train_here(config: Mapping[str, Any], directory: Path) -> None:
    train.train(OmegaConf.create(config))


@pytest.fixture
def refits(feedback, splits) -> Callable[..., Refitter]:
    """Refitters that train in this process."""
    return lambda run, **chosen: Refitter(run, feedback, splits.of, train_here, **chosen)


@pytest.fixture
def promoting(refits, monkeypatch) -> Callable[..., Refitter]:
    """Refitters that train nothing: a refit is a copy of its run, which is promoted unless `promoted` is patched."""
    numbers = count()

    def refit(self: Refitter, active: Run, before: Split, ratings: pd.DataFrame) -> PromotionDecision:
        ignored = shutil.ignore_patterns(rollout.REFITS)
        directory = shutil.copytree(self.run, self.run / rollout.REFITS / f"{next(numbers)}", ignore=ignored)
        decision = PromotionDecision(str(active.directory), str(directory), "ndcg@10", 1, [])
        if decision.promoted:
            rollout.promote(self.run, directory)
        return decision

    monkeypatch.setattr(Refitter, "_refit", refit)
    return refits


@dataclass(frozen=True)
class Refitted:
    """A run with two promoted refits, the second after more feedback."""

    run: Path
    first: PromotionDecision
    second: PromotionDecision


SECRET = "web-0123456789abcdef"


@pytest.fixture(scope="module")
def refitted(small_ease, empty_store, splits, tmp_path_factory) -> Refitted:
    """Two viewers, and a user of the data, rate films before the first refit; before the second, so does another."""
    folder = tmp_path_factory.mktemp("refitted")
    run = shutil.copytree(small_ease, folder / "run")
    store = Store.open(Address.parse(str(shutil.copy(empty_store, folder / "feedback.sqlite"))))
    keys = count()

    def rates(user: str, *films: int, stars: float = 5.0) -> None:
        store.add([Event(f"k{(n := next(keys))}", user, Kind.RATING, NOW + n, str(film), stars) for film in films])

    for viewer in (SECRET, "web-2"):
        rates(viewer, 0, 2, 4, 6)
    rates("3", 8)
    refitter = Refitter(run, store, splits.of, train_here)
    first = refitter.refit()
    rates("abe", 1, 3, 5, 7)  # before the others, so that codes of viewers change
    rates(SECRET, 0, stars=2.0)
    second = refitter.refit()
    store.close()
    return Refitted(run, first, second)


def compared(promotion: PromotionDecision) -> dict[tuple[str, str], int]:
    """Numbers of users by earlier run and group."""
    return {(each.earlier, each.who): each.users for each in promotion.comparisons}


def ratings_of(run: Run) -> pd.DataFrame:
    """The ratings on which a run was trained, by raw ids."""
    dataset = Splits().of(run.config).dataset
    ids = dataset.user_frame["user_id"].astype(str).to_numpy(), dataset.item_frame["movie_id"].astype(str).to_numpy()
    return pd.DataFrame(
        {"user_id": ids[0][dataset.users], "movie_id": ids[1][dataset.items], "rating": dataset.ratings}
    )


def test_a_refit_learns_from_feedback_and_replaces_the_run(ease, refits, rates, feedback):
    rates("web-1", 0, 2, 4, 6)
    rates("3", 8, stars=1.0)
    rates("web-2", 1)
    marks = [Event(f"m{film}", "web-1", kind, NOW, str(film)) for film, kind in enumerate(MARKS)]
    feedback.add(marks)  # without stars, there is nothing to learn from them
    promotion = refits(ease).refit()
    assert promotion.promoted
    assert compared(promotion) == {(str(ease), USERS): 30}  # the one viewer with more than one rating is not compared
    assert rollout.active(ease) == Path(promotion.refit) != ease
    refit = read_run(rollout.active(ease))
    learned = ratings_of(refit).merge(pd.read_csv(refit.directory / SNAPSHOT, dtype={"user_id": str, "movie_id": str}))
    assert len(learned) == 6
    assert (learned["user_id"] == "3").sum() == 1
    assert refit.config["model"] == read_run(ease).config["model"]
    assert json.loads((refit.directory / "promotion.json").read_text())["promoted"]


def test_runs_know_viewers_by_pseudonyms(refitted):
    ease, refit = refitted.run, read_run(Path(refitted.first.refit))
    known = {*ratings_of(refit)["user_id"]}
    pseudonym = id_in_runs(SECRET, known)
    assert pseudonym in known
    assert "3" in known
    assert not [file for file in ease.rglob("*") if file.is_file() and SECRET.encode() in file.read_bytes()]
    loaded = load_run(
        "run", refit, Catalogue(Splits().of(read_run(ease).config).dataset), lambda run: Splits().of(run.config).dataset
    )
    assert loaded.user_and_history(SECRET, Opinions())[0] == loaded.user_codes[pseudonym]
    assert loaded.user_and_history(pseudonym, Opinions())[0] == UNKNOWN  # the pseudonym is no secret
    opinions = Opinions({str(film): 5.0 for film in (0, 2, 4, 6)})
    assert [film.reason for film in loaded.recommend(SECRET, opinions, ListOptions(k=5)).films]
    assert loaded.explain(SECRET, opinions, "8").film.movie_id == "8"
    directly = load_run(
        "refit", refit, Catalogue(Splits().of(refit.config).dataset), lambda run: Splits().of(run.config).dataset
    )
    assert directly.user_and_history(pseudonym, Opinions())[0] == UNKNOWN


def test_later_feedback_replaces_earlier_feedback_and_leaves_earlier_refits_unchanged(refitted):
    first, second = Path(refitted.first.refit), Path(refitted.second.refit)
    assert refitted.second.served == str(first)
    assert (refitted.first.look, refitted.second.look) == (1, 2)  # at the same test ratings
    assert list(read_run(second).config["data"]["sources"]) == ["files", "feedback"]
    assert len(ratings_of(read_run(second))) == len(ratings_of(read_run(first))) + 4
    read_run(first).check_split(Splits().of(read_run(first).config))
    assert [path.name for path in rollout.promoted(refitted.run)] == [first.name, second.name]


def test_a_warm_refit_continues_and_is_compared_on_unlearned_ratings(small_run, refits, rates):
    run = small_run("model=mf", "model.embedding_dim=4", "model.max_epochs=2", "model.batch_size=8")
    rates("web-1", 0, 2, 4, 6)
    promotion = refits(run, warm=True, margin=0.9).refit()
    refit = read_run(Path(promotion.refit))
    assert refit.config["warm_from"] == str(run)
    assert (refit.directory / "learned_before.npz").is_file()
    assert compared(promotion) == {(str(run), USERS): 30}


def test_without_new_ratings_nothing_is_trained(ease, promoting, rates):
    rates("web-1", 0, 2, 4, 6)
    assert promoting(ease).refit().promoted
    assert promoting(ease).refit() is None
    rates("web-1", 8)
    assert promoting(ease).refit() is not None


def test_a_refit_that_may_be_worse_is_not_promoted(ease, refits, rates, monkeypatch):
    rng = np.random.default_rng(0)
    rates("web-1", 0, 2, 4, 6)
    monkeypatch.setattr(Run, "model", randomized(Run.model, rng))
    promotion = refits(ease).refit()
    (comparison,) = promotion.comparisons
    assert comparison.after < comparison.before
    assert not promotion.promoted
    assert rollout.active(ease) == ease
    figures, viewers, decision = promotion.sentences()
    assert "may be worse" in figures
    assert "fewer than two" in viewers
    assert "is not promoted" in decision


def randomized(model_of: Callable, rng: np.random.Generator) -> Callable:
    """Randomize the models of refits."""

    def model(self: Run, trusted: bool = False):
        model = model_of(self, trusted)
        if self.directory.parent.name == rollout.REFITS:
            model.item_weights = rng.standard_normal(model.item_weights.shape).astype(np.float32)
        return model

    return model


def test_a_refit_of_a_refit_is_also_compared_with_the_original_run(refitted):
    original, first = str(refitted.run), refitted.first.refit
    assert compared(refitted.first) == {(original, USERS): 30, (original, VIEWERS): 2}
    groups = ((USERS, 30), (VIEWERS, 2))  # all but SECRET, whose last film was learned
    assert compared(refitted.second) == {(run, who): n for run in (first, original) for who, n in groups}


def test_rating_models_are_compared_by_their_error(small_run, refits, rates):
    run = small_run("model=bias", "protocol=ratings", "split=ratio")
    rates("web-1", *range(12), stars=1.0)
    promotion = refits(run, margin=0.5).refit()
    (comparison,) = promotion.comparisons
    assert promotion.metric == "rmse"
    assert comparison.better == pytest.approx(comparison.before - comparison.after)
    assert comparison.low <= comparison.better <= comparison.high


def test_data_without_times_take_feedback_without_times(small_run, refits, rates):
    run = small_run("model=ease", "split=leave_one_out", "data.columns.time=null")
    rates("web-1", 0, 2, 4, 6)
    refit = read_run(Path(refits(run, margin=0.9).refit().refit))
    assert len(ratings_of(refit)) == len(ratings_of(read_run(run))) + 4


def test_ratings_of_films_of_other_data_are_counted_and_left_out(ease, refits, rates, caplog):
    rates("web-1", "tt001")
    with pytest.raises(UserError, match="other data"):
        refits(ease).refit()
    rates("web-1", 0, 2, 4)
    refits(ease).refit()
    assert "Ratings of films that files lacks: 1 of 4." in caplog.text


def test_a_model_that_cannot_continue_is_refused_before_training(ease, refits, rates):
    rates("web-1", 0, 2, 4, 6)
    with pytest.raises(UserError, match="EASE is fitted in one step"):
        refits(ease, warm=True).refit()
    assert not [path for path in (ease / rollout.REFITS).iterdir() if path.is_dir()]


@pytest.fixture
def untrained(refits) -> Callable[..., Refitter]:
    """Refitters whose training would fail the test."""
    return lambda run, **chosen: replace(refits(run, **chosen), train=lambda config, directory: pytest.fail("trained"))


def test_feedback_without_training_ratings_is_refused_before_training(small_run, untrained, rates):
    run = small_run("model=popularity", "split=global_time")
    rates("web-1", 0, 2, 4, 6)
    with pytest.raises(UserError, match=r"global_time leaves none of the viewers' ratings \(4\) to train on"):
        untrained(run).refit()
    assert not [path for path in (run / rollout.REFITS).iterdir() if path.is_dir()]
    assert not [*Path(read_run(run).config["cache_dir"]).glob("prepared/*+*")]


def test_a_refit_without_test_users_is_refused_before_training(ease, untrained, rates, monkeypatch):
    rates("web-1", 0, 2, 4, 6)
    monkeypatch.setattr(Run, "has_learned", lambda run, split, later: np.ones(len(later), bool))
    with pytest.raises(UserError, match="fewer than two users of the data"):
        untrained(ease).refit()


def test_an_unattended_refit_is_not_repeated_after_a_failure(ease, refits, rates):
    attempts = []

    def fail(config, directory: Path) -> None:
        attempts.append(directory)
        raise UserError("It failed.")

    failing = replace(refits(ease), train=fail)
    rates("web-1", 0, 2, 4, 6)
    with pytest.raises(UserError):
        replace(failing, unattended=True).refit()
    assert replace(failing, unattended=True).refit() is None
    assert json.loads((ease / rollout.REFITS / module.TRIED).read_text())["failed"] == "It failed."
    with pytest.raises(UserError):
        failing.refit()
    rates("web-1", 8)
    with pytest.raises(UserError):
        replace(failing, unattended=True).refit()
    assert len(attempts) == 3


def test_other_options_start_another_refit(ease, promoting, rates, monkeypatch):
    monkeypatch.setattr(PromotionDecision, "promoted", False)
    rates("web-1", 0, 2, 4, 6)
    assert promoting(ease).refit() is not None
    assert promoting(ease).refit() is None
    assert promoting(ease, margin=0.01).refit() is not None
    assert promoting(ease, margin=0.01).refit() is None
    assert promoting(ease, margin=0.01, warm=True).refit() is not None


def test_a_roll_back_holds_until_new_feedback_or_an_attended_refit(ease, promoting, rates):
    rates("web-1", 0, 2, 4, 6)
    rolled_back = promoting(ease).refit().refit
    rollout.roll_back(ease)
    assert promoting(ease, unattended=True).refit() is None
    assert promoting(ease, unattended=True, margin=0.01).refit() is None
    attended = promoting(ease).refit()
    assert attended.promoted
    rollout.roll_back(ease)
    rates("web-1", 8, at=rollout.rolled_back_at(ease) + 1)
    later = promoting(ease, unattended=True).refit()
    assert later.served == str(ease)
    assert later.promoted
    assert later.refit not in (rolled_back, attended.refit)


def test_a_store_without_ratings_is_refused(ease, refits):
    with pytest.raises(UserError, match="holds no rating yet"):
        refits(ease).refit()


def test_one_refit_or_roll_back_at_a_time(ease, promoting, rates, command):
    rates("web-1", 0, 2, 4, 6)
    (ease / rollout.REFITS).mkdir()
    with (ease / rollout.REFITS / module.LOCK).open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="already being refitted"):
            promoting(ease).refit()
        status, _, err = command("refit", ease, "--roll-back")
        assert (status, "already being refitted" in err) == (2, True)
    assert promoting(ease).refit() is not None  # the file of another process remains, without its lock


def test_roll_back_activates_the_previous_version(refitted, command, tmp_path):
    run = shutil.copytree(refitted.run, tmp_path / "run")
    first = run / rollout.REFITS / Path(refitted.first.refit).name
    for earlier in (first, run):
        status, out, _ = command("refit", run, "--roll-back")
        assert status == 0
        assert out.startswith(f"{earlier} is served again.")
    status, _, err = command("refit", run, "--roll-back")
    assert (status, err.count("\n")) == (2, 1)
    assert "no promoted refit" in err


def test_earlier_refits_are_deleted_but_the_active_one_and_its_predecessor(ease, refits, rates, monkeypatch):
    monkeypatch.setattr(module, "N_INACTIVE", 1)
    directories = []
    for film in range(4):
        monkeypatch.setattr(PromotionDecision, "promoted", film < 2)
        rates("web-1", *(range(4) if film == 0 else [film + 4]))
        directories.append(Path(refits(ease).refit().refit))
    there = [directory.is_dir() for directory in directories]
    assert there == [True, True, False, True]
    assert rollout.active(ease) == directories[1]
    cache = Path(read_run(ease).config["cache_dir"])
    assert [any(cache.glob(f"prepared/*+{directory.name}-*")) for directory in directories] == there


def test_comparisons_are_counted_on_after_failed_trainings(ease, refits, rates, monkeypatch):
    monkeypatch.setattr(module, "N_INACTIVE", 1)
    monkeypatch.setattr(PromotionDecision, "promoted", False)
    looks = []
    for film in range(3):
        rates("web-1", *(range(4) if film == 0 else [film + 4]))
        looks.append(refits(ease).refit().look)
        failed = ease / rollout.REFITS / f"9999-failed-{film}"
        failed.mkdir()
        (failed / "config.yaml").touch()
    assert looks == [1, 2, 3]


def test_the_notes_on_the_data_of_a_refit_are_printed_once(ease, refits, rates, capsys):
    rates("web-1", 0, 2, 4, 6)
    refit = Path(refits(ease).refit().refit)
    assert capsys.readouterr().out.count(f"+{refit.name}: from ") == 1


def test_the_command_trains_in_another_process_and_prints_the_decision(ease, feedback, rates, command):
    rates("web-1", 0, 2, 4, 6)
    status, out, _ = command("refit", ease, "--store", feedback.address.url)
    assert status == 0
    figures, _, few_users, decision = out.splitlines()
    assert "fewer than 200" in few_users
    assert figures.startswith("ndcg@10 of 30 users of the data:")
    assert decision.startswith(str(rollout.active(ease)))
    log = (rollout.active(ease) / "train.log").read_text()
    assert re.match(r"\d\d:\d\d:\d\d INFO data: ", log)  # as train.py writes it


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "holds no finished run"),
        (["RUN", "--store", "nowhere.sqlite"], "nowhere.sqlite does not exist"),
        (["RUN", "--store", "postgresql://localhost:9/nowhere"], "nowhere"),
        (["RUN", "--every", "soon"], "such as 30s, 10m, 1h or 1d"),
        (["RUN", "--margin", "2"], "must be a share"),
    ],
)
def test_bad_arguments_are_refused_before_training(ease, command, arguments, message):
    status, out, err = command("refit", *(ease if argument == "RUN" else argument for argument in arguments))
    assert (status, out) == (2, "")
    assert message in err.splitlines()[-1]
    assert not (ease / rollout.REFITS).exists()


def test_a_failed_refit_does_not_end_the_schedule(ease, feedback, rates, command, monkeypatch):
    """The first refit fails, the second is interrupted."""
    unattended = []

    def refit(self: Refitter) -> None:
        unattended.append(self.unattended)
        if len(unattended) == 1:
            raise UserError("There is none.")
        raise KeyboardInterrupt

    monkeypatch.setattr(Refitter, "refit", refit)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    status, out, err = command("refit", ease, "--store", feedback.address.url, "--every", "30s")
    assert (status, out, err) == (130, "", "error: There is none.\n\nInterrupted.\n")
    assert unattended == [True, True]
