"""Try a folder of files of ratings: a table of what is read of each, or of the sentence that refuses it.

    python -m tests.try_files FOLDER [--settings FILE]

The settings are YAML: the name of a file or folder in FOLDER -> the overrides with which it is prepared, in which
`FOLDER` is replaced by the path of the folder. Other files are prepared with the defaults of `data=files`.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import tempfile
from pathlib import Path

import yaml
from rich.console import Console
from rich.table import Table

from recsys.config import compose
from recsys.config.splits import prepared_data
from recsys.errors import UserError


def outcome(overrides: list[str]) -> str:
    """Return what is read of a file, or the sentence that refuses it."""
    with tempfile.TemporaryDirectory() as cache, contextlib.redirect_stdout(io.StringIO()):
        try:
            prepared = prepared_data(compose("train", ["data=files", *overrides, f"cache_dir={cache}"]))
        except UserError as refusal:
            return f"refused: {refusal}"
        except Exception as failure:  # a fault of the project
            return f"FAILED: {type(failure).__name__}: {failure}"
    report, match = prepared.report, prepared.match
    read = f"{report.rows_kept:,} of {report.rows_read:,} rows, {report.users:,} users, {report.films:,} items"
    titled = f"{report.films - report.films_untitled:,} with a title"
    notes = [f"{read}, {titled}", report.span, *report.read_as, report.losses, report.unused_rows]
    if match is not None:
        notes += [f"{match.films:,} described by {match.name}", *match.read_as, match.unused_rows]
    return "; ".join(filter(None, notes))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--settings", type=Path, default=Path(__file__).with_suffix(".yaml"))
    arguments = parser.parse_args()
    settings = yaml.safe_load(arguments.settings.read_text(encoding="utf-8"))
    folder = arguments.folder.resolve()
    listed = {name: commands if isinstance(commands, list) else [commands] for name, commands in settings.items()}
    present = {name: commands for name, commands in listed.items() if (folder / name).exists()}
    files = [str(path.relative_to(folder)) for path in sorted(folder.rglob("*")) if path.is_file()]
    others = [name for name in files if not any(Path(name).is_relative_to(known) for known in present)]
    table = Table("file", "settings", "outcome")
    for name, commands in sorted((present | {other: [""] for other in others}).items()):
        for command in commands:
            given = command.replace("FOLDER", str(folder)).split()
            path = [] if "data.path=" in command else [f"data.path={folder / name}"]
            table.add_row(name, command, outcome([*path, *given]).replace(f"{folder}/", ""))
    Console(width=200).print(table, markup=False)


if __name__ == "__main__":
    main()
