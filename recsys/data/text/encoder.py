"""The interface of text encoders."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from scipy import sparse

Vectors = np.ndarray | sparse.csr_matrix


@dataclass
class Encoder(ABC):
    """Encodes documents as vectors of length 1, or as zero vectors if an encoder knows no word of a document.

    An encoder is a dataclass of JSON-able settings. It stores what it learns as arrays, in the attributes that
    `learned` names.
    """

    learned: ClassVar[tuple[str, ...]] = ()

    def fit(self, documents: Sequence[str]) -> Self:
        """Learn from documents, if there is anything to learn; returns self."""
        return self

    @abstractmethod
    def encode(self, documents: Sequence[str]) -> Vectors:
        """Encode documents: float32 (n_documents, d), either an array or, if most entries are zero, a CSR matrix."""

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the learned arrays by name."""
        return {name: getattr(self, name) for name in self.learned}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> Self:
        """Set the learned arrays to those that `arrays` returned; returns self."""
        for name in self.learned:
            setattr(self, name, arrays[name])
        return self
