"""Optional packages: what needs one that is missing names the extra to install."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from recsys.config import complete
from recsys.errors import UserError
from recsys.extras import EXTRAS, naming_extras, require

PYPROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())
PACKAGES = [(package, extra) for extra, packages in EXTRAS.items() for package in packages]


def test_extras_are_those_of_the_project():
    assert {*EXTRAS, "docs", "dev"} == set(PYPROJECT["project"]["optional-dependencies"])


@pytest.mark.parametrize(("package", "extra"), PACKAGES)
def test_a_missing_package_names_its_extra(package: str, extra: str):
    sentence = rf"^This needs {package}, which pip install 'recsys\[{extra}\]' installs\.$"
    with pytest.raises(UserError, match=sentence), naming_extras():
        raise ModuleNotFoundError(name=f"{package}.part")


def test_an_error_that_a_missing_package_caused_names_its_extra():
    with pytest.raises(UserError, match=r"'recsys\[databases\]'"), naming_extras():
        raise RuntimeError("no driver") from ModuleNotFoundError(name="psycopg")


@pytest.mark.parametrize("error", [ModuleNotFoundError(name="webbed"), ModuleNotFoundError(), ValueError("odd")])
def test_other_errors_stay_as_they_are(error: Exception):
    with pytest.raises(type(error)) as raised, naming_extras():
        raise error
    assert raised.value is error


def test_an_extra_is_required_before_work_begins(monkeypatch: pytest.MonkeyPatch):
    require("plots")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UserError, match=r"matplotlib, which pip install 'recsys\[plots\]'"):
        require("plots")


HELP = """
import contextlib, io, sys
from recsys.__main__ import main
from recsys.commands import COMMANDS
from recsys.extras import EXTRAS
sys.modules.update(dict.fromkeys(package for packages in EXTRAS.values() for package in packages))
for name in {*COMMANDS} - {"train"}:
    sys.argv = ["recsys", name, "--help"]
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()) as output:
        main()
    if not output.getvalue().startswith("usage: "):
        print(name)
"""


def test_the_help_of_every_command_needs_no_extra():
    helped = subprocess.run([sys.executable, "-c", HELP], capture_output=True, text=True, check=True)
    assert (helped.stdout, helped.stderr) == ("", "")


@pytest.mark.parametrize(
    ("launcher", "extra"), [("joblib", "parallel"), ("slurm", "slurm"), ("submitit_local", "slurm")]
)
def test_a_launcher_requires_its_extra(launcher: str, extra: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, EXTRAS[extra][0], None)
    with pytest.raises(UserError, match=rf"'recsys\[{extra}\]'"):
        complete("train", ["model=ease", f"hydra/launcher={launcher}"])


def test_a_search_requires_its_extra_before_it_imports_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UserError, match=r"'recsys\[search\]'"):
        complete("train", ["hparams_search=ease"])
    assert complete("train", ["model=ease"]) == ["model=ease"]
