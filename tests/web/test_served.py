"""Lists of served runs, the films that they are made of, and what is left to chance in them."""

from dataclasses import replace

import numpy as np
import pytest

from recsys.analysis.explain import contributions
from recsys.data.dataset import Dataset
from recsys.data.query import History
from recsys.errors import UserError
from recsys.models.ials import IALS
from recsys.models.mf import MF
from recsys.models.popularity import Popularity
from recsys.web.catalogue import NotFoundError
from recsys.web.events import Event, Kind, Opinions
from recsys.web.index import FilmIndex, IndexSettings
from recsys.web.served import Exploration, Wish
from recsys.web.service import Service, named_runs
from tests.web.conftest import N_FILMS, data_of

NOBODY = Opinions()
COMEDIES = Opinions({"0": 5.0, "2": 5.0, "4": 4.0})


def ids(films) -> list[str]:
    return [listed.film.movie_id for listed in films.films]


def test_somebody_new_gets_films_of_the_same_taste_with_a_reason(service):
    listed = service.served().recommend(None, COMEDIES, Wish(k=5)).films
    assert all(film.film.genres == ("Comedy",) for film in listed)
    assert not {film.film.movie_id for film in listed} & set(COMEDIES.ratings)
    assert listed[0].reason_kind == "history"
    assert listed[0].reason_film.movie_id in COMEDIES.ratings
    assert [film.position for film in listed] == [1, 2, 3, 4, 5]
    scores = [film.score for film in listed]
    assert scores == sorted(scores, reverse=True)


def test_a_rating_changes_the_list_at_once(service):
    served = service.served()
    assert ids(served.recommend(None, COMEDIES, Wish())) != ids(
        served.recommend(None, Opinions({"1": 5.0, "3": 5.0}), Wish())
    )


def test_hidden_films_and_those_rated_are_not_listed(service):
    served = service.served()
    first = ids(served.recommend("1", NOBODY, Wish()))
    again = ids(served.recommend("1", Opinions({first[0]: 2.0}, frozenset(first[1:3])), Wish()))
    assert not set(again) & set(first[:3])
    rated = {film.movie_id for film, _, _ in served.rated("1")}
    assert not rated & set(first)


def test_a_film_rated_again_counts_once_and_as_rated_last(service):
    served = service.served()
    film, _, _ = served.rated("1")[-1]
    code = served.catalogue.code(film.movie_id)
    _, history = served._person("1", Opinions({film.movie_id: 5.0}))
    assert history.ratings[history.items == code].tolist() == [5.0]
    assert history.items[-1] == code  # the latest
    _, history = served._person("1", Opinions({film.movie_id: 1.0}))
    assert code not in history.items  # what was not liked is no part of a history of what was watched


def test_a_film_that_was_not_liked_speaks_for_nothing_and_is_not_listed(service):
    served = service.served()
    disliked = Opinions({**COMEDIES.ratings, "1": 1.0, "3": 2.0})
    listed = served.recommend(None, disliked, Wish()).films
    assert [film.score for film in listed] == [film.score for film in served.recommend(None, COMEDIES, Wish()).films]
    assert not {"1", "3"} & {film.film.movie_id for film in listed}
    assert not {"1", "3"} & {film.reason_film.movie_id for film in listed if film.reason_film}


def test_somebody_who_liked_nothing_yet_is_shown_what_most_people_rated_without_a_reason(service):
    served = service.served()
    listed = served.recommend(None, Opinions({"0": 1.0}), Wish(k=3)).films
    counts = served.dataset.item_counts.copy()
    counts[served.catalogue.code("0")] = 0
    assert [film.score for film in listed] == sorted(counts, reverse=True)[:3]
    assert {film.reason for film in listed} == {None}


def test_films_that_are_shown_already_are_not_listed_again(service):
    served = service.served()
    first = ids(served.recommend(None, COMEDIES, Wish(k=5)))
    more = ids(served.recommend(None, COMEDIES, Wish(k=5, without=tuple(first))))
    assert first + more == ids(served.recommend(None, COMEDIES, Wish(k=10)))


def test_only_films_that_pass_the_filters_are_listed(service):
    served = service.served()
    films = served.recommend(None, COMEDIES, Wish(genres=("Drama",), years=(1960, 1980))).films
    assert films
    assert all(film.film.genres == ("Drama",) and 1960 <= film.film.year <= 1980 for film in films)
    with pytest.raises(UserError, match="No film is of such genres and years"):
        served.recommend(None, COMEDIES, Wish(genres=("Drama",), years=(2050, None)))


