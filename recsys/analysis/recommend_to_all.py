"""Recommendations for all users, without reasons: as one table, or as Parquet files that several processes write."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd

from recsys.data.dataset import Dataset
from recsys.data.query import Query
from recsys.errors import UserError
from recsys.evaluation.reranking import Ranker, rank_by_score
from recsys.files import reading, write_text, write_whole
from recsys.metrics.ranking import mask_seen
from recsys.models.capabilities import ScoresByProducts
from recsys.models.scoring import Scorer
from recsys.progress_bar import ProgressBar

SCORES_PER_BATCH = 1 << 23  # bounds memory, while matrix products are large enough to be fast
USERS_PER_PART = 1 << 13
SETTINGS = "recommendations.json"  # settings with which the files of a folder were made

# query of B users -> float32 (B, n_items) scores, -inf at items that are not ranked; the caller may change the array
Scores = Callable[[Query], np.ndarray]


@dataclass(frozen=True, eq=False)
class ListMaker:
    """Makes the lists of recommendations for users: for each user, the best items that the user has not rated.

    Attributes:
        dataset: data set of the users and items.
        k: largest number of items per user.
        scores: function that maps a query to the scores of all items; see `scores_of`. It must return a new array each
            time, since the array is changed in place.
        rank: function that turns scores into lists; see `Ranker`.
        candidates: int64 (m,) codes of the items that may be recommended, or None for all items.
    """

    dataset: Dataset
    k: int
    scores: Scores
    rank: Ranker = rank_by_score
    candidates: np.ndarray | None = None

    def lists(self, users: np.ndarray) -> pd.DataFrame:
        """Make the lists of some users.

        Args:
            users: int64 (B,) codes of the users.

        Returns:
            A row for each item of each list, user by user, the best item first: the codes `user` and `item`, the `rank`
            of the item in the list, from 1, and the model's `score`.
        """
        size = max(1, SCORES_PER_BATCH // self.dataset.n_items)
        batches = np.array_split(users, range(size, len(users), size))
        return pd.concat(map(self._batch, batches), ignore_index=True)

    def _batch(self, users: np.ndarray) -> pd.DataFrame:
        query = self.dataset.query(users)
        scores = self.scores(query)
        if self.candidates is None:
            scores[query.history.rows, query.history.items] = -np.inf  # in place: a copy would take a tenth of the time
        else:
            scores = mask_seen(scores, query.history, self.candidates)
        ranked = self.rank(scores, users, query.history, self.k)  # (B, k)
        rows, places = np.nonzero(ranked >= 0)
        items = ranked[rows, places]
        return pd.DataFrame(
            {"user": users[rows], "rank": (places + 1).astype(np.int32), "item": items, "score": scores[rows, items]}
        )


@dataclass(frozen=True)
class Shard:
    """The users for whom one of several processes makes lists: a share of all users.

    All users are divided into parts of `USERS_PER_PART` users, numbered from 0. The share consists of the parts
    `number` - 1, `number` - 1 + `of`, `number` - 1 + 2 `of`, and so on.

    Attributes:
        number: number of the process, from 1.
        of: number of processes.
    """

    number: int = 1
    of: int = 1

    def parts(self, n_users: int) -> Iterator[tuple[int, np.ndarray]]:
        """Yield the number and the user codes, int64 (n,), of each part in this share.

        Which users form a part does not depend on the number of processes.
        """
        for part in range(self.number - 1, -(-n_users // USERS_PER_PART), self.of):
            yield part, np.arange(part * USERS_PER_PART, min((part + 1) * USERS_PER_PART, n_users))


def recommend_to_all(model: Scorer, dataset: Dataset, k: int, rank: Ranker = rank_by_score) -> pd.DataFrame:
    """Recommend to every user the best items that the user has not rated.

    Returns:
        A row for each item in each user's list, which has at most k items, the best item first: `user_id`, the `place`
        of the item in the list, from 1, `movie_id`, and the model's `score`. Users are in the order of their codes.
    """
    lists = ListMaker(dataset, k, scores_of(model), rank).lists(np.arange(dataset.n_users))
    return pd.DataFrame(
        {
            "user_id": dataset.user_frame["user_id"].to_numpy()[lists["user"]],
            "place": lists["rank"],
            "movie_id": dataset.item_frame["movie_id"].to_numpy()[lists["item"]],
            "score": lists["score"],
        }
    )


def scores_of(model: Scorer) -> Scores:
    """Return a function that maps a query of B users to a new array with the scores of all items, (B, n_items) float32.

    Up to rounding, the scores equal the result of `model.score`, so items that the user has seen are scored as well.
    If the model is a `ScoresByProducts`, the function is faster than `model.score`.

    Args:
        model: a fitted model.
    """
    if not isinstance(model, ScoresByProducts):
        return lambda query: np.array(model.score(query))
    item_vectors = np.ascontiguousarray(model.item_vectors().T)  # (d, n_items)

    def scores(query: Query) -> np.ndarray:
        products = model.user_vectors(query) @ item_vectors
        others = model.falls_back(query)
        if others.any():
            products[others] = model.score(query.select(others))
        return products

    return scores


def write_lists(maker: ListMaker, folder: Path, shard: Shard, settings: Mapping[str, Any]) -> int:
    """Write the lists of the users in a shard as Parquet files, each atomically; parts whose file exists are skipped.

    Args:
        maker: makes the lists.
        folder: folder to which a file for each part of the users, and a file with the settings, are written.
        shard: the share of this process.
        settings: JSON-able settings that the lists depend on.

    Returns:
        The number of users whose lists this call has written.

    Raises:
        UserError: the folder has lists that were made with other settings.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _check_settings(folder / SETTINGS, {**settings, "users_per_part": USERS_PER_PART})
    files = {folder / f"part-{part:05}.parquet": users for part, users in shard.parts(maker.dataset.n_users)}
    missing = {file: users for file, users in files.items() if not file.is_file()}
    n_users = sum(map(len, missing.values()))
    with ProgressBar(total=n_users, desc="Recommending", unit="users") as bar:
        for file, users in missing.items():
            _write(maker.lists(users), maker.dataset, file)
            bar.update(len(users))
    return n_users


def _check_settings(file: Path, settings: Mapping[str, Any]) -> None:
    """Store the settings in a file or, if the file exists, check that it has the same settings.

    Raises:
        UserError: the file has other settings.
    """
    if not file.is_file():
        write_text(file, json.dumps(settings, indent=2) + "\n")
    with reading(file):
        stored = json.loads(file.read_text(encoding="utf-8"))
    if changed := [name for name in settings if stored.get(name) != settings[name]]:
        raise UserError(
            f"--out must be a new folder, or one whose lists were made with the same {', '.join(changed)} (got "
            f"{file.parent}): choose another folder, or remove it."
        )


def _write(lists: pd.DataFrame, dataset: Dataset, file: Path) -> None:
    """Write lists to a Parquet file, with the raw ids of users and items as text in place of their codes."""
    with_ids = lists.assign(
        user=_ids(dataset.user_frame["user_id"], lists["user"]),
        item=_ids(dataset.item_frame["movie_id"], lists["item"]),
    )
    with duckdb.connect() as connection:
        texts = connection.from_df(with_ids).project('"user"::VARCHAR AS "user", rank, item::VARCHAR AS item, score')
        write_whole(file, lambda partial: texts.write_parquet(partial.name))


def _ids(ids: pd.Series, codes: pd.Series) -> pd.Categorical:
    """Return the raw id of each code as a categorical, which stores the text of an id only once."""
    return pd.Categorical.from_codes(codes, categories=pd.Index(ids))
