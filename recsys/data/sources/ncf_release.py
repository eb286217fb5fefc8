"""Ratings in the file layout of the data that the authors of the NCF paper released.

He et al., "Neural Collaborative Filtering", WWW 2017.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from recsys.data.clean import Cleaning, checked_scale
from recsys.data.quoting import literal
from recsys.data.raw import Raw, RawTable, Source
from recsys.data.read import ROW
from recsys.data.readers import LINE, delimited
from recsys.data.sources.paths import existing
from recsys.errors import UserError

_COLUMNS = {"time": "time"}


class NCFRelease(Source):
    """Ratings in the layout of the NCF paper's data: NAME.train.rating, NAME.test.rating and NAME.test.negative.

    The data set has the parts `train` and `test`, and for each user the negatives against which the test item is
    ranked. Each line of ratings is `user item rating time`, separated by tabs. Times below 100000 are placeholders for
    missing times. Lines may lack the time if `columns` says so.

    Args:
        path: the folder that contains the files.
        name: the NAME in the names of the files, which is `ml-1m` or `pinterest-20` in the authors' data.
        columns: `{"time": "time"}` to read the times; `{"time": None}` to ignore the times, if some or all ratings lack
            them; `{"time": "row"}` to use row numbers as times, if rows are in order of time and test ratings are later
            than training ratings.
        scale: lowest and highest possible rating.
        cleaning: cleaning options; the option `earliest` has no effect if times are row numbers.

    Raises:
        UserError: `columns` has another value, or the scale is not two numbers in ascending order.
    """

    def __init__(
        self,
        path: str | None,
        name: str = "ml-1m",
        scale: tuple[float, float] = (1, 5),
        cleaning: Cleaning = Cleaning(),
        columns: Mapping[str, str | None] = _COLUMNS,
    ) -> None:
        if set(columns) != {"time"} or columns["time"] not in ("time", ROW, None):
            raise UserError(f"data.columns of data=ncf must set only time, to time, row or null (got {dict(columns)}).")
        self.path = path
        self.name = name
        self.scale = checked_scale(scale)
        self.time = columns["time"]
        self.cleaning = replace(cleaning, earliest="1970-01-01") if self.time == ROW else cleaning

    def locate(self, cache_dir: Path) -> Raw:
        """Return the files and how to read them.

        Raises:
            UserError: a file does not exist, or lacks times although `columns` says that it has them.
        """
        folder = existing(self.path)
        tables = (
            self._ratings(existing(folder / f"{self.name}.train.rating"), "train"),
            self._ratings(existing(folder / f"{self.name}.test.rating"), "test"),
            RawTable("negatives", existing(folder / f"{self.name}.test.negative"), "ncf_negatives"),
        )
        return Raw(str(folder), tables, numeric_ids=True)

    def _ratings(self, file: Path, part: str) -> RawTable:
        """Describe how to read the ratings of a part, `train` or `test`.

        Raises:
            UserError: the file lacks times although `columns` says that it has them.
        """
        if self.time == "time":
            with file.open(encoding="utf-8", errors="replace") as lines:
                if lines.readline().count("\t") == 2:
                    raise UserError(
                        f"{file} has no times: set data.columns.time=null, or row if its rows are in order of time."
                    )
            return RawTable("ratings", file, "ncf_ratings")
        columns = {name: name for name in ("user_id", "movie_id", "rating", "part")} | {"time": self.time}
        return RawTable("ratings", file, _without_times(part), columns)


def _without_times(part: str) -> str:
    """Return a SELECT that reads the ratings of a part and ignores times, so that lines may lack them."""
    return f"""
    SELECT fields[1] AS user_id, fields[2] AS movie_id, fields[3] AS rating, {literal(part)} AS part
    FROM (SELECT string_split(line, chr(9)) AS fields FROM {delimited(*LINE)})
    """  # noqa: S608 - constants
