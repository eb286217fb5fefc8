"""Functions of the library, used without configs: build and split a data set; evaluate, load and serve models.

`import recsys` gives access to all of these: `recsys.Dataset`, `recsys.split`, `recsys.models.EASE`, `recsys.evaluate`.
"""

from __future__ import annotations

import io
import sys
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import fields
from numbers import Integral
from pathlib import Path
from typing import Any, Self

import duckdb
import narwhals as nw
import pandas as pd
from pandas.api.types import is_numeric_dtype

from recsys.data import dataset
from recsys.data.clean import Cleaning
from recsys.data.dataset import Holdout
from recsys.data.dialect import MISSING
from recsys.data.prepare import prepare
from recsys.data.raw import LIST_COLUMNS
from recsys.data.sources import Files, MovieLens
from recsys.data.split import Split
from recsys.data.splitters import SPLITTERS
from recsys.data.unused import NO_RATINGS
from recsys.errors import UserError, one_of
from recsys.evaluation.evaluate import evaluate as evaluation_of
from recsys.extras import naming_extras
from recsys.models import base
from recsys.models.base import Recommender
from recsys.named_arguments import naming_arguments
from recsys.places import default_cache
from recsys.progress import progress_shown
from recsys.signatures import settings
from recsys.studies.runs import MANIFEST, read_run


class Dataset(dataset.Dataset):
    """A data set that `from_frame` builds from data frames; `recsys.data.dataset.Dataset` describes its attributes."""

    @classmethod
    @naming_arguments()
    def from_frame(
        cls,
        frame: Any,
        user: str,
        item: str,
        rating: str | None = None,
        time: str | None = None,
        *,
        items: Any = None,
        users: Any = None,
        scale: tuple[float, float] | None = None,
        time_format: str | None = None,
        decimal: str | None = None,
        missing: Sequence[str] = MISSING,
        name: str = "frame",
        **cleaning: Any,
    ) -> Self:
        """Build a data set from interactions in a data frame of pandas, polars or PyArrow.

        The frames are cleaned by the same SQL as files. If a user has rated an item several times, only the latest
        rating is used. A row is dropped if it lacks an id, a rating or a time, if its rating is outside the scale, or
        if its time is impossible: in the future, or before 1990 (the argument `earliest` changes this limit). The
        frames themselves are not changed.

        Args:
            frame: data frame with a row for each interaction.
            user: name of the column of user ids.
            item: name of the column of item ids.
            rating: name of the column of ratings; None if the frame has interactions without ratings.
            time: name of the column of times, which are either dates (in UTC unless they have an offset) or numbers
                that count seconds, or another unit, since 1970 (see `time_format`); None if the frame has no times.
            items: data frame with a row for each item. It has the column named by `item` and, optionally, `title`,
                `year`, `genres` (lists, or text with a bar between the genres) and further metadata. If None, item ids
                that are text are also used as titles.
            users: data frame with a row for each user, or None. It has the column named by `user` and, optionally,
                `age`, `gender` and `occupation`.
            scale: lowest and highest possible rating. If None, it is the first common scale, such as 1 to 5, that
                contains all ratings or, if there is none, the range of the ratings.
            time_format: unit of times that are numbers (`s`, `ms`, `us` or `ns`), or strptime format of dates that are
                text; None detects units and common formats.
            decimal: decimal mark, a point or a comma, of ratings that are text; None detects it.
            missing: strings that stand for a missing id, rating or time.
            name: name of the data set.
            **cleaning: further arguments are attributes of `recsys.data.clean.Cleaning`, such as `user_core=5`.

        Raises:
            UserError: an argument is unknown, a column is missing or cannot be read, or no row is left after cleaning.

        Warns:
            UserWarning: rows of interactions were dropped, or rows of users or items are repeated or lack ids; the
                message gives the number of rows for each reason.
        """
        for argument in cleaning:
            one_of("A further argument", argument, settings(Cleaning))
        columns = {"user_id": user, "movie_id": item, "rating": rating, "time": time}
        ratings = _checked(frame, "frame", [column for column in columns.values() if column is not None])
        films_columns = {"movie_id": item}
        if items is None and not is_numeric_dtype(ratings[item]):  # ids that are text may be titles
            items = ratings[[item]].dropna().drop_duplicates()
            films_columns["title"] = item
        with tempfile.TemporaryDirectory(prefix="recsys-") as folder:
            place = Path(folder)
            source = Files(
                _written(ratings, place / "ratings.parquet"),
                columns,
                users_path=None
                if users is None
                else _written(_checked(users, "users", [user]), place / "users.parquet"),
                users_columns={"user_id": user},
                films_path=None
                if items is None
                else _written(_checked(items, "items", [item]), place / "items.parquet"),
                films_columns=films_columns,
                scale=scale,
                time_format=time_format,
                decimal=decimal,
                missing=missing,
                name=name,
                cleaning=Cleaning(**cleaning),
            )
            with redirect_stdout(io.StringIO()):  # hides notes on the detected formats
                prepared = prepare(source, place / "cache")
        report = prepared.report
        rules = {rule for by_rule in report.unused.values() for rule in by_rule}
        # rows of users and items without interactions are usual
        for lost in (report.losses, report.unused_rows if rules - {NO_RATINGS} else ""):
            if lost:
                warnings.warn(f"{name}: {lost}", stacklevel=3)  # points to the caller's line
        return cls(**{field.name: getattr(prepared.dataset, field.name) for field in fields(dataset.Dataset)})


