"""RecBole's atomic files.

https://recbole.io/docs/user_guide/data/atomic_files.html
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from recsys.data.clean import Cleaning
from recsys.data.raw import COLUMNS, Raw, RawTable, Source
from recsys.data.sources.paths import existing

# RecBole's names of fields -> our names, where they differ. Its own files have several names for the same field.
_FIELDS = {
    "item_id": "movie_id",
    "timestamp": "time",
    "movie_title": "title",
    "release_year": "year",
    "class": "genres",
    "genre": "genres",
}


class RecBole(Source):
    """Ratings in RecBole's atomic files: NAME.inter and, if they exist, NAME.user and NAME.item.

    Args:
        path: the folder of the files.
        name: NAME; by default the name of the folder.
        scale: lowest and highest possible rating.
        cleaning: cleaning options.
    """

    def __init__(
        self,
        path: str | None,
        name: str | None = None,
        scale: tuple[float, float] = (0.5, 5.0),
        cleaning: Cleaning = Cleaning(),
    ) -> None:
        self.path = path
        self.name = name or Path(path or "").resolve().name
        self.scale = (scale[0], scale[1])
        self.cleaning = cleaning

    def locate(self, cache_dir: Path) -> Raw:
        """Find the files, and read their columns from their headers."""
        folder = existing(self.path)
        inter = existing(folder / f"{self.name}.inter")
        tables = [RawTable("ratings", inter, "atomic", _atomic_columns(inter, only=COLUMNS["ratings"]))]
        for name, ending in (("users", "user"), ("films", "item")):
            file = folder / f"{self.name}.{ending}"
            if file.exists():
                tables.append(RawTable(name, file, "atomic", _atomic_columns(file), separator=" "))
        return Raw(str(folder), tuple(tables))


def _atomic_columns(file: Path, only: Collection[str] = ()) -> dict[str, str]:
    """Map our names to the `field:type` of the header, for all fields or for some of our names only."""
    with file.open(encoding="utf-8") as lines:
        header = lines.readline().rstrip("\r\n").split("\t")
    fields = [typed.split(":")[0] for typed in header]
    columns = {_FIELDS.get(field, field): typed for field, typed in zip(fields, header, strict=True)}
    return {ours: typed for ours, typed in columns.items() if not only or ours in only}
