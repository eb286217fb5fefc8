import numpy as np
import pytest
import torch
from sklearn.metrics import ndcg_score, roc_auc_score
from torchmetrics.functional import retrieval

from recsys.data.dataset import Dataset, Holdout
from recsys.data.query import History
from recsys.metrics.accuracy import ACCURACY, accuracy_metrics, auc, ranking_metrics, ranks_in_lists
from recsys.metrics.ranking import mask_seen

N_USERS, N_ITEMS = 40, 30
KS = (1, 3, 10, N_ITEMS)


@pytest.fixture(scope="module")
def scores() -> np.ndarray:
    """Positive scores, because torchmetrics counts no other items as retrieved."""
    return np.random.default_rng(0).random((N_USERS, N_ITEMS), dtype=np.float32)


@pytest.fixture(scope="module")
def holdout() -> Holdout:
    """Each user has a history of 5 items and 1 to 6 held-out ones."""
    rng = np.random.default_rng(1)
    items = rng.permuted(np.tile(np.arange(N_ITEMS), (N_USERS, 1)), axis=1)
    counts = rng.integers(1, 7, N_USERS)
    users = np.arange(N_USERS)
    known = Dataset.from_arrays(np.repeat(users, 5), items[:, :5].ravel(), n_users=N_USERS, n_items=N_ITEMS)
    held_out = [items[user, 5 : 5 + count] for user, count in enumerate(counts)]
    ratings = Dataset.from_arrays(np.repeat(users, counts), np.concatenate(held_out), n_users=N_USERS, n_items=N_ITEMS)
    return Holdout(ratings, known)


def ranked_rows(scores: np.ndarray, holdout: Holdout) -> list[tuple[np.ndarray, np.ndarray]]:
    """The scores of each user's ranked items and whether they are relevant, by plain loops."""
    rows = []
    for user in range(N_USERS):
        known = holdout.known.items[holdout.known.users == user]
        relevant = holdout.ratings.items[holdout.ratings.users == user]
        items = np.setdiff1d(np.arange(N_ITEMS), known)
        rows.append((scores[user, items], np.isin(items, relevant)))
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
    measured = ranking_metrics(scores, holdout, ks=(k,))[f"{name}@{k}"]
    for value, (row, relevant) in zip(measured, ranked_rows(scores, holdout), strict=True):
        expected = TORCHMETRICS[name](torch.from_numpy(row), torch.from_numpy(relevant), top_k=k)
        assert value == pytest.approx(expected.item(), abs=1e-6)


def test_average_precision_of_whole_lists_equals_torchmetrics(scores, holdout):
    measured = ranking_metrics(scores, holdout, ks=(N_ITEMS,))[f"map@{N_ITEMS}"]
    for value, (row, relevant) in zip(measured, ranked_rows(scores, holdout), strict=True):
        expected = retrieval.retrieval_average_precision(torch.from_numpy(row), torch.from_numpy(relevant))
        assert value == pytest.approx(expected.item(), abs=1e-6)


def test_ndcg_equals_scikit_learn(scores, holdout):
    measured = ranking_metrics(scores, holdout, ks=(5,))["ndcg@5"]
    expected = [ndcg_score([relevant], [row], k=5) for row, relevant in ranked_rows(scores, holdout)]
    np.testing.assert_allclose(measured, expected)


@pytest.mark.parametrize("decimals", [7, 1, 0], ids=["distinct scores", "ties", "two values"])
def test_auc_equals_scikit_learn(decimals, scores, holdout):
    scores = scores.round(decimals)
    ranked = mask_seen(scores, holdout.known.history(holdout.users))
    measured = auc(ranked, holdout.ratings.history(holdout.users))
    expected = [roc_auc_score(relevant, row) for row, relevant in ranked_rows(scores, holdout)]
    np.testing.assert_allclose(measured, expected)


def test_auc_without_other_items_is_one_half():
    ranked = np.array([[1.0, 2.0, -np.inf]], np.float32)
    assert auc(ranked, History.of_items([[0, 1]])).tolist() == [0.5]


def test_accuracy_worked_by_hand():
    # Items 2, 5 and 9 are relevant; the list has item 5 at rank 2 and item 2 at rank 3.
    relevant = History.of_items([[2, 5, 9]])
    ranks = ranks_in_lists(np.array([[7, 5, 2, 1]]), relevant)
    assert ranks.tolist() == [3, 2, 0]
    values = accuracy_metrics(ranks, relevant, ks=(1, 2, 4))
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


def test_only_the_given_ks_are_measured(scores, holdout):
    measured = ranking_metrics(scores, holdout, ks=(10,))
    assert set(measured) == {f"{name}@10" for name in ACCURACY}


def test_metrics_of_some_users_are_those_of_all(scores, holdout):
    users = np.array([31, 4, 17])
    some = ranking_metrics(scores[users], holdout, KS, users)
    all_users = ranking_metrics(scores, holdout, KS)
    for name, values in some.items():
        np.testing.assert_array_equal(values, all_users[name][users])


def test_constant_scores_rank_at_chance():
    n_users, n_items, n_known = 20_000, 50, 10
    users = np.arange(n_users)
    items = np.random.default_rng(0).permuted(np.tile(np.arange(n_items), (n_users, 1)), axis=1)
    known = Dataset.from_arrays(np.repeat(users, n_known), items[:, :n_known].ravel(), n_items=n_items)
    holdout = Holdout(Dataset.from_arrays(users, items[:, n_known], n_items=n_items), known)
    scores = np.zeros((n_users, n_items), np.float32)
    measured = ranking_metrics(scores, holdout, ks=(1, 10))
    n_ranked = n_items - n_known
    for k in (1, 10):
        chance = k / n_ranked
        assert abs(measured[f"hr@{k}"].mean() - chance) < 4 * np.sqrt(chance * (1 - chance) / n_users)
    chance = (1 / np.log2(np.arange(2, 12))).sum() / n_ranked
    assert measured["ndcg@10"].mean() == pytest.approx(chance, rel=0.03)
    assert (auc(mask_seen(scores, known.history(users)), holdout.ratings.history(users)) == 0.5).all()
