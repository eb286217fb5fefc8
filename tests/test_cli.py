"""The commands beside train.py, and the processes' exit statuses."""

import argparse
import subprocess
import sys
from pathlib import Path

import pytest

from recsys.__main__ import main

ROOT = Path(__file__).parents[1]


@pytest.fixture
def command(monkeypatch):
    """`python -m recsys ARGUMENTS` in this process; gives the exit status."""

    def run(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["recsys", *arguments])
        try:
            main()
        except SystemExit as stop:
            return stop.code
        return 0

    return run


@pytest.fixture
def ratings(tmp_path) -> Path:
    """Three good ratings and one of nine stars."""
    path = tmp_path / "ratings.csv"
    path.write_text(
        "user_id,movie_id,rating,time\n1,1,5,1000000000\n1,2,9,1000000001\n2,1,3,1000000002\n2,2,4,1000000003\n"
    )
    return path


def test_prepare_prints_what_each_rule_dropped(command, ratings, tmp_path, capsys):
    source = ("data=files", f"data.path={ratings}", "data.scale=[0.5,5]", "data.cleaning.max_dropped=0.5")
    assert command("prepare", *source, f"cache_dir={tmp_path}/cache") == 0
    rows = {
        line.strip("│┃ ").split("│")[0].strip(): line for line in capsys.readouterr().out.splitlines() if "│" in line
    }
    assert rows["rows read"].rstrip("│ ").endswith("4")
    assert rows["dropped: rating outside the scale"].rstrip("│ ").endswith("1")
    assert rows["rows kept"].rstrip("│ ").endswith("3")


def test_prepare_checks_overrides_like_train(command, capsys):
    assert command("prepare", "data=fils") == 2
    assert "did you mean files" in capsys.readouterr().err


def test_explore_prints_its_findings_and_the_path_of_the_report(command, ratings, tmp_path, capsys):
    source = ("data=files", f"data.path={ratings}", "data.scale=[0.5,5]", "data.cleaning.max_dropped=0.5")
    source += (f"cache_dir={tmp_path}/cache",)
    assert command("explore", *source, "--out", str(tmp_path / "report")) == 0
    printed = capsys.readouterr().out
    assert "Cleaning removed 1 of 4 ratings (25%), the most by the rule 'rating outside the scale'." in printed
    assert printed.endswith(f"report: {tmp_path}/report/report.html\n")
    assert "prefers-color-scheme: dark" in (tmp_path / "report" / "report.html").read_text()
    assert command("explore", *source, "--out", str(ratings)) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_settings_may_follow_options(command, capsys):
    assert command("serve", "nowhere", "--trusted", "port=0") == 2
    assert capsys.readouterr().err.startswith("error: nowhere ")


def test_an_unknown_option_is_refused_with_the_usage_of_its_command(command, capsys):
    assert command("serve", "nowhere", "--threads", "2") == 2
    said = capsys.readouterr().err
    assert said.startswith("usage: ")
    assert "--trusted" in said
    assert "unrecognized arguments: --threads" in said


def test_table_of_a_directory_without_runs_is_one_sentence(command, tmp_path, capsys):
    assert command("table", str(tmp_path)) == 2
    assert capsys.readouterr().err.startswith(f"error: {tmp_path} holds no finished run")


def test_an_interrupted_command_says_so_in_one_word(command, monkeypatch, capsys):
    def interrupt(arguments: argparse.Namespace) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("recsys.commands.table.run", interrupt)
    assert command("table", "outputs") == 130
    assert capsys.readouterr().err == "\nInterrupted.\n"


def test_every_command_has_help(command, capsys):
    assert command("--help") == 0
    listed = capsys.readouterr().out
    assert (command(), capsys.readouterr().out) == (0, listed)
    listed_ones = ("prepare", "explore", "table", "select", "recommend", "similar", "load", "segments", "importance")
    for name in (*listed_ones, "serve", "refit", "replay"):
        assert name in listed
        assert command(name, "--help") == 0
        assert len(capsys.readouterr().out.splitlines()) > 5


def test_a_typing_error_ends_the_process_with_status_2_and_one_sentence():
    typo = [sys.executable, "train.py", "model=nfc"]
    ended = subprocess.run(typo, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr.startswith("error: There is no model 'nfc': did you mean ncf")
    assert len(ended.stderr.splitlines()) == 1
