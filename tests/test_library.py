"""The library: data frames in, models and tables out, without configs and runs."""

import numpy as np
import pandas as pd
import pytest
from hydra.utils import get_class

import recsys
from recsys.config import compose
from recsys.config.loader import CONFIGS
from recsys.data.splitters import SPLITTERS
from recsys.errors import UserError


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


def test_a_missing_column_is_named(frame: pd.DataFrame):
    with pytest.raises(UserError, match=r"frame must have a column when \(got user, film, stars, ts\)"):
        recsys.Dataset.from_frame(frame, "user", "film", "stars", "when")


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


def test_every_split_of_the_configs_has_its_name():
    for file in CONFIGS.glob("split/*.yaml"):
        assert SPLITTERS[file.stem] is get_class(compose("train", [f"split={file.stem}"]).split._target_)


def test_every_model_of_the_configs_is_in_the_library():
    targets = {compose("train", [f"model={file.stem}"]).model._target_ for file in CONFIGS.glob("model/*.yaml")}
    assert {name.rpartition(".")[2] for name in targets} == set(recsys.models.__all__)
    for name in targets:
        assert getattr(recsys.models, name.rpartition(".")[2]) is get_class(name)


def test_what_the_library_lacks_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        recsys.nothing  # noqa: B018
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        recsys.models.Nothing  # noqa: B018
