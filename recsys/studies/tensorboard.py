"""What TensorBoard shows of a finished run beside its curves.

Hyperparameters with the final metrics, the embedding projector with titles, genres and years, sample users'
recommendations, and the config.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import yaml
from pytorch_lightning.loggers import TensorBoardLogger
from torch.utils.tensorboard import SummaryWriter

from recsys.data.dataset import Dataset
from recsys.models.base import HasEmbeddings, Recommender
from recsys.studies.examples import Example
from recsys.studies.report import headline
from recsys.studies.runs import flat

PROJECTED = 10_000  # rows that a browser still moves with ease


def log_run(
    logger: TensorBoardLogger,
    config: Mapping[str, Any],
    model: Recommender,
    dataset: Dataset,
    metrics: Mapping[str, float],
    examples: Iterable[Example],
) -> None:
    """Add a finished run to what its logger shows.

    Args:
        logger: of the run.
        config: every setting, nested.
        model: the final one.
        dataset: whose films and users it places.
        metrics: `valid/...` and `test/...`.
        examples: sample users' recommendations.
    """
    writer = logger.experiment
    writer.add_text("config", _indented(yaml.safe_dump(dict(config), sort_keys=False)))
    for example in examples:
        writer.add_text(f"recommendations/user {example.user_id}", _markdown(example))
    final = sorted(headline(metrics).items(), key=lambda named: "ndcg" not in named[0])  # the tab shows the first ones
    logger.log_hyperparams(_settings(config, model), {f"final/{name}": value for name, value in final})
    if isinstance(model, HasEmbeddings):
        _log_points(writer, "films", model.item_embeddings(), dataset.item_counts, _described_films(dataset))
        _log_points(writer, "users", model.user_embeddings(), dataset.user_counts, dataset.user_frame)
    logger.finalize("success")


def _settings(config: Mapping[str, Any], model: Recommender) -> dict[str, Any]:
    """All that decides the metrics, the model's defaults included, under dotted names; classes by their names."""
    chosen = {name: config[name] for name in ("data", "split", "protocol", "seed", "refit", "threads")}
    chosen["model"] = {"_target_": type(model).__name__, **model.hyperparameters()}
    plain = {}
    for name, value in flat(chosen).items():
        if name.endswith("._target_"):
            plain[name.removesuffix("._target_")] = value.rpartition(".")[2]
        else:
            plain[name] = value if isinstance(value, bool | int | float | str) else str(value)
    return plain


def _markdown(example: Example) -> str:
    rows = ["| | liked | recommended |", "|---|---|---|"]
    for place, *films in example.rows():
        rows.append(f"| {place} | {' | '.join(film.replace('|', '/') for film in films)} |")
    return "\n".join(rows)


def _indented(text: str) -> str:
    """Text that Markdown shows as it is."""
    return "\n".join(f"    {line}" for line in text.splitlines())


def _log_points(
    writer: SummaryWriter, name: str, points: np.ndarray, n_ratings: np.ndarray, described: pd.DataFrame
) -> None:
    shown = np.sort(np.argsort(-n_ratings, kind="stable")[:PROJECTED])
    labels = described.assign(ratings=n_ratings).iloc[shown].astype(object).fillna("unknown").astype(str)
    labels = labels.replace(r"\s+", " ", regex=True)  # a tab would start another column
    writer.add_embedding(points[shown], labels.to_numpy().tolist(), metadata_header=list(labels.columns), tag=name)


def _described_films(dataset: Dataset) -> pd.DataFrame:
    item_frame = dataset.item_frame
    films = item_frame[[column for column in ("title", "year", "genres") if column in item_frame]]
    if "genres" in films:
        films = films.assign(genres=[", ".join(genres) or "unknown" for genres in films["genres"]])
    return films.assign(movie_id=item_frame["movie_id"])
