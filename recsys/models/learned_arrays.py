"""The base class of fitted parts of models, which store what they learn as arrays, and the names of these arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from recsys.files import as_arrays, from_arrays


class LearnedArrays:
    """Stores what `fit` learns as arrays or CSR matrices under the attribute names in `learned`."""

    learned: tuple[str, ...]

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the learned arrays, not copies, by name; a CSR matrix `name` is four arrays, `name.data` and so on."""
        return {key: array for name in self.learned for key, array in as_arrays(name, getattr(self, name)).items()}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> Self:
        """Set the learned arrays to those that `arrays` returned."""
        for name in self.learned:
            setattr(self, name, from_arrays(name, arrays))
        return self


def prefixed(parts: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return the arrays of the parts of a model, each as `PART.ARRAY`."""
    return {f"{name}.{key}": array for name, part in parts.items() for key, array in part.arrays().items()}


def without_prefix(name: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the arrays of one part, by the names that the part gave them; see `prefixed`."""
    prefix = f"{name}."
    return {key.removeprefix(prefix): array for key, array in arrays.items() if key.startswith(prefix)}