@naming_arguments()
def load_movielens(release: str = "100k", path: str | None = None) -> dataset.Dataset:
    """Load a release of MovieLens as a data set.

    Args:
        release: name of the release, such as `100k`, `1m`, `latest-small` or `32m`, with or without the prefix `ml-`.
        path: folder or zip archive of the release. If None, the release is taken from the cache or downloaded from
            GroupLens; if GroupLens cannot be reached, `100k` is downloaded from the package index.

    Raises:
        UserError: there is no such release, it is incomplete, or it cannot be downloaded.
    """
    with redirect_stdout(sys.stderr):  # notes on the source and its licence
        return prepare(MovieLens(f"ml-{release.removeprefix('ml-')}", path), Path(default_cache())).dataset


@naming_arguments()
def split(data: dataset.Dataset, name: str = "leave_last_out", **further: Any) -> Split:
    """Split a data set into training, validation and test ratings.

    Args:
        data: the data set.
        name: name of a splitter in `recsys.data.splitters.SPLITTERS`, such as `leave_last_out` or `ratio`.
        **further: arguments of the splitter's class, such as `valid=0.1, test=0.1` for `ratio`.

    Raises:
        UserError: `data` is not a `Dataset`, the splitter or an argument is unknown, or the data cannot be split in
            this way.
    """
    if not isinstance(data, dataset.Dataset):
        raise UserError(f"data must be a data set, such as one from Dataset.from_frame (got {type(data).__name__}).")
    splitter = SPLITTERS[one_of("name", name, SPLITTERS)]
    for argument in further:
        one_of(f"A further argument of {name}", argument, settings(splitter))
    return splitter(**further)(data)


