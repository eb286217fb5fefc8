"""Lists of loaded runs, their films, and randomized places."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from recsys.analysis.asking import first_questions
from recsys.data.dataset import Dataset
from recsys.data.query import History, Query
from recsys.errors import UserError
from recsys.metrics.ranking import mask_seen, top_k
from recsys.models.ials import IALS
from recsys.models.markov import Markov
from recsys.models.mf import MF
from recsys.models.popularity import Popularity
from recsys.models.support import removal_losses
from recsys.web.catalogue import NotFoundError, _imdb_id, _tmdb_id
from recsys.web.events import Event, Kind, Opinions
from recsys.web.exploration import Exploration
from recsys.web.index import FilmIndex, IndexSettings
from recsys.web.lists import ListOptions, Order
from recsys.web.ratings_file import ratings_as_csv
from recsys.web.recommendation_service import RecommendationService, runs_by_name
from tests.web.conftest import N_FILMS, dataset_of

NO_OPINIONS = Opinions()
COMEDIES = Opinions({"0": 5.0, "2": 5.0, "4": 4.0})


def ids(films) -> list[str]:
    return [listed.film.movie_id for listed in films.films]


def test_a_new_user_gets_films_of_the_same_taste_with_reasons(service):
    listed = service.loaded_run().recommend(None, COMEDIES, ListOptions(k=5)).films
    assert all(film.film.genres == ("Comedy",) for film in listed)
    assert not {film.film.movie_id for film in listed} & set(COMEDIES.ratings)
    assert listed[0].reason_kind == "history"
    assert {film.movie_id for film in listed[0].reason_films} <= set(COMEDIES.ratings)
    assert [film.position for film in listed] == [1, 2, 3, 4, 5]
    scores = [film.score for film in listed]
    assert scores == sorted(scores, reverse=True)


def test_a_rating_changes_the_list_immediately(service):
    loaded = service.loaded_run()
    assert ids(loaded.recommend(None, COMEDIES, ListOptions())) != ids(
        loaded.recommend(None, Opinions({"1": 5.0, "3": 5.0}), ListOptions())
    )


def test_the_list_of_a_model_that_reads_order_follows_what_was_rated_last(service):
    loaded = service.loaded_run()
    loaded = replace(loaded, model=Markov(last_items=1).fit(loaded.dataset))
    order = list(COMEDIES.ratings)
    first, second = (
        loaded.recommend(None, Opinions({film: COMEDIES.ratings[film] for film in films}), ListOptions(k=3)).films
        for films in (order, order[::-1])
    )
    assert [film.score for film in first] != [film.score for film in second]
    assert {film.reason_kind for film in first} == {"order"}
    assert {film.reason_films[0].movie_id for film in first} == {order[-1]}


def test_marked_films_and_those_rated_are_not_listed(service):
    loaded = service.loaded_run()
    first = ids(loaded.recommend("1", NO_OPINIONS, ListOptions()))
    again = ids(
        loaded.recommend("1", Opinions({first[0]: 2.0}, dict.fromkeys(first[1:3], Kind.WATCH_LATER)), ListOptions())
    )
    assert not set(again) & set(first[:3])
    rated = {film.movie_id for film, _, _ in loaded.ratings_of_user("1")}
    assert not rated & set(first)


def test_a_new_rating_replaces_the_one_of_the_data(service):
    loaded = service.loaded_run()
    film, _, _ = loaded.ratings_of_user("1")[-1]
    code = loaded.catalogue.code(film.movie_id)
    _, history = loaded.user_and_history("1", Opinions({film.movie_id: 5.0}))
    assert history.ratings[history.items == code].tolist() == [5.0]
    assert history.items[-1] == code  # the latest
    _, history = loaded.user_and_history("1", Opinions({film.movie_id: 1.0}))
    assert code not in history.items  # disliked films are no positive interactions


def test_disliked_films_affect_no_score_and_are_not_listed(service):
    loaded = service.loaded_run()
    disliked = Opinions({**COMEDIES.ratings, "1": 1.0, "3": 2.0})
    listed = loaded.recommend(None, disliked, ListOptions()).films
    assert [film.score for film in listed] == [
        film.score for film in loaded.recommend(None, COMEDIES, ListOptions()).films
    ]
    assert not {"1", "3"} & {film.film.movie_id for film in listed}
    assert not {"1", "3"} & {film.movie_id for each in listed for film in each.reason_films}


def test_an_empty_history_gives_popular_films_without_reasons(service):
    loaded = service.loaded_run()
    listed = loaded.recommend(None, Opinions({"0": 1.0}), ListOptions(k=3)).films
    counts = loaded.dataset.item_counts.copy()
    counts[loaded.catalogue.code("0")] = 0
    assert [film.score for film in listed] == sorted(counts, reverse=True)[:3]
    assert {film.reason for film in listed} == {None}


def test_films_already_shown_are_not_listed_again(service):
    loaded = service.loaded_run()
    first = ids(loaded.recommend(None, COMEDIES, ListOptions(k=5)))
    more = ids(loaded.recommend(None, COMEDIES, ListOptions(k=5, without=tuple(first))))
    assert first + more == ids(loaded.recommend(None, COMEDIES, ListOptions(k=10)))


def test_only_films_that_match_the_filters_are_listed(service):
    loaded = service.loaded_run()
    films = loaded.recommend(None, COMEDIES, ListOptions(genres=("Drama",), years=(1960, 1980))).films
    assert films
    assert all(film.film.genres == ("Drama",) and 1960 <= film.film.year <= 1980 for film in films)
    with pytest.raises(UserError, match="No film has these genres and years"):
        loaded.recommend(None, COMEDIES, ListOptions(genres=("Drama",), years=(2050, None)))


def test_the_best_films_are_listed_by_year_without_exploration(service):
    loaded = service.loaded_run()
    best = loaded.recommend("1", NO_OPINIONS, ListOptions(k=6))
    for order, descending in ((Order.NEWEST, True), (Order.OLDEST, False)):
        listed = loaded.recommend("1", NO_OPINIONS, ListOptions(k=6, order=order), Exploration(places=3, pool=30))
        assert set(ids(listed)) == set(ids(best))
        years = [film.film.year for film in listed.films]
        assert years == sorted(years, reverse=descending)
        assert [film.position for film in listed.films] == [1, 2, 3, 4, 5, 6]


def test_a_match_is_the_share_of_films_that_a_film_outranks(service):
    loaded = service.loaded_run()
    best = ids(loaded.recommend(None, COMEDIES, ListOptions(k=60)))
    first, middle, last = (loaded.prediction(None, COMEDIES, best[place]) for place in (0, 28, -1))
    assert first.match == 1
    assert 0.4 < middle.match < 0.6
    assert last.match == 0
    assert first.stars is None  # EASE predicts no ratings
    assert loaded.prediction(None, COMEDIES, "0") is None  # it has stars
    assert loaded.prediction(None, NO_OPINIONS, "0") is None


def test_a_model_of_ratings_predicts_stars_of_the_scale(small_run, feedback):
    loaded = RecommendationService(
        {"bias": small_run("model=bias", "protocol=ratings", "split=ratio")}, dataset_of, feedback
    ).loaded_run()
    stars = [loaded.prediction("1", NO_OPINIONS, movie_id) for movie_id in loaded.catalogue.movie_ids]
    assert all(1 <= each.stars <= 5 for each in stars if each is not None)
    assert any(each is not None for each in stars)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"movie_id": 7, "imdb_id": "tt0113277", "tmdb_id": 949}, ("tt0113277", "949")),
        ({"movie_id": 7, "imdb_id": "113277", "tmdb_id": "949"}, ("tt0113277", "949")),
        ({"movie_id": "tt10872600"}, ("tt10872600", None)),
        ({"movie_id": 113277, "imdb_id": pd.NA, "tmdb_id": pd.NA}, (None, None)),
        ({"movie_id": 7, "imdb_id": "0", "tmdb_id": -1}, (None, None)),
        ({"movie_id": 7, "imdb_id": "tt1/?<b>", "tmdb_id": "9/../x"}, (None, None)),
    ],
)
def test_ids_elsewhere_are_links_only_if_they_are_ids(row, expected):
    assert (_imdb_id(pd.Series(row)), _tmdb_id(pd.Series(row))) == expected


def test_a_viewer_s_ratings_are_a_file_without_the_viewer_s_id(service):
    def rated(movie_id: str, stars: float, time: float) -> Event:
        return Event(f"k{time}", "web-secret", Kind.RATING, time, movie_id, stars)

    marked = Event("m", "web-secret", Kind.WATCH_LATER, 9.0, "3")
    events = [rated("2", 4.0, 8.0), marked, rated("gone", 4.0, 7.0), rated("1", 5.0, 6.0), rated("2", 1.0, 5.0)]
    text = ratings_as_csv(events, service.loaded_run().catalogue)
    assert text.splitlines() == [
        "movie_id,title,year,rating,rated_at,imdb_id,tmdb_id",
        "2,Amélie,1952,4.0,1970-01-01T00:00:08+00:00,,",
        "1,<script>alert(1)</script>,1951,5.0,1970-01-01T00:00:06+00:00,,",
    ]


def test_more_surprise_lists_less_popular_films(service):
    loaded = service.loaded_run()
    counts = loaded.dataset.item_counts

    def popularity(surprise: float) -> float:
        films = ids(loaded.recommend(None, COMEDIES, ListOptions(k=5, surprise=surprise)))
        return float(np.mean([counts[loaded.catalogue.code(film)] for film in films]))

    assert popularity(0.0) > popularity(0.5) > popularity(1.0)


def test_a_model_without_histories_serves_its_users_and_refuses_new_ones(service):
    loaded = service.loaded_run("lightgcn")
    assert len(loaded.recommend("3", NO_OPINIONS, ListOptions()).films) == 10
    with pytest.raises(UserError, match="LightGCN does not score by histories"):
        loaded.recommend("web-1", COMEDIES, ListOptions())


def test_similar_films_share_a_taste(service):
    near = service.loaded_run("lightgcn").similar("0", ListOptions(k=5))
    assert [film.genres for film, _ in near] == [("Comedy",)] * 5


def test_page_and_command_list_the_same_similar_films(service, runs, command):
    near = service.loaded_run().similar("0", ListOptions(k=5))
    listed = json.loads(command("similar", runs["ease"], "The Matrix", "-k", "5", "--json")[1])["neighbours"]
    assert [(film.movie_id, similarity) for film, similarity in near] == [
        (str(film["movie_id"]), film["similarity"]) for film in listed
    ]


def test_a_film_is_explained_by_a_liked_film(service):
    loaded = service.loaded_run()
    best = loaded.recommend(None, COMEDIES, ListOptions(k=1)).films[0]
    explained = loaded.explain(None, COMEDIES, best.film.movie_id)
    assert (explained.film, explained.reason, explained.reason_films) == (best.film, best.reason, best.reason_films)
    assert explained.score == pytest.approx(best.score)


def test_titles_are_found_while_they_are_typed_with_errors_and_without_articles(service):
    search = service.loaded_run().catalogue.search
    for typed in ("mat", "matrx", "the matrix", "MATRIX", "martix"):
        assert search(typed)[0].title == "The Matrix"
    assert search("amelie")[0].title == "Amélie"
    assert len(search("number 1", k=3)) == 3
    assert search("zzzzzzzzzz") == []
    assert search("!!!") == []


def test_a_histogram_counts_every_rating_of_a_film(service):
    loaded = service.loaded_run()
    histogram = loaded.catalogue.histogram("0")
    given = loaded.dataset.ratings[loaded.dataset.items == loaded.catalogue.code("0")]
    assert histogram == {stars: int((given == stars).sum()) for stars in (1.0, 2.0, 3.0, 4.0, 5.0)}


def test_films_to_start_from_are_those_that_improve_lists_the_most(service):
    loaded = service.loaded_run()
    films = loaded.first_films(6)
    assert len({film.movie_id for film in films}) == 6
    chosen = first_questions(loaded.model, loaded.dataset, 6)
    assert [film.movie_id for film in films] == [loaded.catalogue.movie_ids[item] for item in chosen]


def test_a_new_viewer_can_begin_with_data_without_titles(small_ease, feedback):
    loaded = RecommendationService({"ease": small_ease}, dataset_of, feedback).loaded_run()
    assert len({film.movie_id for film in loaded.first_films(3)}) == 3
    for typed in ("4", " Film 4", "film 4 "):
        assert [film.title for film in loaded.catalogue.search(typed)] == ["Film 4"]
    assert loaded.catalogue.search("film 99") == []


def test_only_web_addresses_are_posters(service):
    catalogue = service.loaded_run().catalogue
    assert catalogue.film("5").poster == "http://127.0.0.1:9/poster.jpg"
    assert catalogue.film("6").poster is None


@pytest.mark.parametrize(
    ("request_of", "message"),
    [
        (
            lambda loaded: loaded.recommend(None, Opinions({"999": 5.0}), ListOptions()),
            "There is no film '999' in files",
        ),
        (lambda loaded: loaded.recommend(None, COMEDIES, ListOptions(genres=("Comdy",))), "There is no genre 'Comdy'"),
        (lambda loaded: loaded.ratings_of_user("nobody"), "There is no user 'nobody' in files: ids are like"),
        (lambda loaded: loaded.catalogue.histogram("x"), "There is no film 'x'"),
    ],
)
def test_missing_films_genres_and_users_are_refused(service, request_of, message):
    with pytest.raises(UserError, match=message):
        request_of(service.loaded_run())


def test_stored_opinions_of_films_that_the_run_lacks_are_skipped(service):
    lacking = [
        Event("a", "new", Kind.RATING, 1.0, movie_id="999", value=5.0),
        Event("b", "new", Kind.SEEN, 2.0, movie_id="998"),
        Event("c", "new", Kind.RATING, 3.0, movie_id="2", value=5.0),
    ]
    service.store.add(lacking)
    assert service.opinions("new") == Opinions({"2": 5.0})
    assert len(service.build_list("new", ListOptions(k=3)).films) == 3


def test_without_exploration_every_film_of_the_list_is_certain():
    shown, propensities = Exploration(0, 50).draw(np.arange(60), 10, np.random.default_rng(0))
    assert shown.tolist() == list(range(10))
    assert propensities.tolist() == [1.0] * 10


def test_films_are_drawn_as_often_as_their_propensity_says():
    rng = np.random.default_rng(0)
    explore, times = Exploration(places=2, pool=20), np.zeros(60)
    for _ in range(4000):
        shown, propensities = explore.draw(np.arange(60), 10, rng)
        assert len(set(shown)) == 10
        assert [film for film, p in zip(shown, propensities, strict=True) if p == 1] == list(range(8))
        assert set(propensities) == {1.0, 2 / 12}
        times[shown] += 1
    assert times[:8].tolist() == [4000] * 8
    assert np.allclose(times[8:20] / 4000, 2 / 12, atol=0.03)
    assert not times[20:].any()


@pytest.mark.parametrize("k", [1, 3, 4, 12])
def test_the_first_three_films_are_always_the_best(k):
    rng = np.random.default_rng(0)
    drawn = set()
    for _ in range(100):
        shown, propensities = Exploration(places=2, pool=20).draw(np.arange(60), k, rng)
        assert shown[:3].tolist() == list(range(min(k, 3)))
        assert len(shown) == k
        drawn |= set(np.flatnonzero(propensities < 1).tolist())
    assert drawn == set(range(3, k))  # all other places are drawn at times


def test_a_list_too_short_to_draw_from_is_left_as_it_is():
    shown, propensities = Exploration(2, 50).draw(np.arange(7), 10, np.random.default_rng(0))
    assert shown.tolist() == list(range(7))
    assert propensities.tolist() == [1.0] * 7


def test_shown_lists_are_logged_with_their_propensities(service):
    service.explore = Exploration(places=2, pool=30)
    shown = service.show_list("1", ListOptions(k=6, genres=("Comedy",)))
    logged = service.store.impressions()
    assert logged["movie_id"].tolist() == ids(shown)
    assert logged["propensity"].tolist() == [film.propensity for film in shown.films]
    assert logged["propensity"].min() < 1
    assert logged["request"].iloc[0]["genres"] == ["Comedy"]
    assert [film.is_explored for film in shown.films] == (logged["propensity"] < 1).tolist()
    assert [film.reason is None for film in shown.films] == (logged["propensity"] < 1).tolist()


def test_feedback_on_missing_films_or_off_the_scale_is_refused(service):
    def event(**given) -> Event:
        return Event(**{"key": "a", "user_id": "1", "kind": Kind.RATING, "time": 1.0, "movie_id": "0", **given})

    assert service.record(event(value=4.0))
    assert not service.record(event(value=4.0))
    for message, invalid in (
        (r"A rating must be one of 1, 2, 3, 4, 5 stars \(got 4.5\)", event(key="b", value=4.5)),
        (r"stars \(got none\)", event(key="b")),
        ("There is no film '77x'", event(key="b", movie_id="77x", value=3.0)),
        ("must have a movie_id", event(key="b", movie_id=None, kind=Kind.SEEN)),
    ):
        with pytest.raises(UserError, match=message):
            service.record(invalid)
    assert service.store.counts()["rating"] == 1


def test_an_unknown_run_and_a_run_of_other_data_are_refused(service, runs, tmp_path):
    with pytest.raises(NotFoundError, match="There is no run 'x' here: there are ease, ials, lightgcn"):
        service.loaded_run("x")
    other = tmp_path / "other"
    other.mkdir()
    for name in ("config.yaml", "metrics.json", "manifest.json"):
        text = (runs["ease"] / name).read_text()
        (other / name).write_text(text.replace(service.loaded_run().dataset.fingerprint, "another"))
    with pytest.raises(UserError, match="All runs must be of one data set"):
        RecommendationService({"ease": runs["ease"], "other": other}, dataset_of, service.store)


def test_a_directory_gives_the_runs_in_it(runs):
    folder = runs["ease"].parent
    assert runs_by_name([runs["lightgcn"], runs["ease"]]) == {"lightgcn": runs["lightgcn"], "ease": runs["ease"]}
    assert set(runs_by_name([folder])) == set(runs)
    with pytest.raises(UserError, match="holds no finished run"):
        runs_by_name([folder / "cache"])


@pytest.mark.parametrize("model", [IALS(embedding_dim=8), MF(embedding_dim=8, max_epochs=2)])
def test_scores_are_products_of_vectors(model, timed):
    model.fit(timed)
    users = np.array([0, 5, -1])
    history = timed.history(users)
    products = model.user_vectors(Query(users, history)) @ model.item_vectors().T
    assert np.allclose(products, model.score_without_fallback(Query(users, history)), atol=1e-5)


def test_an_index_finds_nearly_all_of_the_best_films():
    rng = np.random.default_rng(0)
    data = Dataset.from_arrays(rng.integers(0, 300, 20000), rng.integers(0, 5000, 20000))
    model = IALS(embedding_dim=8, n_sweeps=1)
    model.user_factors = rng.normal(size=(300, 8)).astype(np.float32)
    model.item_factors = (rng.normal(size=(5000, 8)) * rng.gamma(1, size=(5000, 1))).astype(np.float32)
    index = FilmIndex(model, IndexSettings(n_measured=300))  # built by threads, so that recall varies from 0.94 to 0.97
    assert index.recall(data) > 0.9
    assert FilmIndex(model, IndexSettings(n_measured=50, expansion=10, connections=4)).recall(data) < 1
    users = np.array([3])
    scores = index.scores(data.query(users), 40)
    found = np.isfinite(scores[0])
    assert found.sum() == 40
    assert np.allclose(scores[0, found], model.score(data.query(users))[0, found], atol=1e-4)


def test_an_index_needs_scores_that_are_products():
    with pytest.raises(UserError, match="The scores of Popularity are not inner products"):
        FilmIndex(Popularity(), IndexSettings())


def test_an_index_does_not_change_the_lists(service, runs):
    exact = service.loaded_run("ials")
    indexed = replace(exact, index=FilmIndex(exact.model, IndexSettings()))
    assert ids(indexed.recommend(None, COMEDIES, ListOptions())) == ids(exact.recommend(None, COMEDIES, ListOptions()))
    assert len(ids(indexed.recommend(None, COMEDIES, ListOptions(genres=("Drama",))))) == 10


@pytest.mark.parametrize("prior", [{"prior_strength": 1.0}, {"popularity_half_life": 7.0}])
def test_lists_with_popularity_in_the_scores_are_exact_with_an_index_too(prior, service, monkeypatch):
    run = service.loaded_run("ials")
    model = IALS(embedding_dim=8, **prior).fit(run.dataset)
    indexed = replace(run, model=model, index=FilmIndex(model, IndexSettings()))
    monkeypatch.setattr(FilmIndex, "scores", lambda *_: pytest.fail("the index does not know popularity"))
    listed = ids(indexed.recommend(None, COMEDIES, ListOptions()))
    user, history = indexed.user_and_history(None, COMEDIES)
    scores = mask_seen(model.score(Query(np.array([user]), history)), history)
    assert listed == [run.catalogue.movie_ids[item] for item in top_k(scores, np.array([user]), len(listed))[0]]


def test_removal_losses_of_item_item_models_equal_erased_scores(service):
    loaded = service.loaded_run()
    user, history = loaded.user_and_history("1", NO_OPINIONS)
    everything = loaded.model.score(Query(np.array([user]), history))[0]
    for place in range(3):
        n_left = len(history.items) - 1
        without = History(np.array([0, n_left]), np.delete(history.items, place), np.delete(history.ratings, place))
        erased = everything - loaded.model.score(Query(np.array([user]), without))[0]
        assert np.allclose(
            removal_losses(loaded.model, user, history, np.array([place]), np.arange(N_FILMS))[0], erased, atol=1e-5
        )
    assert len(everything) == N_FILMS


def test_page_and_command_give_the_same_reasons(service, runs, command):
    listed = service.loaded_run().recommend("3", NO_OPINIONS, ListOptions(k=8)).films
    found = json.loads(command("recommend", runs["ease"], "--user", "3", "-k", "8", "--json")[1])["recommendations"]
    assert [film.reason for film in listed] == [film["reason"] and film["reason"]["sentence"] for film in found]
    assert any(film.reason for film in listed)


def test_a_run_and_its_catalogue_share_the_codes_of_users(service):
    loaded = service.loaded_run()
    assert loaded.user_codes is loaded.catalogue.user_codes
