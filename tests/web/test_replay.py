"""`python -m recsys replay`: what a run would have been worth to those who saw the lists of others."""

import json
from collections.abc import Iterator
from dataclasses import replace as with_other
from itertools import count
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import train
from recsys.commands.run_data import data_of
from recsys.config import compose
from recsys.data.address import Address
from recsys.errors import UserError
from recsys.studies.runs import read_run
from recsys.web import service as module
from recsys.web.catalogue import Catalogue, user_codes
from recsys.web.events import Event, Kind, ShownList
from recsys.web.replay import replay
from recsys.web.served import Exploration, Served, Wish
from recsys.web.service import Service
from recsys.web.store import Store

USERS = [f"u{user}" for user in range(12)]


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, Path]:
    """Runs of EASE and of popularity on 30 users, who like dramas or comedies."""
    folder = tmp_path_factory.mktemp("runs")
    rng = np.random.default_rng(0)
    rows = [
        (f"u{user}", item, rng.integers(3, 6), 10**9 + rng.integers(10**6))
        for user in range(30)
        for item in np.arange(user % 2, 40, 2)
        if rng.random() < 0.5
    ]
    pd.DataFrame(rows, columns=["user_id", "movie_id", "rating", "time"]).to_csv(folder / "ratings.csv", index=False)
    films = pd.DataFrame({"movie_id": range(40), "title": [f"Film {i} ({1980 + i})" for i in range(40)]})
    films["genres"] = ["Drama" if i % 2 else "Comedy" for i in films["movie_id"]]
    films.to_csv(folder / "films.csv", index=False)
    data = ["data=files", f"data.path={folder}/ratings.csv", f"data.films_path={folder}/films.csv", "data.name=small"]
    data += [f"data.films_columns.{name}={name}" for name in ("movie_id", "title", "genres")]
    for model in ("ease", "popularity"):
        settings = [f"model={model}", "ks=[5]", "logger=none", f"cache_dir={folder}/cache", f"run_dir={folder}/{model}"]
        train.train(compose("train", [*data, *settings]))
    return {model: folder / model for model in ("ease", "popularity")}


@pytest.fixture
def clock(monkeypatch) -> Iterator[int]:
    """Seconds that pass, one whenever somebody looks."""
    seconds = count(2_000_000_000)
    monkeypatch.setattr(module, "now", lambda: float(next(seconds)))
    return seconds


@pytest.fixture
def store(tmp_path) -> Iterator[Store]:
    store = Store.open(Address.parse(f"{tmp_path}/feedback.sqlite"))
    yield store
    store.close()


@pytest.fixture
def service(runs, store, clock) -> Service:
    return Service(runs, data_of, store, Exploration(places=0))


def say(store: Store, clock: Iterator[int], user_id: str, kind: Kind, movie_id: str | None = None, **further) -> str:
    time = next(clock)
    event = Event(f"said-{time}", user_id, kind, float(time), movie_id, **further)
    store.add([event])
    return event.key


def test_lists_are_made_again_as_of_their_moment_and_wish(service, store, clock):
    wishes = [Wish(4), Wish(3, genres=("Drama",)), Wish(5, years=(1990, None), surprise=0.5)]
    for user in [*USERS, "web-1"]:
        for wish in wishes:
            shown = service.show(user, wish, "ease")
            first, second, *_ = (listed.film.movie_id for listed in shown.films)
            say(store, clock, user, Kind.CLICK, first, list_id=shown.list_id)
            say(store, clock, user, Kind.RATING, first, value=5.0, list_id=shown.list_id)
            key = say(store, clock, user, Kind.NOT_INTERESTED, second)
            if wish is wishes[0]:
                say(store, clock, user, Kind.UNDO, undoes=key)
    replayed = replay(service.served("ease"), store)
    assert replayed.shown_by == {"ease": 3 * 13}
    assert replayed.left_out == 0
    assert replayed.found.support == 1
    assert replayed.found.observed.mean == replayed.found.ips.mean == replayed.found.snips.mean == 1
    assert replay(service.served("ease"), store, "rating").found == replayed.found


def test_another_run_is_worth_what_came_of_the_films_that_it_lists_too(service, store, clock):
    ease = service.served("ease")
    expected = []
    for user in USERS:
        own = {listed.film.movie_id for listed in ease.recommend(user, store.opinions(user), Wish(5)).films}
        shown = service.show(user, Wish(5), "popularity")
        films = [listed.film.movie_id for listed in shown.films]
        for film in films[::2]:
            say(store, clock, user, Kind.CLICK, film, list_id=shown.list_id)
        expected.append(len(own & set(films[::2])))
        assert len(films) == 5
    replayed = replay(ease, store)
    assert replayed.found.observed.mean == 3
    assert replayed.found.ips.mean == np.mean(expected)
    assert 0 < replayed.found.support < 1
    assert any("so it is too low" in sentence for sentence in replayed.sentences())


