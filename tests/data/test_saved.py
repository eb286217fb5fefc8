"""Data sets that are written from memory: they are read as they were."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recsys.data.dataset import Dataset
from recsys.data.prepared import load, load_report, user_counts
from recsys.data.saved import write_dataset
from recsys.errors import UserError


@pytest.fixture(scope="module")
def arrays() -> Dataset:
    return Dataset.from_arrays([0, 0, 1, 2], [1, 0, 2, 1], [3.0, 4.0, 2.5, 5.0], [7, 5, 6, 9], n_items=4, name="four")


def with_everything(dataset: Dataset) -> Dataset:
    """The data set with text ids, metadata, columns of the source's own, parts, plays and negatives."""
    users = pd.DataFrame({"user_id": ["ann", "bob", "007"], "age": [30, pd.NA, 60], "user": ["x", "y", "z"]})
    users["age_group"] = pd.Categorical(["25-34", None, "56+"], ["25-34", "56+"], ordered=True)
    items = dataset.item_frame.assign(
        movie_id=["1.0", "b", "c", "d"],
        title=["Heat", None, 'A "B"', "Amélie"],
        year=pd.array([1995, None, 2000, 2001], "Int16"),
        genres=[[], ["Drama", "Action"], [], []],
        keywords=[[], [], [], ["paris"]],
        runtime=pd.array([None, 90, 100, 110], "Int64"),
        item=[1.5, 2.5, 3.5, 4.5],
    )
    return replace(
        dataset,
        user_frame=users.astype({"user": "category", "age": "Int64"}),
        item_frame=items,
        parts=np.array([0, 1, 1, 0], np.int8),
        part_names=("train", "test"),
        plays=np.array([1, 2, 3, 4], np.float32),
        negatives=np.array([[3, 2], [0, -1], [-1, -1]], np.int32),
        fingerprint="abc",
    )


def written(dataset: Dataset, folder: Path) -> Dataset:
    write_dataset(dataset, folder)
    return load(folder).dataset


def assert_equal_arrays(one: Dataset, other: Dataset) -> None:
    for field in fields(Dataset):
        if not field.name.endswith("_frame"):
            np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name), field.name)


def test_arrays_are_read_as_they_were_written(arrays: Dataset, tmp_path: Path):
    for dataset in (arrays, replace(arrays, times=None), with_everything(arrays)):
        assert_equal_arrays(written(dataset, tmp_path / "data"), dataset)


def test_ids_titles_and_metadata_are_read_as_they_were_written(arrays: Dataset, tmp_path: Path):
    dataset = with_everything(arrays)
    read = written(dataset, tmp_path / "data")
    for name in ("user_frame", "item_frame"):
        one, other = getattr(read, name), getattr(dataset, name)
        pd.testing.assert_frame_equal(one, other, check_dtype=False, check_like=True, check_categorical=False)
    assert read.user_frame["age_group"].cat.ordered


def test_users_with_only_ages_are_read_as_they_were_written(arrays: Dataset, tmp_path: Path):
    dataset = replace(arrays, user_frame=arrays.user_frame.assign(age=[20, 30, 40]))
    assert written(dataset, tmp_path / "data").user_frame["age"].tolist() == [20, 30, 40]


def test_ids_that_are_numbers_stay_numbers(arrays: Dataset, tmp_path: Path):
    assert written(arrays, tmp_path / "data").item_frame["movie_id"].tolist() == [0, 1, 2, 3]


def test_a_data_set_replaces_an_earlier_one(arrays: Dataset, tmp_path: Path):
    write_dataset(arrays, tmp_path / "data")
    assert len(written(arrays.select(np.array([0, 2])), tmp_path / "data")) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_items_without_titles_are_written(arrays: Dataset, tmp_path: Path):
    dataset = replace(arrays, item_frame=arrays.item_frame[["movie_id"]])
    assert written(dataset, tmp_path / "data").item_frame["title"].isna().all()
    assert load_report(tmp_path / "data").films_untitled == arrays.n_items


def test_the_error_for_a_damaged_table_says_what_to_do(arrays: Dataset, tmp_path: Path):
    write_dataset(arrays, tmp_path / "data")
    (tmp_path / "data" / "films.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match=r"films\.parquet has changed since it was written: save it again\."):
        load(tmp_path / "data", "save it again")


def test_the_ratings_of_some_users_are_read_without_the_others_under_the_same_codes(timed: Dataset, tmp_path: Path):
    write_dataset(timed, tmp_path / "data")
    np.testing.assert_array_equal(user_counts(tmp_path / "data"), timed.user_counts)
    for users in (range(20, 40), range(0, 1), range(5, 5)):
        own, expected = load(tmp_path / "data", users=users).dataset, timed.of_users(users)
        assert (own.n_users, own.n_items) == (timed.n_users, timed.n_items)
        for name in ("users", "items", "ratings", "times"):
            np.testing.assert_array_equal(getattr(own, name), getattr(expected, name))
