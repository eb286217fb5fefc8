"""What TensorBoard shows of a finished run beside its curves.

Hyperparameters with the final metrics that runs are compared by, the embedding projector with titles, genres and years;
and as text all metrics, sample users' recommendations, and the config.
"""

from __future__ import annotations

import html
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from pytorch_lightning.loggers import TensorBoardLogger
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from recsys.data.dataset import Dataset
from recsys.models.base import HasEmbeddings, Recommender
from recsys.studies.examples import Example, item_names
from recsys.studies.runs import flat

PROJECTED = 10_000  # rows that a browser still moves with ease
COMPARED = re.compile(r"/((hr|ndcg|novelty)@10|rmse)\b")  # these get a column in the hyperparameter tab


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
    writer.add_text("metrics", _metric_table(metrics))
    for example in examples:
        writer.add_text(f"recommendations/user {example.user_id}", _table(("", "liked", "recommended"), example.rows()))
    final = {f"final/{name}": value for name, value in metrics.items() if COMPARED.search(name)}
    logger.log_metrics(final, step=0)
    _log_settings(writer, _settings(config, model))
    if isinstance(model, HasEmbeddings):
        _log_points(writer, "films", model.item_embeddings(), dataset.item_counts, _described_films(dataset))
        _log_points(writer, "users", model.user_embeddings(), dataset.user_counts, dataset.user_frame)
    logger.finalize("success")


def log_segments(directory: Path, points: np.ndarray, n_ratings: np.ndarray, users: pd.DataFrame) -> None:
    """Show users in the projector, to be coloured by their segment; anew where they were shown already.

    Args:
        directory: a log of its own, as a writer knows only of the points that it wrote itself.
        points: (n, d).
        n_ratings: int64 (n,) of each user.
        users: n rows with a column `segment`, and what else is known.
    """
    shutil.rmtree(directory, ignore_errors=True)
    with SummaryWriter(str(directory)) as writer:
        _log_points(writer, "users", points, n_ratings, users)


def _settings(config: Mapping[str, Any], model: Recommender) -> dict[str, Any]:
    """All that decides the metrics, the model's defaults included, under dotted names; classes by their names."""
    seed = config["seed"]
    own = {name: value for name, value in model.hyperparameters().items() if (name, value) != ("seed", seed)}
    chosen = {name: config[name] for name in ("data", "metadata", "split", "protocol", "reranker") if config.get(name)}
    targets = {name: node["_target_"].rpartition(".")[2] for name, node in chosen.items()}
    further = {name: value for name, value in flat({**chosen, "model": own}).items() if not name.endswith("_target_")}
    return {**further, **targets, "model": type(model).__name__, "seed": seed, "refit": config["refit"]}


def _log_settings(writer: SummaryWriter, settings: Mapping[str, Any]) -> None:
    """Log a run's row of the hyperparameter tab.

    Without the summary that lists a tab's columns: TensorBoard takes the one of any run for all of them, so that
    settings of other models would not be shown. Where there is none, it shows everybody's, those that differ first.
    """
    plain = {k: v if isinstance(v, int | float) and not isinstance(v, bool) else str(v) for k, v in settings.items()}
    _, started, ended = hparams(plain, {})
    for summary in (started, ended):
        writer._get_file_writer().add_summary(summary)


def _metric_table(metrics: Mapping[str, float]) -> str:
    """A row for each metric, a column for each stage."""
    stages = list(dict.fromkeys(name.partition("/")[0] for name in metrics))
    names = dict.fromkeys(name.partition("/")[2] for name in metrics)
    values = [[metrics.get(f"{stage}/{name}") for stage in stages] for name in names]
    cells = [["" if value is None else f"{value:.4f}" for value in row] for row in values]
    return _table(("metric", *stages), ((name, *row) for name, row in zip(names, cells, strict=True)))


def _table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A Markdown table of plain text."""
    lines = [" | ".join(_escaped(str(cell)) for cell in row) for row in (header, *rows)]
    lines.insert(1, " | ".join("---" for _ in header))
    return "\n".join(f"| {line} |" for line in lines)


def _escaped(text: str) -> str:
    """Text whose signs mean nothing to Markdown: `M*A*S*H`."""
    return re.sub(r"([\\`*_\[\]|])", r"\\\1", html.escape(text, quote=False))


def _indented(text: str) -> str:
    """Text that Markdown shows as it is."""
    return "\n".join(f"    {line}" for line in text.splitlines())


def _log_points(
    writer: SummaryWriter, name: str, points: np.ndarray, n_ratings: np.ndarray, described: pd.DataFrame
) -> None:
    """Log embeddings (n, d) of what has most ratings, with a table of n rows that the projector labels and colours by.

    An empty cell is a missing value to the projector, so that a column of numbers stays one.
    """
    shown = np.sort(np.argsort(-n_ratings, kind="stable")[:PROJECTED])
    labels = described.assign(ratings=n_ratings).iloc[shown].astype(object).fillna("").astype(str)
    labels = labels.replace(r"\s+", " ", regex=True)  # a tab would start another column
    writer.add_embedding(points[shown], labels.to_numpy().tolist(), metadata_header=list(labels.columns), tag=name)


def _described_films(dataset: Dataset) -> pd.DataFrame:
    """Title with year, and what else is known; the first genre alone too, few enough values for a colour each."""
    films = dataset.item_frame
    described = pd.DataFrame({"title": item_names(films)}, index=films.index)
    if "year" in films:
        described["year"] = films["year"]
    if "genres" in films:
        described["genres"] = [", ".join(genres) for genres in films["genres"]]
        described["first genre"] = [genres[0] if len(genres) else "" for genres in films["genres"]]
    return described.assign(movie_id=films["movie_id"])
