"""Does feedback make the next lists better, and what do refits cost? MovieLens-100K, replayed period by period.

    python experiments/feedback/replay_periods.py [--seeds 0 1 2]

The earlier half of the ratings trains. The later half is served in ten periods of as many ratings: at the start of
each, everybody who rates in it is given a list, and what they went on to rate is looked for in it; only then are these
ratings fed back, in one of these ways:

    never       neither the model nor the histories that it scores by ever change
    fold-in     the model stays, histories grow
    warm refit  training continues from the last weights, on all ratings so far
    full refit  the model is trained anew on all ratings so far

How many epochs a full and a warm refit train is chosen once, within the first half, which is all that validation ever
sees: as train.py does by default, on each user's last rating but one. For warm refits the last tenth of that half is
what is new to the weights that training continues from, as many ratings as a period has; they train 1 to 10 epochs.
Writes table.csv, table.md, periods.csv and figures/ beside this file.
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
FIRST = 0.5  # share of the ratings, the earliest, that are there before anything is served
N_PERIODS = 10
K = 10
MOST_WARM_EPOCHS = 10
TRIED = 5  # ratings that somebody new gives before the list of `new, 5 rated`
NEVER, FOLD_IN, WARM, FULL = STRATEGIES = ("never", "fold-in", "warm refit", "full refit")
MODELS = {  # configs/model, and the strategies that a model can follow
    "EASE": ("ease_100k", (NEVER, FOLD_IN, FULL)),
    "DAE": ("dae", STRATEGIES),
    "MF, softmax": ("mf", (NEVER, WARM, FULL)),
}
BASELINE = ("Popularity", "popularity")
KNOWN, NEW, TRIED_BY_NEW = GROUPS = ("known users", "new users", f"new users after {TRIED} ratings")
COLOURS = dict(zip(STRATEGIES, ("#8a8d91", *figures.COLOURS[:3]), strict=True))


@dataclass(frozen=True)
class Period:
    """What is served in one stretch of time.

    Attributes:
        number: from 1.
        known: all ratings before it.
        ratings: those in it.
        is_new: bool (n_users,), who has no rating before it.
    """

    number: int
    known: Dataset
    ratings: Dataset
    is_new: np.ndarray

    def holdouts(self) -> Iterator[tuple[str, Holdout]]:
        """What is to be found by whom, and what is known of them when it is looked for."""
        new = self.is_new[self.ratings.users]
        yield KNOWN, Holdout(self.ratings.select(~new), self.known)
        yield NEW, Holdout(self.ratings.select(new), self.known)
        # Ratings lie in order of time within a user, so that a rating's place in its row says how many came before.
        place = np.arange(len(self.ratings)) - self.ratings.indptr[self.ratings.users]
        tried = place < TRIED
        yield TRIED_BY_NEW, Holdout(self.ratings.select(new & ~tried), self.ratings.select(new & tried))


def in_time(dataset: Dataset) -> tuple[Dataset, list[Period]]:
    """The first part, and the periods after it; ratings of equal times are on one side of a cut."""
    times = np.asarray(dataset.times)
    cuts = cut_at(times, np.linspace(FIRST, 1, N_PERIODS + 1)[:-1])
    ends = [*cuts[1:], times.max() + 1]
    periods = []
    for number, (start, end) in enumerate(zip(cuts, ends, strict=True), start=1):
        known = dataset.select(times < start)
        periods.append(Period(number, known, dataset.select((times >= start) & (times < end)), known.user_counts == 0))
    return periods[0].known, periods


def cut_at(times: np.ndarray, shares: Sequence[float] | np.ndarray) -> np.ndarray:
    """The times before which such shares of all lie."""
    return np.sort(times)[(np.asarray(shares) * len(times)).astype(int)]


class Refitter:
    """Trains one kind of model, for as many epochs as were chosen for it within the first part.

    Args:
        config: the model's, in configs/model.
        seed: of the model, where it has one.
        first: the ratings of the first part.
    """

    def __init__(self, config: str, seed: int, first: Dataset) -> None:
        self.model: Recommender = instantiate(compose("train", [f"model={config}", f"seed={seed}"]).model)
        self.n_epochs = self.n_warm_epochs = 0
        if not isinstance(self.model, NeuralRecommender):
            return
        split = LeaveLastOut(train_only_below=3)(first)
        most = self.model.max_epochs  # curves of so few users are noisy, so that none is left before its end
        self.n_epochs = self._fresh(patience=most).fit(split.train, split.valid).n_best_epochs
        earlier = self.full(split.train.select(split.train.times < cut_at(first.times, 0.9)))
        warm = self._fresh(max_epochs=MOST_WARM_EPOCHS, patience=MOST_WARM_EPOCHS)
        warm.continue_from(earlier, np.arange(first.n_users))
        self.n_warm_epochs = warm.fit(split.train, split.valid).n_best_epochs

    def full(self, train: Dataset) -> Recommender:
        """A model trained anew."""
        model = self._fresh()
        model.n_epochs = self.n_epochs
        return model.fit(train)

    def warm(self, model: NeuralRecommender, train: Dataset) -> Recommender:
        """A model that goes on from the weights of another."""
        warm = self._fresh()
        warm.n_epochs = self.n_warm_epochs
        warm.continue_from(model, np.arange(train.n_users))
        return warm.fit(train)

    def _fresh(self, **chosen: int) -> Recommender:
        return type(self.model)(**self.model.hyperparameters() | chosen)


def replay(name: str, config: str, strategies: Sequence[str], seed: int, dataset: Dataset) -> Iterator[dict[str, Any]]:
    """Serve all periods with one kind of model: a row for each strategy, period, group and user."""
    first, periods = in_time(dataset)
    refitter = Refitter(config, seed, first)
    initial = refitter.full(first)
    models = dict.fromkeys(strategies, initial)
    for period in tqdm(periods, f"{name}, seed {seed}", disable=None):
        for strategy in strategies:
            started = time.process_time()
            if period.number > 1 and strategy == WARM:
                models[WARM] = refitter.warm(models[WARM], period.known)
            elif period.number > 1 and strategy == FULL:
                models[FULL] = refitter.full(period.known)
            told = {
                "model": name,
                "strategy": strategy,
                "seed": seed,
                "period": period.number,
                "epochs": {WARM: refitter.n_warm_epochs, FULL: refitter.n_epochs}.get(strategy, 0),
                "seconds": time.process_time() - started,
            }
            for group, holdout in period.holdouts():
                learned_by = first if strategy == NEVER else holdout.known
                for row in measured(models[strategy], holdout, learned_by):
                    yield told | {"group": group} | row


def measured(model: Recommender, holdout: Holdout, histories: Dataset) -> Iterator[dict[str, Any]]:
    """Hits and gains of each user's list, of all that was rated and of what was liked."""
    liked = Holdout(holdout.ratings.select(holdout.ratings.ratings >= RELEVANT_RATING), holdout.known)
    values: dict[int, dict[str, Any]] = {}
    for found, ending in ((holdout, ""), (liked, ", liked")):
        users = found.users
        scores = model.score(histories.query(users))
        for metric, of_users in ranking_metrics(scores, users, found, ks=(K,)).items():
            if metric in (f"ndcg@{K}", f"hr@{K}"):
                for user, value in zip(users.tolist(), of_users.tolist(), strict=True):
                    values.setdefault(user, {"user": user})[metric + ending] = value
    yield from values.values()


