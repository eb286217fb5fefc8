"""The base class of fitted objects that models are composed of, and that store what they learn as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import numpy as np


class LearnedArrays:
    """Stores what `fit` learns as arrays under the attribute names in `learned`."""

    learned: tuple[str, ...]

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the learned arrays by name."""
        return {name: getattr(self, name) for name in self.learned}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> Self:
        """Set the learned arrays to those that `arrays` returned."""
        for name in self.learned:
            setattr(self, name, arrays[name])
        return self
