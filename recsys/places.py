"""Where the project's own files are, in a checkout or in an installed package, and where downloads go."""

from __future__ import annotations

import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
IS_CHECKOUT = not (PACKAGE / "train.py").is_file()
PROJECT = PACKAGE.parent if IS_CHECKOUT else PACKAGE  # an installed package holds what a checkout has at its top
CONFIGS = PROJECT / "configs"
TRAIN = PROJECT / "train.py"


def default_cache() -> str:
    """Return the folder of downloads and clean tables where no setting names one.

    It is `RECSYS_CACHE`, else `cache` in the working folder of a checkout, and the user's cache folder otherwise.
    """
    if named := os.environ.get("RECSYS_CACHE"):
        return named
    if IS_CHECKOUT:
        return "cache"
    import pooch  # takes longer than most commands need

    return str(pooch.os_cache("recsys"))
