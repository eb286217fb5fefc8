"""Ratings in "atomic files", the text format of the library RecBole.

https://recbole.io/docs/user_guide/data/atomic_files.html
"""

from __future__ import annotations

import re
from pathlib import Path

from recsys.data.clean import LABEL, Cleaning, checked_scale
from recsys.data.dialect import Reading
from recsys.data.raw import COLUMNS, Raw, RawTable, Source
from recsys.data.read import FILE
from recsys.data.sources.paths import existing
from recsys.errors import UserError
from recsys.files import short

# RecBole's names of fields -> standard names, where they differ. Its own files have several names for one field; the
# first in a file counts.
_FIELDS = {
    "item_id": "movie_id",
    "timestamp": "time",
    "movie_title": "title",
    "release_year": "year",
    "class": "genres",
    "genre": "genres",
}
_PARTS = ("train", "valid", "test")


class RecBole(Source):
    """Ratings in RecBole's atomic files: NAME.inter and, if these exist, NAME.user and NAME.item.

    A data set that is already split has NAME.train.inter, NAME.valid.inter and NAME.test.inter instead of NAME.inter;
    `split=given` uses these parts. Rows whose `label` is 0 are negatives, which cleaning drops.

    Args:
        path: the folder that contains the files.
        name: the NAME in the names of the files; None for the name of the folder.
        seq_separator: separator between the elements of lists, like RecBole's setting of the same name.
        scale: lowest and highest possible rating.
        cleaning: cleaning options.

    Raises:
        UserError: the scale is not two numbers in ascending order.
    """

    def __init__(
        self,
        path: str | None,
        name: str | None = None,
        seq_separator: str = " ",
        scale: tuple[float, float] = (0.5, 5.0),
        cleaning: Cleaning = Cleaning(),
    ) -> None:
        self.path = path
        self.name = name or Path(path or "").resolve().name
        self.seq_separator = seq_separator
        self.scale = checked_scale(scale)
        self.cleaning = cleaning

    def locate(self, cache_dir: Path) -> Raw:
        """Return the files and how to read them; their headers determine the columns.

        Raises:
            UserError: the folder or its file of interactions does not exist.
        """
        folder = existing(self.path)
        tables = self._ratings(folder)
        for name, ending in (("users", "user"), ("films", "item")):
            file = folder / f"{self.name}.{ending}"
            if file.exists():
                tables.append(RawTable(name, file, "atomic", _columns(file), separator=self.seq_separator))
        return Raw(str(folder), tuple(tables))

    def _ratings(self, folder: Path) -> list[RawTable]:
        """Describe how to read the file of interactions or, if the data are already split, the file of each part.

        Raises:
            UserError: there is neither NAME.inter nor the file of any part.
        """
        whole = folder / f"{self.name}.inter"
        parts = {part: folder / f"{self.name}.{part}.inter" for part in _PARTS}
        found = {part: file for part, file in parts.items() if file.exists()}
        if not whole.exists() and not found and (others := sorted(folder.glob("*.inter"))):
            name = re.sub(rf"(\.({'|'.join(_PARTS)}))?\.inter$", "", others[0].name)
            raise UserError(f"{short(folder)} has no file {whole.name}, but {others[0].name}: choose data.name={name}.")
        if whole.exists() or not found:
            return [RawTable("ratings", existing(whole), "atomic", _interaction_columns(whole))]
        tables = []
        for part, file in found.items():
            reading = Reading(delimiter="\t", quote="", constants={"part": part})
            columns = {**_interaction_columns(file), "part": "part"}
            tables.append(RawTable("ratings", file, FILE, columns, parameters=reading.parameters()))
        return tables


def _columns(file: Path) -> dict[str, str]:
    """Return standard column name -> the text `field:type` that names the column in the file's header."""
    with file.open(encoding="utf-8-sig", errors="replace") as lines:  # the rows may be in another encoding
        header = lines.readline().rstrip("\r\n").split("\t")
    columns: dict[str, str] = {}
    for typed in header:
        field = typed.split(":")[0]
        ours = _FIELDS.get(field, field)
        columns[field if ours in columns else ours] = typed
    return columns


def _interaction_columns(file: Path) -> dict[str, str]:
    return {ours: typed for ours, typed in _columns(file).items() if ours in (*COLUMNS["ratings"], LABEL)}
