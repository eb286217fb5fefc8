"""The data of a saved model: they are those of its last fit, or none, and damage is a sentence."""

from pathlib import Path

import pytest

from recsys.data.dataset import Dataset
from recsys.errors import UserError
from recsys.models.base import load
from recsys.models.popularity import Popularity

DATA = Dataset.from_arrays([0, 0, 1, 2], [1, 0, 2, 1], n_items=4)


def test_a_model_is_loaded_with_the_data_of_its_fit(tmp_path: Path):
    Popularity().fit(DATA).save(tmp_path)
    assert load(tmp_path).known_data().pairs.tolist() == DATA.pairs.tolist()


def test_runs_write_no_data_and_leave_none_of_an_earlier_model(tmp_path: Path):
    Popularity().fit(DATA).save(tmp_path)
    Popularity().fit(DATA).save_without_data(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"arrays.npz", "model.json"}
    assert load(tmp_path).data is None


@pytest.mark.parametrize("name", ["ratings.parquet", "users.parquet", "report.json", "digests.json"])
@pytest.mark.parametrize("content", [None, b"", b"{}"])
def test_damaged_data_are_a_sentence(tmp_path: Path, name: str, content: bytes | None):
    Popularity().fit(DATA).save(tmp_path)
    file = tmp_path / "data" / name
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    if name == "digests.json" and content in (None, b"{}"):
        assert load(tmp_path).data is not None  # a seal that is lost does no harm
        return
    with pytest.raises(UserError, match=r"data.*(save the model again)"):
        load(tmp_path)


def test_data_with_more_items_than_the_model_are_refused(tmp_path: Path):
    model = Popularity().fit(DATA)
    model.data = Dataset.from_arrays([0], [0], n_items=5)
    model.save(tmp_path)
    with pytest.raises(UserError, match="5 items, and the model has learned 4"):
        load(tmp_path)
