"""The example script in the folder of an export, which recommends items using only onnxruntime and numpy."""

from __future__ import annotations

# The value of each input, by name, as Python source.
INPUTS = {
    "users": "np.array([{user}])",
    "items": "np.array([[-1] * ({length} - len(history)) + history])",
    "times": "np.zeros((1, {length}), np.int64)",
    "plays": "np.ones((1, {length}), np.float32)",
    "moments": "np.array([2**62])",
}
# The comment beside each input, by name.
NOTES = {
    "users": "position in users.csv; -1 is a new user",
    "items": "-1 is padding",
    "times": "Unix times of the ratings in seconds",
    "plays": "how often each was played",
    "moments": "Unix time of the request in seconds; this is after all ratings",
}
HISTORY = "history = [0, 1, 2]  # positions in items.csv, the latest last\n"
MASKED = "scores[history] = -np.inf\n"
UNMASKED = "# The items that the user has rated are not left out.\n"
EXAMPLE = """\
import csv

import numpy as np
import onnxruntime

{history}inputs = {{
{inputs}}}
scores = onnxruntime.InferenceSession("model.onnx").run(["scores"], inputs)[0][0]
{masked}with open("items.csv", encoding="utf-8", newline="") as file:
    items = list(csv.DictReader(file))
for position in np.argsort(-scores)[:10]:
    print(items[position]["id"], items[position]["title"], scores[position])
"""


def example(reads: tuple[str, ...], length: int) -> str:
    """Return the source code of the example for a model with inputs `reads` and histories of `length` columns."""
    has_items = "items" in reads
    user = -1 if has_items else 0
    lines = [f'    "{name}": {INPUTS[name].format(length=length, user=user)},  # {NOTES[name]}\n' for name in reads]
    history, masked = (HISTORY, MASKED) if has_items else ("", UNMASKED)
    return EXAMPLE.format(history=history, inputs="".join(lines), masked=masked)
