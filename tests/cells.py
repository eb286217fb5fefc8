"""Numbers in the text of a study's README, held to the cells that the `cells.yaml` beside it names.

`cells.yaml` lists blocks in the order of the README. The keys of a block are defaults of its `numbers`:

    - file: table.csv                          # relative to the folder of the study
      metric: ndcg@10                          # a value in a column of the file
      numbers:
        - 0.012: {row: EASE, column: low}      # the text of the README, and what else names its cell
        - 0.031 [0.013, 0.055]: {row: Markov, column: [difference, low, high]}
        - from 0.24 to 0.37: {row: [EASE, SLIM], take: [min, max]}
    - table: 1 rating | 3 ratings              # a part of the header of a table that has no comment above it
      file: table.csv
      setting: [1 rating, 3 ratings]
      lines: {above popularity: {row: EASE, column: low}}     # lines that are not named as a row of the file
    - command: python experiments/speed/start.py              # prints the numbers
      numbers: [0.16, 0.08]

Lists give the numbers of a text in their order: the last list varies fastest, and `column`, which is `mean` if it is
not given, fastest of all. `take` computes numbers: `min`, `max`, `mean` and `count` of all lines that have the values;
the `negative` of cells; or `difference`, `ratio`, `decrease` (1 - second / first) and `rank correlation` of the first
half of the cells and the second. A number before % or points is of a hundred times the cell.

Instead of `file`, a block may have `command`, `uncommitted` (why no committed command prints its numbers) or `given`
(what its numbers are that were not measured here). A text may have a list of such keys, one after another, in which
`count` says how many numbers are not of a file.
"""

import csv
import itertools
import re
import statistics
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from recsys.studies.readme_tables import MARKED
from tests.test_readme import ROOT

SOURCES = {"file", "command", "uncommitted", "given"}
NUMBER = re.compile(r"(?<![\w@.-])(?P<number>[+-]?\d[\d,]*(?<!,)(?:\.\d+)?)(?!\w|\.\d)(?P<hundredths>%| points)?")
NOT_PROSE = re.compile(r"^(?: {4}.*\n)+|`[^`]+`|\]\([^)]*\)|<!--.*?-->", re.MULTILINE)
OF_LINES: dict[str, Callable[[list[float]], float]] = {
    "min": min,
    "max": max,
    "mean": statistics.fmean,
    "count": len,
}
OF_HALVES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "difference": lambda first, second: first - second,
    "ratio": lambda first, second: first / second,
    "decrease": lambda first, second: 1 - second / first,
    "rank correlation": lambda first, second: np.corrcoef(first.argsort().argsort(), second.argsort().argsort())[0, 1:],
}
Keys = dict[str, Any]


class UnknownCellError(Exception):
    """Keys do not name cells."""


def problems(folder: Path) -> list[str]:
    """Say where README.md of a folder disagrees with its cells.yaml, or with the tables that this names."""
    text = (folder / "README.md").read_text()
    text = MARKED.sub(_blank, text)
    prose = NOT_PROSE.sub(_blank, text)
    found = []
    position = 0
    for block in yaml.load((folder / "cells.yaml").read_text(), yaml.BaseLoader):
        for words, numbers, parts in _entries(block, text[text.rfind("\n", 0, position) + 1 :]):
            place = _place(words, text, position)
            if place is None:
                found.append(f"{words!r} does not follow {' '.join(text[:position].split()[-6:])!r}")
                continue
            prose = prose[: place.start()] + _blank(place) + prose[place.end() :]
            position = place.end()
            found.extend(f"{words!r}: {problem}" for problem in _compare(numbers, parts, folder))
    for number in NUMBER.finditer(prose):
        if re.search(r"\.\d\d", number["number"]):
            line = text.splitlines()[text.count("\n", 0, number.start())]
            found.append(f"{number['number']!r} has no entry: {line.strip()!r}")
    return [f"{folder.name}/README.md: {problem}" for problem in found]