def test_more_surprise_lists_films_that_fewer_people_rated(service):
    served = service.served()
    counts = served.dataset.item_counts

    def popularity(surprise: float) -> float:
        films = ids(served.recommend(None, COMEDIES, Wish(k=5, surprise=surprise)))
        return float(np.mean([counts[served.catalogue.code(film)] for film in films]))

    assert popularity(0.0) > popularity(0.5) > popularity(1.0)


def test_a_model_that_ignores_histories_serves_its_users_and_refuses_somebody_new(service):
    served = service.served("gmf")
    assert len(served.recommend("3", NOBODY, Wish()).films) == 10
    with pytest.raises(UserError, match="GMF ignores what somebody new likes"):
        served.recommend("web-1", COMEDIES, Wish())


def test_similar_films_share_a_taste(service):
    measure, near = service.served("ials").similar("0", Wish(k=5))
    assert "cosine" in measure
    assert [film.genres for film, _ in near] == [("Comedy",)] * 5


def test_one_film_is_explained_by_what_was_liked(service):
    served = service.served()
    best = served.recommend(None, COMEDIES, Wish(k=1)).films[0]
    told = served.explain(None, COMEDIES, best.film.movie_id)
    assert (told.film, told.reason, told.reason_film) == (best.film, best.reason, best.reason_film)
    assert told.score == pytest.approx(best.score)


def test_titles_are_found_while_they_are_typed_with_errors_and_without_articles(service):
    search = service.served().catalogue.search
    for typed in ("mat", "matrx", "the matrix", "MATRIX", "martix"):
        assert search(typed)[0].title == "The Matrix"
    assert search("amelie")[0].title == "Amélie"
    assert len(search("number 1", k=3)) == 3
    assert search("zzzzzzzzzz") == []
    assert search("!!!") == []


def test_a_histogram_counts_every_rating_of_a_film(service):
    served = service.served()
    histogram = served.catalogue.histogram("0")
    given = served.dataset.ratings[served.dataset.items == served.catalogue.code("0")]
    assert histogram == {stars: int((given == stars).sum()) for stars in (1.0, 2.0, 3.0, 4.0, 5.0)}


def test_films_to_start_from_are_much_rated_and_of_both_tastes(service):
    catalogue = service.served().catalogue
    films = catalogue.well_known(6)
    assert len({film.movie_id for film in films}) == 6
    assert {film.genres for film in films} == {("Comedy",), ("Drama",)}
    assert films[0].movie_id == catalogue.movie_ids[catalogue.dataset.item_counts.argmax()]


def test_only_web_addresses_are_posters(service):
    catalogue = service.served().catalogue
    assert catalogue.film("5").poster == "http://127.0.0.1:9/poster.jpg"
    assert catalogue.film("6").poster is None


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (lambda served: served.recommend(None, Opinions({"999": 5.0}), Wish()), "There is no film '999' in files"),
        (lambda served: served.recommend(None, COMEDIES, Wish(genres=("Comdy",))), "There is no genre 'Comdy'"),
        (lambda served: served.rated("nobody"), "There is no user 'nobody' in files: ids are like"),
        (lambda served: served.catalogue.histogram("x"), "There is no film 'x'"),
    ],
)
def test_what_is_not_there_is_told_in_one_sentence(service, asked, told):
    with pytest.raises(UserError, match=told):
        asked(service.served())


def test_without_exploration_the_models_own_list_is_certain():
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


def test_a_list_too_short_to_draw_from_is_left_as_it_is():
    shown, propensities = Exploration(2, 50).draw(np.arange(7), 10, np.random.default_rng(0))
    assert shown.tolist() == list(range(7))
    assert propensities.tolist() == [1.0] * 7


def test_lists_that_are_shown_are_logged_with_their_propensities(service):
    service.explore = Exploration(places=2, pool=30)
    shown = service.show("1", Wish(k=6, genres=("Comedy",)))
    logged = service.store.impressions()
    assert logged["movie_id"].tolist() == ids(shown)
    assert logged["propensity"].tolist() == [film.propensity for film in shown.films]
    assert logged["propensity"].min() < 1
    assert logged["request"].iloc[0]["genres"] == ["Comedy"]


