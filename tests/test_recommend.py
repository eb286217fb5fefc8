"""Tests of `python -m recsys recommend` and `similar` on tiny runs."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import train
from recsys.analysis.recommend import check_scores_new_users
from recsys.config import compose
from recsys.data.dataset import Dataset
from recsys.errors import UserError
from recsys.models.popularity import Popularity


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """Runs of five models on 40 users, of whom half rate dramas and half comedies."""
    folder = tmp_path_factory.mktemp("runs")
    rng = np.random.default_rng(0)
    rows = [
        (f"u{user}", item, rng.integers(3, 6), 10**9 + rng.integers(10**6))
        for user in range(40)
        for item in np.arange(user % 2, 30, 2)
        if rng.random() < 0.6
    ]
    pd.DataFrame(rows, columns=["user_id", "movie_id", "rating", "time"]).to_csv(folder / "ratings.csv", index=False)
    films = pd.DataFrame({"movie_id": range(30)})
    films["title"] = [f"The Great {'Hope' if i % 2 else 'Joke'} {'x' * i} ({1950 + i})" for i in films["movie_id"]]
    films["genres"] = ["Drama" if i % 2 else "Comedy" for i in films["movie_id"]]
    films.to_csv(folder / "films.csv", index=False)
    data = [
        "data=files",
        f"data.path={folder}/ratings.csv",
        f"data.films_path={folder}/films.csv",
        *(f"data.films_columns.{name}={name}" for name in ("movie_id", "title", "genres")),
        "ks=[1,5,10]",
        "logger=none",
        f"cache_dir={folder}/cache",
    ]
    small = ["model.max_epochs=8", "model.batch_size=8", "encoder=tfidf", "encoder.n_components=4"]
    for model in (
        ["model=ease", "model.l2=5", "model.prior_strength=0"],
        ["model=markov", "model.last_items=1"],
        ["model=mf", "model.max_epochs=2"],
        ["model=two_tower", *small],
        ["model=two_stage", "model.n_trees=20", "model.min_samples_leaf=5"],
    ):
        train.train(compose("train", [*data, *model, f"run_dir={folder}/{model[0].removeprefix('model=')}"]))
    return folder


def test_a_model_in_two_stages_lists_what_groups_of_features_add(command, runs):
    status, out, _ = command("recommend", runs / "two_stage", "--user", "u3", "--json", "-k", "3")
    assert status == 0
    for film in json.loads(out)["recommendations"]:
        sizes = [abs(added) for added in film["contributions"].values()]
        assert sizes == sorted(sizes, reverse=True)
        assert {"by linear_ar", "by all models", "user", "item", "moment", "affinity"} <= film["contributions"].keys()
    _, out, _ = command("recommend", runs / "two_stage", "--user", "u3", "-k", "3")
    assert "Score by features" in out


def test_a_user_gets_unseen_films_with_scores_and_reasons(command, runs):
    status, out, _ = command("recommend", runs / "ease", "--user", "u3", "--json", "-k", "5")
    answer = json.loads(out)
    assert status == 0
    assert answer["user_id"] == "u3"
    ratings = pd.read_csv(runs / "ratings.csv")
    seen = set(ratings[ratings["user_id"] == "u3"]["movie_id"])
    listed = answer["recommendations"]
    assert not seen & {film["movie_id"] for film in listed}
    assert [film["genres"] for film in listed[:3]] == [["Drama"]] * 3
    scores = [film["score"] for film in listed]
    assert scores == sorted(scores, reverse=True)
    assert listed[0]["reason"]["kind"] == "history"
    assert {film["movie_id"] for film in listed[0]["reason"]["films"]} <= seen


def test_the_table_has_titles_years_genres_scores_and_reasons(command, runs):
    status, out, _ = command("recommend", runs / "ease", "--user", "u3")
    assert status == 0
    for word in ("Recommendations for user u3", "The Great Hope x", "19", "Drama", "liked by", "would fall most"):
        assert word in out


def test_titles_in_brackets_are_in_the_tables(command, runs, monkeypatch):
    films = runs / "films.csv"
    original = films.read_text()
    try:
        films.write_text(re.sub(r"The Great (Hope|Joke) (x*)", r"[/\2] [bold]", original))
        for arguments in (["recommend", runs / "ease", "--user", "u3"], ["similar", runs / "ease", "[/xxx] [bold]"]):
            status, out, _ = command(*arguments)
            assert status == 0
            assert "[/x" in out
            assert "[bold]" in out
    finally:
        films.write_text(original)


def test_a_new_user_gets_recommendations_from_liked_titles(command, runs):
    status, out, _ = command(
        "recommend", runs / "ease", "--liked", "great hope x", "--liked", f"The great joke, {'x' * 28} (1978)", "--json"
    )
    answer = json.loads(out)
    assert status == 0
    assert answer["user_id"] is None
    assert {film["movie_id"] for film in answer["liked"]} == {1, 28}
    assert not {1, 28} & {film["movie_id"] for film in answer["recommendations"]}
    for film in answer["recommendations"]:  # only the two liked films can be reasons
        assert film["reason"] is None or {named["movie_id"] for named in film["reason"]["films"]} <= {1, 28}


def test_the_table_of_a_model_that_reads_order_explains_its_reasons(command, runs):
    liked = [f"The Great Joke {'x' * i}".strip() for i in (0, 2, 4, 6)]
    status, out, err = command("recommend", runs / "markov", *(word for title in liked for word in ("--liked", title)))
    assert status == 0, err
    assert "rated within" in out
    assert "as it is recent" in " ".join(out.split())


def test_filters_restrict_the_recommended_films(command, runs):
    filters = ("--filter", "genre=Comedy", "--filter", "year>=1960")
    _, out, _ = command("recommend", runs / "ease", "--user", "u3", *filters, "--json")
    assert all(film["genres"] == ["Comedy"] and film["year"] >= 1960 for film in json.loads(out)["recommendations"])
    assert len(json.loads(out)["recommendations"]) == 10


def test_a_model_that_ignores_histories_has_reasons_of_another_kind(command, runs):
    status, out, _ = command("recommend", runs / "mf", "--user", "u3")
    assert status == 0
    assert "which you liked" in out
    assert "because" not in out


def test_similar_films_are_listed_with_the_measure(command, runs):
    status, out, _ = command("similar", runs / "ease", "great hope x", "--json", "-k", "4")
    answer = json.loads(out)
    assert status == 0
    assert answer["film"]["movie_id"] == 1
    assert "more users rated both" in answer["measure"]
    assert [film["genres"] for film in answer["neighbours"]] == [["Drama"]] * 4
    assert 1 not in [film["movie_id"] for film in answer["neighbours"]]
    assert "similarity" in command("similar", runs / "ease", "great hope x")[1]


def test_a_new_user_is_folded_into_matrix_factorisation(command, runs):
    status, out, _ = command("recommend", runs / "mf", "--liked", "great hope x", "--json", "-k", "3")
    assert status == 0
    listed = {film["movie_id"] for film in json.loads(out)["recommendations"]}
    assert len(listed) == 3
    assert 1 not in listed


def test_a_model_with_one_list_for_all_refuses_new_users(untimed: Dataset):
    with pytest.raises(UserError, match="Popularity ignores the history of a new user"):
        check_scores_new_users(Popularity().fit(untimed))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["recommend", "ease", "--user", "7"], "There is no user 7 in files"),
        (["recommend", "ease", "--liked", "Casablanca"], "There is no film 'Casablanca'"),
        (["recommend", "ease", "--liked", "great"], "may be"),
        (["recommend", "nothing", "--user", "u3"], "holds no finished run"),
        (["recommend", "ease", "--user", "u3", "--filter", "colour=red"], "movie_id, title, year, genres"),
        (["similar", "ease", "Casablanca"], "There is no film 'Casablanca'"),
    ],
)
def test_invalid_arguments_give_one_sentence_and_status_2(command, runs, arguments, words):
    name, run, *rest = arguments
    status, out, err = command(name, runs / run, *rest)
    assert status == 2
    assert out == ""
    assert words in err.splitlines()[-1]
    assert err.splitlines()[-1].startswith("error: ")


def test_data_that_differ_from_the_training_data_give_a_warning_or_an_error(command, runs, caplog):
    ratings = runs / "ratings.csv"
    original = ratings.read_text()
    try:
        ratings.write_text(re.sub(r",3,(?=1\d{9})", ",4,", original))
        assert command("recommend", runs / "ease", "--user", "u3")[0] == 0
        assert "no longer the data" in caplog.text
        as_many_others = re.sub(r"^u3,", "another,", original, flags=re.MULTILINE)
        for changed in (original + "new,1,5,1000000000\n", as_many_others):
            ratings.write_text(changed)
            status, _, err = command("recommend", runs / "ease", "--user", "u4")
            assert status == 2
            assert "other users or items, so train the model again" in err
    finally:
        ratings.write_text(original)


@pytest.fixture
def new_films(tmp_path) -> Path:
    """A file of two films that were added after training, with less metadata than the others."""
    columns = {"title": ["Late Laughs", "Late Tears (2001)"], "year": ["1999", None], "genres": ["Comedy", "Drama"]}
    pd.DataFrame(columns).to_csv(tmp_path / "new.csv", index=False)
    return tmp_path / "new.csv"


def test_new_films_are_recommended_by_their_metadata(command, runs, new_films):
    options = ["--films", new_films, "--filter", "year>=1990", "--json"]
    listed = {}
    for liked in ("The Great Hope x", "The Great Joke xx"):
        status, out, _ = command("recommend", runs / "two_tower", "--liked", liked, *options)
        assert status == 0
        listed[liked] = {film["title"]: film["score"] for film in json.loads(out)["recommendations"]}
        assert listed[liked].keys() == {"Late Laughs", "Late Tears"}
    drama, comedy = listed.values()
    assert drama["Late Tears"] - drama["Late Laughs"] > comedy["Late Tears"] - comedy["Late Laughs"]


def test_a_new_film_can_be_liked_and_has_neighbours(command, runs, new_films):
    status, out, _ = command("recommend", runs / "two_tower", "--liked", "Late Tears", "--films", new_films, "--json")
    assert status == 0
    assert json.loads(out)["recommendations"]
    status, out, _ = command("similar", runs / "ease", "Late Laughs", "--films", new_films, "--json", "-k", "5")
    assert status == 0
    assert len(json.loads(out)["neighbours"]) == 5


def test_new_films_are_encoded_by_no_model_that_may_be_fetched(command, runs, new_films, tmp_path):
    run = shutil.copytree(runs / "two_tower", tmp_path / "run")
    described = json.loads((run / "model" / "model.json").read_text())
    encoder = {"_target_": "recsys.data.text.SentenceEncoder", "model": "mallory/model"}
    described["hyperparameters"]["encoder"] = encoder
    (run / "model" / "model.json").write_text(json.dumps(described))
    assert command("recommend", run, "--user", "u3")[0] == 0
    status, _, err = command("recommend", run, "--user", "u3", "--films", new_films)
    assert status == 2
    assert "model.encoder.model of a stored config must be all-MiniLM-L6-v2 (got mallory/model)" in err
    assert "--trusted" in err


def test_new_films_require_titles_and_a_model_with_an_open_catalogue(command, runs, new_films, tmp_path):
    status, _, err = command("recommend", runs / "ease", "--user", "u3", "--films", new_films)
    assert (status, "choose a run of two_tower" in err) == (2, True)
    pd.DataFrame({"title": ["Known", None], "year": [1999, 2001]}).to_csv(tmp_path / "untitled.csv", index=False)
    status, _, err = command("recommend", runs / "two_tower", "--user", "u3", "--films", tmp_path / "untitled.csv")
    assert (status, "row 2 has none" in err) == (2, True)
    pd.DataFrame({"movie_id": [3], "title": ["Known"]}).to_csv(tmp_path / "known.csv", index=False)
    status, _, err = command("recommend", runs / "two_tower", "--user", "u3", "--films", tmp_path / "known.csv")
    assert (status, "must be new, or left out: 3 already exists" in err) == (2, True)
    (tmp_path / "empty.csv").write_text("title,year\n")
    status, _, err = command("recommend", runs / "two_tower", "--user", "u3", "--films", tmp_path / "empty.csv")
    assert (status, "must have a row for each new item (got none)" in err) == (2, True)
    status, _, err = command("recommend", runs / "two_tower", "--user", "u3", "--films", tmp_path / "none.csv")
    assert (status, "must be an existing CSV or Parquet file" in err) == (2, True)


HISTORY = """Date,Name,Year,Letterboxd URI,Rating
2024-01-02,The Great Hope x,1951,u,5
2024-01-03,Great Hope xxx,1954,u,4.5
2024-01-04,The Great Joke xx,1952,u,0.5
2024-01-05,Parasite,2019,u,5
"""


def test_a_history_from_elsewhere_is_shown_and_recommended_from(command, runs, tmp_path):
    file = tmp_path / "ratings.csv"
    file.write_text(HISTORY)
    status, out, _ = command("recommend", runs / "ease", "--history", file, "-k", "3")
    assert status == 0
    shown, recommended = out.split("Recommendations for a new user")
    assert all(
        words in shown for words in ("3 films of ratings.csv (Letterboxd)", "year off by one", "Parasite (2019)")
    )
    assert "who liked The Great Hope xxx (1953), The Great Hope x (1951)" in " ".join(recommended.split())
    status, out, _ = command("recommend", runs / "ease", "--history", file, "-k", "30", "--json")
    answer = json.loads(out)
    assert [(film["film"]["movie_id"], film["rating"]) for film in answer["history"]["matched"]] == [
        (1, 5),
        (3, 5),
        (2, 1),
    ]
    assert answer["history"]["unmatched"] == [{"name": "Parasite (2019)", "reason": "not in the data"}]
    assert [film["movie_id"] for film in answer["liked"]] == [3, 1]  # the model learned from what users liked
    assert not {1, 2, 3} & {film["movie_id"] for film in answer["recommendations"]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "--history must be a file that can be read"),
        ("title,year\nParasite,2019\n", "--history must have films of"),
        ("a,b\n1,2\n", "must be a history of Letterboxd"),
    ],
)
def test_a_file_without_films_is_refused(command, runs, tmp_path, content, message):
    file = tmp_path / "history.csv"
    if content is not None:
        file.write_text(content)
    status, _, err = command("recommend", runs / "ease", "--history", file)
    assert status == 2
    assert message in err


@pytest.mark.parametrize(("model", "is_said"), [("markov", True), ("ease", False)])  # ease has no prior here
def test_a_list_for_few_films_says_that_it_depends_on_popularity(model: str, is_said: bool, command, runs):
    status, out, _ = command("recommend", runs / model, "--liked", "The Great Joke (1950)", "-k", "3")
    assert status == 0
    assert ("With 1 film, the score depends most on what is popular" in out) == is_said
