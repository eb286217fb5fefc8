"""The package as it is installed from a wheel: it needs no checkout and no extra, and leaves files where it is run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from recsys.extras import EXTRAS

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A folder with the package from a wheel; the packages it depends on are those of the tests without the extras."""
    folder = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    pip = [*pip, "install", "--no-deps", "--no-build-isolation", "--target", str(folder), str(ROOT)]
    subprocess.run(pip, check=True)
    missing = [package for packages in EXTRAS.values() for package in packages if "." not in package]
    (folder / "sitecustomize.py").write_text(f"import sys\nsys.modules.update(dict.fromkeys({missing}))\n")
    return folder


def test_a_wheel_trains_and_recommends_in_any_folder(installed: Path, tmp_path: Path):
    def recsys(*arguments: str, status: int = 0) -> str:
        environment = {name: value for name, value in os.environ.items() if name != "RECSYS_CACHE"}
        environment |= {"PYTHONPATH": str(installed), "XDG_CACHE_HOME": str(tmp_path / "cache"), "COLUMNS": "200"}
        command = [sys.executable, str(installed / "bin" / "recsys"), *arguments]
        ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert ended.returncode == status, ended.stderr
        return ended.stdout if status == 0 else ended.stderr

    (tmp_path / "ratings.csv").write_text(
        "user,film,stars,time\n" + "".join(f"u{u},{i},4,{10**9 + i}\n" for u in range(9) for i in range(u % 3, 12, 2))
    )
    columns = ("data.columns.user_id=user", "data.columns.movie_id=film", "data.columns.rating=stars")
    recsys("train", "model=ease", "data=files", "data.path=ratings.csv", *columns, "ks=[2]", "hydra.run.dir=run")
    assert "u1" in recsys("recommend", "run", "--user", "u1", "-k", "2", "--json")
    assert [*tmp_path.glob("cache/recsys/prepared/*")]
    assert "pip install 'recsys[web]'" in recsys("serve", "run", status=2)
    assert "commit" not in (tmp_path / "run" / "manifest.json").read_text()
