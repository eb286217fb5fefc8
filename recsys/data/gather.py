"""Several sources in one data set: a release, a database, a file about its users.

Raw tables of all sources are put one below the other, in the order in which the sources are listed, and cleaned like
those of one. What that says of conflicts is the rule for them:

- a film rated by a user in several sources has the rating given last; among equal or missing times, that of the source
  listed last (`sql/clean/latest.sql`);
- a user or film that several sources describe is described by the one listed last, and by it alone
  (`sql/clean/users.sql`, `films.sql`);
- where any source has times, a rating without one cannot be placed and is dropped (`checked.sql`).

The report counts all three. Every clean rating, user and film keeps the name of its source, in a column `source`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from recsys.data.clean import Cleaning
from recsys.data.raw import Raw, Source
from recsys.errors import UserError


class Gathered(Source):
    """Ratings, users and films of several sources; each may bring some of these only.

    Ids must mean the same in all of them, and ratings be on one scale.

    Args:
        sources: by the names that their rows keep.
        scale: lowest and highest rating that can be given.
        name: of the data set.
        cleaning: what is chosen about cleaning all of them.
    """

    def __init__(
        self,
        sources: Mapping[str, Source],
        scale: tuple[float, float] = (0.5, 5.0),
        name: str = "gathered",
        cleaning: Cleaning = Cleaning(),
    ) -> None:
        if not sources:
            raise UserError("data=gathered has nothing to gather: name sources, +data@data.sources.NAME=ml-100k ...")
        if chosen := [name for name, source in sources.items() if source.cleaning != Cleaning()]:
            raise UserError(
                f"data.sources.{chosen[0]}.cleaning has no effect, because all sources are cleaned together: "
                "choose with data.cleaning"
            )
        self.sources = sources
        self.scale = (scale[0], scale[1])
        self.name = name
        self.cleaning = cleaning
        self.notice = "\n".join(dict.fromkeys(source.notice for source in sources.values() if source.notice))

    def locate(self, cache_dir: Path) -> Raw:
        """Find the files of all sources."""
        raws = {name: source.locate(cache_dir) for name, source in self.sources.items()}
        tables = [replace(table, source=name) for name, raw in raws.items() for table in raw.tables]
        return Raw("; ".join(f"{name}: {raw.origin}" for name, raw in raws.items()), tuple(tables))
