"""Does feedback improve the next recommendations, and what do refits cost? MovieLens-100K, replayed by periods.

    python experiments/feedback/replay_periods.py [--seeds 0 1 2]

Models are trained on the earlier half of the ratings. The later half is replayed in ten periods of equally many
ratings. At the start of each period, every user who rates in it gets a list, which is evaluated on the films that they
rate in it. Only then are these ratings fed back, in one of these ways:

    never       neither the model nor the histories change
    fold-in     the model stays, histories grow
    warm refit  training continues from the last weights, on all ratings so far
    full refit  the model is trained from scratch on all ratings so far

The numbers of epochs of full and warm refits are chosen once, within the first half, which is all that validation sees:
as train.py does by default, on each user's second-to-last rating. For warm refits the last tenth of that half, as many
ratings as a period has, is new to the weights from which training continues; they train 1 to 10 epochs. Writes
table.csv, table.md, periods.csv and figures/ beside this file.
"""

from __future__ import annotations

import argparse
import logging
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from recsys.analysis import figures
from recsys.config import compose, instantiate
from recsys.data.dataset import Dataset, Holdout
from recsys.data.prepare import prepare
from recsys.data.splitters import LeaveLastOut
from recsys.evaluation.intervals import bootstrap_interval
from recsys.evaluation.significance import user_differences
from recsys.files import write_whole
from recsys.metrics.accuracy import ranking_metrics
from recsys.metrics.ratings import RELEVANT_RATING
from recsys.models.base import Recommender
from recsys.models.neural import NeuralRecommender

HERE = Path(__file__).parent
FIRST = 0.5  # share of the ratings, the earliest, that precede the first period
N_PERIODS = 10
K = 10
MOST_WARM_EPOCHS = 10
TRIED = 5  # first ratings of a new user that precede the list of the third group
NEVER, FOLD_IN, WARM, FULL = STRATEGIES = ("never", "fold-in", "warm refit", "full refit")
MODELS = {  # overrides of the config, and the strategies that the model supports
    "EASE": (("model=ease", "model.l2=100.0"), (NEVER, FOLD_IN, FULL)),
    "DAE": (("model=dae",), STRATEGIES),
    "MF softmax": (
        ("model=mf", "model.embedding_dim=256", "model.dropout=0.4", "model.lr=0.003", "model.weight_decay=0.3"),
        (NEVER, WARM, FULL),
    ),
}
BASELINE = ("Popularity", ("model=popularity",))
KNOWN, NEW, TRIED_BY_NEW = GROUPS = ("known users", "new users", f"new users after {TRIED} ratings")
COLOURS = dict(zip(STRATEGIES, ("#8a8d91", *figures.COLOURS[:3]), strict=True))


@dataclass(frozen=True)
class Period:
    """A period of the replay.

    Attributes:
        number: number of the period, starting at 1.
        known: all ratings before the period.
        ratings: ratings in the period.
        is_new: bool (n_users,) whether a user has no rating before the period.
    """

    number: int
    known: Dataset
    ratings: Dataset
    is_new: np.ndarray

    def holdouts(self) -> Iterator[tuple[str, Holdout]]:
        """Yield each group of users with its held-out ratings and histories."""
        new = self.is_new[self.ratings.users]
        yield KNOWN, Holdout(self.ratings.select(~new), self.known)
        yield NEW, Holdout(self.ratings.select(new), self.known)
        # A user's ratings are in time order, so a rating's place in its row is the number of earlier ratings.
        place = np.arange(len(self.ratings)) - self.ratings.indptr[self.ratings.users]
        tried = place < TRIED
        yield TRIED_BY_NEW, Holdout(self.ratings.select(new & ~tried), self.ratings.select(new & tried))


def in_time(dataset: Dataset) -> tuple[Dataset, list[Period]]:
    """Return the first part and the periods after it; ratings with equal times are on one side of a cut."""
    times = np.asarray(dataset.times)
    cuts = cut_at(times, np.linspace(FIRST, 1, N_PERIODS + 1)[:-1])
    ends = [*cuts[1:], times.max() + 1]
    periods = []
    for number, (start, end) in enumerate(zip(cuts, ends, strict=True), start=1):
        known = dataset.select(times < start)
        periods.append(Period(number, known, dataset.select((times >= start) & (times < end)), known.user_counts == 0))
    return periods[0].known, periods


