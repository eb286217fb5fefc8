"""Several sources gathered into one data set, such as a release, a database and a file of users.

The raw tables of the sources are concatenated, in the order in which the sources are listed, and cleaned like those of
one source. Conflicts are therefore resolved as follows:

- if a user rates an item in several sources, the latest rating counts or, if times are equal or missing, that of the
  source listed last (`sql/clean/latest.sql`);
- if several sources describe a user or an item, only the description of the source listed last counts
  (`sql/clean/users.sql`, `films.sql`);
- if any source has times, ratings without a time are dropped (`checked.sql`).

The report counts the cases of all three. The column `source` of clean ratings, users and items names their source.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from recsys.data.clean import Cleaning
from recsys.data.raw import Raw, Source
from recsys.errors import UserError


class Gathered(Source):
    """Ratings, users and items of several sources; each source may have only some of these.

    All sources must use the same ids and the same rating scale.

    Args:
        sources: sources by name; each row stores the name of its source.
        scale: lowest and highest possible rating, of all sources.
        name: name of the data set.
        cleaning: cleaning options of all sources together.

    Raises:
        UserError: there is no source, or a source has its own cleaning options.
    """

    def __init__(
        self,
        sources: Mapping[str, Source],
        scale: tuple[float, float] = (0.5, 5.0),
        name: str = "gathered",
        cleaning: Cleaning = Cleaning(),
    ) -> None:
        if not sources:
            raise UserError("data=gathered needs at least one source: add some, as in +data@data.sources.NAME=ml-100k.")
        if chosen := [name for name, source in sources.items() if source.cleaning != Cleaning()]:
            raise UserError(
                f"data.sources.{chosen[0]}.cleaning has no effect, because all sources are cleaned together: "
                "set data.cleaning instead."
            )
        self.sources = sources
        self.scale = (scale[0], scale[1])
        self.name = name
        self.cleaning = cleaning
        self.notice = "\n".join(dict.fromkeys(source.notice for source in sources.values() if source.notice))

    def locate(self, cache_dir: Path) -> Raw:
        """Return the files of all sources.

        Raises:
            UserError: a source cannot be located, or only Spark can read it.
        """
        raws = {name: source.locate(cache_dir) for name, source in self.sources.items()}
        if remote := [raw.remote.place for raw in raws.values() if raw.remote is not None]:
            raise UserError(
                f"data=gathered cannot contain a source that only Spark reads (got {remote[0]}): leave it out."
            )
        tables = [replace(table, source=name) for name, raw in raws.items() for table in raw.tables]
        return Raw("; ".join(f"{name}: {raw.origin}" for name, raw in raws.items()), tuple(tables))
