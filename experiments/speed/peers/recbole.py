"""RecBole: Zhao et al., "RecBole: Towards a Unified, Comprehensive and Efficient Framework", CIKM 2021."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import torch
from exchange import Job, run
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.data.interaction import Interaction
from recbole.model.abstract_recommender import GeneralRecommender
from recbole.trainer import Trainer
from recbole.utils import get_model, init_seed

USERS_PER_BATCH = 64
METRICS = ["Hit", "Precision", "Recall", "NDCG", "MRR"]


class Prepared:
    """RecBole's data structures of a job, read from its atomic files."""

    def __init__(self, job: Job, model: str, settings: dict[str, Any]) -> None:
        torch.set_num_threads(1)
        folder = job.folder / "peer"
        folder.mkdir()
        for part in ("train", "valid", "test"):
            rows = np.stack(job.part(part)[:2], axis=1)
            header = "user_id:token\titem_id:token"
            np.savetxt(folder / f"peer.{part}.inter", rows, "%d", "\t", header=header, comments="")
        self.config = Config(
            model,
            "peer",
            config_dict=settings
            | {
                "data_path": str(job.folder),
                "benchmark_filename": ["train", "valid", "test"],
                "load_col": {"inter": ["user_id", "item_id"]},
                "checkpoint_dir": str(job.folder / "saved"),
                "use_gpu": False,
                "seed": job.seed,
                "state": "ERROR",
                "show_progress": False,
                "metrics": METRICS,
                "topk": [10],
                "valid_metric": "NDCG@10",
            },
        )
        init_seed(job.seed, reproducibility=True)
        logging.disable()
        self.dataset = create_dataset(self.config)
        self.train, self.valid, self.test = data_preparation(self.config, self.dataset)
        # RecBole's codes start at 1, in the order of appearance.
        self.users = self.dataset.token2id("user_id", [str(user) for user in range(job.n_users)])
        self.items = self.dataset.token2id("item_id", [str(item) for item in range(job.n_items)])

    @torch.inference_mode()
    def scores(self, model: GeneralRecommender) -> np.ndarray:
        """Return the scores of all pairs, (n_users, n_items), in the codes of the job."""
        model.eval()
        batches = torch.from_numpy(self.users).split(USERS_PER_BATCH)
        scores = np.concatenate([self._scores(model, users) for users in batches])
        model.train()
        return scores

    def _scores(self, model: GeneralRecommender, users: torch.Tensor) -> np.ndarray:
        items = torch.from_numpy(self.items)
        try:
            every = model.full_sort_predict(Interaction({"user_id": users})).reshape(len(users), -1)
            return every[:, items].numpy()
        except NotImplementedError:
            pairs = {"user_id": users.repeat_interleave(len(items)), "item_id": items.repeat(len(users))}
            return model.predict(Interaction(pairs)).reshape(len(users), -1).numpy()


class GivenScores(GeneralRecommender):
    """A model that returns given scores."""

    def __init__(self, config: Config, dataset: Any, scores: torch.Tensor) -> None:
        super().__init__(config, dataset)
        self.scores = scores

    def full_sort_predict(self, interaction: Interaction) -> torch.Tensor:
        """Return rows of the scores."""
        return self.scores[interaction["user_id"]]


def train(job: Job) -> None:
    """Train a model and record its scores after each epoch."""
    settings = dict(job.settings)
    name = settings.pop("model")
    peer = Prepared(job, name, settings | {"eval_step": 0})

    class RecordingTrainer(Trainer):
        def _train_epoch(self, *args: Any, **kwargs: Any) -> Any:
            loss = super()._train_epoch(*args, **kwargs)
            job.record_scores(lambda: peer.scores(self.model))
            return loss

    with job.timed():
        model = get_model(name)(peer.config, peer.train.dataset)
        RecordingTrainer(peer.config, model).fit(peer.train, saved=False, verbose=False)


def solve(job: Job) -> None:
    """Fit a closed-form model, which RecBole does in its constructor."""
    settings = dict(job.settings)
    name = settings.pop("model")
    peer = Prepared(job, name, settings)
    with job.timed():
        model = get_model(name)(peer.config, peer.train.dataset)
        job.record_scores(lambda: peer.scores(model))


def evaluate(job: Job) -> None:
    """Evaluate given scores among all items."""
    peer = Prepared(job, "BPR", {"eval_batch_size": job.settings["batch_size"]})
    scores = torch.full((job.n_users + 1, job.n_items + 1), -torch.inf)
    scores[torch.from_numpy(peer.users)[:, None], torch.from_numpy(peer.items)] = torch.from_numpy(job.data["scores"])
    model = GivenScores(peer.config, peer.dataset, scores)
    trainer = Trainer(peer.config, torch.nn.Linear(1, 1))
    trainer.model = model
    trainer.eval_collector.data_collect(peer.train)
    with job.timed():
        measured = trainer.evaluate(peer.test, load_best_model=False)
    job.metrics = {"ndcg@10": float(measured["ndcg@10"]), "hr@10": float(measured["hit@10"])}


run({"NeuMF": train, "MF-BPR": train, "EASE": solve, "item-KNN": solve, "evaluation": evaluate})
