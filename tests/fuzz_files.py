"""Random files of known ratings: each must be read exactly or refused.

    python -m tests.fuzz_files [--n 1000] [--seed 0]

Each file has its own delimiter, quoting, encoding, header, compression, layout, kind of ids and unit of times. The
command prints how many were read, and exits with status 1 if one was read wrongly or fewer than 95% were read.
"""

from __future__ import annotations

import argparse
import bz2
import csv
import gzip
import io
import json
import lzma
import random
import tempfile
import uuid
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd

from recsys.data.clean import Cleaning, clean
from recsys.data.rating_scale import guessed_scale
from recsys.data.read import read
from recsys.data.sources import Files
from recsys.errors import UserError

NAMES = ("user_id", "movie_id", "rating", "time")
FIRST = 1_100_000_000


@dataclass(frozen=True)
class Made:
    """A random file.

    Attributes:
        traits: how it was written, by trait.
        settings: settings of `Files` with which it is read; some traits cannot be detected.
        rows: its ratings: user id, item id, rating, seconds.
    """

    file: Path
    traits: dict[str, str]
    settings: dict[str, Any]
    rows: list[tuple[str, str, float, int]]


def _ids(kind: str, n: int, rng: random.Random) -> list[str]:
    return {
        "small": [str(place + 1) for place in range(n)],
        "big": [str(10**20 + place) for place in range(n)],
        "padded": [f"{place:07}" for place in range(n)],
        "uuid": [str(uuid.UUID(int=rng.getrandbits(128))).upper() for _ in range(n)],
        "hash": [f"#{place}" for place in range(n)],
        "words": [f"Zoë {place}, the 'first'; \"x\" | é" for place in range(n)],
        "floats": [str(place + 1) for place in range(n)],  # written with .0
    }[kind]


def _day(seconds: int, written: str) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime(written)


TIMES: dict[str, Callable[[int], str]] = {
    "s": str,
    "float s": lambda t: f"{t}.0",
    "ms": lambda t: str(t * 1000 + 250),
    "us": lambda t: str(t * 10**6 + 250_000),
    "ns": lambda t: str(t * 10**9 + 250_000_000),
    "iso": lambda t: _day(t, "%Y-%m-%dT%H:%M:%SZ"),
    "iso space": lambda t: _day(t, "%Y-%m-%d %H:%M:%S"),
    "iso offset": lambda t: _day(t + 7200, "%Y-%m-%dT%H:%M:%S+02:00"),
    "date": lambda t: _day(t, "%Y-%m-%d"),
    "compact": lambda t: _day(t, "%Y%m%d"),
    "german": lambda t: _day(t, "%d.%m.%Y"),
    "american": lambda t: _day(t, "%m/%d/%Y"),
    "year": lambda t: _day(t, "%Y"),
}
_DAYS = ("date", "compact", "german", "american")
QUOTING = {"minimal": csv.QUOTE_MINIMAL, "all": csv.QUOTE_ALL}
COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "none": lambda data: data,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zip": lambda data: _zipped(data),
}


