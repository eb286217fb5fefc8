"""`python -m recsys replay`: off-policy evaluation of a run on lists of other runs."""

import json
from collections.abc import Iterator
from dataclasses import replace as with_other
from itertools import count

import numpy as np
import pytest

from recsys.errors import UserError
from recsys.studies.runs import read_run
from recsys.web import recommendation_service as module
from recsys.web.catalogue import Catalogue, user_codes
from recsys.web.events import Event, Kind, ShownList
from recsys.web.exploration import Exploration
from recsys.web.lists import ListOptions
from recsys.web.loaded_run import LoadedRun
from recsys.web.recommendation_service import RecommendationService
from recsys.web.replay import replay
from recsys.web.store import Store
from tests.web.conftest import dataset_of

USERS = [f"u{user}" for user in range(12)]


@pytest.fixture
def clock(monkeypatch) -> Iterator[int]:
    """A clock that advances by a second at every reading."""
    seconds = count(2_000_000_000)
    monkeypatch.setattr(module, "now", lambda: float(next(seconds)))
    return seconds


@pytest.fixture
def service(replay_runs, feedback, clock) -> RecommendationService:
    return RecommendationService(replay_runs, dataset_of, feedback, Exploration(places=0))


def record(store: Store, clock: Iterator[int], user_id: str, kind: Kind, movie_id: str | None = None, **further) -> str:
    time = next(clock)
    event = Event(f"event-{time}", user_id, kind, float(time), movie_id, **further)
    store.add([event])
    return event.key


def test_replaying_the_logging_run_reproduces_its_lists(service, feedback, clock):
    all_options = [ListOptions(4), ListOptions(3, genres=("Drama",)), ListOptions(5, years=(1990, None), surprise=0.5)]
    for user in ["u1", "u2", "web-1"]:
        for options in all_options:
            shown = service.show_list(user, options, "ease")
            first, second, *_ = (listed.film.movie_id for listed in shown.films)
            record(feedback, clock, user, Kind.CLICK, first, list_id=shown.list_id)
            record(feedback, clock, user, Kind.RATING, first, value=5.0, list_id=shown.list_id)
            key = record(feedback, clock, user, Kind.NOT_INTERESTED, second)
            if options is all_options[0]:
                record(feedback, clock, user, Kind.UNDO, undoes=key)
    replayed = replay(service.loaded_run("ease"), feedback)
    assert replayed.shown_by == {"ease": 3 * 3}
    assert replayed.left_out == 0
    assert replayed.found.support == 1
    assert replayed.found.observed.mean == replayed.found.ips.mean == replayed.found.snips.mean == 1
    assert str(replay(service.loaded_run("ease"), feedback, "rating").found) == str(replayed.found)  # has NaN


def test_another_run_is_credited_with_the_outcomes_of_common_films(service, feedback, clock):
    ease = service.loaded_run("ease")
    expected = []
    for user in USERS:
        own = {listed.film.movie_id for listed in ease.recommend(user, feedback.opinions(user), ListOptions(5)).films}
        shown = service.show_list(user, ListOptions(5), "popularity")
        films = [listed.film.movie_id for listed in shown.films]
        for film in films[::2]:
            record(feedback, clock, user, Kind.CLICK, film, list_id=shown.list_id)
        expected.append(len(own & set(films[::2])))
        assert len(films) == 5
    replayed = replay(ease, feedback)
    assert replayed.found.observed.mean == 3
    assert replayed.found.ips.mean == np.mean(expected)
    assert 0 < replayed.found.support < 1
    assert any("so it is too low" in sentence for sentence in replayed.sentences())


