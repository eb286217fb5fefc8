"""Gathers several sources into one data set, such as a MovieLens release, a database and a file of users.

The raw tables of the sources are concatenated, in the order in which the sources are listed, and then cleaned like
the tables of a single source. Conflicts between sources are therefore resolved as follows:

- if a user rates an item in several sources, the latest rating counts; if the times are equal or missing, the rating of
  the source listed last counts (`sql/clean/latest.sql`);
- if several sources describe a user or an item, only the description of the source listed last counts
  (`sql/clean/users.sql`, `films.sql`);
- if any source has times, ratings without a time are dropped (`checked.sql`).

The report counts how often each of these happens. The clean tables of ratings, users and items have a column `source`
with the name of each row's source.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from recsys.data.clean import Cleaning
from recsys.data.raw import Raw, Source
from recsys.errors import UserError


class Gathered(Source):
    """Ratings, users and items of several sources; a source may lack some of these, for example ratings.

    All sources must use the same ids and the same rating scale.

    Args:
        sources: name -> source; each row of the clean tables stores the name of its source.
        scale: lowest and highest possible rating, which all sources share.
        name: name of the data set.
        cleaning: cleaning options, applied to the gathered ratings.

    Raises:
        UserError: no source is given, or one of the sources has cleaning options of its own.
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
        """Return the files of all sources, and how to read them.

        Raises:
            UserError: a source's files cannot be found, or only Spark can read a source.
        """
        raws = {name: source.locate(cache_dir) for name, source in self.sources.items()}
        if remote := [raw.remote.place for raw in raws.values() if raw.remote is not None]:
            raise UserError(
                f"data=gathered cannot contain a source that only Spark reads (got {remote[0]}): leave it out."
            )
        tables = [replace(table, source=name) for name, raw in raws.items() for table in raw.tables]
        return Raw("; ".join(f"{name}: {raw.origin}" for name, raw in raws.items()), tuple(tables))
