import numpy as np
import pytest
from scipy import sparse

from recsys.data.dataset import Dataset
from recsys.data.query import History, Query
from recsys.errors import UserError
from recsys.models import knn
from recsys.models.base import load
from recsys.models.knn import ItemKNN, SearchedRows, UserKNN, bm25, cosine, nearest, tfidf


def slow_similarity(x: np.ndarray, y: np.ndarray, shrinkage: float, alpha: float) -> float:
    return x @ y / ((x @ x) ** alpha * (y @ y) ** (1 - alpha) + shrinkage)


def slow_neighbours(similarities: np.ndarray, k: int) -> np.ndarray:
    largest = np.zeros_like(similarities)
    for row, values in enumerate(similarities):
        best = sorted(range(len(values)), key=lambda other: -values[other])[:k]
        largest[row, best] = values[best]
    return largest


@pytest.fixture
def rows() -> np.ndarray:
    """12 rows of 30 columns whose weights differ, so that no two similarities are equal."""
    rng = np.random.default_rng(0)
    return rng.random((12, 30)) * (rng.random((12, 30)) < 0.4)


@pytest.mark.parametrize(("shrinkage", "alpha"), [(0.0, 0.5), (2.5, 0.5), (1.0, 0.2)])
@pytest.mark.parametrize("block", [1, 60, 1 << 24])
def test_neighbours_are_those_of_a_slow_loop(rows, shrinkage, alpha, block, monkeypatch):
    monkeypatch.setattr(knn, "VALUES_PER_BLOCK", block)
    expected = np.array([[slow_similarity(x, y, shrinkage, alpha) for y in rows] for x in rows])
    np.fill_diagonal(expected, 0.0)
    matrix = sparse.csr_matrix(rows.astype(np.float32))
    found = nearest(matrix, SearchedRows.of(matrix), 4, shrinkage, cosine(alpha), np.arange(12))
    np.testing.assert_allclose(found.toarray(), slow_neighbours(expected, 4), rtol=1e-5)


def test_without_limits_item_knn_sums_cosines(timed: Dataset):
    from sklearn.metrics.pairwise import cosine_similarity

    cosine = cosine_similarity(timed.matrix().T.toarray())
    np.fill_diagonal(cosine, 0.0)
    query = timed.query(np.array([4, 7]))
    scores = ItemKNN(k=40).fit(timed).score(query)
    np.testing.assert_allclose(scores, query.history.matrix(40) @ cosine, rtol=1e-5)


@pytest.mark.parametrize("similarity", ["jaccard", "dice", "tversky"])
def test_without_limits_item_knn_sums_indices_of_overlap(similarity, timed: Dataset):
    from scipy.spatial.distance import dice, jaccard

    raters = timed.matrix().T.toarray() > 0
    by_formula = {
        "jaccard": lambda x, y: 1 - jaccard(x, y),
        "dice": lambda x, y: 1 - dice(x, y),
        "tversky": lambda x, y: (x & y).sum() / ((x & y).sum() + 0.3 * (x & ~y).sum() + 2.0 * (y & ~x).sum()),
    }[similarity]
    similarities = np.array([[by_formula(scored, other) for scored in raters] for other in raters])
    np.fill_diagonal(similarities, 0.0)
    query = timed.query(np.array([4, 7]))
    scores = ItemKNN(k=40, similarity=similarity, own_weight=0.3, other_weight=2.0).fit(timed).score(query)
    np.testing.assert_allclose(scores, query.history.matrix(40) @ similarities, rtol=1e-5)


def test_item_knn_takes_the_neighbours_of_the_scored_item():
    """Item 0 was rated with item 1 only, which is closer to item 2: 1 is a neighbour of 0, but not vice versa."""
    train = Dataset.from_arrays([0, 0, 1, 1, 2, 2, 3, 3], [0, 1, 1, 2, 1, 2, 1, 2])
    model = ItemKNN(k=1).fit(train)
    scores = model.score(Query.of_histories(History.of_items([[0], [1]])))
    assert scores[0, 1] == 0
    assert scores[1, 0] == pytest.approx(0.5)  # 1 / sqrt(1 * 4)


def test_without_limits_user_knn_sums_the_items_of_all_users(timed: Dataset):
    interactions = timed.matrix().toarray()
    given = interactions[7] * (np.arange(40) % 3 > 0)
    similarities = [slow_similarity(given, other, 3.0, 0.3) for other in interactions]
    history = History.of_items([np.flatnonzero(given)])
    scores = UserKNN(k=60, shrinkage=3.0, alpha=0.3).fit(timed).score(Query.of_histories(history))
    np.testing.assert_allclose(scores, [similarities @ interactions], rtol=1e-5)


def test_users_are_not_neighbours_of_themselves(timed: Dataset):
    history = timed.history(np.array([7, 7]))
    known, unknown = UserKNN(k=60).fit(timed).score(Query(np.array([7, -1]), history))
    np.testing.assert_allclose(unknown - known, timed.matrix().toarray()[7], rtol=1e-5, atol=1e-5)


def test_tfidf_is_the_inverse_document_frequency():
    rows = sparse.csr_matrix(np.array([[1, 1, 0], [1, 0, 0], [1, 0, 1]], np.float32))
    counts = np.array([3, 1, 1])
    expected = [[0, np.log(4 / 2), 0], [0, 0, 0], [0, 0, np.log(4 / 2)]]
    np.testing.assert_allclose(tfidf(rows, counts, 3).toarray(), expected, rtol=1e-6)


def test_bm25_is_the_formula_of_its_paper():
    dense = np.array([[1, 1, 0], [1, 0, 0], [1, 1, 1]])
    n_rows, counts, mean_length = 3, dense.sum(axis=0), 2.0
    expected = np.zeros((3, 3))
    for row, column in zip(*dense.nonzero(), strict=True):
        idf = np.log(1 + (n_rows - counts[column] + 0.5) / (counts[column] + 0.5))
        expected[row, column] = idf * 2.2 / (1 + 1.2 * (0.25 + 0.75 * dense[row].sum() / mean_length))
    weighted = bm25(sparse.csr_matrix(dense.astype(np.float32)), counts, n_rows)
    np.testing.assert_allclose(weighted.toarray(), expected, rtol=1e-6)


@pytest.mark.parametrize("model", [ItemKNN, UserKNN])
@pytest.mark.parametrize("weighting", ["tfidf", "bm25"])
def test_weighting_changes_the_order_and_is_saved(model, weighting, timed: Dataset, tmp_path):
    query = timed.query(np.arange(60))
    weighted = model(k=10, weighting=weighting).fit(timed)
    scores = weighted.score(query)
    plain = model(k=10).fit(timed).score(query)
    assert not np.array_equal(scores.argsort(), plain.argsort())
    weighted.save(tmp_path)
    np.testing.assert_array_equal(load(tmp_path).score(query), scores)


def test_neighbours_are_stored_sparsely(timed: Dataset):
    model = ItemKNN(k=3).fit(timed)
    assert sparse.issparse(model.item_weights)
    assert (np.diff(model.item_weights.tocsc().indptr) <= 3).all()


def test_an_unknown_weighting_names_the_known_ones():
    with pytest.raises(UserError, match="must be one of none, tfidf, bm25"):
        ItemKNN(weighting="idf")


def test_neighbours_that_do_not_fit_in_memory_are_an_error(timed: Dataset, monkeypatch):
    monkeypatch.setattr("recsys.models.memory.available_bytes", lambda: 1000)
    with pytest.raises(UserError, match="10 neighbours of each of 40 items would take"):
        ItemKNN(k=10).fit(timed)
