"""Digests of what identifies a run: the settings and the code that determine its results, and the ids in its data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from recsys.data.dataset import Dataset
from recsys.dotted import flatten
from recsys.files import digest_of, package_files
from recsys.places import PACKAGE, TRAIN

DECISIVE = ("data", "metrics", "models", "evaluation")  # packages whose code, with train.py, determines results

# Modules that training imports but that do not affect its results -> what they do.
NOT_DECISIVE_CODE = {
    "recsys": "imports parts of the library",
    "recsys.analysis": "describes models that are trained already",
    "recsys.config": "passes settings on, which are part of a run's identity",
    "recsys.counted": "names numbers",
    "recsys.dotted": "names settings",
    "recsys.errors": "is an exception",
    "recsys.extras": "names packages to install",
    "recsys.files": "writes files atomically",
    "recsys.interruption": "ends processes",
    "recsys.invocation": "names commands",
    "recsys.named_arguments": "words errors",
    "recsys.places": "says where files are",
    "recsys.renamed": "maps former names",
    "recsys.signatures": "checks settings",
    "recsys.studies": "stores and shows figures",
    "recsys.progress": "prints",
    "recsys.progress_bar": "prints",
    "recsys.terminal": "prints",
}

# Settings that do not affect results.
NOT_DECISIVE = (
    "run_dir",
    "cache_dir",
    "resume",
    "engine",
    "logger",
    "label",
    "study",
    "optimized_metric",
    "n_ratings",
    "pruning",
    "data.path",
    "metadata.path",
)


# Groups of settings whose classes do not affect results.
NOT_DECISIVE_CLASSES = ("trainer", "logger", "pruning", "engine", "hydra")


def identity(config: Mapping[str, Any]) -> str:
    """Return a digest, 16 hexadecimal digits, of the settings that determine the results of a run.

    Settings in `NOT_DECISIVE` do not count. Among them are the paths of data, since the run's manifest has fingerprints
    of the data. A top-level setting that is null, false or 0 counts as missing, so that runs of earlier versions keep
    their identity when a new version adds a switch that is off by default.
    """
    decisive = {
        name: value
        for name, value in flatten(config).items()
        if not (value in (None, False) and "." not in name)
        and not any(name == other or name.startswith(f"{other}.") for other in NOT_DECISIVE)
    }
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:16]


def id_digests(dataset: Dataset) -> dict[str, str]:
    """Return digests of the raw ids of users and of items, under the keys `users` and `items`.

    Each digest is the SHA-256, in hexadecimal, of the JSON list of the ids as text, in the order of the integer codes
    that the data set gives them.
    """
    ids = {"users": dataset.user_frame["user_id"], "items": dataset.item_frame["movie_id"]}
    return {
        name: hashlib.sha256(json.dumps(raw.astype(str).tolist()).encode()).hexdigest() for name, raw in ids.items()
    }


def code_digest(config: Mapping[str, Any]) -> str:
    """Return a digest, 16 hexadecimal digits, of the code that determines the metrics of a run.

    This is the code of the packages in `DECISIVE`, of train.py, and of each package outside this project whose classes
    the config names, such as the package of a user's own model. Classes that the config names in the groups
    `NOT_DECISIVE_CLASSES` do not count.
    """
    targets = {name: value for name, value in flatten(config).items() if name.endswith("_target_")}
    decisive = {str(value) for name, value in targets.items() if name.partition(".")[0] not in NOT_DECISIVE_CLASSES}
    others = sorted({target.partition(".")[0] for target in decisive} - {PACKAGE.name})
    if not others:
        return _own_code_digest()
    of_others = digest_of([file for package in others for file in package_files(package)])
    return hashlib.sha256((_own_code_digest() + of_others).encode()).hexdigest()[:16]


@cache
def _own_code_digest() -> str:
    files = [file for name in DECISIVE for file in (PACKAGE / name).rglob("*") if file.suffix in (".py", ".sql")]
    return digest_of([*sorted(files), TRAIN])[:16]
