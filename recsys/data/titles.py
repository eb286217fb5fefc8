"""Titles: how films are named to people, and which film somebody means who types a name.

Titles are compared as metadata is matched (`title_keys` in `sql/clean/macros.sql`): case, accents, punctuation, spaces
and articles do not count, and other titles in brackets do. A title that is the one typed is meant, else one that holds
it, else the one nearest to it; where there are several, it is for the user to say which. While somebody types, the
beginning of a title counts as much.
"""

from __future__ import annotations

import re
from threading import Lock

import duckdb
import numpy as np
import pandas as pd

from recsys.data.clean import SQL
from recsys.data.dataset import Dataset
from recsys.errors import UserError

MISTYPED = 0.75  # from this similarity on a title may be the one typed, with typing errors
AS_NEAR = 0.05  # titles this little behind the nearest may be meant as well
RELATED = 0.6  # from this similarity on a title is worth showing
SHOWN = 5
LARGE = 20_000  # titles that can all be compared with what is typed

# Closeness is 3 for the same title, 2 for one that holds what was typed (three letters at least), else 0 to 1: one
# less the Damerau-Levenshtein distance as a share of the longer title. `begun` is the same for as many letters from the
# title's beginning as were typed. Among equals, films of more ratings come first. In a large catalogue only titles are
# looked at that hold three letters in a row as they were typed, or begin like it and are about as long.
# (Not a file in sql/, whose contents are part of every data set's fingerprint.)
_CLOSENESS = """
WITH asked AS (SELECT unnest($typed) AS typed, unnest($parts) AS parts)
SELECT item,
    max(CASE
        WHEN key = typed THEN 3
        WHEN length(typed) >= 3 AND contains(key, typed) THEN 2
        ELSE 1 - damerau_levenshtein(key, typed) / greatest(length(key), length(typed)) END) AS closeness,
    max(1 - damerau_levenshtein(left(key, length(typed)), typed) / length(typed)) AS begun,
    any_value(n_ratings) AS n_ratings
FROM keyed, asked {of_some} GROUP BY item ORDER BY closeness DESC, n_ratings DESC, item
"""
_SOME = """
WHERE regexp_matches(key, parts) OR (left(key, 1) = left(typed, 1) AND abs(length(key) - length(typed)) <= 2)
"""


class Titles:
    """The titles of a data set's films, ready to be looked up; for many threads.

    Args:
        dataset: whose films they are.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.item_frame = dataset.item_frame
        self.connection = duckdb.connect(config={"threads": 1})
        self.connection.execute((SQL / "clean" / "macros.sql").read_text(encoding="utf-8"))
        films = pd.DataFrame({"item": np.arange(dataset.n_items), "title": dataset.item_frame["title"]})
        films["n_ratings"] = dataset.item_counts
        self.connection.register("films", films.dropna())
        self.connection.execute(
            "CREATE TABLE keyed AS SELECT item, n_ratings, unnest(title_keys(title)) AS key FROM films"
        )
        [(self.n_keys,)] = self.connection.execute("SELECT count(*) FROM keyed").fetchall()
        self.in_use = Lock()  # macros are the connection's own, which serves one thread at a time

    def closeness(self, typed: str) -> pd.DataFrame:
        """How close each film with a title is to a title typed: `item`, `closeness`, `begun`, `of_year`; closest first.

        `of_year` is False where a year was typed and the film's is another.
        """
        title, year = _parted(typed)
        with self.in_use:
            [(keys,)] = self.connection.execute("SELECT title_keys($title)", {"title": title}).fetchall()
            cursor = self.connection.cursor()
        parts = ["|".join(key[start : start + 3] for start in range(0, len(key), 3)) for key in keys]  # letters, digits
        sql = _CLOSENESS.format(of_some=_SOME if self.n_keys > LARGE else "")
        found = cursor.execute(sql, {"typed": keys, "parts": parts}).df()
        of_year = np.ones(len(found), bool)
        if year is not None and "year" in self.item_frame:
            of_year = (self.item_frame["year"].iloc[found["item"]] == year).fillna(False).to_numpy(bool)
        return found[["item", "closeness", "begun"]].assign(of_year=of_year)

    def suggest(self, typed: str, k: int) -> np.ndarray:
        """int64 (at most k,): films that somebody may be about to name, the likeliest first."""
        found = self.closeness(typed)
        found = found[found["of_year"]]
        likely = found[["closeness", "begun"]].max(axis=1)
        best = likely[likely >= RELATED].sort_values(ascending=False, kind="stable").index[:k]
        return found["item"].loc[best].to_numpy(np.int64)


def film_names(item_frame: pd.DataFrame) -> np.ndarray:
    """Title and year of each film as text (n_items,); the raw id where the title is not known."""
    titles = item_frame["title"].astype(object).where(item_frame["title"].notna(), None)
    years = item_frame["year"] if "year" in item_frame else pd.Series(pd.NA, item_frame.index)
    return np.array(
        [
            f"film {movie_id}" if title is None else title if pd.isna(year) else f"{title} ({year})"
            for movie_id, title, year in zip(item_frame["movie_id"], titles, years, strict=True)
        ],
        dtype=object,
    )


def find_film(dataset: Dataset, typed: str) -> int:
    """The code of the film that somebody means by a title, or by a title and a year: "heat (1995)".

    Raises:
        UserError: no film or several may be meant; the sentence names the nearest.
    """
    found = Titles(dataset).closeness(typed)
    names = film_names(dataset.item_frame)[found["item"]]
    closeness, of_year = found["closeness"].to_numpy(), found["of_year"].to_numpy()
    meant = _meant(np.where(of_year, closeness, 0.0))
    if len(set(names[meant])) == 1:  # of films of one name, the one that most people rated
        return int(found["item"].iloc[meant[0]])
    if len(meant):
        more = f", and {len(meant) - SHOWN} films more" if len(meant) > SHOWN else ""
        shown = _either(names[meant[:SHOWN]])
        raise UserError(f"'{typed}' may be {shown}{more}: type the title of one, with its year in brackets.")
    of_other_years = _meant(closeness)
    near = of_other_years if len(of_other_years) else np.flatnonzero(closeness >= RELATED)
    hint = f"did you mean {_either(names[near[:SHOWN]])}?" if len(near) else "try another part of its title."
    raise UserError(f"There is no film '{typed}' in {dataset.name}: {hint}")


def _parted(typed: str) -> tuple[str, int | None]:
    """A title without its year, its article in front, and the year: "Matrix, The (1999)"."""
    title, year = re.fullmatch(r"\s*(.*?)\s*(?:\((\d{4})\))?\s*", typed, re.DOTALL).groups()  # type: ignore[union-attr]
    return re.sub(r"^(.*), (the|an|a)$", r"\2 \1", title, flags=re.IGNORECASE), int(year) if year else None


def _meant(closeness: np.ndarray) -> np.ndarray:
    """Places of the films that may be meant: those that are as close as the closest, where that is close enough."""
    closest = closeness.max(initial=0.0)
    return np.flatnonzero(closeness >= max(closest - AS_NEAR, MISTYPED))


def _either(names: np.ndarray) -> str:
    *first, last = dict.fromkeys(names)
    return f"{', '.join(first)} or {last}" if first else str(last)