def _blank(match: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", match[0])


def _place(words: str, text: str, position: int = 0) -> re.Match[str] | None:
    """Find words, with any white space between them, that do not cut a number."""
    spaced = r"\s+".join(re.escape(word) for word in words.split())
    return re.compile(rf"(?<![\d@.-]){spaced}(?![.,]?\d)").search(text, position)


def _entries(block: Keys, text: str) -> Iterator[tuple[str, str, list[Keys]]]:
    """Yield the words of each entry, the part of them that has the numbers, and the keys of their cells."""
    shared = {key: value for key, value in block.items() if key not in ("numbers", "table", "lines")}
    for number in block.get("numbers", []):
        words, own = next(iter(number.items())) if isinstance(number, dict) else (number, {})
        yield words, words, _parts(shared, own)
    if "table" in block:
        header = _place(block["table"], text)
        if header is None:
            yield block["table"], "", []
            return
        lines = dict(block.get("lines", {}))
        for line in text[header.start() :].split("\n\n")[0].splitlines()[2:]:
            _, name, numbers = line.split("|", 2)
            name = name.strip(" *")
            yield line, numbers, _parts(shared, lines.pop(name, {"row": name}))
        for name in lines:
            yield f"| {name} |", "", []


def _parts(shared: Keys, own: Keys | list[Keys]) -> list[Keys]:
    """Add the defaults of a block to what an entry has. Its own source replaces that of the block."""
    parts = own if isinstance(own, list) else [own]
    unsourced = {key: value for key, value in shared.items() if key not in SOURCES}
    return [(unsourced if SOURCES & part.keys() else shared) | part for part in parts]


def _compare(text: str, parts: list[Keys], folder: Path) -> Iterator[str]:
    """Yield what is wrong about the numbers of a text."""
    values: list[tuple[float | None, Keys]] = []
    for keys in parts:
        if len(SOURCES & keys.keys()) != 1:
            yield f"one of {', '.join(sorted(SOURCES))} is needed: {keys}"
        elif "file" in keys:
            try:
                values += [(value, keys) for value in _values(keys, folder)]
            except UnknownCellError as error:
                yield str(error)
                return
        else:
            values += [(None, keys)] * int(keys.get("count", 1))
            if not _exists(keys.get("command", "train.py")):
                yield f"there is no command {keys['command']}"
    if all(value is None for value, _ in values):
        return
    numbers = list(NUMBER.finditer(text))
    if len(numbers) != len(values):
        yield f"has {len(numbers)} numbers for {len(values)} cells: {parts}"
    for number, (value, keys) in zip(numbers, values, strict=False):
        if value is not None:
            decimals = len(number["number"].partition(".")[2])
            expected = f"{value * (100 if number['hundredths'] else 1):.{decimals}f}"
            if float(number["number"].replace(",", "")) != float(expected):
                yield f"{number['number']} should be {expected}, of {keys}"


def _exists(command: str) -> bool:
    """Whether the repository has the script of a command, or the command of this package."""
    name = next(word for word in command.split() if word not in ("python", "-m", "recsys"))
    return (ROOT / (name if name.endswith(".py") else f"recsys/commands/{name}.py")).is_file()


def _values(keys: Keys, folder: Path) -> list[float]:
    """Compute the numbers that keys stand for."""
    listed = {key: value if isinstance(value, list) else [value] for key, value in keys.items()}
    [name], columns, taken = listed.pop("file"), listed.pop("column", ["mean"]), listed.pop("take", [])
    if not (folder / name).is_file():
        raise UnknownCellError(f"there is no file {name}")
    lines = _lines(folder / name)
    known = {key: {line.get(key) for line in lines} for key in listed}
    known |= {"column": lines[0].keys(), "take": OF_LINES.keys() | OF_HALVES.keys() | {"negative"}}
    for key, values in {**listed, "column": columns, "take": taken}.items():
        if unknown := set(values) - known[key]:
            raise UnknownCellError(f"{name} has no {key} {', '.join(sorted(unknown))}")
    if taken and taken[0] in OF_LINES:
        selected = [line for line in lines if all(line[key] in values for key, values in listed.items())]
        cells = [_cell(line, column) for line in selected for column in columns]
        return [OF_LINES[operation](cells) for operation in taken]
    cells = []
    for combination in itertools.product(*listed.values()):
        wanted = dict(zip(listed, combination, strict=True))
        selected = [line for line in lines if wanted.items() <= line.items()]
        if len(selected) != 1:
            raise UnknownCellError(f"{name} has {len(selected)} lines with {wanted}")
        cells += [_cell(selected[0], column) for column in columns]
    if taken == ["negative"]:
        return [-cell for cell in cells]
    if taken and len(cells) % 2:
        raise UnknownCellError(f"{taken[0]} needs an even number of cells, not {len(cells)}")
    return list(OF_HALVES[taken[0]](*np.reshape(cells, (2, -1)))) if taken else cells


def _cell(line: dict[str, str], column: str) -> float:
    if not line[column]:
        raise UnknownCellError(f"{column} is empty in {line}")
    return float(line[column])


@cache
def _lines(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))
