"""Attacks by runs of unknown origin: nothing that a run's files name is imported or run without `--trusted`."""

import json
import os
import pickle
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

import train
from recsys.commands.refit import _train
from recsys.commands.run_data import data_of
from recsys.config import compose
from recsys.config.loader import CONFIGS
from recsys.config.stored import DATA, LIGHTNING, SLOTS, check_stored_overrides, stored_config
from recsys.data.address import Address
from recsys.errors import UserError
from recsys.studies.runs import read_run
from recsys.web import rollout
from recsys.web.recommendation_service import RecommendationService
from recsys.web.store import Store

ROOT = Path(__file__).parents[1]
PAYLOAD = """
from pathlib import Path
Path(__file__).with_name("executed").touch()
class Payload:
    def __init__(self, **settings): pass
    def __reduce__(self): return (Path.touch, (Path(__file__).with_name("executed"),))
"""
# Nodes that run code when they are built, or when what they name is imported. RUN stands for the run's directory.
NODES: dict[str, dict[str, Any]] = {
    "a pickle": {"_target_": "pandas.read_pickle", "filepath_or_buffer": "RUN/payload.pkl"},
    "a command": {"_target_": "os.system", "command": "touch RUN/executed"},
    "a function": {"_target_": "builtins.exec", "_args_": ["open('RUN/executed', 'w')"]},
    "a module of the run": {"_target_": "payload.Payload"},
    "a module of the run below a name of ours": {"_target_": "recsys.data.payload.Payload"},
    "another module of ours": {"_target_": "recsys.data.raw.zipfile.os.system", "command": "touch RUN/executed"},
    "a function of ours": {"_target_": "recsys.config.instantiate", "node": {"_target_": "payload.Payload"}},
    "a method": {"_target_": "recsys.models.base.Recommender.save"},
    "a class of another package": {"_target_": "recsys.web.store.Store", "address": "RUN/executed"},
    "a relative name": {"_target_": "..payload.Payload"},
    "an odd name": {"_target_": ["payload.Payload"]},
    "no name": {"path": "payload.Payload"},
}
# Values that a node of ours must not smuggle.
VALUES: dict[str, Any] = {
    "cleaning": {"_target_": "payload.Payload"},
    "sources": {"a": {"b": [{"_target_": "payload.Payload"}]}},
    "_args_": ["x"],
    "_partial_": True,
    "path": "${oc.env:HOME}",
    "address": "postgresql://elsewhere/movies",
    "name": "../../elsewhere",
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A run of EASE on 30 users who rated 10 of 24 films."""
    folder = tmp_path_factory.mktemp("stored")
    rng = np.random.default_rng(0)
    rows = [(f"u{u}", item, 4, 10**9 + item) for u in range(30) for item in rng.permutation(24)[:10]]
    pd.DataFrame(rows, columns=["user_id", "movie_id", "rating", "time"]).to_csv(folder / "ratings.csv", index=False)
    data = ["data=files", f"data.path={folder}/ratings.csv", f"cache_dir={folder}/cache", "logger=none", "ks=[5,10]"]
    train.train(compose("train", [*data, "model=ease", f"run_dir={folder}/run"]))
    return folder / "run"


@pytest.fixture
def attacker(trained: Path, tmp_path, monkeypatch) -> Iterator[Path]:
    """A copy of the run with a module and a pickle, in a process whose folder and path of imports it is."""
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    (run / "payload.py").write_text(PAYLOAD)
    (run / "payload.pkl").write_bytes(pickle.dumps(_Executes(str(run / "executed"))))
    monkeypatch.syspath_prepend(run)
    monkeypatch.chdir(run)
    yield run
    assert not (run / "executed").exists(), "the payload was executed"
    assert "payload" not in sys.modules


class _Executes:
    def __init__(self, marker: str) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple:
        return Path.touch, (Path(self.marker),)


def of_run(run: Path, node: Any) -> Any:
    return json.loads(json.dumps(node).replace("RUN", str(run)))


def rewrite(run: Path, **changes: Any) -> None:
    """Change the stored config."""
    config = yaml.safe_load((run / "config.yaml").read_text())
    (run / "config.yaml").write_text(yaml.safe_dump(config | of_run(run, changes), sort_keys=False))


@pytest.mark.parametrize("slot", [*SLOTS, *LIGHTNING, "segments", "pruning"])
def test_a_slot_names_only_a_class_of_its_package(attacker: Path, slot: str):
    stored, refusals = read_run(attacker).config, {}
    for name, node in NODES.items():
        if name == "no name" and slot not in {*SLOTS, *LIGHTNING}:
            continue  # plain settings
        config = stored | {slot: of_run(attacker, node)}
        with pytest.raises(UserError) as refused:
            pytest.fail(f"{name} was accepted: {stored_config(config, config)}")
        refusals[name] = str(refused.value)
    expected = re.compile(r"of a stored config must be .*--trusted|must name")
    assert {name: said for name, said in refusals.items() if not expected.search(said)} == {}


@pytest.mark.parametrize("name", VALUES)
def test_a_node_of_this_package_cannot_contain_other_classes(attacker: Path, name: str):
    config = read_run(attacker).config
    config["data"] |= {name: VALUES[name]}
    with pytest.raises(UserError, match=r"data\.\S+ of a stored config must be"):
        stored_config(config)


@pytest.mark.parametrize(
    ("slot", "name", "value"),
    [
        ("trainer", "callbacks", [{"_target_": "payload.Payload"}]),
        ("trainer", "plugins", {"_target_": "payload.Payload"}),
        ("trainer", "profiler", {"a": {"_target_": "payload.Payload"}}),
        ("trainer", "default_root_dir", "/home"),
        ("trainer", "default_root_dir", ".."),
        ("trainer", "_args_", [1]),
        ("logger", "save_dir", "/home"),
        ("logger", "name", "../../elsewhere"),
        ("logger", "version", ".."),
        ("logger", "artifact_location", "https://elsewhere"),
    ],
)
def test_lightning_takes_plain_values(attacker: Path, slot: str, name: str, value: Any):
    nodes = {
        "trainer": {"_target_": "pytorch_lightning.Trainer", "_partial_": True, "precision": "16-mixed"},
        "logger": {"_target_": "pytorch_lightning.loggers.TensorBoardLogger", "save_dir": str(attacker), "name": ""},
    }
    config = read_run(attacker).config | {"run_dir": str(attacker)} | nodes
    stored_config(config, config)
    with pytest.raises(UserError, match=rf"{slot}\.{name} of a stored config must be a plain value"):
        stored_config(config | {slot: config[slot] | {name: value}}, config)


@pytest.mark.parametrize(
    ("logger", "name", "value"),
    [("WandbLogger", "entity", "mallory"), ("MLFlowLogger", "tracking_uri", "databricks")],
)
def test_a_logger_sends_results_to_no_account_or_server_that_a_run_names(attacker: Path, logger, name, value):
    node = {"_target_": f"pytorch_lightning.loggers.{logger}", name: None}
    config = read_run(attacker).config | {"run_dir": str(attacker)}
    stored_config(config | {"logger": node}, ["logger"])
    with pytest.raises(UserError, match=rf"logger\.{name} of a stored config must be left out"):
        stored_config(config | {"logger": node | {name: value}}, ["logger"])


@pytest.mark.parametrize("model", ["mallory/model", "mallory", "RUN/model"])
def test_a_run_chooses_no_model_of_sentence_embeddings_that_may_be_fetched(attacker: Path, model: str):
    def config(model: str) -> dict[str, Any]:
        encoder = {"_target_": "recsys.data.text.SentenceEncoder", "model": of_run(attacker, model)}
        trees = {"_target_": "recsys.models.RandomForest", "texts": {"sentences": encoder}}
        return read_run(attacker).config | {"model": trees}

    stored_config(config("all-MiniLM-L6-v2"), ["model"])
    stored_config(config(model), ["model"], trusted=True)
    with pytest.raises(UserError, match=r"model\.texts\.sentences\.model of a stored config must be all-.*--trusted"):
        stored_config(config(model), ["model"])


@pytest.mark.parametrize("called", ["recommend", "segments", "test"])
def test_a_path_with_a_nul_character_is_refused_in_one_sentence(attacker: Path, command, called: str):
    config = (attacker / "config.yaml").read_text()
    ratings = yaml.safe_load(config)["data"]["path"]
    (attacker / "config.yaml").write_text(config.replace(f"path: {ratings}", 'path: "ratings\\0.csv"'))
    status, _, err = command(called, *(word.replace("RUN", str(attacker)) for word in COMMANDS[called]))
    assert status == 2
    assert "it must have no NUL characters" in err


@pytest.mark.parametrize("node", [5, [1], "payload.Payload"])
@pytest.mark.parametrize("slot", ["data", "trainer"])
def test_a_slot_holds_a_node(attacker: Path, slot: str, node: Any):
    with pytest.raises(UserError, match=f"{slot} of a stored config must be a node"):
        stored_config(read_run(attacker).config | {slot: node}, [slot])


@pytest.mark.parametrize("link", ["refits", "refits/lock", "segments", "model/arrays.npz"])
def test_no_link_leads_a_command_out_of_a_run(attacker: Path, tmp_path, command, link: str):
    victim = tmp_path / "victim"
    (victim / "documents").mkdir(parents=True)
    place = attacker / link
    place.parent.mkdir(exist_ok=True)
    place.unlink(missing_ok=True)
    place.symlink_to(victim)
    for called in COMMANDS:
        status, _, err = command(called, *(word.replace("RUN", str(attacker)) for word in COMMANDS[called]))
        assert status == 2
        assert f"must hold no symbolic link that leads out of its directory (got {place})" in err
    assert [path.name for path in victim.iterdir()] == ["documents"]


def test_a_link_within_a_run_is_followed(attacker: Path):
    (attacker / "latest").symlink_to("model")
    assert read_run(attacker).model().popularity.shape == (24,)


def test_a_run_that_is_resumed_has_no_link_that_leads_out(attacker: Path, tmp_path, train_command, capsys):
    (attacker / "manifest.json").unlink()
    (attacker / ".hydra").mkdir()
    for name, text in (("config.yaml", "{}"), ("overrides.yaml", "[model=ease]")):
        (attacker / ".hydra" / name).write_text(text)
    (attacker / "train.log").symlink_to(tmp_path / "victim")
    assert train_command(f"resume={attacker}") == 2
    assert "must hold no symbolic link" in capsys.readouterr().err
    assert not (tmp_path / "victim").exists()


def test_data_of_a_run_are_written_to_an_existing_cache_or_to_the_default_one(
    attacker: Path, tmp_path, monkeypatch, command
):
    assert read_run(attacker).config["cache_dir"] == yaml.safe_load((attacker / "config.yaml").read_text())["cache_dir"]
    monkeypatch.setenv("RECSYS_CACHE", str(tmp_path / "own"))
    (tmp_path / "victim").mkdir()
    rewrite(attacker, cache_dir=str(tmp_path / "victim"))
    status, _, err = command("recommend", attacker, "--user", "u1")
    assert status == 0, err
    assert not any((tmp_path / "victim").iterdir())
    assert (tmp_path / "own" / "prepared").is_dir()


def test_a_config_with_aliases_is_not_expanded(attacker: Path):
    lines = ["a0: &a0 [x, x]", *(f"a{i + 1}: &a{i + 1} [*a{i}, *a{i}]" for i in range(100))]
    (attacker / "config.yaml").write_text("\n".join(lines))
    with pytest.raises(UserError, match="it must have no aliases"):
        read_run(attacker)


def test_every_class_in_the_configs_can_be_stored():
    for slot in SLOTS:
        for file in (CONFIGS / slot).glob("*.yaml"):
            node = yaml.safe_load(file.read_text()) or {}
            if "_target_" in node:
                stored_config({slot: {"_target_": node["_target_"]}}, [slot])


COMMANDS = {
    "recommend": ["RUN", "--user", "u1"],
    "similar": ["RUN", "7"],
    "load": ["RUN", "--to", "RUN/out.duckdb"],
    "segments": ["RUN", "space=ratings"],
    "test": ["RUN", "--out", "RUN/tested"],
    "refit": ["RUN", "--store", "RUN/store.sqlite"],
    "replay": ["RUN", "--store", "RUN/store.sqlite"],
}


@pytest.mark.parametrize("name", ["a pickle", "a command", "a module of the run"])
@pytest.mark.parametrize("called", COMMANDS)
def test_no_command_builds_what_a_run_names(attacker: Path, command, called: str, name: str):
    Store.open(Address.parse(f"{attacker}/store.sqlite"), make=True).close()
    whole = (attacker / "config.yaml").read_text()
    for slot in DATA:
        rewrite(attacker, **{slot: NODES[name]})
        status, _, err = command(called, *(word.replace("RUN", str(attacker)) for word in COMMANDS[called]))
        assert (status, len(err.strip().splitlines())) == (2, 1), err
        assert f"{slot}._target_ of a stored config must be" in err
        (attacker / "config.yaml").write_text(whole)


def test_a_test_logs_into_its_own_directory(attacker: Path, command):
    logger = {"_target_": "pytorch_lightning.loggers.TensorBoardLogger", "save_dir": "RUN/elsewhere", "name": ""}
    rewrite(attacker, logger=logger)
    status, _, err = command("test", attacker, "--out", attacker / "tested")
    assert status == 2
    assert "logger.save_dir of a stored config must be" in err
    assert not (attacker / "elsewhere").exists()


@pytest.mark.parametrize("slot", ["protocol", "reranker"])
def test_a_test_builds_no_protocol_or_reranker_that_must_be_trusted(attacker: Path, command, slot: str):
    rewrite(attacker, **{slot: NODES["a module of the run"]})
    status, _, err = command("test", attacker, "--out", attacker / "tested")
    assert status == 2
    assert f"{slot}._target_ of a stored config must be" in err
    chosen = "reranker=surprising" if slot == "reranker" else "protocol=full"
    status, _, err = command("test", attacker, chosen, "--out", attacker / "tested")
    assert status == 0, err


def test_a_refit_trains_no_config_that_must_be_trusted(attacker: Path):
    config = read_run(attacker).config_in(attacker / "refit")
    for changed in (
        {"model": NODES["a pickle"]},
        {"defaults": ["model"]},
        {"hydra": {"job": {}}},
        {"x": NODES["a command"]},
    ):
        with pytest.raises(UserError, match="of a stored config must be"):
            _train(config | changed, attacker / "refit", trusted=False)
    assert not (attacker / "refit").exists()


def test_a_service_loads_no_run_that_must_be_trusted(attacker: Path, tmp_path):
    rewrite(attacker, data=NODES["a module of the run"])
    store = Store.open(Address.parse(f"{tmp_path}/store.sqlite"), make=True)
    with pytest.raises(UserError, match=r"data\._target_ of"):
        RecommendationService({"run": attacker}, data_of, store).load_all()
    store.close()


def test_a_warm_start_builds_nothing_that_must_be_trusted(attacker: Path, train_command, capsys):
    rewrite(attacker, data=NODES["a module of the run"])
    given = read_run(attacker).config
    assert given["data"]["_target_"] == "payload.Payload"
    data = ["data=files", f"data.path={attacker.parent}/ratings.csv", f"warm_from={attacker}", "model=ease"]
    shutil.copy(Path(given["cache_dir"]).parent / "ratings.csv", attacker.parent)
    assert train_command(*data, f"hydra.run.dir={attacker.parent}/warm", "logger=none") == 2
    assert "data._target_ of a stored config must be" in capsys.readouterr().err


@pytest.mark.parametrize(
    "override",
    [
        "model._target_=payload.Payload",
        "++model={_target_:payload.Payload}",
        "+trainer.callbacks=[{_target_:payload.Payload}]",
        "+hydra.callbacks.x._target_=payload.Payload",
        "hydra/launcher=basic",
        "hydra.searchpath=[file:///elsewhere]",
        "+data@hydra.x=files",
        "+model=../../elsewhere/evil",
        "logger.save_dir=/elsewhere",
        "+logger.entity=mallory",
        "run_dir=/elsewhere",
        "data.address=postgresql://elsewhere/movies",
        "data.path=${oc.env:HOME}",
        "cache_dir=/elsewhere",
        "engine.options.spark.driver.extraJavaOptions=-javaagent:payload.jar",
        "+engine.options={spark.plugins:payload.Payload}",
        "engine.master=local",
        "engine={options:{spark.plugins:payload.Payload}}",
        "data.address='jdbc:derby:elsewhere;create=true'",
        "data.name=../../elsewhere",
        "encoder.model=mallory/model",
        "++model.encoder={model:mallory/model}",
        "+data.sources={site:{name:../../elsewhere}}",
    ],
)
def test_a_command_that_resumes_follows_plain_overrides_only(attacker: Path, train_command, capsys, override: str):
    check_stored_overrides(["model=ease", "data.path=../ratings.csv", "++model.l2=5.0", "seed=1", "trainer=gpu"])
    check_stored_overrides(["engine=spark", "engine.memory_limit=8GB", "engine.n_buckets=4", "data.name=shop"])
    (attacker / "manifest.json").unlink()
    (attacker / ".hydra").mkdir()
    (attacker / ".hydra" / "config.yaml").write_text("{}")
    (attacker / ".hydra" / "overrides.yaml").write_text(yaml.safe_dump(["model=ease", override]))
    assert train_command(f"resume={attacker}") == 2
    assert "The overrides of a stored command must" in capsys.readouterr().err


def test_a_file_of_the_current_folder_is_not_imported_in_place_of_a_package(attacker: Path):
    for name in ("hydra", "numpy", "yaml"):
        shutil.copy(attacker / "payload.py", attacker / f"{name}.py")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "recsys", "select", "nowhere"]
    ended = subprocess.run(command, cwd=attacker, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 2, ended.stderr
    assert ended.stderr.startswith("error: nowhere holds no finished run")


def test_trusted_runs_build_what_they_name(attacker: Path, monkeypatch):
    config = read_run(attacker).config | {"data": {"_target_": "mine.Source", "path": "${oc.env:HOME}"}}
    assert stored_config(config, trusted=True).data._target_ == "mine.Source"
    config["data"]["path"] = "ratings.csv"
    assert stored_config(config, known={"mine.Source"}).data._target_ == "mine.Source"


@pytest.mark.parametrize("name", ["/elsewhere", "../elsewhere", "refits/..", "refits/../../elsewhere"])
def test_a_run_serves_only_its_own_refits(attacker: Path, name: str):
    (attacker / "serving.json").write_text(json.dumps({"promoted": [name]}))
    with pytest.raises(UserError, match="must list refits of the run itself"):
        rollout.active(attacker)


@pytest.mark.parametrize("name", ["../../elsewhere", "movies\0"])
def test_the_name_of_a_data_set_does_not_place_the_store_in_another_folder(attacker: Path, name: str):
    run = read_run(attacker)
    run.manifest["data"]["name"] = name
    with pytest.raises(UserError, match="must be a name without folders"):
        rollout.data_name(run)