def test_feedback_is_held_to_films_and_stars_that_there_are(service):
    def event(**given) -> Event:
        return Event(**{"key": "a", "user_id": "1", "kind": Kind.RATING, "time": 1.0, "movie_id": "0", **given})

    assert service.tell(event(value=4.0))
    assert not service.tell(event(value=4.0))
    for told, wrong in (
        ("A rating cannot be 4.5 stars: it is one of 1, 2, 3, 4, 5", event(key="b", value=4.5)),
        ("A rating cannot be no stars", event(key="b")),
        ("There is no film '77x'", event(key="b", movie_id="77x", value=3.0)),
        ("Of which film", event(key="b", movie_id=None, kind=Kind.SEEN)),
    ):
        with pytest.raises(UserError, match=told):
            service.tell(wrong)
    assert service.store.counts()["rating"] == 1


def test_an_unknown_run_and_a_run_of_other_data_are_refused(service, runs, tmp_path):
    with pytest.raises(NotFoundError, match="There is no run 'x' here: there are ease, ials, gmf"):
        service.served("x")
    other = tmp_path / "other"
    other.mkdir()
    for name in ("config.yaml", "metrics.json", "manifest.json"):
        text = (runs["ease"] / name).read_text()
        (other / name).write_text(text.replace(service.served().dataset.fingerprint, "another"))
    with pytest.raises(UserError, match="is a run of other data"):
        Service({"ease": runs["ease"], "other": other}, data_of, service.store)


def test_a_directory_stands_for_the_runs_in_it(runs):
    folder = runs["ease"].parent
    assert named_runs([runs["gmf"], runs["ease"]]) == {"gmf": runs["gmf"], "ease": runs["ease"]}
    assert set(named_runs([folder])) == set(runs)
    with pytest.raises(UserError, match="holds no finished run"):
        named_runs([folder / "cache"])


@pytest.mark.parametrize("model", [IALS(embedding_dim=8), MF(embedding_dim=8, max_epochs=2)])
def test_scores_are_products_of_vectors(model, timed):
    model.fit(timed)
    users = np.array([0, 5, -1])
    history = timed.history(users)
    products = model.user_vectors(users, history) @ model.item_vectors().T
    assert np.allclose(products, model.score(users, history), atol=1e-5)


def test_an_index_finds_nearly_all_of_the_best_films():
    rng = np.random.default_rng(0)
    data = Dataset.from_arrays(rng.integers(0, 300, 20000), rng.integers(0, 5000, 20000))
    model = IALS(embedding_dim=8, n_sweeps=1)
    model.user_factors = rng.normal(size=(300, 8)).astype(np.float32)
    model.item_factors = (rng.normal(size=(5000, 8)) * rng.gamma(1, size=(5000, 1))).astype(np.float32)
    index = FilmIndex(model, IndexSettings(n_measured=50))
    assert index.recall(data) > 0.95
    assert FilmIndex(model, IndexSettings(n_measured=50, expansion=10, connections=4)).recall(data) < 1
    users = np.array([3])
    scores = index.scores(users, data.history(users), 40)
    found = np.isfinite(scores[0])
    assert found.sum() == 40
    assert np.allclose(scores[0, found], model.score(users, data.history(users))[0, found], atol=1e-4)


def test_an_index_needs_scores_that_are_products():
    with pytest.raises(UserError, match="Popularity scores films by no inner products"):
        FilmIndex(Popularity(), IndexSettings())


def test_an_indexed_run_lists_what_it_lists_without_an_index(service, runs):
    exact = service.served("ials")
    indexed = replace(exact, index=FilmIndex(exact.model, IndexSettings()))
    assert ids(indexed.recommend(None, COMEDIES, Wish())) == ids(exact.recommend(None, COMEDIES, Wish()))
    assert len(ids(indexed.recommend(None, COMEDIES, Wish(genres=("Drama",))))) == 10


def test_item_item_models_name_contributions_as_erasing_films_would(service):
    served = service.served()
    user, history = served._person("1", NOBODY)
    everything = served.model.score(np.array([user]), history)[0]
    for place in range(3):
        n_left = len(history.items) - 1
        without = History(np.array([0, n_left]), np.delete(history.items, place), np.delete(history.ratings, place))
        erased = everything - served.model.score(np.array([user]), without)[0]
        assert np.allclose(contributions(served.model, user, history, np.array([place]))[0], erased, atol=1e-5)
    assert len(everything) == N_FILMS
