"""The release of the NCF paper.

He et al., "Neural Collaborative Filtering", WWW 2017.
"""

from __future__ import annotations

from pathlib import Path

from recsys.data.clean import Cleaning
from recsys.data.raw import Raw, RawTable, Source
from recsys.data.sources.paths import existing


class NCFRelease(Source):
    """Ratings in the layout of the NCF release: NAME.train.rating, NAME.test.rating and NAME.test.negative.

    The data set has the parts `train` and `test`, and the negatives against which each user's test item is ranked.

    Args:
        path: the folder of the files.
        name: NAME, which is `ml-1m` or `pinterest-20` in the release.
        scale: lowest and highest possible rating.
        cleaning: cleaning options.
    """

    def __init__(
        self,
        path: str | None,
        name: str = "ml-1m",
        scale: tuple[float, float] = (1, 5),
        cleaning: Cleaning = Cleaning(),
    ) -> None:
        self.path = path
        self.name = name
        self.scale = (scale[0], scale[1])
        self.cleaning = cleaning

    def locate(self, cache_dir: Path) -> Raw:
        """Find the files."""
        folder = existing(self.path)
        tables = (
            RawTable("ratings", existing(folder / f"{self.name}.train.rating"), "ncf_ratings"),
            RawTable("ratings", existing(folder / f"{self.name}.test.rating"), "ncf_ratings"),
            RawTable("negatives", existing(folder / f"{self.name}.test.negative"), "ncf_negatives"),
        )
        return Raw(str(folder), tables, numeric_ids=True)
