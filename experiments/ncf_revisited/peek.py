"""NeuMF whose epochs are chosen by the test ratings, as the NCF authors' code does, and by validation.

    python experiments/ncf_revisited/peek.py [--seeds 0 1 2] [OVERRIDE ...]

Overrides are those of train.py. A model with epochs chosen by the test learns from training and validation ratings, as
the other one does in its refit. Prints test metrics, mean and standard deviation over seeds.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from recsys.config import compose, instantiate
from recsys.config.measurements import measurement_of
from recsys.config.rules import count_ratings_for_rules
from recsys.config.splits import split_reader
from recsys.config.trainer import lightning
from recsys.data.split import Split
from recsys.models.base import FitContext, Recommender
from recsys.studies import process

METRICS = ("hr@10", "ndcg@10", "hr@10/sampled99", "ndcg@10/sampled99")
NEUMF = ["model=ncf", "model.dropout=0.3", "model.embedding_dropout=0.0", "model.n_negatives=8"]
NEUMF += ["model.lr=0.003", "model.lr_schedule=constant", "model.weight_decay=0.3"]
NEUMF += ["model.max_epochs=40", "model.patience=6"]
NEUMF += ["data=ml-100k", "protocol=full_and_sampled99", "logger=none", "run_dir=null"]


def peeked(model: Recommender, split: Split, context: FitContext) -> Recommender:
    """Train on training and validation ratings, and choose the epoch on the test ratings."""
    return model.fit(split.refit_train, split.test, context)


def honest(model: Recommender, split: Split, context: FitContext) -> Recommender:
    """Choose the epoch on validation ratings, and then train on these too."""
    return model.fit(split.train, split.valid, context).refit(split.refit_train, context)


def main() -> None:
    """Train both ways with each seed, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", metavar="OVERRIDE")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], metavar="N")
    arguments = parser.parse_args()
    print(f"| epochs chosen by | {' | '.join(METRICS)} |\n| --- |{' --- |' * len(METRICS)}")
    for name, fit in (("the test ratings", peeked), ("validation", honest)):
        rows = []
        for seed in arguments.seeds:
            cfg = compose("train", [*NEUMF, *arguments.overrides, f"seed={seed}"])
            count_ratings_for_rules(cfg)
            process.limit_threads(cfg.threads)
            process.fix_randomness(seed)
            split, _ = split_reader(cfg)()
            trainer, _ = lightning(cfg)
            context = FitContext(trainer=trainer, cache_dir=Path(cfg.cache_dir))
            measurement = measurement_of(cfg)
            summary = measurement(fit(instantiate(cfg.model), split, context), split.test).summary
            rows.append([summary[metric] for metric in METRICS])
        means, deviations = np.mean(rows, axis=0), np.std(rows, axis=0, ddof=1 if len(rows) > 1 else 0)
        cells = [f"{mean:.4f} ± {deviation:.4f}" for mean, deviation in zip(means, deviations, strict=True)]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
