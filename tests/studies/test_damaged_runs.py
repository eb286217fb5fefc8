"""Files of a run that are missing, empty, truncated or not what they should be: one sentence each."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from recsys.analysis.segments.stored import read_members, read_segments
from recsys.data.dataset import Dataset
from recsys.data.text import TfidfEncoder, encoded
from recsys.errors import UserError
from recsys.files import read_csv
from recsys.models.base import load
from recsys.models.ease import EASE
from recsys.models.mf import MF
from recsys.models.segmentation import Segmentation
from recsys.studies.curves import logged_scalars
from recsys.studies.runs import is_interrupted, read_failure, read_run
from recsys.studies.slice_figures import _read_slices
from recsys.studies.verification import published_run
from recsys.web.rollout import promoted
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
    ("config.yaml", write("[" * 10_000)),
    ("failure.json", write("{}")),
]


@pytest.mark.parametrize(("name", "damage"), DAMAGE)
def test_a_damaged_file_of_a_run_is_named(tmp_path, name, damage):
    run = write_run(tmp_path / "run", 0.5).directory
    damage(run / name)
    with pytest.raises(UserError, match=rf"{name} is damaged, or was written by another version \(") as raised:
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


FRAMES = {**{name: damage for name, damage in ANY.items() if name != "missing"}, "other columns": write("a,b\n1,2\n")}
OBJECTS = {**{name: damage for name, damage in ANY.items() if name != "missing"}, **MAPPINGS, "other keys": write("{}")}
READERS = {
    "csv/metrics.csv": (FRAMES, lambda run: logged_scalars(read_run(run))),
    "slices.csv": (FRAMES, _read_slices),
    "calibration.csv": (FRAMES, lambda run: read_csv(run / "calibration.csv", ["n", "predicted", "actual"])),
    "per_user.parquet": (FRAMES, lambda run: read_run(run).per_user_metrics(["ndcg@10"])),
    "segments/segments.json": (OBJECTS, read_segments),
    "segments/segmentation.npz": (FRAMES, read_segments),
    "segments/segments.csv": (FRAMES, read_members),
    "serving.json": (OBJECTS, promoted),
    "runs.csv": (FRAMES, lambda run: published_run(run / "runs.csv", row="EASE")),
}
CASES = [(name, damage) for name, (damages, _) in READERS.items() for damage in damages.values()]


@pytest.mark.parametrize(("name", "damage"), CASES)
def test_a_damaged_file_next_to_a_run_is_named(whole, tmp_path, name, damage):
    run = shutil.copytree(whole, tmp_path / "run")
    read = READERS[name][1]
    read(run)
    damage(run / name)
    with pytest.raises(UserError, match=rf"{name} is damaged, or was written by another version \(") as raised:
        read(run)
    assert "\n" not in str(raised.value)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A run with every file that other commands write, and the published runs of a study."""
    run = write_run(tmp_path_factory.mktemp("whole") / "run", 0.5).directory
    (run / "calibration.csv").write_text("stars,n,predicted,actual\n3.0,40,3.1,3.2\n")
    (run / "serving.json").write_text('{"promoted": ["refits/one"], "rolled_back": 7}')
    (run / "runs.csv").write_text("setting,variant,row,seed,status,seconds_fit\nml-100k,,EASE,0,complete,1.5\n")
    segmentation = Segmentation(2).fit(np.random.default_rng(0).random((20, 3)).astype(np.float32))
    described = {
        "segmentation": segmentation.hyperparameters(),
        "names": ["a", "b"],
        "space": "ratings",
        "ratings": "f",
    }
    (run / "segments").mkdir()
    (run / "segments" / "segments.json").write_text(json.dumps(described))
    (run / "segments" / "segments.csv").write_text("user_id,segment,name\n1,1,a\n")
    np.savez(run / "segments" / "segmentation.npz", **segmentation.arrays())
    return run


@pytest.mark.parametrize("damage", [damage for name, damage in ANY.items() if name != "missing"])
def test_damaged_vectors_of_texts_are_named_and_made_again(tmp_path, damage):
    encoder = TfidfEncoder(n_components=2)
    vectors = encoded(encoder, ["red blue", "red", "blue green"], tmp_path)
    (file,) = tmp_path.rglob("*.npz")
    damage(file)
    with pytest.raises(UserError, match=rf"{file.name} is damaged, .*: remove it, and it will be created again"):
        encoded(encoder, ["red blue", "red", "blue green"], tmp_path)
    file.unlink()
    assert np.array_equal(encoded(encoder, ["red blue", "red", "blue green"], tmp_path), vectors)


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
