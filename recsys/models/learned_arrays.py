"""The base class of the parts of a model that learn arrays, such as its segmentation of users.

A model stores the arrays of its parts in one dictionary, with the name of the part as a prefix.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from recsys.files import as_arrays, from_arrays


class LearnedArrays:
    """Base class of a part of a model; its `fit` stores arrays or CSR matrices as the attributes named in `learned`."""

    learned: tuple[str, ...]

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the learned arrays by name, without copying them.

        A CSR matrix `NAME` is returned as four arrays: `NAME.data`, `NAME.indices`, `NAME.indptr` and `NAME.shape`.
        """
        return {key: array for name in self.learned for key, array in as_arrays(name, getattr(self, name)).items()}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> Self:
        """Set the attributes named in `learned` from the result of `arrays`, and return the object itself."""
        for name in self.learned:
            setattr(self, name, from_arrays(name, arrays))
        return self


def prefixed(parts: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return the arrays of all parts of a model in one dictionary, with keys of the form `PART.ARRAY`.

    Args:
        parts: the parts by name, each with a method `arrays`.
    """
    return {f"{name}.{key}": array for name, part in parts.items() for key, array in part.arrays().items()}


def without_prefix(name: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the arrays of the part called `name` from the result of `prefixed`, without the prefix in their keys."""
    prefix = f"{name}."
    return {key.removeprefix(prefix): array for key, array in arrays.items() if key.startswith(prefix)}
