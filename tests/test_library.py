"""The library: data frames in, models and tables out, without configs and runs."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from hydra.utils import get_class
from sklearn.base import clone

import recsys
from recsys.config.loader import CONFIGS
from recsys.data.splitters import SPLITTERS
from recsys.data.titles import TitleSearch
from recsys.errors import UserError
from recsys.models.base import FitContext
from recsys.models.popularity import Popularity
from recsys.models.similar import SimilarItems
from recsys.progress import is_progress_shown
from recsys.studies.runs import read_run
from recsys.web import fitted
from recsys.web.lists import ListedFilm, ListOptions
from recsys.web.recommendation_service import RecommendationService
from tests.training import run_train

ROOT = Path(__file__).parents[1]
COLUMNS = ["user", "item", "title", "score", "reason"]


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """Of 30 users, those with an even number rate the first 10 films, the others the last 10."""
    rng = np.random.default_rng(0)
    rows = [
        (f"u{u}", f"f{film + 10 * (u % 2)}", int(rng.integers(3, 6)), 10**9 + place)
        for u in range(30)
        for place, film in enumerate(rng.permutation(10)[:6])
    ]
    return pd.DataFrame(rows, columns=["user", "film", "stars", "ts"])


@pytest.fixture(scope="module")
def films() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "film": [f"f{i}" for i in range(20)],
            "title": [f"Film {i} (1999)" for i in range(20)],
            "genres": [["Drama"]] * 20,
        }
    )


@pytest.fixture(scope="module")
def data(frame: pd.DataFrame, films: pd.DataFrame) -> recsys.Dataset:
    return recsys.Dataset.from_frame(frame, user="user", item="film", rating="stars", time="ts", items=films)


def test_a_data_frame_becomes_a_data_set(data: recsys.Dataset, frame: pd.DataFrame):
    assert isinstance(data, recsys.Dataset)
    assert len(data) == len(frame)
    assert set(data.user_frame["user_id"]) == set(frame["user"])
    film = data.item_frame.set_index("movie_id").loc["f3"]
    assert (film["title"], film["year"], film["genres"]) == ("Film 3", 1999, ["Drama"])
    ratings = frame.set_index(["user", "film"])["stars"]
    users, items = data.user_frame["user_id"][data.users], data.item_frame["movie_id"][data.items]
    assert ratings.loc[list(zip(users, items, strict=True))].tolist() == data.ratings.tolist()


def test_polars_frames_are_accepted(data: recsys.Dataset, frame: pd.DataFrame):
    polars = pytest.importorskip("polars")
    other = recsys.Dataset.from_frame(polars.DataFrame(frame.to_dict("list")), "user", "film", "stars", "ts")
    np.testing.assert_array_equal(other.pairs, data.pairs)


def test_dropped_rows_are_counted_by_rule(frame: pd.DataFrame):
    repeated = pd.concat(
        [frame, frame.head(3), pd.DataFrame({"user": [None], "film": ["f1"], "stars": [3], "ts": [10**9]})]
    )
    with pytest.warns(UserWarning, match="3 by 'duplicate of a later rating'") as warned:
        assert len(recsys.Dataset.from_frame(repeated, "user", "film", "stars", "ts")) == len(frame)
    assert "1 by 'missing id'" in str(warned[0].message)
    assert warned[0].filename == __file__  # the caller's


def test_a_missing_column_is_named(frame: pd.DataFrame):
    with pytest.raises(UserError, match=r"frame must have a column when \(got user, film, stars, ts\)"):
        recsys.Dataset.from_frame(frame, "user", "film", "stars", "when")


@pytest.mark.parametrize(
    ("changed", "arguments", "sentence"),
    [
        ({"stars": "good"}, {}, r"^frame has text where a number belongs: 'good' in column stars"),
        (
            {"stars": lambda frame: frame["stars"].where(frame.index > 20)},
            {},
            r"'missing rating'.*: check rating, which is None for data without ratings",
        ),
        ({"user": "NA"}, {}, r"'missing id'.*: check the names of columns and missing"),
        ({"ts": 0}, {}, r"set earliest=DATE or time_format\.$"),
        ({}, {"scale": (9, 10)}, r"set scale=\[LOWEST,HIGHEST\]"),
        ({}, {"max_dropped": 2}, r"^max_dropped must be between 0 and 1 \(got 2\)"),
        ({}, {"user_core": "a"}, r"^user_core must be a number \(got 'a'\)"),
        ({}, {"min_rating": "a"}, r"^min_rating must be a number \(got 'a'\)"),
        ({}, {"scale": 3}, r"^scale must be the lowest and the highest rating \(got 3\)"),
        ({}, {"item_core": 10**6}, r"check the arguments\.$"),
        ({}, {"decimal": ";"}, r"^decimal must be a point or a comma"),
        ({}, {"scale": (5, 1)}, r"^scale must be the lowest and the highest rating"),
        ({"ts": "2001"}, {"time_format": "%Q"}, r"^time_format must be s, ms, us or ns, or a format"),
        ({}, {"usr_core": 5}, r"^A further argument must be one of .*user_core.*\(got 'usr_core'\)"),
        ({}, {"items": pd.DataFrame({"film": ["?"]})}, r"^item must be written as in the ratings"),
        ({}, {"items": "films.csv"}, r"^items must be a data frame of pandas, polars or PyArrow \(got str\)"),
    ],
)
def test_errors_name_arguments_in_place_of_settings(frame: pd.DataFrame, changed: dict, arguments: dict, sentence: str):
    with pytest.raises(UserError, match=sentence) as error:
        recsys.Dataset.from_frame(frame.assign(**changed), "user", "film", "stars", "ts", **arguments)
    assert not re.search(r"data\.|cleaning\.|parquet|null", str(error.value))


def test_a_split_names_its_arguments(data: recsys.Dataset):
    few = data.select(np.arange(len(data)) < 2)
    with pytest.raises(UserError, match=r"for name=leave_last_out.*user_core=3.*with train_only_below=3"):
        recsys.split(few, "leave_last_out")
    with pytest.raises(UserError, match=r"^A further argument of ratio must be one of .*test.*\(got 'tst'\)"):
        recsys.split(data, "ratio", tst=0.1)
    with pytest.raises(UserError, match=r"^seed must be a seed"):
        recsys.split(data, "ratio", seed=-1)


def test_a_fit_names_arguments_unless_its_context_is_that_of_a_run(frame: pd.DataFrame):
    data = recsys.Dataset.from_frame(frame, "user", "film", "stars")
    with pytest.raises(UserError, match=r"set time to the column .* such as ease\.$"):
        recsys.models.Markov().fit(data)
    with pytest.raises(UserError, match=r"set data\.columns\.time to the column .* such as model=ease\.$"):
        recsys.models.Markov().fit(data, context=FitContext())


def test_unfitted_models_and_arguments_of_other_types_are_refused_by_name(frame: pd.DataFrame, data: recsys.Dataset):
    split, ease = recsys.split(data, "leave_last_out"), recsys.models.EASE()
    for call, message in (
        (lambda: recsys.split(frame), r"^data must be a data set.*\(got DataFrame\)"),
        (lambda: ease.fit(split), r"^train must be a data set, such as the training part of a split \(got Split\)"),
        (
            lambda: recsys.evaluate(ease, split),
            r"^holdout must be held-out ratings, such as the test part of a split \(got Split\)",
        ),
        (lambda: recsys.evaluate(ease, split.test), r"^EASE must be fitted"),
        (
            lambda: recsys.evaluate(recsys.models.EASE().fit(split.train), split.test, k=[5, 50]),
            r"^k must be between 1 and 20, the number of items that are ranked \(got 50\): set k=\[5\]\.",
        ),
        (
            lambda: recsys.evaluate(recsys.models.EASE().fit(split.train), split.test, k=[]),
            r"^k must have at least one list length: set k=\[10\]",
        ),
    ):
        with pytest.raises(UserError, match=message):
            call()


def test_data_and_models_are_shown_in_a_line(data: recsys.Dataset):
    split = recsys.split(data, "leave_last_out")
    assert repr(data) == "Dataset('frame': 180 ratings by 30 users of 20 items)"
    assert repr(split) == "Split('leave_last_out' of 'frame': 120 ratings to train, 30 to validate, 30 to test)"
    assert repr(split.test) == "Holdout(30 ratings of 'frame')"
    assert repr(Popularity().fit(data)).startswith("Popularity(")
    assert "l2=7.0" in repr(recsys.models.EASE(l2=7.0))


def test_ids_that_are_text_are_titles_without_a_frame_of_items(frame: pd.DataFrame):
    for column in ("film", "title"):
        titled = frame.assign(film="The " + frame["film"] + " (1999)").rename(columns={"film": column})
        named = recsys.Dataset.from_frame(titled, user="user", item=column, rating="stars", time="ts")
        model = recsys.models.EASE(l2=1.0).fit(named)
        assert model.similar("the f12", k=1)["title"].str.fullmatch(r"The f\d+ \(1999\)").all()


@pytest.mark.parametrize(("column", "value"), [("stars", 3.5), ("film", "Heat"), ("film", 10**12)])
def test_a_single_other_value_among_many_integers_is_read(column: str, value: float | str):
    n = 3000  # more than the rows from which DuckDB guesses a type by default
    frame = pd.DataFrame({"user": np.arange(n) % 50, "film": np.arange(n) // 50, "stars": 4}, dtype=object)
    frame.loc[1237, column] = value
    data = recsys.Dataset.from_frame(frame, user="user", item="film", rating="stars", scale=(0.5, 5))
    found = data.ratings if column == "stars" else data.item_frame["movie_id"]
    assert len(data) == n
    assert str(value) in set(found.astype(str))


def test_ten_lines_split_train_and_measure(data: recsys.Dataset, capsys: pytest.CaptureFixture):
    split = recsys.split(data, "leave_last_out")
    models = {
        "EASE": recsys.models.EASE(l2=1.0).fit(split.train, split.valid),
        "Popularity": recsys.models.Popularity().fit(split.train),
    }
    table = recsys.evaluate(models, split.test, k=5)
    assert table.index.tolist() == ["EASE", "Popularity"]
    assert table.loc["EASE", "ndcg@5"] > table.loc["Popularity", "ndcg@5"]
    assert capsys.readouterr().out == ""
    assert recsys.evaluate(models["EASE"], split.test, k=5).loc["EASE", "ndcg@5"] == table.loc["EASE", "ndcg@5"]


@pytest.fixture(scope="module")
def ease(data: recsys.Dataset) -> recsys.models.EASE:
    return recsys.models.EASE(l2=1.0).fit(data)


def first_list(service: RecommendationService) -> tuple[ListedFilm, ...]:
    """Return what the page shows to a user of the data."""
    service.load_all()
    return service.show_list("ann", ListOptions(k=2)).films


def test_the_lines_of_the_readme_work_as_they_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd):
    lines = re.search(r"^    import recsys\n(?:    .*\n)+", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert lines is not None
    served: list[ListedFilm] = []
    monkeypatch.setattr(fitted, "run_server", lambda service, _: served.extend(first_list(service)))
    monkeypatch.chdir(tmp_path)
    films = ["Toy Story (1995)", "Heat (1995)", *(f"Film {i} (1999)" for i in range(10))]
    rated = {"ann": "abcde", "bob": "abcdefgh", "eve": "adghijkl"}
    rows = [(user, film, 5, 10**9 + place) for user in rated for place, film in enumerate(rated[user])]
    names = {
        "frame": pd.DataFrame(rows, columns=["user", "film", "stars", "ts"]),
        "films": pd.DataFrame({"film": [*"abcdefghijkl"], "title": films}),
    }
    exec(lines[0].replace("    ", ""), names)
    assert "Toy Story" not in [listed.film.title for listed in served]
    assert len(served) == 2
    shown = capfd.readouterr()
    assert (shown.out, shown.err) == ("", "")
    again = recsys.load("ease").recommend(["ann"], k=10)
    pd.testing.assert_frame_equal(again, names["model"].recommend(["ann"], k=10))
    assert set(again["title"]) <= {*films}


def test_users_are_recommended_what_they_have_not_rated(ease: recsys.models.EASE, frame: pd.DataFrame):
    table = ease.recommend(["u3", "u1", "u3"], k=2)
    assert table.columns.tolist() == COLUMNS
    assert table["user"].tolist() == ["u3", "u3", "u1", "u1", "u3", "u3"]
    rated = frame[frame["user"].isin(["u1", "u3"])].groupby("user")["film"].agg(set)
    assert all(item not in rated[user] for user, item in zip(table["user"], table["item"], strict=True))
    assert table["title"].tolist() == [f"Film {item[1:]} (1999)" for item in table["item"]]
    assert table["score"].iloc[0] >= table["score"].iloc[1]
    assert table.iloc[:2].equals(table.iloc[4:].reset_index(drop=True))


def test_the_reason_is_the_item_whose_removal_costs_most(ease: recsys.models.EASE, data: recsys.Dataset):
    best = ease.recommend(liked=["Film 2", "Film 4"], k=1).iloc[0]
    codes = [data.item_frame.index[data.item_frame["movie_id"] == film][0] for film in ("f2", "f4")]
    item = data.item_frame.index[data.item_frame["movie_id"] == best["item"]][0]
    first = (
        "Film 2 (1999)" if ease.item_weights[codes[0], item] > ease.item_weights[codes[1], item] else "Film 4 (1999)"
    )
    assert best["reason"].startswith(f"because you liked {first}")


def test_liked_items_are_given_by_title_or_id(ease: recsys.models.EASE):
    by_title = ease.recommend(liked=["film 2", "Film 4 (1999)"], k=3)
    pd.testing.assert_frame_equal(ease.recommend(liked=["f2", "f4"], k=3), by_title)
    assert by_title["user"].isna().all()
    assert not {"f2", "f4"} & {*by_title["item"]}
    pd.testing.assert_frame_equal(ease.recommend(liked=["Film 2", "f4"], k=3), by_title)


def test_titles_of_liked_items_are_searched_for_together(ease: recsys.models.EASE, monkeypatch: pytest.MonkeyPatch):
    built = count_calls(monkeypatch, TitleSearch)
    ease.recommend(liked=["Film 2", "f3", "Film 4"], k=1)
    assert len(built) == 1


def test_similar_items_are_those_of_the_same_users(ease: recsys.models.EASE):
    near = ease.similar("Film 12", k=4)
    assert near.columns.tolist() == ["item", "title", "similarity"]
    assert set(near["item"]) <= {f"f{i}" for i in range(10, 20)} - {"f12"}
    assert near["similarity"].is_monotonic_decreasing
    pd.testing.assert_frame_equal(near, ease.similar("f12", k=4))


def test_documents_of_items_are_encoded_once_for_each_data_set(
    data: recsys.Dataset, frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
):
    built = count_calls(monkeypatch, SimilarItems)
    model = Popularity().fit(data)
    model.similar("f12", k=1)
    model.similar("Film 2", k=1)
    assert len(built) == 1
    other = recsys.Dataset.from_frame(frame[frame["film"] != "f12"], user="user", item="film")
    assert "f12" not in {*model.fit(other).similar("f13", k=20)["item"]}
    assert len(built) == 2


def count_calls(monkeypatch: pytest.MonkeyPatch, cls: type) -> list[object]:
    """Return a list to which each new object of a class is appended."""
    built: list[object] = []
    construct = cls.__init__

    def counted(self: object, *arguments: object) -> None:
        built.append(self)
        construct(self, *arguments)

    monkeypatch.setattr(cls, "__init__", counted)
    return built


def test_a_model_that_ignores_histories_recommends_to_its_users_only(data: recsys.Dataset):
    model = Popularity().fit(data)
    assert model.recommend(["u1"], k=2)["reason"].isna().all()
    with pytest.raises(UserError, match="Popularity ignores the history of a new user"):
        model.recommend(liked=["Film 2"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "either users or liked"),
        ({"users": ["u1"], "liked": ["Film 2"]}, "either users or liked"),
        ({"users": "u1"}, r"users must be a list \(got 'u1'\): write \['u1'\]"),
        ({"users": ["u1", "ann"]}, "There is no user ann in frame: ids are like u0, u1,"),
        ({"users": ["U12"]}, "There is no user U12 in frame: did you mean u12"),
        ({"liked": "Film 2"}, "liked must be a list"),
        ({"liked": ["Casablanca"]}, "no film 'Casablanca'"),
        ({"liked": []}, "liked must name at least one item"),
        ({"users": ["u1"], "k": 0}, "k must be above zero"),
    ],
)
def test_a_request_that_has_no_answer_is_an_error_of_one_sentence(
    ease: recsys.models.EASE, arguments: dict, message: str
):
    with pytest.raises(UserError, match=message):
        ease.recommend(**arguments)


@pytest.mark.parametrize(
    "model",
    [recsys.models.EASE(), recsys.models.UserKNN(), recsys.models.BayesianMF(n_sweeps=2, burn_in=0, n_samples=2)],
    ids=lambda model: type(model).__name__,
)
def test_no_users_are_an_empty_table(model, data: recsys.Dataset):
    table = model.fit(data).recommend([])
    assert table.columns.tolist() == COLUMNS
    assert table.empty


def test_list_lengths_may_be_integers_of_numpy(ease: recsys.models.EASE, data: recsys.Dataset):
    test = recsys.split(data, "leave_last_out").test
    measured = [recsys.evaluate(ease, test, k=k) for k in (5, np.int64(5))]
    pd.testing.assert_frame_equal(*measured)


def test_a_model_without_data_names_what_it_lacks():
    with pytest.raises(UserError, match="EASE must know the data with its ids and titles"):
        recsys.models.EASE().recommend(["u1"])


def test_a_run_is_loaded_with_its_data(tmp_path: Path, frame: pd.DataFrame):
    file = tmp_path / "ratings.csv"
    frame.set_axis(["user_id", "movie_id", "rating", "time"], axis="columns").to_csv(file, index=False)
    overrides = ["data=files", f"data.path={file}", f"cache_dir={tmp_path}/cache", "logger=none", "ks=[5]"]
    assert run_train("model=ease", *overrides, f"hydra.run.dir={tmp_path}/run") == 0
    assert not (tmp_path / "run" / "model" / "data").exists()  # which its config names
    assert recsys.load(tmp_path / "run").recommend(["u1"], k=2)["user"].tolist() == ["u1", "u1"]


def test_what_is_loaded_again_continues_to_recommend(ease: recsys.models.EASE, tmp_path: Path):
    ease.save(str(tmp_path / "a [model]"))
    loaded = recsys.load(str(tmp_path / "a [model]"))
    for arguments in ({"users": ["u1", "u2"]}, {"liked": ["Film 2"]}):
        pd.testing.assert_frame_equal(loaded.recommend(**arguments), ease.recommend(**arguments))


def test_commands_take_a_saved_model_in_place_of_a_run(ease: recsys.models.EASE, command, tmp_path: Path):
    ease.save(tmp_path / "ease")
    status, printed, _ = command("recommend", tmp_path / "ease", "--user", "u1", "--json", "-k", "3")
    listed = [f"{film['title']} ({film['year']})" for film in json.loads(printed)["recommendations"]]
    assert (status, listed) == (0, ease.recommend(["u1"], k=3)["title"].tolist())
    status, printed, _ = command("similar", tmp_path / "ease", "Film 2", "--json", "-k", "3")
    assert (status, len(json.loads(printed)["neighbours"])) == (0, 3)
    assert command("recommend", tmp_path / "ease", "--all", "--out", tmp_path / "lists")[0] == 0


def test_a_command_that_needs_a_run_says_what_reads_a_saved_model(ease: recsys.models.EASE, tmp_path: Path):
    ease.save(tmp_path / "ease")
    with pytest.raises(UserError, match=r"in Python, recsys\.load"):
        read_run(tmp_path / "ease")


def test_deep_models_are_quiet_unless_progress_is_wanted(data: recsys.Dataset, capfd: pytest.CaptureFixture):
    split = recsys.split(data)
    model = recsys.models.MF(embedding_dim=4, max_epochs=1).fit(split.train, split.valid)
    recsys.evaluate(model, split.test)
    shown = capfd.readouterr()
    assert (shown.out, shown.err) == ("", "")


def test_progress_is_shown_on_demand(data: recsys.Dataset, monkeypatch: pytest.MonkeyPatch):
    seen: list[bool] = []
    monkeypatch.setattr(Popularity, "_fit", lambda *_: seen.append(is_progress_shown()))
    Popularity().fit(data)
    Popularity().fit(data, progress=True)
    Popularity().fit(data, context=FitContext())  # as runs do
    assert seen == [False, True, True]


def test_models_are_cloned_by_scikit_learn(ease: recsys.models.EASE):
    two = {name: {"_target_": f"recsys.models.{name}"} for name in ("ease.EASE", "popularity.Popularity")}
    for model in (ease, recsys.models.Blend(two), recsys.models.LinearAR(half_lives=[1.0, 10.0])):
        copied = clone(model)
        assert type(copied) is type(model)
        assert copied.get_params() == model.get_params()
        assert copied.data is None


def test_hyperparameters_are_set_as_the_constructor_takes_them():
    model = recsys.models.EASE(l2=1.0)
    assert model.set_params(l2=2.0) is model
    assert model.get_params()["l2"] == 2.0
    with pytest.raises(UserError, match="l3"):
        model.set_params(l3=1.0)
    with pytest.raises(UserError, match="l2 must be"):
        model.set_params(l2=-1.0)
    assert model.l2 == 2.0


def test_the_package_is_typed():
    assert Path(recsys.__file__).with_name("py.typed").is_file()


def targets(group: str) -> dict[str, str]:
    """The classes of a group's configs by name, but of those that have them from another."""
    nodes = {file.stem: yaml.safe_load(file.read_text()) for file in (CONFIGS / group).glob("*.yaml")}
    return {name: node["_target_"] for name, node in nodes.items() if "_target_" in node}


def test_every_split_of_the_configs_has_its_name():
    for name, target in targets("split").items():
        assert SPLITTERS[name] is get_class(target)


def test_every_model_of_the_configs_is_in_the_library():
    classes = set(targets("model").values())
    assert {name.rpartition(".")[2] for name in classes} == set(recsys.models.__all__)
    for name in classes:
        assert getattr(recsys.models, name.rpartition(".")[2]) is get_class(name)


def test_what_the_library_lacks_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        recsys.nothing  # noqa: B018
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        recsys.models.Nothing  # noqa: B018
