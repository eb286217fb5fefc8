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
ratings as a period has, is new to the weights from which training continues; they train 1 to 10 epochs.

Means are over the users of a period, then over seeds, then over periods. Strategies are compared with `never` and with
popularity, and warm refits with full ones; for known users also without the last two periods. All of them are one
family of tests. Writes table.csv, pairs.csv, periods.csv, table.md and figures/ beside this file.
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
from recsys.evaluation.resampling import UserMetrics, compare, split_means
from recsys.files import write_text
from recsys.metrics.accuracy import ranking_metrics
from recsys.metrics.ratings import RELEVANT_RATING
from recsys.models.base import Recommender
from recsys.models.neural import NeuralRecommender
from recsys.studies.declared_pairs import PairOfRows, compare_pairs, pairs_markdown
from recsys.studies.tables import markdown

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
EARLIER = f"{KNOWN}, periods 1 to {N_PERIODS - 2}"
COMPARED = (f"ndcg@{K}", f"ndcg@{K}, liked")
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
    """Return the times before which these shares of all ratings were given."""
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
        """Train a new model from scratch."""
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


def settings_of(rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield each group by name, and known users without the last two periods."""
    for group in GROUPS:
        yield group, rows[rows["group"] == group]
    yield EARLIER, rows[(rows["group"] == KNOWN) & (rows["period"] <= N_PERIODS - 2)]


def values_by_row(rows: pd.DataFrame, metric: str) -> dict[str, UserMetrics]:
    """Return a metric of each user by seed and period, for each row of the table; the rows are of one group."""
    found: dict[str, dict[tuple[int, str], pd.Series]] = {}
    for (model, strategy, seed, period), own in rows.groupby(["model", "strategy", "seed", "period"], sort=False):
        found.setdefault(named(model, strategy), {})[seed, str(period)] = own.set_index("user")[metric]
    return dict(found)


def table_of(rows: pd.DataFrame) -> pd.DataFrame:
    """Average over users, seeds and periods, and sum the CPU seconds of all refits."""
    metrics = [f"{name}@{K}{ending}" for ending in ("", ", liked") for name in ("ndcg", "hr")]
    refits = rows.drop_duplicates(["model", "strategy", "seed", "period"])
    seconds = refits.groupby(["model", "strategy", "seed"])["seconds"].sum().groupby(["model", "strategy"]).mean()
    seconds.index = [named(*row) for row in seconds.index]
    return pd.DataFrame(
        {
            "setting": setting,
            "row": row,
            "metric": metric,
            "users": pd.concat(list(values.values())).dropna().index.nunique(),
            "mean": split_means(values).mean(),
            "refit_seconds": seconds[row],
        }
        for setting, own in settings_of(rows)
        for metric in metrics
        for row, values in values_by_row(own, metric).items()
    )


def pairs_of(rows: pd.DataFrame) -> pd.DataFrame:
    """Compare strategies with `never` and with popularity, and warm refits with full ones."""
    return compare_pairs(
        [
            PairOfRows(setting, metric, row, other, values[row], values[other])
            for setting, own in settings_of(rows)
            for metric in COMPARED
            for values in [values_by_row(own, metric)]
            for row, other in declared_pairs()
        ]
    )


def declared_pairs() -> Iterator[tuple[str, str]]:
    """Yield the names of rows that are compared."""
    for model, (_, strategies) in MODELS.items():
        for strategy in strategies[1:]:
            yield named(model, strategy), named(model, NEVER)
            yield named(model, strategy), BASELINE[0]
        if WARM in strategies:
            yield named(model, WARM), named(model, FULL)


def periods_of(rows: pd.DataFrame) -> pd.DataFrame:
    """Average over users and seeds in each period, with the difference from `never` and its unadjusted interval."""
    lines = []
    for group, of_group in rows.groupby("group", sort=False):
        for metric in COMPARED:
            values = values_by_row(of_group, metric)
            for model, strategy in of_group[["model", "strategy"]].drop_duplicates().itertuples(index=False):
                for period in range(1, N_PERIODS + 1):
                    own, never = (
                        {
                            key: users
                            for key, users in values.get(named(model, name), {}).items()
                            if key[1] == str(period)
                        }
                        for name in (strategy, NEVER)
                    )
                    line = {"group": group, "model": model, "strategy": strategy, "period": period, "metric": metric}
                    line |= {"users": next(iter(own.values())).notna().sum(), "mean": split_means(own).mean()}
                    if strategy != NEVER and (found := compare(own, never) if never else None):
                        interval = found.interval
                        line |= {"above_never": interval.mean, "low": interval.low, "high": interval.high}
                    lines.append(line)
    return pd.DataFrame(lines)


def named(model: str, strategy: str) -> str:
    """Return the name of a row."""
    return model if model == BASELINE[0] else f"{model}: {strategy}"


def report(table: pd.DataFrame, pairs: pd.DataFrame) -> str:
    """Return a table for each setting, and one of all pairs, in Markdown."""
    parts = []
    for setting, own in table.groupby("setting", sort=False):
        means = own.pivot_table(values="mean", index="row", columns="metric", sort=False).map("{:.4f}".format)
        means["seconds"] = own.groupby("row")["refit_seconds"].first().map("{:.1f}".format)
        users = own.groupby("metric", sort=False)["users"].max()
        text = means.rename_axis(None, axis="columns").reset_index()
        parts.append(f"## {setting}, {users.iloc[0]} ({users.iloc[-1]} who liked a film)\n\n{markdown(text)}")
    return "\n\n".join([*parts, f"## Comparisons\n\n{pairs_markdown(pairs, by='script')}"]) + "\n"


def draw(periods: pd.DataFrame) -> None:
    """Plot the gain of each strategy by period: a row of panels for each model, known users beside new ones."""
    shown = (KNOWN, TRIED_BY_NEW)
    gains = periods[periods["metric"] == COMPARED[1]].set_index(["model", "strategy", "group"]).sort_index()
    with figures.style():
        figure, axes = figures.panels(
            1.75 * len(MODELS) + 0.6, len(MODELS), len(shown), grid="y", sharex=True, sharey=True
        )
        places = ((model, strategies, group) for model, (_, strategies) in MODELS.items() for group in shown)
        for place, (panel, (model, strategies, group)) in enumerate(zip(axes, places, strict=True)):
            panel.axhline(0, color=figures.FAINT, lw=1)
            for shift, strategy in enumerate(strategies[1:]):
                own = gains.loc[(model, strategy, group)]
                gain = own["above_never"]
                ends = (gain - own["low"].fillna(gain), own["high"].fillna(gain) - gain)
                style = {"color": COLOURS[strategy], "ms": 3, "lw": 1.2, "elinewidth": 0.8}
                panel.errorbar(own["period"] + 0.2 * (shift - 1), gain, ends, fmt="o", label=strategy, **style)
            panel.set_title(f"{model}: {group}" if place < len(shown) else model, fontsize=9, loc="left")
            panel.set_xticks(range(1, N_PERIODS + 1))
        for panel in axes[-len(shown) :]:
            panel.set_xlabel("period")
        for panel in axes[:: len(shown)]:
            panel.set_ylabel("gain of NDCG@10")
        labels = {line.get_label(): line for panel in axes for line in panel.containers}
        figure.legend(labels.values(), labels.keys(), loc="outside lower center", ncols=3, frameon=False, fontsize=9)
        (HERE / "figures").mkdir(exist_ok=True)
        figures.save(figure, HERE / "figures", "by_period", "Gain over never on liked films, MovieLens-100K")


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
    table, pairs, periods = table_of(rows), pairs_of(rows), periods_of(rows)
    for name, frame in (("table", table), ("pairs", pairs), ("periods", periods)):
        text = frame.to_csv(index=False, float_format="%.6f")
        write_text(HERE / f"{name}.csv", text)
    write_text(HERE / "table.md", report(table, pairs))
    draw(periods)
    print(report(table, pairs))
    _, served = in_time(dataset)
    n_periods = sum((period.ratings.user_counts > 0).astype(int) for period in served)
    print(f"{(n_periods > 0).sum()} users rate after the first part, {(n_periods > 1).sum()} in more than one period.")
    print("Epochs of a refit, by seed:")
    print(rows.groupby(["model", "strategy"])["epochs"].unique().loc[lambda epochs: epochs.str[0] > 0].to_string())


if __name__ == "__main__":
    main()
