"""The store of feedback that a command names."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from recsys.data.address import Address
from recsys.errors import UserError
from recsys.files import short
from recsys.studies.runs import read_run
from recsys.web.rollout import data_name
from recsys.web.store import Store

VARIABLE = "RECSYS_STORE_URL"
STORES = Path("outputs", "feedback")  # has a store for each data set


def add_store(parser: argparse.ArgumentParser) -> None:
    """Add the address of the store."""
    parser.add_argument(
        "--store",
        metavar="ADDRESS",
        help="of feedback: an .sqlite file, postgresql://USER:PASSWORD@HOST/DATABASE, mysql://... (default: the value "
        f"of the environment variable {VARIABLE}, else {STORES / 'DATA.sqlite'})",
    )


def open_store(address: str | None, run: Path, *, create: bool = False) -> Store:
    """Open the store at an address, of the environment variable, or of the data set of a run.

    Raises:
        UserError: there is none, or it has feedback on other data.
    """
    data = data_name(read_run(run))
    text = address or os.environ.get(VARIABLE)
    if create and not text:
        STORES.mkdir(parents=True, exist_ok=True)
    store = Store.open(Address.parse(text or str(STORES / f"{data}.sqlite")), make=create)
    if (other := store.data()) not in (None, data):
        raise UserError(
            f"{store.address} has feedback on {other}, and {short(run)} was trained on {data}: name another --store."
        )
    return store