def _zipped(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("ratings", data)
    return buffer.getvalue()


def make(folder: Path, rng: random.Random) -> Made:
    """Write a random file into a folder."""
    layout = rng.choice(["text"] * 6 + ["jsonl", "json", "parquet"])
    kinds = ["small", "big", "padded", "uuid", "hash", "words", "floats"]
    traits = {
        "layout": layout,
        "user": rng.choice(kinds),
        "item": rng.choice(kinds),
        "time": rng.choice(list(TIMES)),
        "compression": "none" if layout == "parquet" else rng.choice(list(COMPRESSIONS)),
    }
    n_users, n_items = rng.randint(2, 12), rng.randint(2, 12)
    users, items = _ids(traits["user"], n_users, rng), _ids(traits["item"], n_items, rng)
    pairs = rng.sample([(user, item) for user in users for item in items], rng.randint(2, n_users * n_items))
    scale = rng.choice([1, 0.5])
    span = 40_000_000 if traits["time"] != "s" else 4_000_000
    rows = [(u, m, scale * rng.randint(1, 10), FIRST + rng.randrange(span)) for u, m in pairs]
    rows = [(u, m, r, _rounded(t, traits["time"])) for u, m, r, t in rows]
    cells = [
        [_written_id(u, traits["user"]), _written_id(m, traits["item"]), f"{r:g}", TIMES[traits["time"]](t)]
        for u, m, r, t in rows
    ]
    settings: dict[str, Any] = {"columns": dict(zip(NAMES, NAMES, strict=True))}
    if layout == "text":
        name, data = _text(cells, traits, settings, rng)
    elif layout == "parquet":
        name, data = "r.parquet", _parquet(rows, cells, traits, rng)
    else:
        name, data = _json(cells, traits, layout, rng)
    compression = traits["compression"]
    file = folder / (name + (compression if compression != "none" and rng.random() < 0.7 else ""))
    file.write_bytes(COMPRESSIONS[compression](data))
    return Made(file, traits, settings, rows)


def _rounded(seconds: int, kind: str) -> int:
    if kind in _DAYS:
        return seconds - seconds % 86400
    return (
        int(datetime(datetime.fromtimestamp(seconds, UTC).year, 1, 1, tzinfo=UTC).timestamp())
        if kind == "year"
        else seconds
    )


def _written_id(text: str, kind: str) -> str:
    return f"{text}.0" if kind == "floats" else text


def _text(
    cells: list[list[str]], traits: dict[str, str], settings: dict[str, Any], rng: random.Random
) -> tuple[str, bytes]:
    """Write delimited text; two of its traits need a setting."""
    traits["delimiter"] = delimiter = rng.choice([",", ";", "\t", "|", "::", " "])
    traits["encoding"] = rng.choice(["utf-8", "utf-8", "utf-8-sig", "utf-16", "windows-1252"])
    traits["header"] = rng.choice(["yes", "yes", "no"])
    traits["newline"] = newline = rng.choice(["\n", "\n", "\r\n"])
    traits["quoting"] = rng.choice(list(QUOTING))
    traits["decimal"] = "," if delimiter in (";", "\t", "|") and rng.random() < 0.3 else "."
    cells = [[*row[:2], row[2].replace(".", traits["decimal"]), row[3]] for row in cells]
    if traits["header"] == "yes":
        cells = [list(NAMES), *cells]
    else:
        settings["header"] = list(NAMES)
    if delimiter == "::":
        traits["quoting"] = "none"
        text = newline.join(delimiter.join(row) for row in cells) + newline
    else:
        buffer = io.StringIO()
        csv.writer(buffer, delimiter=delimiter, quoting=QUOTING[traits["quoting"]], lineterminator=newline).writerows(
            cells
        )
        text = buffer.getvalue()
    endings = {",": [".csv", ".CSV", ".txt"], "\t": [".tsv", ".txt", ".csv"]}.get(delimiter, [".txt", ".dat", ".csv"])
    return "r" + rng.choice(endings), text.encode(traits["encoding"])


def _json(cells: list[list[str]], traits: dict[str, str], layout: str, rng: random.Random) -> tuple[str, bytes]:
    """Write JSON, where numbers are numbers or text."""
    numeric = {"small", "big", "floats"}
    as_text = {"user": traits["user"] not in numeric, "item": traits["item"] not in numeric}
    traits["json ids"] = rng.choice(["typed", "text"])
    lines = []
    for user, item, rating, time in cells:
        values = {
            "user_id": json.dumps(user) if as_text["user"] or traits["json ids"] == "text" else user,
            "movie_id": json.dumps(item) if as_text["item"] or traits["json ids"] == "text" else item,
            "rating": rating,
            "time": time if time.replace(".", "").isdigit() and time.count(".") < 2 else json.dumps(time),
        }
        lines.append("{" + ", ".join(f'"{name}": {value}' for name, value in values.items()) + "}")
    text = "[" + ",\n".join(lines) + "]" if layout == "json" else "\n".join(lines) + "\n"
    return rng.choice([f"r.{layout}", "r.txt", "r.json"]), text.encode()


def _parquet(
    rows: list[tuple[str, str, float, int]], cells: list[list[str]], traits: dict[str, str], rng: random.Random
) -> bytes:
    """Write Parquet, where ids are text, integers or floats."""
    frame = pd.DataFrame(cells, columns=list(NAMES))
    frame["rating"] = [rating for _, _, rating, _ in rows]
    select = ["user_id", "movie_id", "rating", "time"]
    for place, trait in enumerate(("user", "item")):
        if traits[trait] in ("small", "floats"):
            traits[f"{trait} type"] = kind = rng.choice(["BIGINT", "DOUBLE", "FLOAT", "VARCHAR"])
            select[place] = f"CAST({select[place]} AS {kind}) AS {select[place]}"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "r.parquet"
        with duckdb.connect() as connection:
            connection.register("frame", frame)
            connection.execute(f"COPY (SELECT {', '.join(select)} FROM frame) TO '{file}' (FORMAT parquet)")
        return file.read_bytes()


def rows_read(made: Made, scratch: Path) -> list[tuple[str, str, float, int]]:
    """Read and clean a file, and return its ratings.

    Raises:
        UserError: the file is refused.
    """
    source = Files(str(made.file), cleaning=Cleaning(earliest="1970-01-01"), **made.settings)
    with duckdb.connect(config={"threads": 1}) as connection:
        read(connection, source.locate(scratch), scratch)
        clean(connection, guessed_scale(connection), source.cleaning)
        return connection.execute(
            'SELECT user_id, movie_id, rating, time FROM ratings JOIN users USING ("user") JOIN films USING (item)'
        ).fetchall()


def try_one(seed: int, folder: Path) -> tuple[Made, str]:
    """Return a random file, and whether it was `read` exactly, `refused` with a sentence, or what was wrong."""
    made = make(folder, random.Random(seed))
    try:
        found = rows_read(made, folder)
    except UserError as refusal:
        return made, f"refused: {refusal}"
    differing = sorted(set(made.rows).symmetric_difference(found))
    return made, f"wrong: {differing[:3]}" if differing or len(found) != len(made.rows) else "read"


def main() -> None:
    """Try random files, and print how many were read."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--n", type=int, default=1000, help="number of files")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    outcomes: Counter[str] = Counter()
    for seed in range(arguments.seed, arguments.seed + arguments.n):
        with tempfile.TemporaryDirectory() as folder:
            made, outcome = try_one(seed, Path(folder))
        outcomes[outcome.partition(":")[0]] += 1
        if outcome != "read":
            print(seed, outcome, made.traits)
    print(", ".join(f"{count} {outcome}" for outcome, count in outcomes.items()))
    if outcomes["wrong"] or outcomes["read"] < 0.95 * arguments.n:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
