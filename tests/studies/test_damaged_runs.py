"""Files of a run that are missing, empty, truncated or not what they should be: one sentence each."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from recsys.data.dataset import Dataset
from recsys.errors import UserError
from recsys.models.base import load
from recsys.models.ease import EASE
from recsys.models.mf import MF
from recsys.studies.runs import is_interrupted, read_failure, read_run
from tests.studies.runs import write_run

DATA = Dataset.from_arrays([0, 0, 1, 1, 2], [0, 1, 1, 2, 0])


def truncate(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])


def write(text: str) -> Callable[[Path], object]:
    return lambda file: file.write_text(text)


ANY = {
    "missing": Path.unlink,
    "empty": write(""),
    "truncated": truncate,
    "binary": lambda file: file.write_bytes(b"\xff\xfe\x00\x80"),
}
MAPPINGS = {"a list": write("[1, 2]"), "a number": write("7")}
DAMAGE = [
    *(("config.yaml", damage) for damage in (*ANY.values(), *MAPPINGS.values()) if damage is not truncate),
    *(("metrics.json", damage) for damage in (*ANY.values(), *MAPPINGS.values(), write('{"test/ndcg@10": "high"}'))),
    *(("manifest.json", damage) for damage in (*ANY.values(), *MAPPINGS.values()) if damage is not Path.unlink),
    ("manifest.json", write('{"data": {"name": "ml-100k"}, "split": {}}')),
    ("manifest.json", write('{"data": {"name": "ml-100k", "fingerprint": 7}, "split": {"fingerprint": "a"}}')),
    *(("per_user.parquet", damage) for damage in ANY.values() if damage is not Path.unlink),
    ("failure.json", write("{}")),
]


@pytest.mark.parametrize(("name", "damage"), DAMAGE)
def test_a_damaged_file_of_a_run_is_named(tmp_path, name, damage):
    run = write_run(tmp_path / "run", 0.5).directory
    damage(run / name)
    with pytest.raises(UserError, match=rf"{name} is damaged, or of another version \(") as raised:
        read_all(run)
    assert "\n" not in str(raised.value)


def read_all(run: Path) -> None:
    read_failure(run)
    assert len(read_run(run).per_user)


def test_a_damaged_mark_of_an_interrupted_run_is_named(tmp_path):
    (tmp_path / "config.yaml").write_text("seed: 0")
    (tmp_path / "begun.json").write_text("{")
    with pytest.raises(UserError, match=r"begun\.json is damaged"):
        is_interrupted(tmp_path, {})


def rewrite(file: Path, **changed: object) -> None:
    """Write the arrays of a model again, with some changed."""
    with np.load(file) as stored:
        arrays = dict(stored)
    np.savez(file, **arrays | changed)


ARRAYS = {
    **ANY,
    "NaN": lambda file: rewrite(file, item_weights=np.full((3, 3), np.nan, np.float32)),
    "another shape": lambda file: rewrite(file, item_weights=np.zeros((2, 3), np.float32)),
    "another name": lambda file: rewrite(file, weights=np.zeros(1)),
}
DESCRIPTIONS = {
    **{name: damage for name, damage in ANY.items() if name != "missing"},
    **MAPPINGS,
    "no class": write('{"hyperparameters": {}}'),
    "other hyperparameters": write('{"class": "recsys.models.ease.EASE", "hyperparameters": {"l7": 1}}'),
    "hyperparameters of another type": write('{"class": "recsys.models.ease.EASE", "hyperparameters": 7}'),
}


@pytest.mark.parametrize("damage", ARRAYS.values(), ids=ARRAYS)
def test_damaged_arrays_of_a_model_are_refused(tmp_path, damage):
    EASE(l2=1.0).fit(DATA).save(tmp_path)
    damage(tmp_path / "arrays.npz")
    with pytest.raises(UserError, match=r"arrays\.npz is damaged"):
        load(tmp_path)


@pytest.mark.parametrize("damage", DESCRIPTIONS.values(), ids=DESCRIPTIONS)
def test_a_damaged_description_of_a_model_is_refused(tmp_path, damage):
    EASE(l2=1.0).fit(DATA).save(tmp_path)
    damage(tmp_path / "model.json")
    with pytest.raises(UserError, match=r"model\.json is damaged"):
        load(tmp_path)


@pytest.mark.parametrize("changed", [{"n_items": np.array(7)}, {"module.items.weight": np.zeros((3, 9), np.float32)}])
def test_weights_of_another_shape_are_refused_also_without_a_digest(tmp_path, changed):
    MF(embedding_dim=4, max_epochs=1).fit(DATA).save(tmp_path)
    rewrite(tmp_path / "arrays.npz", **changed)
    description = json.loads((tmp_path / "model.json").read_text())
    (tmp_path / "model.json").write_text(json.dumps({**description, "arrays": None}))  # as in earlier versions
    with pytest.raises(UserError, match="saved by another version"):
        load(tmp_path)
