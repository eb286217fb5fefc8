"""Locations of the project's files, in a checkout or an installed package, and of the cache."""

from __future__ import annotations

import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
IS_CHECKOUT = not (PACKAGE / "train.py").is_file()
PROJECT = PACKAGE.parent if IS_CHECKOUT else PACKAGE  # an installed package contains the files at a checkout's top
CONFIGS = PROJECT / "configs"
TRAIN = PROJECT / "train.py"


def default_cache() -> str:
    """Return the default path of the cache, the folder of downloads and clean tables.

    This is the value of the environment variable `RECSYS_CACHE`, if it is set. Otherwise it is `cache` in the working
    directory for a checkout, or the user's cache folder for an installed package.
    """
    if named := os.environ.get("RECSYS_CACHE"):
        return named
    if IS_CHECKOUT:
        return "cache"
    import pooch  # imported here because it takes longer than most commands

    return str(pooch.os_cache("recsys"))
