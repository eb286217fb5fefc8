"""The modules that commands import, counted in processes of their own: heavy ones only where they are needed."""

import json
import os
import subprocess
import sys
from pathlib import Path
from textwrap import indent

import numpy as np
import pandas as pd
import pytest

from recsys.studies.identity import DECISIVE, NOT_DECISIVE_CODE

ROOT = Path(__file__).parents[1]
HEAVY = {"torch", "pytorch_lightning", "sklearn", "matplotlib", "nicegui", "optuna"}
SPARED = {"rapidfuzz", "tensorboard.compat.tensorflow_stub", "fsspec", "recsys.config.stored"}  # a training needs none
REPORT = "\nimport json, sys\nprint('\\n' + json.dumps(sorted(sys.modules)))"


def modules(*steps: str) -> list[set[str]]:
    """Run code in a new process, and return what it has imported after each step."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", "\n".join(f"{step}{REPORT}" for step in steps)]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert "GPU available" not in ended.stdout + ended.stderr  # Lightning's messages are not about the run
    reports = [set(json.loads(line)) for line in ended.stdout.splitlines() if line.startswith('["')]
    assert len(reports) == len(steps)
    return reports


def recsys(*arguments: object) -> str:
    """Code that runs `python -m recsys ARGUMENTS`."""
    argv = ["recsys", *map(str, arguments)]
    call = "from contextlib import suppress\nfrom recsys.__main__ import main\nwith suppress(SystemExit):\n    main()"
    return f"import sys\nsys.argv = {argv!r}\n{call}"


def training(*arguments: str) -> str:
    """Code that runs `python train.py ARGUMENTS`."""
    argv = ["train.py", *arguments]
    return f"import sys, train\nfrom recsys.config import main\nsys.argv = {argv!r}\nmain(train.objective)"


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> list[str]:
    """Overrides for 20 users who rated 8 of 15 items."""
    folder = tmp_path_factory.mktemp("start")
    rng = np.random.default_rng(0)
    rows = [(f"u{u}", item, 4, 10**9 + item) for u in range(20) for item in rng.choice(15, 8, replace=False)]
    pd.DataFrame(rows, columns=["user_id", "movie_id", "rating", "time"]).to_csv(folder / "ratings.csv", index=False)
    return ["data=files", f"data.path={folder}/ratings.csv", "ks=[5]", f"cache_dir={folder}/cache"]


def test_help_imports_nothing_but_the_list_of_commands():
    [imported] = modules(recsys("--help"))
    assert not imported & {*HEAVY, "numpy", "pandas", "hydra"}
    assert {name for name in imported if name.startswith("recsys.")} == {
        "recsys.__main__",
        "recsys.commands",
        "recsys.errors",
        "recsys.files",
        "recsys.interruption",
        "recsys.invocation",
        "recsys.places",
    }


def test_importing_the_config_package_is_fast_and_finds_the_sweepers_without_their_dependencies():
    imported, composed = modules("import recsys.config", "recsys.config.compose('train', ['model=ease'])")
    assert not imported & {*HEAVY, "numpy", "pandas", "recsys.studies", "recsys.web", "recsys.models"}
    assert "hydra_plugins.recsys_study.study_sweeper" in composed
    assert not composed & {*HEAVY, "recsys.studies"}


def test_an_error_in_a_setting_is_reported_without_importing_the_model():
    unknown = ("modle=ease", "epochs=3", "modell.lr=1")
    commands = "\n".join(f"with suppress(SystemExit):\n{indent(training(line), '    ')}" for line in unknown)
    [imported] = modules(f"from contextlib import suppress\n{commands}")
    assert not imported & HEAVY


def test_every_module_that_decides_figures_is_in_the_digest_of_code(data, tmp_path):
    [imported] = modules(training(*data, "model=mf", "model.max_epochs=1", f"hydra.run.dir={tmp_path}/mf"))
    own = {name for name in imported if name.partition(".")[0] == "recsys"}
    covered = {f"recsys.{package}" for package in DECISIVE} | NOT_DECISIVE_CODE.keys()
    unknown = {name for name in own if name != "recsys" and ".".join(name.split(".")[:2]) not in covered}
    assert not unknown
    assert {"recsys.evaluation.evaluate", "recsys.models.mf", "recsys.models.popularity"} < own


def test_a_closed_form_model_is_trained_logged_and_used_without_torch(data, tmp_path):
    run = f"{tmp_path}/run"
    asked = recsys("recommend", run, "--user", "u1")
    tested = recsys("test", run, "ks=[3]", "--out", f"{tmp_path}/test")
    models = ("base", "popularity", "bias", "ease", "slim", "knn", "rating_knn")
    names = ["recsys.evaluation.evaluate", *(f"recsys.models.{model}" for model in models)]
    training_alone, everything = modules(
        training(*data, "model=ease", f"hydra.run.dir={run}"), f"{asked}\n{tested}\nimport {', '.join(names)}"
    )
    assert not training_alone & SPARED
    assert not everything & {*HEAVY, "lightning"}
    assert everything.issuperset(names)
    assert list(Path(run, "tensorboard").rglob("events.*"))
    assert Path(tmp_path, "test", "manifest.json").is_file()
