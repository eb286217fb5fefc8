"""Error messages for users of the library: they name arguments in place of config settings such as `model.l2`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from recsys.errors import UserError

SETTING = re.compile(r"(?<![\w./])(?:data\.(?:(?:\w+_)?columns\.|cleaning\.)?|cleaning\.|split\.|model\.)(\w+)")
ARGUMENTS = {  # most have the same name
    "user_id": "user",
    "movie_id": "item",
    "users_path": "users",
    "films_path": "items",
    "columns": "the names of columns",
    "cleaning": "the arguments",
}
SPLIT = re.compile(r"\bsplit=(?=\w)")
MODEL = re.compile(r"(?<![\w.])model=(?=\w)")
METADATA = re.compile(r"\bmetadata=\w+")
KS = re.compile(r"\bks\b")
FILE = re.compile(r"(?:\S*/)?(ratings|users|items)\.parquet")  # files that data frames are written to


@contextmanager
def naming_arguments() -> Iterator[None]:
    """Replace config settings by function arguments in the message of a `UserError` raised in the `with` block.

    The path of a temporary file is replaced by the argument whose data frame was written to the file.
    """
    try:
        yield
    except UserError as error:
        raise UserError(_translated(str(error))) from error


def _translated(message: str) -> str:
    message = SETTING.sub(lambda setting: ARGUMENTS.get(setting[1], setting[1]), message)
    message = FILE.sub(lambda file: "frame" if file[1] == "ratings" else file[1], message)
    message = KS.sub("k", message)
    message = METADATA.sub("items with metadata", SPLIT.sub("name=", MODEL.sub("", message)))
    return message.replace(" is null ", " is None ")
