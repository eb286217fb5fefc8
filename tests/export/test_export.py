"""The folder of an export, its example, and the commands that read it. tests/test_contract.py compares scores."""

import csv
import json
import runpy
from pathlib import Path

import duckdb
import numpy as np
import pytest

from recsys.data.query import Query
from recsys.errors import UserError
from recsys.export.example import example
from recsys.export.exported import load_export
from recsys.export.folder import default_length, export
from recsys.extras import EXTRAS
from recsys.models.ease import EASE
from recsys.models.ials import IALS
from recsys.models.markov import Markov
from recsys.models.popularity import Popularity
from recsys.models.sasrec import SASRec
from recsys.testing import checkerboard

DATA = checkerboard(with_dislikes=False)[0]


@pytest.fixture(scope="module", autouse=True)
def _needs_onnx() -> None:
    for package in EXTRAS["onnx"]:
        pytest.importorskip(package)


@pytest.fixture(scope="module")
def ease() -> EASE:
    return EASE(5.0, prior_strength=0.01).fit(DATA)


@pytest.fixture(scope="module")
def as_onnx(ease: EASE, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exports") / "ease"
    export(ease, DATA, folder)
    return folder


@pytest.fixture(scope="module")
def as_torch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exports") / "ials"
    export(IALS(embedding_dim=4, n_sweeps=1).fit(DATA), DATA, folder, to="torch")
    return folder


def test_the_folder_describes_inputs_outputs_and_catalogue(as_onnx: Path):
    described = json.loads((as_onnx / "export.json").read_text())
    assert described["inputs"] == {"items": {"dtype": "int64", "shape": ["batch", described["length"]]}}
    assert described["outputs"]["scores"] == {"dtype": "float32", "shape": ["batch", 40]}
    with (as_onnx / "items.csv").open(encoding="utf-8", newline="") as file:
        items = list(csv.DictReader(file))
    assert items[7] == {"position": "7", "id": "7", "title": "Film 7"}
    assert not (as_onnx / "users.csv").exists()


def test_the_example_lists_what_the_model_recommends(as_onnx: Path, ease: EASE, monkeypatch, capsys):
    monkeypatch.chdir(as_onnx)
    source = Path("example.py").read_text()
    assert "recsys" not in source
    assert "torch" not in source
    runpy.run_path("example.py")
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert listed == ease.recommend(liked=["Film 0", "Film 1", "Film 2"])["item"].astype(str).tolist()


def test_an_example_for_users_says_that_it_lists_rated_items():
    assert "the user has rated are not left out" in example(("users",), length=5)
    assert "not left out" not in example(("items",), length=5)


@pytest.mark.parametrize("user", [("--user", "3"), ("--liked", "Film 2", "--liked", "Film 4")])
def test_recommend_gives_the_lists_and_reasons_of_the_model(command, as_onnx: Path, ease: EASE, user):
    status, out, _ = command("recommend", as_onnx, *user, "--json", "-k", "5")
    assert status == 0
    listed = json.loads(out)["recommendations"]
    expected = ease.recommend([3], k=5) if "--user" in user else ease.recommend(liked=["Film 2", "Film 4"], k=5)
    assert [film["movie_id"] for film in listed] == expected["item"].tolist()
    np.testing.assert_allclose([film["score"] for film in listed], expected["score"], rtol=1e-4)
    assert [film["reason"]["kind"] for film in listed] == ["history"] * 5


def test_a_model_that_was_saved_in_python_is_exported_and_an_export_is_not(command, ease: EASE, tmp_path: Path):
    ease.save(tmp_path / "ease")
    exported = tmp_path / "ease" / "export"
    assert command("export", tmp_path / "ease", "--to", "torch")[0] == 0
    outputs = [command("recommend", folder, "--user", "3", "--json")[1] for folder in (tmp_path / "ease", exported)]
    listed, again = ([film["title"] for film in json.loads(output)["recommendations"]] for output in outputs)
    assert listed == again
    status, _, error = command("export", exported)
    assert (status, "must be a finished run or a saved model" in error) == (2, True)


def test_a_torch_export_has_the_vectors_of_users(command, as_torch: Path):
    model = load_export(as_torch)
    query = DATA.query(np.arange(DATA.n_users))
    vectors = model.user_embeddings() @ model.item_embeddings().T
    np.testing.assert_allclose(model.score(query), vectors, atol=1e-4)
    assert (as_torch / "users.csv").read_text().splitlines()[1:3] == ["0,0", "1,1"]
    assert not (as_torch / "example.py").exists()
    status, _, error = command("recommend", as_torch, "--liked", "Film 2")
    assert status == 2
    assert "ignores the history of a new user" in error


def test_recommend_lists_an_export_for_all_users(command, as_onnx: Path, ease: EASE, tmp_path: Path):
    status, out, _ = command("recommend", as_onnx, "--all", "--k", "3", "--out", tmp_path / "lists")
    assert (status, "60 users (0 written before)" in out) == (0, True)
    lists = duckdb.read_parquet(str(tmp_path / "lists" / "part-00000.parquet")).df()
    assert lists["item"].tolist() == ease.recommend(range(60), k=3)["item"].astype(str).tolist()


def test_a_longer_history_is_read_from_its_end(as_onnx: Path, tmp_path: Path):
    export(Markov(last_items=3).fit(DATA), DATA, tmp_path / "markov", to="torch", length=20)
    model, query = load_export(tmp_path / "markov"), DATA.query(np.array([0]))
    long = query.history.select(np.array([0, 0, 0]))
    joined = type(long)(np.array([0, len(long.items)]), long.items, long.ratings)
    np.testing.assert_array_equal(model.score(Query(query.users, joined)), model.score(query))


def test_histories_have_as_many_columns_as_the_model_reads():
    assert default_length(SASRec(max_length=5), DATA) == 20  # from which a history is not short
    assert default_length(EASE(), DATA) == max(20, DATA.user_counts.max())


def test_what_cannot_be_exported_says_so(tmp_path: Path):
    with pytest.raises(UserError, match=r"must be a graph of tensor operations \(got those of Popularity\)"):
        export(Popularity().fit(DATA), DATA, tmp_path / "popularity")
    assert not any(tmp_path.iterdir())


def test_a_folder_with_other_files_is_not_replaced(ease: EASE, tmp_path: Path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="must be a new folder or an earlier export"):
        export(ease, DATA, tmp_path)
    assert (tmp_path / "thesis.txt").exists()
    (tmp_path / "thesis.txt").unlink()
    export(ease, DATA, tmp_path)
    assert (tmp_path / "export.json").exists()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--all",), "--all must be given with --out FOLDER"),
        (("--user", "3", "--out", "lists"), "--out and --shard must be given with --all"),
        (("--all", "--shard", "3/2"), "must be a share such as 3/8"),
    ],
)
def test_options_that_do_not_fit_say_so(command, as_onnx: Path, options, sentence):
    status, _, error = command("recommend", as_onnx, *options)
    assert (status, sentence in error) == (2, True)
