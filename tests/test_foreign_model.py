"""A model from outside the project, by a config of one's own: `python train.py --config-dir DIR model=mine`."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recsys.studies.runs import read_run

ROOT = Path(__file__).parents[1]
MODEL = '''
from recsys.models.popularity import Popularity


class Mine(Popularity):
    """Popularity with a setting."""

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__()
        self.weight = weight
'''


@pytest.fixture
def train(tmp_path):
    """`python train.py --config-dir DIR ARGUMENTS` with a package beside; gives the ended process."""
    (tmp_path / "mypackage").mkdir()
    (tmp_path / "mypackage" / "__init__.py").touch()
    (tmp_path / "mypackage" / "mymodel.py").write_text(MODEL)
    (tmp_path / "configs" / "model").mkdir(parents=True)
    (tmp_path / "configs" / "model" / "mine.yaml").write_text("_target_: mypackage.mymodel.Mine\nweight: 2.0\n")
    rng = np.random.default_rng(0)
    rows = [(f"u{u}", item, 4, 10**9 + item) for u in range(20) for item in rng.choice(15, 8, replace=False)]
    pd.DataFrame(rows, columns=["user_id", "movie_id", "rating", "time"]).to_csv(tmp_path / "r.csv", index=False)
    data = ["data=files", f"data.path={tmp_path}/r.csv", "ks=[5]", f"cache_dir={tmp_path}/cache", "logger=none"]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"}

    def run(*arguments: str):
        command = [sys.executable, "train.py", "--config-dir", str(tmp_path / "configs"), *data, *arguments]
        place = f"hydra.run.dir={tmp_path}/run"
        return subprocess.run([*command, place], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    return run


def test_it_trains_with_its_settings(train, tmp_path):
    ended = train("model=mine", "model.weight=3")
    assert ended.returncode == 0, ended.stderr
    assert read_run(tmp_path / "run").config["model"] == {"_target_": "mypackage.mymodel.Mine", "weight": 3}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["model=mine", "model.wieght=3"], "Mine takes no 'wieght': did you mean weight"),
        (["model=mine", "model.weight=much"], "'weight' of Mine must be float (got 'much')"),
        (["model=mien"], "did you mean mine"),
        (["model=mine", "sede=1"], "did you mean seed"),
        (["model=mine", "++model._target_=mypackage.none.Mine"], "must name a class that can be imported"),
    ],
)
def test_typing_errors_are_found(train, arguments, words):
    ended = train(*arguments)
    assert ended.returncode == 2
    assert words in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
