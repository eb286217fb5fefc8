"""Movie recommendation research: data, models, evaluation and studies behind one interface.

Use as a library (submodules are imported on first use):

    data = recsys.Dataset.from_frame(frame, user="user", item="film", rating="stars", time="time")
    split = recsys.split(data, "leave_last_out")
    model = recsys.models.EASE(l2=300).fit(split.train, split.valid)
    recsys.evaluate(model, split.test, k=10)
    model.recommend(["ann"], k=10)
    model.recommend(liked=["Toy Story", "Heat"], k=10)
    model.similar("Toy Story")
    model.save("ease")
    recsys.serve(recsys.load("ease"))
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recsys import models
    from recsys.for_frames import Dataset, evaluate, load, load_movielens, serve, split

__all__ = ["Dataset", "evaluate", "load", "load_movielens", "models", "serve", "split"]


def __getattr__(name: str) -> Any:
    """Import a name in `__all__` when it is first used as an attribute of the package.

    Raises:
        AttributeError: `name` is not in `__all__`.
    """
    if name not in __all__:
        raise AttributeError(f"module 'recsys' has no attribute {name!r}")
    return import_module("recsys.models") if name == "models" else getattr(import_module("recsys.for_frames"), name)
