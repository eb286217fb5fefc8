"""The layout of an export's folder, with the names of its files.

export.json      inputs, outputs and properties of the model
model.onnx       the model, or model.pt2 for `torch.export`; weights beyond 2 GB are in model.onnx.data
items.csv        position, id and title of each item
users.csv        position and id of each user, where users are an input
embeddings.npz   vectors of users and items, if the model embeds both
data/            the interactions and metadata, in the layout of prepared data
example.py       recommends items, with no other packages than onnxruntime and numpy; written only for ONNX
"""

from __future__ import annotations

from pathlib import Path

DESCRIPTION, ITEMS, USERS, EMBEDDINGS, DATA, EXAMPLE = (
    "export.json",
    "items.csv",
    "users.csv",
    "embeddings.npz",
    "data",
    "example.py",
)
FILES = {"onnx": "model.onnx", "torch": "model.pt2"}  # of the model, by format
OUTPUTS = ("scores", "scores_without_fallback")  # of the model, in order; see the methods of `Scorer`


def is_export(directory: Path) -> bool:
    """Return whether a directory contains an export, that is, whether it has a file `export.json`."""
    return (directory / DESCRIPTION).is_file()
