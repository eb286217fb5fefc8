import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score, mean_absolute_error, ndcg_score, precision_score, recall_score, roc_auc_score
from torchmetrics.functional import retrieval

from recsys.data.dataset import Dataset, History, Holdout
from recsys.evaluation import metrics
from recsys.evaluation.ranking import unseen

N_USERS, N_ITEMS = 40, 30
KS = (1, 3, 10, N_ITEMS)


@pytest.fixture(scope="module")
def scores() -> np.ndarray:
    """Above 0, because torchmetrics takes no other film as found."""
    return np.random.default_rng(0).random((N_USERS, N_ITEMS), dtype=np.float32)


@pytest.fixture(scope="module")
def holdout() -> Holdout:
    """Each user knows 5 films and has 1 to 6 to find."""
    rng = np.random.default_rng(1)
    films = rng.permuted(np.tile(np.arange(N_ITEMS), (N_USERS, 1)), axis=1)
    counts = rng.integers(1, 7, N_USERS)
    users = np.arange(N_USERS)
    known = Dataset.from_arrays(np.repeat(users, 5), films[:, :5].ravel(), n_users=N_USERS, n_items=N_ITEMS)
    to_find = [films[user, 5 : 5 + count] for user, count in enumerate(counts)]
    ratings = Dataset.from_arrays(np.repeat(users, counts), np.concatenate(to_find), n_users=N_USERS, n_items=N_ITEMS)
    return Holdout(ratings, known)


