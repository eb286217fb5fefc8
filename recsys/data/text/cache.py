"""A cache of encoded documents on disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from recsys.data.text.encoder import Encoder, Vectors
from recsys.files import MADE_AGAIN, as_arrays, digest_of, from_arrays, reading, write_whole
from recsys.places import PACKAGE


def encoded(encoder: Encoder, documents: Sequence[str], cache_dir: Path | None = None) -> Vectors:
    """Fit an encoder to documents and encode the documents, or load the result from the cache.

    Args:
        encoder: the encoder. It is fitted in place, or its learned arrays are restored from the cache; afterwards it
            can encode further documents.
        documents: the documents, for example one per item.
        cache_dir: folder of the cache, or None for no cache. The key of a result covers the documents, the encoder's
            class, settings and weights, and the code of this package.

    Returns:
        The vectors, float32 (n_documents, d), as `Encoder.encode` returns them.

    Raises:
        UserError: the stored result is damaged, or the encoder cannot encode the documents.
    """
    if cache_dir is None:
        return encoder.fit(documents).encode(documents)
    code = digest_of(sorted((PACKAGE / "data" / "text").glob("*.py")))
    decisive = [type(encoder).__name__, asdict(encoder), encoder.weights_digest(), list(documents), code]
    key = hashlib.sha256(json.dumps(decisive).encode()).hexdigest()
    file = cache_dir / "vectors" / f"{type(encoder).__name__}-{key[:16]}.npz"
    if not file.exists():
        vectors = encoder.fit(documents).encode(documents)
        arrays = as_arrays("vectors", vectors) | encoder.arrays()
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, lambda opened: np.savez(opened, allow_pickle=False, **arrays))
    with reading(file, MADE_AGAIN), np.load(file, allow_pickle=False) as stored:
        encoder.restore(stored)
        vectors = from_arrays("vectors", stored)
        if vectors.ndim != 2 or vectors.shape[0] != len(documents):
            raise ValueError(f"vectors must have {len(documents):,} rows")
        return vectors