@naming_arguments()
def evaluate(
    models: Recommender | Mapping[str, Recommender],
    holdout: Holdout,
    k: int | Sequence[int] = 10,
    *,
    progress: bool = False,
) -> pd.DataFrame:
    """Evaluate one or several models on held-out ratings by ranking all items (full ranking).

    Args:
        models: a fitted model, which is listed under the name of its class, or a mapping of names to fitted models.
        holdout: held-out ratings, such as `split.valid` or `split.test`.
        k: list length, or several list lengths.
        progress: whether to show progress.

    Returns:
        A row for each model, indexed by name, and a column for each metric; docs/metrics.md explains the metrics.

    Raises:
        UserError: a model is not fitted or does not match the data, `holdout` is not a `Holdout`, or `k` is invalid.
    """
    if not isinstance(holdout, Holdout):
        raise UserError(
            f"holdout must be held-out ratings, such as the test part of a split (got {type(holdout).__name__})."
        )
    by_name = models if isinstance(models, Mapping) else {type(models).__name__: models}
    for name, model in by_name.items():
        if model.popularity is None and model.data is None:
            raise UserError(f"{name} must be fitted: call its method fit.")
    ks = [int(k)] if isinstance(k, int | Integral) else list(k)
    with progress_shown(progress):
        rows = {name: evaluation_of(model, holdout, ks=ks).summary for name, model in by_name.items()}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("model")


def load(directory: str | Path, trusted: bool = False) -> Recommender:
    """Load a model and its data, from a directory that `Recommender.save` wrote or the directory of a finished run.

    Args:
        directory: directory that was passed to `Recommender.save`, or directory of a run of `train.py`. The data of a
            run are loaded from the cache or, if they are not in it, prepared again.
        trusted: whether classes from outside recsys may be imported, and models unpickled. Both execute code, so set it
            only for models from a source that you trust.

    Raises:
        UserError: the directory has no model, the model is damaged or cannot be loaded without `trusted`, the data of a
            run cannot be prepared, or they now have other users or items than during the run.
    """
    directory = Path(directory)
    if not (directory / MANIFEST).is_file():
        return base.load(directory, trusted)
    from recsys.commands.run_data import checked_data  # imports Hydra, which a saved model does not need

    run = read_run(directory)
    model = run.model(trusted)
    model.data = checked_data(run, model, trusted)
    return model


def serve(model: Recommender, port: int = 8080, store: str | None = None) -> None:
    """Serve the web page and the API for a model until interrupted.

    Args:
        model: a fitted model, or a loaded one with its data.
        port: TCP port to listen on; 0 for any free port.
        store: database for feedback, such as `feedback.sqlite`; if None, feedback is lost when the server stops.

    Raises:
        UserError: the model has no data, the port is not available, or the extra `web` is not installed.
    """
    with naming_extras():
        from recsys.web.fitted import serve_model  # imports a web server, which takes a second

        serve_model(model, port, store)


def _checked(frame: Any, argument: str, columns: Sequence[str]) -> pd.DataFrame:
    """Convert a data frame of any supported library to pandas, and check that it has the given columns.

    Args:
        frame: the data frame.
        argument: name of the argument of `from_frame` that is this data frame, for messages.
        columns: names of the columns.

    Raises:
        UserError: `frame` is not a data frame, or lacks a column.
    """
    if not isinstance(frame, pd.DataFrame):
        try:
            other = nw.from_native(frame, eager_only=True)
        except TypeError as error:
            kind = type(frame).__name__
            raise UserError(f"{argument} must be a data frame of pandas, polars or PyArrow (got {kind}).") from error
        frame = pd.DataFrame({column: other[column].to_list() for column in other.columns})
    if missing := [column for column in columns if column not in frame]:
        named = ", ".join(map(str, frame.columns))
        raise UserError(f"{argument} must have a column {missing[0]} (got {named}).")
    return frame


def _written(frame: pd.DataFrame, file: Path) -> str:
    """Write a data frame to a Parquet file, with the elements of lists joined by bars, and return the file's path."""
    lists = {
        column: ["|".join(map(str, element)) if isinstance(element, list | tuple) else element for element in values]
        for column, values in frame.items()
        if column in LIST_COLUMNS
    }
    # All rows determine the type of a column of objects: a sample could miss the only text or fraction among integers.
    with duckdb.connect(config={"pandas_analyze_sample": max(1, len(frame))}) as connection:
        connection.from_df(frame.assign(**lists)).write_parquet(str(file))
    return str(file)
