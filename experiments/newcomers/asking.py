"""Which films should a new user be asked about first? A simulation on users who are held out whole.

    python experiments/newcomers/asking.py
    python experiments/newcomers/asking.py --data ml-1m --path FOLDER --draws 3

Of each draw, three tenths of the users answer questions. The model, `ease_newcomers`, is trained on the others, by
whose ratings questions are chosen too. `recsys.analysis.asking` defines the strategies and the simulation. Writes
asking/DATA.csv, asking/DATA.md and a figure beside this file.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from recsys.analysis import asking, figures
from recsys.analysis.asking import Panel, Questions
from recsys.config import compose, instantiate
from recsys.config.splits import prepared_data
from recsys.data.dataset import Dataset
from recsys.data.splitters import NewUsers
from recsys.evaluation.intervals import Interval
from recsys.evaluation.resampling import UserMetrics, compare, split_means
from recsys.files import write_text
from recsys.models.base import Recommender

OUT = Path(__file__).parent / "asking"
N_QUESTIONS = 10
N_PANEL_OF_TREE = 400  # users, since each branch has its own
REPORTED = (1, 3, 5, 10)
BASELINE = "Popularity"


def strategies(model: Recommender, train: Dataset) -> Mapping[str, Questions]:
    """Return the strategies by name, chosen for a model by its training ratings."""
    candidates = asking.by_popularity(train, asking.N_CANDIDATES)
    few, many = (asking.panel_of_trained(train, n) for n in (asking.N_PANEL, N_PANEL_OF_TREE))
    return {
        BASELINE: Questions.in_order(candidates),
        "Popularity x entropy": Questions.in_order(asking.by_popularity_and_entropy(train, N_QUESTIONS)),
        "Popular and unlike": Questions.in_order(asking.by_unlikeness(train, N_QUESTIONS)),
        "Expected gain": Questions.in_order(asking.by_expected_gain(model, few, candidates, N_QUESTIONS)),
        "Tree of questions": asking.tree_of_questions(model, many, candidates, N_QUESTIONS),
    }


def simulated(dataset: Dataset, model: Recommender, n_draws: int) -> pd.DataFrame:
    """Return a row for each draw, strategy, number of questions and user: `ndcg`, and how many films were `seen`."""
    frames = []
    for seed in tqdm(range(n_draws), "draws", disable=None):
        split = NewUsers(test=0.3, n_known=0, found_after=0, seed=seed)(dataset)
        model.fit(split.train)
        panel = Panel.draw(split.test.ratings, seed)
        for name, questions in strategies(model, split.train).items():
            quality, n_seen = asking.simulate(model, panel, questions, N_QUESTIONS)
            asked, users = np.indices(quality.shape)
            columns = {"questions": asked.ravel(), "user": panel.users[users.ravel()]}
            columns |= {"ndcg": quality.ravel(), "seen": n_seen.ravel()}
            frames.append(pd.DataFrame({"draw": seed, "strategy": name} | columns))
    return pd.concat(frames, ignore_index=True)


def table_of(rows: pd.DataFrame) -> pd.DataFrame:
    """Average over the users of a draw, then over draws, with the interval of the difference from popularity."""
    lines = []
    for (strategy, n), own in rows.groupby(["strategy", "questions"], sort=False):
        of_baseline = by_draw(rows[(rows["strategy"] == BASELINE) & (rows["questions"] == n)])
        found = None if strategy == BASELINE else compare(by_draw(own), of_baseline)
        difference = Interval(0.0, np.nan, np.nan) if found is None else found.interval
        lines.append(
            {
                "strategy": strategy,
                "questions": n,
                "users": own["user"].nunique(),
                "ndcg": split_means(by_draw(own)).mean(),
                "seen": own.groupby("draw")["seen"].mean().mean(),
                "above_popularity": difference.mean,
                "low": difference.low,
                "high": difference.high,
            }
        )
    return pd.DataFrame(lines)


def by_draw(rows: pd.DataFrame) -> UserMetrics:
    """Return NDCG of each user by draw of users; nothing else is drawn at random."""
    return {(0, str(draw)): own.set_index("user")["ndcg"] for draw, own in rows.groupby("draw")}


def markdown(table: pd.DataFrame) -> str:
    """Return the table: NDCG@10 after some questions, and the difference from popularity with its interval."""
    heads = [f"{n} question{'s' * (n > 1)}" for n in REPORTED]
    rows = ["| NDCG@10 after | " + " | ".join(heads) + " | seen of 10 |", "| --- |" + " --- |" * (len(heads) + 1)]
    for strategy, lines in table.groupby("strategy", sort=False):
        by_number = lines.set_index("questions")
        cells = []
        for n in REPORTED:
            line = by_number.loc[n]
            difference = f" {line['above_popularity']:+.4f} [{line['low']:+.4f}, {line['high']:+.4f}]"
            cells.append(f"{line['ndcg']:.4f}" + ("" if np.isnan(line["low"]) else difference))
        rows.append("| " + " | ".join([str(strategy), *cells, f"{by_number.loc[N_QUESTIONS, 'seen']:.1f}"]) + " |")
    return "\n".join(rows) + "\n"


def draw(table: pd.DataFrame, name: str) -> None:
    """Plot NDCG by number of questions; bands are the intervals of the difference from popularity."""
    with figures.style():
        figure, axes = figures.subplots(3.4, grid="y")
        for (strategy, lines), colour in zip(table.groupby("strategy", sort=False), figures.COLOURS, strict=False):
            axes.plot(lines["questions"], lines["ndcg"], "o-", color=colour, label=strategy, ms=3, lw=1.5)
            baseline = lines["ndcg"] - lines["above_popularity"]
            axes.fill_between(
                lines["questions"], baseline + lines["low"], baseline + lines["high"], color=colour, alpha=0.15, lw=0
            )
        axes.set_xlabel("questions")
        axes.set_ylabel("NDCG@10")
        axes.legend(frameon=False, fontsize=9)
        figures.save(figure, OUT, name, "Lists after questions to new users", name)


def main() -> None:
    """Simulate, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="ml-100k", help="a config of configs/data")
    parser.add_argument("--path", help="folder of a release that must be given")
    parser.add_argument("--draws", type=int, default=5, help="random draws of users")
    arguments = parser.parse_args()
    path = [] if arguments.path is None else [f"data.path={arguments.path}"]
    cfg = compose("train", [f"data={arguments.data}", "model=ease_newcomers", *path])
    table = table_of(simulated(prepared_data(cfg).dataset, instantiate(cfg.model), arguments.draws))
    OUT.mkdir(exist_ok=True)
    text = table.to_csv(index=False, float_format="%.6f")
    write_text(OUT / f"{arguments.data}.csv", text)
    write_text(OUT / f"{arguments.data}.md", markdown(table))
    draw(table, arguments.data)
    print(markdown(table))


if __name__ == "__main__":
    main()
