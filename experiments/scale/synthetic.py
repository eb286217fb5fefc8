"""Synthetic ratings and films in the shape of MovieLens-32M, with tastes that a model can learn."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

N_USERS, N_ITEMS, N_RATINGS = 200_948, 84_432, 32_000_204
N_GENRES = 16
TASTE = 0.7  # share of ratings in the two favourite genres of a user
MINIMUM, MEAN = 20, N_RATINGS / N_USERS  # ratings per user
N_WORDS, WORDS_PER_FILM = 5_000, 16
RATING_COLUMNS = {"user_id": "userId", "movie_id": "movieId", "rating": "rating", "time": "timestamp"}


def write_ratings(file: Path, n_ratings: int) -> None:
    """Write distinct (user, film) pairs, sorted by user and film like the release, to CSV or Parquet.

    A smaller table has fewer users, who have as many ratings each, of the same films. The number of ratings follows a
    log-normal law over users and a power law over films, the same in every genre. The genre of each film that a user
    rates is drawn by the user's taste (`TASTE`); rating values are random, and the times of a user are random within
    two months.
    """
    rng = np.random.default_rng(0)
    n_users = round(n_ratings / MEAN)
    excess = rng.lognormal(0, 1.1, n_users)
    activity = MINIMUM + (MEAN - MINIMUM) * excess / excess.mean()
    favourites = rng.integers(N_GENRES, size=(n_users, 2))
    pairs = np.empty(0, np.int64)
    while (missing := n_ratings - len(pairs)) > 0:
        users = np.repeat(np.arange(n_users), rng.multinomial(missing + missing // 4, activity / activity.sum()))
        pairs = np.concatenate([pairs, users * N_ITEMS + _films(rng, favourites[users])])
        pairs.sort()
        pairs = pairs[np.append(True, pairs[1:] != pairs[:-1])]
    pairs = pairs[np.sort(rng.permutation(len(pairs))[:n_ratings])]
    users, films = np.divmod(pairs, N_ITEMS)
    started = rng.integers(820_000_000, 1_690_000_000, n_users)
    values = [
        (users + 1).astype(np.int32),
        (films + 1).astype(np.int32),
        (rng.integers(1, 11, n_ratings) / 2).astype(np.float32),
        started[users] + rng.integers(0, 5_000_000, n_ratings),
    ]
    _write(file, pd.DataFrame(dict(zip(RATING_COLUMNS.values(), values, strict=True)), copy=False))


def write_films(file: Path) -> None:
    """Write title, year, genres and plot of each film; half of the words of a plot are typical of its genre."""
    rng = np.random.default_rng(1)
    films = np.arange(N_ITEMS)
    genre, other = films % N_GENRES, rng.integers(N_GENRES, size=N_ITEMS)
    words = rng.integers(N_WORDS, size=(N_ITEMS, WORDS_PER_FILM))
    of_genre = np.arange(WORDS_PER_FILM) % 2 == 0
    words = np.where(of_genre, words - words % N_GENRES + genre[:, None], words)
    frame = pd.DataFrame(
        {
            "movie_id": films + 1,
            "title": [f"Film {film + 1}" for film in films],
            "year": rng.integers(1920, 2024, N_ITEMS),
            "genres": [f"genre{own}" if own == its else f"genre{own}|genre{its}" for own, its in zip(genre, other)],  # noqa: B905
            "plot": [" ".join(f"word{word}" for word in plot) for plot in words],
        }
    )
    _write(file, frame)


def _films(rng: np.random.Generator, favourites: np.ndarray) -> np.ndarray:
    """Draw a film for each pair of favourite genres (n, 2): int64 (n,); film i has genre i % N_GENRES."""
    n = len(favourites)
    favourite = favourites[np.arange(n), rng.integers(2, size=n)]
    genre = np.where(rng.random(n) < TASTE, favourite, rng.integers(N_GENRES, size=n))
    popularity = 1 / (np.arange(0, N_ITEMS, N_GENRES) + 50) ** 1.1
    cumulated = np.cumsum(popularity / popularity.sum())[:-1]  # the last film takes the rest
    return np.searchsorted(cumulated, rng.random(n)) * N_GENRES + genre


def _write(file: Path, frame: pd.DataFrame) -> None:
    duckdb.execute("SET enable_progress_bar = false")
    table = duckdb.from_df(frame)
    {".csv": table.to_csv, ".parquet": table.to_parquet}[file.suffix](str(file))