def test_exploration_gives_outcomes_of_films_that_the_logging_run_does_not_list(
    replay_runs, feedback, clock, monkeypatch
):
    seeds = count()
    seeded = np.random.default_rng
    monkeypatch.setattr(np.random, "default_rng", lambda *given: seeded(*(given or (next(seeds),))))
    service = RecommendationService(replay_runs, dataset_of, feedback, Exploration(places=4, pool=40))
    ease = service.loaded_run("ease")
    liked = {
        user: {one.film.movie_id for one in ease.recommend(user, feedback.opinions(user), ListOptions(7)).films}
        for user in USERS
    }
    for user in USERS * 12:
        shown = service.show_list(user, ListOptions(7), "popularity")
        for listed in shown.films:
            if listed.film.movie_id in liked[user]:
                record(feedback, clock, user, Kind.CLICK, listed.film.movie_id, list_id=shown.list_id)
    found = replay(ease, feedback).found
    assert found.observed.mean < 3
    assert found.snips.mean == pytest.approx(7)  # each viewer clicks on every film that this run lists
    assert found.support == pytest.approx(1, abs=0.15)
    assert found.ips.mean == pytest.approx(7, rel=0.15)


def test_a_run_that_cannot_serve_new_viewers_is_replayed_for_its_own_users(service, feedback, clock):
    service.show_list("web-1", ListOptions(5), "ease")
    with pytest.raises(UserError, match="can be used to evaluate popularity"):
        replay(service.loaded_run("popularity"), feedback)
    service.show_list("u1", ListOptions(5), "ease")
    replayed = replay(service.loaded_run("popularity"), feedback)
    assert (replayed.found.n_lists, replayed.left_out) == (1, 1)
    assert any(sentence.startswith("Left out: 1 list. ") for sentence in replayed.sentences())


def test_lists_from_which_a_refit_may_have_learned_are_left_out(service, feedback, replay_runs):
    for _ in range(3):
        service.show_list("u1", ListOptions(5), "ease")
    run = read_run(replay_runs["ease"])
    dataset = dataset_of(run)
    manifest = run.manifest | {"finished": "2033-05-18T03:33:21+00:00"}  # 2_000_000_001
    refit = with_other(run, directory=run.directory / "refits" / "now", manifest=manifest)
    replayed = replay(LoadedRun("refit", refit, run.model(), Catalogue(dataset), user_codes(dataset)), feedback)
    assert (replayed.found.n_lists, replayed.left_out) == (1, 2)


@pytest.mark.parametrize(("data", "movie_id"), [("large", "1"), ("small", "999")])
def test_lists_of_other_data_are_refused(service, feedback, data, movie_id):
    shown = ShownList("list-1", "u1", 1.0, "elsewhere", 1, {"data": data})
    event = Event("shown-1", "u1", Kind.IMPRESSION, 1.0, movie_id, list_id="list-1", position=1, propensity=1.0)
    feedback.add([event], shown)
    with pytest.raises(UserError, match=f"has lists of films of {data}, and ease was trained on small"):
        replay(service.loaded_run("ease"), feedback)


def test_the_command_prints_a_table_or_json(command, service, feedback, clock, replay_runs):
    for user in USERS:
        shown = service.show_list(user, ListOptions(5), "popularity")
        record(feedback, clock, user, Kind.RATING, shown.films[0].film.movie_id, value=4.0, list_id=shown.list_id)
    arguments = ("replay", replay_runs["popularity"], "--store", feedback.address.url)
    status, out, _ = command(*arguments, "--reward", "rating")
    assert status == 0
    assert "Ratings of at least 4 stars in 12 lists of 12 viewers" in out
    assert "as shown by popularity (12)" in out
    assert "About 100% of this run's films could have been shown." in out
    status, out, _ = command(*arguments, "--json")
    answer = json.loads(out)
    assert answer["found"]["observed"] == {"mean": 0, "low": None, "high": None}
    assert answer["shown_by"] == {"popularity": 12}


def test_a_missing_store_is_refused_without_its_password(command, replay_runs, tmp_path, monkeypatch):
    status, _, err = command("replay", replay_runs["ease"], "--store", tmp_path / "none.sqlite")
    assert status == 2
    assert err.startswith(f"error: {tmp_path}/none.sqlite does not exist: serve a run")
    monkeypatch.setenv("RECSYS_STORE_URL", "mysql://ann:pa55@127.0.0.1:9/films")
    status, _, err = command("replay", replay_runs["ease"])
    assert status == 2
    assert err.startswith("error: The feedback store mysql://127.0.0.1:9/films failed: ")
    assert "pa55" not in err