def test_chance_in_lists_tells_of_films_that_the_run_itself_would_not_list(runs, store, clock, monkeypatch):
    seeds = count()
    seeded = np.random.default_rng
    monkeypatch.setattr(np.random, "default_rng", lambda *given: seeded(*(given or (next(seeds),))))
    service = Service(runs, data_of, store, Exploration(places=4, pool=40))
    ease = service.served("ease")
    liked = {
        user: {one.film.movie_id for one in ease.recommend(user, store.opinions(user), Wish(5)).films} for user in USERS
    }
    for user in USERS * 12:
        shown = service.show(user, Wish(5), "popularity")
        for listed in shown.films:
            if listed.film.movie_id in liked[user]:
                say(store, clock, user, Kind.CLICK, listed.film.movie_id, list_id=shown.list_id)
    found = replay(ease, store).found
    assert found.observed.mean < 2
    assert found.snips.mean == pytest.approx(5)  # each viewer clicks on all that this run lists
    assert found.support == pytest.approx(1, abs=0.15)
    assert found.ips.mean == pytest.approx(5, rel=0.15)


def test_a_run_that_knows_nobody_new_is_replayed_for_those_it_knows(service, store, clock):
    service.show("web-1", Wish(5), "ease")
    with pytest.raises(UserError, match="tells anything about popularity"):
        replay(service.served("popularity"), store)
    service.show("u1", Wish(5), "ease")
    replayed = replay(service.served("popularity"), store)
    assert (replayed.found.n_lists, replayed.left_out) == (1, 1)
    assert any(sentence.startswith("1 lists are left out") for sentence in replayed.sentences())


def test_lists_that_a_refit_may_have_learned_from_are_left_out(service, store, runs):
    for _ in range(3):
        service.show("u1", Wish(5), "ease")
    run = read_run(runs["ease"])
    dataset = data_of(run)
    manifest = run.manifest | {"finished": "2033-05-18T03:33:21+00:00"}  # 2_000_000_001
    refit = with_other(run, directory=run.directory / "refits" / "now", manifest=manifest)
    replayed = replay(Served("refit", refit, run.model(), Catalogue(dataset), user_codes(dataset)), store)
    assert (replayed.found.n_lists, replayed.left_out) == (1, 2)


@pytest.mark.parametrize(("data", "movie_id"), [("large", "1"), ("small", "999")])
def test_a_log_of_other_data_is_one_sentence(service, store, data, movie_id):
    shown = ShownList("list-1", "u1", 1.0, "elsewhere", 1, {"data": data})
    event = Event("shown-1", "u1", Kind.IMPRESSION, 1.0, movie_id, list_id="list-1", position=1, propensity=1.0)
    store.add([event], shown)
    with pytest.raises(UserError, match=f"has lists of films of {data}, and ease was trained on small"):
        replay(service.served("ease"), store)


def test_the_command_prints_a_table_or_json(command, service, store, clock, runs):
    for user in USERS:
        shown = service.show(user, Wish(5), "popularity")
        say(store, clock, user, Kind.RATING, shown.films[0].film.movie_id, value=4.0, list_id=shown.list_id)
    asked = ("replay", runs["popularity"], "--store", store.address.url)
    status, out, _ = command(*asked, "--reward", "rating")
    assert status == 0
    assert "Ratings of 4 stars and up in 12 lists of 12 viewers" in out
    assert "as shown by popularity (12)" in out
    assert "About 100% of this run's films could have been shown." in out
    status, out, _ = command(*asked, "--json")
    answer = json.loads(out)
    assert answer["found"]["observed"] == {"mean": 0, "low": None, "high": None}
    assert answer["shown_by"] == {"popularity": 12}


def test_a_store_that_is_not_there_is_one_sentence(command, runs, tmp_path, monkeypatch):
    status, _, err = command("replay", runs["ease"], "--store", tmp_path / "none.sqlite")
    assert status == 2
    assert err.startswith(f"error: {tmp_path}/none.sqlite does not exist: serve a run")
    monkeypatch.setenv("RECSYS_STORE_URL", "mysql://ann:pa55@127.0.0.1:9/films")
    status, _, err = command("replay", runs["ease"])
    assert status == 2
    assert err.startswith("error: the store mysql://127.0.0.1:9/films fails: ")
    assert "pa55" not in err
