"""The option `--store`, which names the store of feedback, and a function that opens this store."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from recsys.data.address import Address
from recsys.errors import UserError
from recsys.files import short
from recsys.studies.runs import read_run

if TYPE_CHECKING:
    from recsys.web.store import Store

VARIABLE = "RECSYS_STORE_URL"
STORES = Path("outputs", "feedback")  # has a store for each data set


def add_store(parser: argparse.ArgumentParser) -> None:
    """Add the option `--store`, the address of the feedback store."""
    parser.add_argument(
        "--store",
        metavar="ADDRESS",
        help="store of feedback: an .sqlite file, postgresql://USER:PASSWORD@HOST/DATABASE, mysql://... (default: the "
        f"value of the environment variable {VARIABLE}, else {STORES / 'DATA.sqlite'})",
    )


def open_store(address: str | None, run: Path, *, create: bool = False) -> Store:
    """Open the store of feedback at an address, and check that it belongs to the data of a run.

    The default address is the value of the environment variable `VARIABLE` or, if that is not set, a SQLite file,
    named after the data of the run, in the folder `STORES`.

    Args:
        address: address of the store, or None for the default.
        run: directory of the run.
        create: whether to create the store if it does not exist.

    Raises:
        UserError: the run cannot be read, or the store cannot be opened or has feedback on data other than the data
            of the run, or it does not exist and `create` is False.
    """
    from recsys.web.rollout import data_name
    from recsys.web.store import Store  # needs an extra; --help does not

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
