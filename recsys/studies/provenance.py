"""The circumstances of a run: commit, command, versions, hardware, threads and peak memory."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import subprocess
import sys
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from recsys.places import IS_CHECKOUT, PACKAGE

CODE = (":/recsys", ":/configs", ":/hydra_plugins", ":/train.py")  # not the tables that studies write
PACKAGES = ("recsys", "torch", "pytorch-lightning", "numpy", "scipy", "pandas", "scikit-learn", "duckdb", "hydra-core")


def commit() -> dict[str, Any]:
    """Return `commit`, the hash of the current commit, and `dirty`, whether code or configs differ from that commit.

    The result is empty if there is no repository, or if this package is installed and not a checkout: a repository
    that contains an installed package belongs to another project.
    """
    if not IS_CHECKOUT or shutil.which("git") is None:
        return {}
    git = ["git", "-C", str(PACKAGE)]
    head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=False)  # noqa: S603
    if head.returncode:
        return {}
    query = [*git, "status", "--porcelain", "--", *CODE]
    status = subprocess.run(query, capture_output=True, text=True, check=False)  # noqa: S603
    return {"commit": head.stdout.strip(), "dirty": bool(status.stdout.strip())}


def circumstances(threads: int) -> dict[str, Any]:
    """Return the command, versions, hardware, number of threads and peak memory of this process.

    Peak memory is in bytes. On Linux, it is the peak since the last call of `forget_peak_memory`; on other systems,
    since the process began.

    Args:
        threads: number of threads that the run may use; reported if torch is not loaded.
    """
    torch = sys.modules.get("torch")  # a run without torch uses no GPU
    return {
        "command": sys.argv,
        "versions": {"python": platform.python_version(), **_versions()},
        "hardware": {
            "machine": platform.machine(),
            "processor": _processor(),
            "cores": os.cpu_count(),
            "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if torch else [],
        },
        "threads": torch.get_num_threads() if torch else threads,
        "peak_memory_bytes": _peak_memory(),
    }


def forget_peak_memory() -> None:
    """Reset the recorded peak memory of this process, since a process may execute several runs.

    This has an effect only on Linux.
    """
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak_memory() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # Linux counts in KiB


@cache
def _versions() -> dict[str, str]:
    """Return the versions of `PACKAGES`; cached, because each is read from a file, and a sweep executes many runs."""
    return {name: version(name) for name in PACKAGES}


def _processor() -> str:
    if Path("/proc/cpuinfo").is_file():
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