def cut_at(times: np.ndarray, shares: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return the times before which these shares of all ratings lie."""
    return np.sort(times)[(np.asarray(shares) * len(times)).astype(int)]


class Refitter:
    """Trains one kind of model for the number of epochs chosen within the first part.

    Args:
        overrides: overrides that choose the model's config and settings.
        seed: seed of the model, if it has one.
        first: ratings of the first part.
    """

    def __init__(self, overrides: Sequence[str], seed: int, first: Dataset) -> None:
        self.model: Recommender = instantiate(compose("train", [*overrides, f"seed={seed}"]).model)
        self.n_epochs = self.n_warm_epochs = 0
        if not isinstance(self.model, NeuralRecommender):
            return
        split = LeaveLastOut(train_only_below=3)(first)
        most = self.model.max_epochs  # curves of so few users are too noisy for early stopping
        self.n_epochs = self._untrained(patience=most).fit(split.train, split.valid).n_best_epochs
        earlier = self.full(split.train.select(split.train.times < cut_at(first.times, 0.9)))
        warm = self._untrained(max_epochs=MOST_WARM_EPOCHS, patience=MOST_WARM_EPOCHS)
        warm.continue_from(earlier, np.arange(first.n_users))
        self.n_warm_epochs = warm.fit(split.train, split.valid).n_best_epochs

    def full(self, train: Dataset) -> Recommender:
        """Train a new model."""
        model = self._untrained()
        model.n_epochs = self.n_epochs
        return model.fit(train)

    def warm(self, model: NeuralRecommender, train: Dataset) -> Recommender:
        """Train a model from the weights of another."""
        warm = self._untrained()
        warm.n_epochs = self.n_warm_epochs
        warm.continue_from(model, np.arange(train.n_users))
        return warm.fit(train)

    def _untrained(self, **overrides: int) -> Recommender:
        return type(self.model)(**self.model.hyperparameters() | overrides)


def replay(
    name: str, overrides: Sequence[str], strategies: Sequence[str], seed: int, dataset: Dataset
) -> Iterator[dict[str, Any]]:
    """Replay all periods with one kind of model, and yield a row for each strategy, period, group and user."""
    first, periods = in_time(dataset)
    refitter = Refitter(overrides, seed, first)
    initial = refitter.full(first)
    models = dict.fromkeys(strategies, initial)
    for period in tqdm(periods, f"{name}, seed {seed}", disable=None):
        for strategy in strategies:
            started = time.process_time()
            if period.number > 1 and strategy == WARM:
                models[WARM] = refitter.warm(models[WARM], period.known)
            elif period.number > 1 and strategy == FULL:
                models[FULL] = refitter.full(period.known)
            settings = {
                "model": name,
                "strategy": strategy,
                "seed": seed,
                "period": period.number,
                "epochs": {WARM: refitter.n_warm_epochs, FULL: refitter.n_epochs}.get(strategy, 0),
                "seconds": time.process_time() - started,
            }
            for group, holdout in period.holdouts():
                learned_by = first if strategy == NEVER else holdout.known
                for row in metrics_of_users(models[strategy], holdout, learned_by):
                    yield settings | {"group": group} | row


def metrics_of_users(model: Recommender, holdout: Holdout, histories: Dataset) -> Iterator[dict[str, Any]]:
    """Yield the metrics of each user's list, on all rated films and on liked films."""
    liked = Holdout(holdout.ratings.select(holdout.ratings.ratings >= RELEVANT_RATING), holdout.known)
    values: dict[int, dict[str, Any]] = {}
    for held_out, ending in ((holdout, ""), (liked, ", liked")):
        users = held_out.users
        scores = model.score(histories.query(users))
        for metric, of_users in ranking_metrics(scores, held_out, ks=(K,)).items():
            if metric in (f"ndcg@{K}", f"hr@{K}"):
                for user, value in zip(users.tolist(), of_users.tolist(), strict=True):
                    values.setdefault(user, {"user": user})[metric + ending] = value
    yield from values.values()


def table_of(rows: pd.DataFrame) -> pd.DataFrame:
    """Average over seeds and periods, then over users; with intervals, also of the difference from `never`."""
    metrics = [f"{name}@{K}{ending}" for ending in ("", ", liked") for name in ("ndcg", "hr")]
    of_users = rows.groupby(["group", "model", "strategy", "user", "period"], sort=False)[metrics].mean()
    of_users = of_users.groupby(["group", "model", "strategy", "user"], sort=False).mean()
    summed = rows.drop_duplicates(["model", "strategy", "seed", "period"])
    seconds = summed.groupby(["model", "strategy", "seed"])["seconds"].sum().groupby(["model", "strategy"]).mean()
    lines = []
    for (group, model, strategy), values in of_users.groupby(level=[0, 1, 2], sort=False):
        for metric in metrics:
            own = values[metric].droplevel([0, 1, 2]).dropna()
            line = {"setting": group, "row": named(model, strategy), "metric": metric, "users": len(own)}
            interval = bootstrap_interval(own.to_numpy())
            line |= {"mean": interval.mean, "low": interval.low, "high": interval.high}
            if (group, model, NEVER) in of_users.index:
                never = of_users.loc[(group, model, NEVER), metric].dropna()
                difference = bootstrap_interval(user_differences([own], [never]))
                line |= {
                    "above_never": difference.mean,
                    "above_never_low": difference.low,
                    "above_never_high": difference.high,
                }
            lines.append(line | {"refit_seconds": seconds[model, strategy]})
    return pd.DataFrame(lines)


def named(model: str, strategy: str) -> str:
    """Return the name of a row."""
    return model if model == BASELINE[0] else f"{model}: {strategy}"


def markdown(table: pd.DataFrame) -> str:
    """Return a table for each group: the metrics, and the difference of NDCG from `never`."""
    parts = []
    for group, lines in table.groupby("setting", sort=False):
        users = lines.groupby("metric", sort=False)["users"].max()
        rows = [f"## {group}, {users.iloc[0]} ({users.iloc[-1]} who liked a film)", ""]
        rows += ["| | NDCG@10 | HR@10 | above never | NDCG@10, liked | HR@10, liked | above never | seconds |"]
        rows += ["| --- | ---: | ---: | --- | ---: | ---: | --- | ---: |"]
        for name, metrics in lines.groupby("row", sort=False):
            ndcg, hits, ndcg_liked, hits_liked = (metric for _, metric in metrics.iterrows())
            cells = [*_cells(ndcg, hits), *_cells(ndcg_liked, hits_liked), f"{ndcg['refit_seconds']:.1f}"]
            rows.append("| " + " | ".join([str(name), *cells]) + " |")
        parts.append("\n".join(rows))
    return "\n\n".join(parts) + "\n"


def _cells(ndcg: pd.Series, hits: pd.Series) -> list[str]:
    low, high = ndcg["above_never_low"], ndcg["above_never_high"]
    above = "" if pd.isna(low) else f"{ndcg['above_never']:+.4f} [{low:+.4f}, {high:+.4f}]"
    return [f"{ndcg['mean']:.4f}", f"{hits['mean']:.4f}", above]


def draw(rows: pd.DataFrame) -> None:
    """Plot NDCG by period and strategy: a row of panels for each model, known users beside new ones with ratings."""
    metric, shown = f"ndcg@{K}", (KNOWN, TRIED_BY_NEW)
    means = rows.groupby(["group", "model", "strategy", "period"])[metric].mean()
    with figures.style():
        figure, axes = figures.panels(
            1.75 * len(MODELS) + 0.6, len(MODELS), len(shown), grid="y", sharex=True, sharey="col"
        )
        for row, (model, (_, strategies)) in enumerate(MODELS.items()):
            for column, group in enumerate(shown):
                panel = axes[row * len(shown) + column]
                popular = means[group, BASELINE[0], FULL]
                panel.plot(popular.index, popular, color=figures.FAINT, linestyle=":", label="popularity")
                for strategy in strategies:
                    line = means[group, model, strategy]
                    panel.plot(line.index, line, "o-", color=COLOURS[strategy], label=strategy, ms=3, lw=1.5)
                panel.set_ylim(bottom=0)
                panel.set_title(f"{model}: {group}" if row == 0 else model, fontsize=9, loc="left")
                panel.set_xticks(range(1, N_PERIODS + 1))
        for panel in axes[-len(shown) :]:
            panel.set_xlabel("period")
        for panel in axes[:: len(shown)]:
            panel.set_ylabel("NDCG@10")
        lines = {line.get_label(): line for panel in axes for line in panel.get_lines()}
        figure.legend(lines.values(), lines.keys(), loc="outside lower center", ncols=3, frameon=False, fontsize=9)
        (HERE / "figures").mkdir(exist_ok=True)
        figures.save(figure, HERE / "figures", "by_period", "How much of what users rated next was listed")


def main() -> None:
    """Replay the periods, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=[0, 1, 2], help="seeds of models with random initialization"
    )
    seeds = parser.parse_args().seeds
    torch.set_num_threads(1)
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    cfg = compose("train", ["data=ml-100k"])
    dataset = prepare(instantiate(cfg.data), Path(cfg.cache_dir)).dataset
    rows = list(replay(*BASELINE, (FULL,), 0, dataset))
    for name, (overrides, strategies) in MODELS.items():
        for seed in seeds if WARM in strategies else [0]:  # the others are deterministic
            rows += replay(name, overrides, strategies, seed, dataset)
    write(pd.DataFrame(rows), dataset)


def write(rows: pd.DataFrame, dataset: Dataset) -> None:
    """Write the tables and the figure, and print how often users return."""
    table = table_of(rows)
    keys = ["group", "model", "strategy", "period"]
    periods = rows.drop(columns=["user", "seed"]).groupby(keys, sort=False).mean().reset_index()
    for name, frame in (("table", table), ("periods", periods)):
        text = frame.to_csv(index=False, float_format="%.6f")
        write_whole(HERE / f"{name}.csv", lambda file, text=text: file.write(text.encode()))
    write_whole(HERE / "table.md", lambda file: file.write(markdown(table).encode()))
    draw(rows)
    print(markdown(table))
    _, served = in_time(dataset)
    n_periods = sum((period.ratings.user_counts > 0).astype(int) for period in served)
    print(f"{(n_periods > 0).sum()} users rate after the first part, {(n_periods > 1).sum()} in more than one period.")
    print("Epochs of a refit, by seed:")
    print(rows.groupby(["model", "strategy"])["epochs"].unique().loc[lambda epochs: epochs.str[0] > 0].to_string())


if __name__ == "__main__":
    main()
