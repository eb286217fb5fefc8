"""Item metadata as text documents, and encoders that turn documents into vectors.

The encoders are sentence embeddings, TF-IDF with or without a truncated SVD, and averages of word vectors that are
learned from the documents themselves. All have the interface `Encoder`.
"""

from recsys.data.text.cache import encoded
from recsys.data.text.document import FIELDS, documents
from recsys.data.text.encoder import Encoder, Vectors
from recsys.data.text.factory import ENCODERS, make_encoder
from recsys.data.text.ppmi import PPMIEncoder
from recsys.data.text.sentence import SentenceEncoder
from recsys.data.text.tfidf import TfidfEncoder

__all__ = [
    "ENCODERS",
    "FIELDS",
    "Encoder",
    "PPMIEncoder",
    "SentenceEncoder",
    "TfidfEncoder",
    "Vectors",
    "documents",
    "encoded",
    "make_encoder",
]