def table_of(rows: pd.DataFrame) -> pd.DataFrame:
    """Means over users (of a user, over seeds and periods), with intervals, also of the difference to `never`."""
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
                apart = bootstrap_interval(user_differences([own], [never]))
                line |= {"above_never": apart.mean, "above_never_low": apart.low, "above_never_high": apart.high}
            lines.append(line | {"refit_seconds": seconds[model, strategy]})
    return pd.DataFrame(lines)


def named(model: str, strategy: str) -> str:
    """A row's name."""
    return model if model == BASELINE[0] else f"{model}: {strategy}"


def markdown(table: pd.DataFrame) -> str:
    """A table a group: what lists hold of what was rated next, and by how much the NDCG is above `never`."""
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
    """NDCG by period, a line a strategy: a row of panels a model, known users beside new ones who have begun."""
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
    """Replay, and write what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of models in which there is chance")
    seeds = parser.parse_args().seeds
    torch.set_num_threads(1)
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    cfg = compose("train", ["data=ml-100k"])
    dataset = prepare(instantiate(cfg.data), Path(cfg.cache_dir)).dataset
    rows = list(replay(*BASELINE, (FULL,), 0, dataset))
    for name, (config, strategies) in MODELS.items():
        for seed in seeds if WARM in strategies else [0]:  # there is no chance in the others
            rows += replay(name, config, strategies, seed, dataset)
    write(pd.DataFrame(rows), dataset)


def write(rows: pd.DataFrame, dataset: Dataset) -> None:
    """The tables and the figure, and on the screen how often users come back."""
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
