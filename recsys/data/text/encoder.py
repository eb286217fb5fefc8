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
    """Base class of text encoders: a document becomes a vector of unit length, or zero if none of its words is known.

    An encoder is a dataclass with JSON-able settings. The attribute `learned` lists the names of the attributes that
    contain learned arrays.
    """

    learned: ClassVar[tuple[str, ...]] = ()

    def fit(self, documents: Sequence[str]) -> Self:
        """Fit the encoder to documents, if it is of a kind that learns from them, and return the encoder.

        Raises:
            UserError: no word is frequent enough in the documents.
        """
        return self

    @abstractmethod
    def encode(self, documents: Sequence[str]) -> Vectors:
        """Encode documents as vectors, float32 (n_documents, d): an array or, if most entries are zero, a CSR matrix.

        Encoders that learn from documents must be fitted before, or their arrays restored.
        """

    def weights_digest(self) -> str:
        """Return a digest of the weights in a folder that a setting names; "" if no setting names such a folder."""
        return ""

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the learned arrays, keyed by attribute name."""
        return {name: getattr(self, name) for name in self.learned}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> Self:
        """Set the learned arrays to those that the method `arrays` returned earlier, and return the encoder.

        Raises:
            KeyError: an array is missing.
        """
        for name in self.learned:
            setattr(self, name, arrays[name])
        return self
