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
    """Encodes documents as vectors of unit length, or as a zero vector if no word of a document is known.

    An encoder is a dataclass of JSON-able settings. Learned arrays are in the attributes that `learned` names.
    """

    learned: ClassVar[tuple[str, ...]] = ()

    def fit(self, documents: Sequence[str]) -> Self:
        """Fit the encoder to documents, if it learns anything from them, and return the encoder.

        Raises:
            UserError: the documents have no word that is frequent enough.
        """
        return self

    @abstractmethod
    def encode(self, documents: Sequence[str]) -> Vectors:
        """Encode documents as float32 (n_documents, d), an array or, if most entries are zero, a CSR matrix.

        Encoders that learn from documents must be fitted, or their arrays restored.
        """

    def weights_digest(self) -> str:
        """Return a digest of the files of weights in a folder that a setting names; "" if no setting names one."""
        return ""

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the learned arrays by name."""
        return {name: getattr(self, name) for name in self.learned}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> Self:
        """Set the learned arrays to those that `arrays` returned, and return the encoder.

        Raises:
            KeyError: an array is missing.
        """
        for name in self.learned:
            setattr(self, name, arrays[name])
        return self
