"""Messages that a run prints.

At the start, it prints its model and data; at the end, the test metrics of its model and of baselines, an explanation
of the metrics, example recommendations, and commands to try next.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from rich.table import Table

from recsys.counted import counted
from recsys.data.dataset import Holdout
from recsys.data.split import Split
from recsys.evaluation.protocols import AnyProtocol, single_protocols
from recsys.files import short
from recsys.invocation import program_command, recsys_command
from recsys.models.base import Recommender, must_be_trusted
from recsys.studies.examples import Example
from recsys.terminal import print_figures, terminal

IN_ONE_LINE = ("ndcg@10", "hr@10", "rmse", "mae")
PREDICTED = "rmse and mae are errors of predicted ratings, in the unit of the ratings: lower is better."
BASELINES = (
    "The other columns are baselines on the same ratings, with the defaults of their classes, not the settings of "
    "configs/model."
)
COMPARABLE = "Figures on another split, or with sampled candidates, cannot be compared with them."


def headline_metrics(metrics: Mapping[str, float]) -> dict[str, float]:
    """Select the most important metrics: metrics at list length 10, and metrics without a list length."""
    return {name: value for name, value in metrics.items() if not re.search(r"@(?!10\b)", name)}


def print_metrics(title: str, metrics: Mapping[str, Mapping[str, float]]) -> None:
    """Print a table of metrics, with a column for each model.

    Args:
        title: title of the table.
        metrics: name of the model -> metric -> value. The headline metrics of the first model get a row each.
    """
    names = headline_metrics(next(iter(metrics.values())))
    rows = [[name, *(f"{values[name]:.4f}" if name in values else "" for values in metrics.values())] for name in names]
    print_figures(["metric", *metrics], rows, title)


def print_in_one_line(directory: Path, metrics: Mapping[str, float]) -> None:
    """Print some metrics of a run in one line: test metrics or, if the run was not tested, validation metrics."""
    stage = "test" if any(name.startswith("test/") for name in metrics) else "valid"
    measured = {name.removeprefix(f"{stage}/"): value for name, value in metrics.items() if name.startswith(stage)}
    names = [name for name in IN_ONE_LINE if name in measured] or [*measured][:2]
    print(f"{short(directory)}: {stage} {', '.join(f'{name} {measured[name]:.4f}' for name in names)}", flush=True)


def print_example(example: Example) -> None:
    """Print the items that a user liked next to those that the model recommends."""
    table = Table("", "liked", "recommended", title=f"User {example.user_id}")
    for place, liked, recommended in example.rows():
        table.add_row(str(place), liked, recommended)
    terminal().print(table)


def plan(model: Recommender, split: Split) -> str:
    """Describe in one sentence the model and how many ratings are for training, validation and test."""
    dataset, held_out = split.dataset, (split.valid.ratings.n_ratings, split.test.ratings.n_ratings)
    return (
        f"{type(model).__name__} learns from {split.train.n_ratings:,} of {counted(dataset.n_ratings, 'rating')} by "
        f"{counted(dataset.n_users, 'user')} of {counted(dataset.n_items, 'item')}; {split.name} holds out "
        f"{held_out[0]:,} for validation and {held_out[1]:,} for the test."
    )


def print_guide(holdout: Holdout, protocol: AnyProtocol, has_baselines: bool) -> None:
    """Print what the metrics of a test mean, and with which other results they can be compared."""
    protocols = single_protocols(protocol)
    meaning = _ranked(protocols[0].n_ranked(holdout)) if protocols else PREDICTED
    compared = f"{BASELINES} {COMPARABLE}" if has_baselines else COMPARABLE
    n_queries = counted(holdout.n_queries, "test query", "test queries")
    terminal().print(f"Means over {n_queries}. {meaning} {compared}")


def _ranked(n_items: int) -> str:
    by_chance = min(1.0, 10 / n_items)
    return (
        f"Each ranks {n_items:,} items, without those that its user has rated already: hr@10 is the share of queries "
        f"with a held-out item among the first 10 (by chance {by_chance:.3f} if there is one), and ndcg@10 also counts "
        "how near the top it is."
    )


def print_next_steps(directory: Path, model: Recommender, example: Example) -> None:
    """Print the directory of a run, and commands to try next: curves, recommendations and the web page."""
    run = short(directory)
    is_new = model.scores_new_users and example.liked
    history = ("--liked", example.liked[0]) if is_new else ("--user", example.user_id)
    trusted = ["--trusted"] if must_be_trusted(model) else []
    print(f"The run is in {run}. Try next:")
    if (directory / "tensorboard").is_dir():
        print(f"  {program_command('tensorboard', '--logdir', run)}")
    print(f"  {recsys_command('recommend', run, *history, *trusted)}")
    print(f"  {recsys_command('serve', run, *trusted)}")