def ranked_rows(scores: np.ndarray, holdout: Holdout) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each user the scores of the films that are ranked, and which of them are relevant, by plain loops."""
    rows = []
    for user in range(N_USERS):
        known = holdout.known.items[holdout.known.users == user]
        relevant = holdout.ratings.items[holdout.ratings.users == user]
        films = np.setdiff1d(np.arange(N_ITEMS), known)
        rows.append((scores[user, films], np.isin(films, relevant)))
    return rows


TORCHMETRICS = {
    "hr": retrieval.retrieval_hit_rate,
    "precision": retrieval.retrieval_precision,
    "recall": retrieval.retrieval_recall,
    "ndcg": retrieval.retrieval_normalized_dcg,
    "mrr": retrieval.retrieval_reciprocal_rank,
}


@pytest.mark.parametrize("name", TORCHMETRICS)
@pytest.mark.parametrize("k", [1, 3, 10])
def test_accuracy_equals_torchmetrics(name, k, scores, holdout):
    measured = metrics.ranking_metrics(scores, holdout.users, holdout, ks=(k,))[f"{name}@{k}"]
    for value, (row, relevant) in zip(measured, ranked_rows(scores, holdout), strict=True):
        expected = TORCHMETRICS[name](torch.from_numpy(row), torch.from_numpy(relevant), top_k=k)
        assert value == pytest.approx(expected.item(), abs=1e-6)


def test_average_precision_of_whole_lists_equals_torchmetrics(scores, holdout):
    measured = metrics.ranking_metrics(scores, holdout.users, holdout, ks=(N_ITEMS,))[f"map@{N_ITEMS}"]
    for value, (row, relevant) in zip(measured, ranked_rows(scores, holdout), strict=True):
        expected = retrieval.retrieval_average_precision(torch.from_numpy(row), torch.from_numpy(relevant))
        assert value == pytest.approx(expected.item(), abs=1e-6)


def test_ndcg_equals_scikit_learn(scores, holdout):
    measured = metrics.ranking_metrics(scores, holdout.users, holdout, ks=(5,))["ndcg@5"]
    expected = [ndcg_score([relevant], [row], k=5) for row, relevant in ranked_rows(scores, holdout)]
    np.testing.assert_allclose(measured, expected)


@pytest.mark.parametrize("decimals", [7, 1, 0], ids=["distinct scores", "ties", "two values"])
def test_auc_equals_scikit_learn(decimals, scores, holdout):
    scores = scores.round(decimals)
    ranked = unseen(scores, holdout.known.history(holdout.users))
    measured = metrics.auc(ranked, holdout.ratings.history(holdout.users))
    expected = [roc_auc_score(relevant, row) for row, relevant in ranked_rows(scores, holdout)]
    np.testing.assert_allclose(measured, expected)


def test_auc_without_other_films_is_one_half():
    ranked = np.array([[1.0, 2.0, -np.inf]], np.float32)
    assert metrics.auc(ranked, History.of_items([[0, 1]])).tolist() == [0.5]


def test_accuracy_worked_by_hand():
    # Relevant films 2, 5 and 9; the list finds film 5 at rank 2 and film 2 at rank 3.
    relevant = History.of_items([[2, 5, 9]])
    ranks = metrics.ranks(np.array([[7, 5, 2, 1]]), relevant)
    assert ranks.tolist() == [3, 2, 0]
    values = metrics.accuracy(ranks, relevant, ks=(1, 2, 4))
    expected = {
        "hr": (0, 1, 1),
        "precision": (0, 1 / 2, 2 / 4),
        "recall": (0, 1 / 3, 2 / 3),
        "f1": (0, 2 / 5, 4 / 7),
        "ndcg": (0, 0.63093 / 1.63093, (0.63093 + 0.5) / 2.13093),
        "mrr": (0, 1 / 2, 1 / 2),
        "map": (0, (1 / 2) / 2, (1 / 2 + 2 / 3) / 3),
    }
    for name, at_k in expected.items():
        assert [values[f"{name}@{k}"].item() for k in (1, 2, 4)] == pytest.approx(at_k, abs=1e-5), name


def test_only_what_is_asked_for_is_measured(scores, holdout):
    measured = metrics.ranking_metrics(scores, holdout.users, holdout, ks=(10,))
    assert set(measured) == {f"{name}@10" for name in metrics.ACCURACY}


def test_metrics_of_some_users_are_those_of_all(scores, holdout):
    users = np.array([31, 4, 17])
    some = metrics.ranking_metrics(scores[users], users, holdout, KS)
    everybody = metrics.ranking_metrics(scores, holdout.users, holdout, KS)
    for name, values in some.items():
        np.testing.assert_array_equal(values, everybody[name][users])


def test_constant_scores_rank_at_chance():
    n_users, n_items, n_known = 20_000, 50, 10
    users = np.arange(n_users)
    films = np.random.default_rng(0).permuted(np.tile(np.arange(n_items), (n_users, 1)), axis=1)
    known = Dataset.from_arrays(np.repeat(users, n_known), films[:, :n_known].ravel(), n_items=n_items)
    holdout = Holdout(Dataset.from_arrays(users, films[:, n_known], n_items=n_items), known)
    scores = np.zeros((n_users, n_items), np.float32)
    measured = metrics.ranking_metrics(scores, users, holdout, ks=(1, 10))
    n_ranked = n_items - n_known
    for k in (1, 10):
        chance = k / n_ranked
        assert abs(measured[f"hr@{k}"].mean() - chance) < 4 * np.sqrt(chance * (1 - chance) / n_users)
    chance = (1 / np.log2(np.arange(2, 12))).sum() / n_ranked
    assert measured["ndcg@10"].mean() == pytest.approx(chance, rel=0.03)
    assert (metrics.auc(unseen(scores, known.history(users)), holdout.ratings.history(users)) == 0.5).all()


LISTS = np.array([[0, 1, 2], [2, 3, -1], [3, -1, -1], [-1, -1, -1]])
COUNTS = np.array([8, 4, 2, 0])


def test_novelty_is_the_mean_self_information():
    # With 8 users the films tell 0, 1, 2 and, rated by nobody and counted as once, 3 bits.
    assert metrics.novelty(LISTS, COUNTS, n_users=8).tolist() == [1.0, 2.5, 3.0, 0.0]


def test_mean_popularity_is_the_mean_number_of_ratings():
    assert metrics.mean_popularity(LISTS, COUNTS).tolist() == [14 / 3, 1.0, 0.0, 0.0]


def test_jaccard_diversity_worked_by_hand():
    genres = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 1], [0, 0, 0]], np.float32)
    # 0 and 1 share one of two genres; all other pairs share none.
    assert metrics.jaccard_diversity(LISTS, genres).tolist() == pytest.approx([(0.5 + 1 + 1) / 3, 1.0, 0.0, 0.0])
    assert metrics.jaccard_diversity(np.array([[0, 1]]), genres[[0, 0]]).tolist() == [0.0]


def test_cosine_diversity_worked_by_hand():
    embeddings = np.array([[2, 0], [0, 3], [1, 1], [-1, -1]], np.float32)
    half = 1 - np.sqrt(0.5)
    assert metrics.cosine_diversity(LISTS, embeddings) == pytest.approx([(1 + 2 * half) / 3, 2.0, 0.0, 0.0], abs=1e-6)


@pytest.mark.parametrize(
    ("exposure", "coverage", "gini"),
    [([5, 5, 5, 5], 1.0, 0.0), ([0, 0, 0, 8], 0.25, 0.75), ([1, 3], 1.0, 0.25), ([0, 4, 0, 4], 0.5, 0.5)],
)
def test_coverage_and_gini_worked_by_hand(exposure, coverage, gini):
    assert metrics.coverage(np.array(exposure)) == coverage
    assert metrics.gini(np.array(exposure)) == gini


def test_gini_equals_the_mean_absolute_difference():
    exposure = np.random.default_rng(0).integers(0, 50, 200)
    differences = np.abs(exposure[:, None] - exposure).mean()
    assert metrics.gini(exposure) == pytest.approx(differences / (2 * exposure.mean()))


def test_rating_metrics_equal_scikit_learn():
    rng = np.random.default_rng(0)
    actual, predicted = rng.integers(1, 6, 300).astype(np.float32), rng.uniform(1, 5, 300).astype(np.float32)
    groups = np.repeat([0, 1, 2], [50, 100, 150])
    measured = metrics.rating_metrics(predicted, actual, groups, 3)
    for group in range(3):
        stars, guess = actual[groups == group], predicted[groups == group]
        relevant, called = stars >= 4, guess >= 4
        expected = {
            "rmse": np.sqrt(((stars - guess) ** 2).mean()),
            "mae": mean_absolute_error(stars, guess),
            "precision/relevant": precision_score(relevant, called),
            "recall/relevant": recall_score(relevant, called),
            "f1/relevant": f1_score(relevant, called),
        }
        assert {name: values[group] for name, values in measured.items()} == pytest.approx(expected, rel=1e-5)


def test_rating_metrics_that_are_undefined_are_zero():
    measured = metrics.rating_metrics(np.array([3.0]), np.array([2.0]), np.array([0]), 1)
    assert [measured[name].item() for name in ("precision/relevant", "recall/relevant", "f1/relevant")] == [0, 0, 0]


def test_miscalibration_is_the_divergence_of_genres_worked_by_hand():
    of_films = np.array([[1, 0], [0, 1], [0.5, 0.5], [0, 0]])
    tastes = np.array([[0.5, 0.5], [0.75, 0.25], [1, 0], [1, 0], [0, 0]])
    lists = np.array([[0, 1], [2, 3], [1, -1], [3, -1], [0, 1]])
    smoothed = 0.99 * 0.5 + 0.01 * np.array([0.75, 0.25])
    of_second = 0.75 * np.log(0.75 / smoothed[0]) + 0.25 * np.log(0.25 / smoothed[1])
    missed = np.log(1 / 0.01)
    measured = metrics.miscalibration(lists, tastes, of_films)
    np.testing.assert_allclose(measured, [0, of_second, missed, missed, 0], atol=1e-12)
