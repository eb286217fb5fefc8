"""The manual's systemd unit: systemd accepts it, and the command that it starts accepts its arguments."""

import argparse
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from recsys.commands import serve
from recsys.config import compose, instantiate

PAGE = Path(__file__).parents[1] / "docs" / "serving.md"


@pytest.fixture(scope="module")
def unit() -> str:
    return dedent(re.search(r"^    \[Unit\]\n.*?^    WantedBy=.*?\n", PAGE.read_text(), re.MULTILINE | re.DOTALL)[0])


def test_the_server_accepts_the_arguments_of_the_unit(unit):
    [command] = re.findall(r"^ExecStart=(.*)$", unit, re.MULTILINE)
    program, *arguments = shlex.split(command)
    assert program.endswith("/python")
    assert arguments[:3] == ["-m", "recsys", "serve"]
    parser = argparse.ArgumentParser()
    serve.add_arguments(parser)
    words = parser.parse_intermixed_args(arguments[3:])  # as the command line is
    assert words.workers == 2
    settings = instantiate(compose("serve", [word for word in words.what if "=" in word]))
    assert settings.hosts == ["rec.example.org", "127.0.0.1"]
    assert settings.proxies == ["127.0.0.1"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_accepts_the_unit(unit, tmp_path):
    file = tmp_path / "recsys.service"
    file.write_text(unit.replace("/srv/recsys/.venv/bin/python", sys.executable))  # which must exist
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(file)], capture_output=True, text=True
    )
    assert (checked.returncode, checked.stderr) == (0, "")
