"""Writes the final results of a run for TensorBoard, in addition to the curves.

The final results are hyperparameters and final metrics, for the comparison of runs; embeddings with titles, genres and
years, for the projector; and, as text, all metrics, recommendations for sample users, and all settings.
"""

from __future__ import annotations

import html
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from recsys.data.dataset import Dataset
from recsys.data.item_names import item_names
from recsys.dotted import flatten
from recsys.models.base import HasEmbeddings, Recommender
from recsys.studies.event_log import EventLog
from recsys.studies.examples import Example

PROJECTED = 10_000  # maximum number of points, for the projector to stay fluid in a browser
COLORS = ("first genre", "decade", "segment", "gender", "age_group")  # columns of few values, one colour a value
COMPARED = re.compile(r"/((hr|ndcg|novelty)@10|rmse)\b")  # these get a column in the hyperparameter tab
LOGGER = "TensorBoardLogger"
FINAL = "final"  # directory of the final results, apart from the curves, which the hyperparameter tab then leaves out


def log_directory(config: Mapping[str, Any]) -> Path | None:
    """Return the directory to which a run's TensorBoard logger writes; None if the run has no such logger."""
    logger = config.get("logger") or {"_target_": ""}
    if logger["_target_"].rpartition(".")[2] != LOGGER:
        return None
    return Path(logger["save_dir"], logger.get("name", ""), str(logger.get("version", "")))


def log_run(
    directory: Path,
    config: Mapping[str, Any],
    model: Recommender,
    dataset: Dataset,
    counts: tuple[np.ndarray, np.ndarray],
    metrics: Mapping[str, float],
    examples: Iterable[Example],
) -> None:
    """Write the final results of a run into its TensorBoard log.

    Args:
        directory: directory of the log.
        config: the complete config of the run, nested.
        model: the final model.
        dataset: data set with the users and items that the model embeds.
        counts: number of ratings of each item, int64 (n_items,), and of each user, int64 (n_users,).
        metrics: metrics by name, `valid/...` and `test/...`.
        examples: recommendations for sample users.
    """
    with EventLog(directory / FINAL) as events:
        events.add_text("metrics", _metric_table(metrics))
        for example in examples:
            table = _table(("", "liked", "recommended"), example.rows())
            events.add_text(f"recommendations/user {example.user_id}", table)
        # TensorBoard orders texts by name: all settings come after the metrics and the recommendations.
        events.add_text("settings", _indented(yaml.safe_dump(dict(config), sort_keys=False)))
        for name, value in metrics.items():
            if COMPARED.search(name):
                events.add_scalar(f"final/{name}", value)
        events.add_settings(_settings(config, model), _label(config, model))
        if isinstance(model, HasEmbeddings):
            _add_points(events, "films", model.item_embeddings(), counts[0], _described_items(dataset))
            _add_points(events, "users", model.user_embeddings(), counts[1], dataset.user_frame)


def log_segments(directory: Path, points: np.ndarray, n_ratings: np.ndarray, users: pd.DataFrame) -> None:
    """Log users for the projector, which can colour them by segment; an earlier log in the directory is replaced.

    Args:
        directory: directory of the log. It must hold no other log, since the projector lists the points of only one
            writer.
        points: float (n, d) points of the users.
        n_ratings: int64 (n,) number of ratings of each user.
        users: frame of n rows, with a column `segment` and columns for further labels.
    """
    shutil.rmtree(directory, ignore_errors=True)
    with EventLog(directory) as events:
        _add_points(events, "users", points, n_ratings, users)


def _settings(config: Mapping[str, Any], model: Recommender) -> dict[str, float | str]:
    """Return the settings that affect the metrics, by dotted name, including defaults of the model."""
    seed = config["seed"]
    own = {name: value for name, value in model.hyperparameters().items() if (name, value) != ("seed", seed)}
    chosen = {name: config[name] for name in ("data", "metadata", "split", "protocol", "reranker") if config.get(name)}
    targets = {name: node["_target_"].rpartition(".")[2] for name, node in chosen.items()}
    further = {
        name: value for name, value in flatten({**chosen, "model": own}).items() if not name.endswith("_target_")
    }
    settings = {**further, **targets, "model": type(model).__name__, "seed": seed, "refit": config["refit"]}
    return {
        name: value if isinstance(value, int | float) and not isinstance(value, bool) else str(value)
        for name, value in settings.items()
    }


def _label(config: Mapping[str, Any], model: Recommender) -> str:
    """Return the label of a run, followed by the time, since TensorBoard would show runs with equal labels as one."""
    return f"{config.get('label') or type(model).__name__} {datetime.now():%Y-%m-%d %H:%M:%S}"


def _metric_table(metrics: Mapping[str, float]) -> str:
    """Return a Markdown table with a row for each metric and a column for each stage (`valid`, `test`)."""
    stages = list(dict.fromkeys(name.partition("/")[0] for name in metrics))
    names = dict.fromkeys(name.partition("/")[2] for name in metrics)
    values = [[metrics.get(f"{stage}/{name}") for stage in stages] for name in names]
    cells = [["" if value is None else f"{value:.4f}" for value in row] for row in values]
    return _table(("metric", *stages), ((name, *row) for name, row in zip(names, cells, strict=True)))


def _table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Format plain texts as a Markdown table."""
    lines = [" | ".join(_escaped(str(cell)) for cell in row) for row in (header, *rows)]
    lines.insert(1, " | ".join("---" for _ in header))
    return "\n".join(f"| {line} |" for line in lines)


def _escaped(text: str) -> str:
    """Escape a text, such as the title `M*A*S*H`, for Markdown."""
    return re.sub(r"([\\`*_\[\]|])", r"\\\1", html.escape(text, quote=False))


def _indented(text: str) -> str:
    """Indent text, so that Markdown shows it verbatim."""
    return "\n".join(f"    {line}" for line in text.splitlines())


def _add_points(
    events: EventLog, name: str, points: np.ndarray, n_ratings: np.ndarray, described: pd.DataFrame
) -> None:
    """Add embeddings of the users or items with the most ratings, at most `PROJECTED`, to the projector.

    The projector treats an empty cell as missing, so a numeric column with gaps still counts as numeric.

    Args:
        events: the log.
        name: name of the set of points.
        points: float (n, d) embeddings.
        n_ratings: int64 (n,) number of ratings of each user or item.
        described: frame of n rows with the labels; points can be coloured by the columns in `COLORS`.
    """
    shown = np.sort(np.argsort(-n_ratings, kind="stable")[:PROJECTED])
    labels = described.assign(ratings=n_ratings).iloc[shown].astype(object).fillna("").astype(str)
    labels = labels.replace(r"\s+", " ", regex=True)  # a tab would start another column
    colors = [column for column in COLORS if column in labels]
    events.add_points(name, points[shown], list(labels.columns), labels.to_numpy().tolist(), colors)


def _described_items(dataset: Dataset) -> pd.DataFrame:
    """Return a frame with the labels of items: title, raw id and, if the data have them, year, decade and genres."""
    items = dataset.item_frame
    described = pd.DataFrame({"title": item_names(items)}, index=items.index)
    if "year" in items:
        described["year"] = items["year"]
        described["decade"] = [pd.NA if pd.isna(year) else f"{year // 10 * 10}s" for year in items["year"]]
    if "genres" in items:
        described["genres"] = [", ".join(genres) for genres in items["genres"]]
        described["first genre"] = [genres[0] if len(genres) else "" for genres in items["genres"]]
    return described.assign(movie_id=items["movie_id"])
