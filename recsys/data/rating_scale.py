"""The values that ratings of a data set can have."""

from __future__ import annotations

import numpy as np

from recsys.data.dataset import Dataset

STEPS = (1.0, 0.5, 0.25, 0.2, 0.1)


def rating_values(dataset: Dataset) -> tuple[float, ...]:
    """Return the values of the rating scale, ascending.

    The step is the largest in `STEPS` of which all ratings are multiples, or 0.5 if there is none.
    """
    low, high = dataset.scale
    in_hundredths = np.rint(100 * np.append(dataset.ratings, low)).astype(int)  # low may be unused
    step = next((step for step in STEPS if not np.any(in_hundredths % (100 * step))), 0.5)
    return tuple(np.arange(low, high + step / 2, step).round(2).tolist())
