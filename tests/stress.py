"""Run the tests many times on a busy machine: `python -m tests.stress`. It takes hours, and is not part of CI.

The whole suite runs five times in a row. The tests of pages, servers and threads run 30 times beside four processes
that use all the time a processor gives them. A test that depends on how busy the machine is fails here sooner or later.

Two of these commands at once keep each other busy, and take half as long:

    python -m tests.stress --concurrent 0
    python -m tests.stress --suite 0 --busy 0 --processes 3
"""

import argparse
import multiprocessing
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
CONCURRENT = ["tests/web", "tests/data/test_download.py", "tests/data/test_databases.py"]
FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)


def main() -> None:
    """Run the tests, and print how often each has failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", type=int, default=5, metavar="N", help="runs of the whole suite (default: 5)")
    parser.add_argument(
        "--concurrent", type=int, default=30, metavar="N", help="runs beside busy processes (default: 30)"
    )
    parser.add_argument("--busy", type=int, default=4, metavar="N", help="busy processes (default: 4)")
    parser.add_argument("--processes", type=int, default=1, metavar="N", help="their own processes (default: 1)")
    parser.add_argument("tests", nargs="*", default=CONCURRENT, help="tests to run beside busy processes")
    arguments = parser.parse_args()
    failures = [failed for number in range(arguments.suite) for failed in run(f"suite {number + 1}", ["-n", "auto"])]
    with busy_processes(arguments.busy):
        for number in range(arguments.concurrent):
            failures += run(f"beside busy processes {number + 1}", ["-n", str(arguments.processes), *arguments.tests])
    for test, n_failures in Counter(failures).most_common():
        print(f"{n_failures} times: {test}")
    sys.exit(bool(failures))


def run(name: str, arguments: Sequence[str]) -> list[str]:
    """Run pytest, and return the tests that failed."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--tb=short",
        "-rfE",
        "--dist",
        "loadfile",
        "--no-loadscope-reorder",
        *arguments,
    ]
    start = time.monotonic()
    ended = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    failed = FAILED.findall(ended.stdout) or ([f"pytest ended with {ended.returncode}"] if ended.returncode else [])
    print(f"{name}: {f'{len(failed)} failed' if failed else 'passed'} in {time.monotonic() - start:.0f} s", flush=True)
    if failed:
        print(ended.stdout, flush=True)
    return failed


@contextmanager
def busy_processes(n: int) -> Iterator[None]:
    """Keep n processes busy."""
    processes = [multiprocessing.Process(target=_spin, daemon=True) for _ in range(n)]
    for process in processes:
        process.start()
    try:
        yield
    finally:
        for process in processes:
            process.terminate()
            process.join()


def _spin() -> None:
    while True:
        pass


if __name__ == "__main__":
    main()
