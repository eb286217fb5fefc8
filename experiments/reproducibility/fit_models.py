"""Train and test models one after another in this process, and store what repeat.py compares.

    python experiments/reproducibility/fit_models.py FOLDER THREADS MODEL [MODEL ...]

`FOLDER/MODEL/` gets `result.json` (metrics with all digits, digests, versions and hardware) and `arrays.npz` (scores
and lists). A model whose `result.json` is of the same code, settings, versions and threads is not trained again. A
model that cannot be trained has the reason in its `result.json`, and is tried again by the next command.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig, OmegaConf
from threadpoolctl import threadpool_info
from tqdm import tqdm

from recsys.config import compose, instantiate
from recsys.config.measurements import measurement_of
from recsys.config.rules import count_ratings_for_rules
from recsys.config.splits import prepared_data
from recsys.data.dataset import Holdout
from recsys.data.query import Pairs
from recsys.data.split import Split
from recsys.files import write_text, write_whole
from recsys.models.base import FitContext, Recommender
from recsys.studies import process
from recsys.studies.identity import code_digest
from recsys.studies.provenance import circumstances

N_EPOCHS = 2  # at most: the first steps show what repeats
SWEEPS = {"n_sweeps": 60, "burn_in": 20, "n_samples": 40}  # of Bayesian MF
FEW = {"max_epochs": N_EPOCHS, "patience": N_EPOCHS}
K = 10
RANKING = ["split=leave_last_out", "protocol=full"]
RATINGS = ["split=folds", "protocol=ratings"]


def config_of(name: str) -> DictConfig:
    """Return the config of a model's run, which predicts ratings if the model does, and else ranks items."""
    common = ["data=ml-100k", "encoder=tfidf", f"ks=[{K}]", f"model={name}"]
    cfg = compose("train", [*common, *RANKING])
    count_ratings_for_rules(cfg)
    if instantiate(cfg.model).predicts_ratings:
        cfg = compose("train", [*common, *RATINGS])
        count_ratings_for_rules(cfg)
    model = OmegaConf.create(shortened(OmegaConf.to_container(cfg.model, resolve=True)))
    OmegaConf.update(cfg, "model", model, merge=False)
    return cfg


def shortened(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a model, and of the models within it, with few epochs or sweeps."""
    few = {
        name: shortened(value) if isinstance(value, Mapping) else min(value, FEW[name]) if name in FEW else value
        for name, value in settings.items()
    }
    return few | SWEEPS if str(few.get("_target_")).endswith(".BayesianMF") else few


def output(model: Recommender, holdout: Holdout) -> np.ndarray:
    """Return the scores of all items for the test queries, (n_queries, n_items), or predictions of the test ratings."""
    rows = np.arange(holdout.n_queries)
    query = holdout.query(rows)
    if model.predicts_ratings:
        return model.predict(Pairs.of_history(query, holdout.relevant(rows)))
    return model.score(query)


def digest(arrays: Mapping[str, np.ndarray]) -> str:
    """Return a digest of the bits of arrays, and of their names, types and shapes."""
    total = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        total.update(f"{name} {array.dtype} {array.shape}".encode() + array.tobytes())
    return total.hexdigest()[:16]


def platform(threads: int) -> dict[str, Any]:
    """Return what may affect digits: versions, processor, the kernels that libraries choose for it, threads."""
    import torch

    found = circumstances(threads)
    hardware = found["hardware"]
    blas = {library["architecture"] for library in threadpool_info() if "architecture" in library}
    return {
        "machine": f"{hardware['processor']}, {hardware['cores']} cores",
        "threads": threads,
        **{name: found["versions"][name] for name in ("python", "torch", "numpy", "scipy", "scikit-learn")},
        "kernels": f"torch {torch.backends.cpu.get_cpu_capability()}, BLAS {', '.join(sorted(blas))}",
    }


def fitted(cfg: DictConfig, split: Split) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Train and test the model of a config as train.py does, without the refit; return results and arrays."""
    process.fix_randomness(cfg.seed)
    started = time.process_time()
    model = instantiate(cfg.model).fit(split.train, split.valid, FitContext())
    scores = output(model, split.test)
    seconds = time.process_time() - started
    tested = measurement_of(cfg)(model, split.test)
    metrics = {f"test/{name}": float(value) for name, value in tested.summary.items()}
    digests = {"weights": digest(model.arrays()), "scores": digest({"": scores}), "lists": digest({"": tested.top})}
    task = "ratings" if model.predicts_ratings else "ranking"
    return {"task": task, **digests, "seconds": seconds, **metrics}, {"scores": scores, "lists": tested.top}


def main() -> None:
    """Train the models of the command line."""
    folder, threads, models = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    import pytorch_lightning  # noqa: F401 - before the threads and seeds of torch are set

    process.limit_threads(threads)
    splits, own = {}, {"code": code_digest({}), **platform(threads)}
    for name in tqdm(models, folder.name, unit=" models", disable=None):
        cfg = config_of(name)
        settings = hashlib.sha256(json.dumps(OmegaConf.to_container(cfg.model), sort_keys=True).encode()).hexdigest()
        key = {"model": name, "settings": settings[:16], **own}
        file = folder / name / "result.json"
        earlier = json.loads(file.read_text()) if file.is_file() else {"failure": "not trained yet"}
        if key.items() <= earlier.items() and "failure" not in earlier:
            continue
        file.parent.mkdir(parents=True, exist_ok=True)
        if cfg.split not in splits:
            splits[cfg.split] = instantiate(cfg.split)(prepared_data(cfg).dataset)
        try:
            results, arrays = fitted(cfg, splits[cfg.split])
        except Exception as error:  # another environment may lack a package
            results, arrays = {"failure": f"{type(error).__name__}: {error}"}, {}
        write_whole(file.with_name("arrays.npz"), lambda opened, arrays=arrays: np.savez(opened, **arrays))
        write_text(file, json.dumps(key | results, indent=1) + "\n")


if __name__ == "__main__":
    main()
