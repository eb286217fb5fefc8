"""The manual: what its page on adding a model shows works as it stands, and all commands have arguments that exist."""

import argparse
import re
import runpy
import shlex
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from recsys.config.overrides import complete
from recsys.studies.runs import read_run
from tests.training import run_train

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "add-a-model.md"
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("experiments/*/README.md"))]
COMMAND = re.compile(r"^    [^'\n]*?python (?:train\.py|-m recsys (\w+)) (.*)$", re.MULTILINE)
BLOCK = re.compile(r"^```\{code-block\} \w+\n:caption: (\S+)\n\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder with the files of the page, on Python's path."""
    for name, text in BLOCK.findall(PAGE.read_text()):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        if name != "commands":
            (tmp_path / name).write_text(text)
    (tmp_path / "mymodels" / "__init__.py").touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(tmp_path)
        yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] == "mymodels"]:
        del sys.modules[name]


def test_models_of_the_page_are_trained_by_its_commands(folder: Path, data, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(folder)
    commands = [
        line for name, text in BLOCK.findall(PAGE.read_text()) if name == "commands" for line in text.splitlines()
    ]
    assert len(commands) == 5
    for number, command in enumerate(commands):
        program, arguments = shlex.split(command)[:4], shlex.split(command)[4:]
        assert program == ["python", "-m", "recsys", "train"]
        place = "hydra.sweep.dir" if "-m" in arguments else "hydra.run.dir"
        small = ["logger=none", f"{place}={folder}/{number}", "++model.max_epochs=2" if "metric" in command else ""]
        small += ["model.n_factors=4"] if command.endswith(" model=pure_svd") else []
        small += ["model.n_factors=choice(2,4)", "hydra.sweeper.n_trials=2"] if "hparams_search" in command else []
        assert run_train(*arguments, *data, *filter(None, small)) == 0
    assert read_run(folder / "0").config["model"]["_target_"] == "mymodels.pure_svd.PureSVD"
    assert len([*folder.glob("3/*/metrics.json")]) == 3
    assert len([*folder.glob("4/*/metrics.json")]) == 2


def test_models_of_the_page_meet_the_contract(folder: Path):
    tests = runpy.run_path(str(folder / "test_mymodels.py"))
    tests["test_pure_svd"]()
    tests["test_metric"]()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_have_arguments_that_exist(page: Path):
    for name, words in commands(page):
        if name in ("", "train"):
            not_installed = "hydra/launcher=slurm"
            complete("train", [word for word in words if "=" in word and word != not_installed])
        else:
            parser = argparse.ArgumentParser()
            import_module(f"recsys.commands.{name}").add_arguments(parser)
            parser.parse_intermixed_args(words)


def test_training_and_the_main_commands_are_among_them():
    assert {"", "table", "recommend", "serve"} <= {name for page in PAGES for name, _ in commands(page)}


def commands(page: Path) -> Iterator[tuple[str, list[str]]]:
    """The indented commands of a page: the name, "" for train.py, and the arguments."""
    for name, text in COMMAND.findall(page.read_text().replace("\\\n", " ")):
        words = shlex.split(text, comments=True)
        yield name, words[: words.index("||")] if "||" in words else words
