"""The package as it is installed from a wheel: it needs no checkout, and leaves files where it is run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A folder with the package from a wheel; the packages it depends on are those of the tests."""
    folder = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    pip = [*pip, "install", "--no-deps", "--no-build-isolation", "--target", str(folder), str(ROOT)]
    subprocess.run(pip, check=True)
    return folder


def test_a_wheel_trains_and_recommends_in_any_folder(installed: Path, tmp_path: Path):
    def recsys(*arguments: str) -> str:
        environment = {name: value for name, value in os.environ.items() if name != "RECSYS_CACHE"}
        environment |= {"PYTHONPATH": str(installed), "XDG_CACHE_HOME": str(tmp_path / "cache"), "COLUMNS": "200"}
        command = [sys.executable, str(installed / "bin" / "recsys"), *arguments]
        return subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True).stdout

    (tmp_path / "ratings.csv").write_text(
        "user,film,stars,time\n" + "".join(f"u{u},{i},4,{10**9 + i}\n" for u in range(9) for i in range(u % 3, 12, 2))
    )
    columns = ("data.columns.user_id=user", "data.columns.movie_id=film", "data.columns.rating=stars")
    recsys("train", "model=ease", "data=files", "data.path=ratings.csv", *columns, "ks=[2]", "hydra.run.dir=run")
    assert "u1" in recsys("recommend", "run", "--user", "u1", "-k", "2", "--json")
    assert [*tmp_path.glob("cache/recsys/prepared/*")]
    assert "commit" not in (tmp_path / "run" / "manifest.json").read_text()
