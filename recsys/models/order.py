"""A check of training data, for models that read the order of interactions."""

from __future__ import annotations

from recsys.data.dataset import Dataset
from recsys.errors import UserError


def require_order(train: Dataset, model: str) -> None:
    """Check that training interactions have times, so that their order is known.

    Args:
        train: the training interactions.
        model: name of the model, for the error message.

    Raises:
        UserError: the interactions have no times.
    """
    if train.times is None:
        raise UserError(
            f"{model} needs ratings with times, since it learns from their order, but {train.name} has none: set "
            "data.columns.time to the column of times, or to row if the rows of the file are in time order, or "
            "choose a model that ignores order, such as model=ease."
        )
