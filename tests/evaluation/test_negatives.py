import numpy as np

from recsys.data.dataset import Dataset, Holdout
from recsys.evaluation.negatives import sample_unrated


def test_negatives_are_unrated_distinct_and_as_many_as_requested(holdout):
    sampled = sample_unrated(holdout, 12, seed=0)
    rated = (holdout.known.matrix() + holdout.ratings.matrix()).toarray()[holdout.users]
    assert sampled.shape == (len(holdout.users), 12)
    assert all(len(set(row)) == 12 for row in sampled.tolist())
    assert (np.take_along_axis(rated, sampled.astype(np.int64), axis=1) == 0).all()
    assert (sampled >= 0).all()
    assert (sampled < 40).all()


def test_users_with_too_few_unrated_items_have_them_all(holdout):
    sampled = sample_unrated(holdout, 40, seed=0)
    rated = (holdout.known.matrix() + holdout.ratings.matrix()).toarray()[holdout.users]
    for row, known in zip(sampled, rated, strict=True):
        assert sorted(row[row >= 0]) == np.flatnonzero(known == 0).tolist()


def test_every_unrated_item_is_sampled_equally_often():
    n_users, n = 20_000, 3
    users = np.arange(n_users)
    known = Dataset.from_arrays(np.repeat(users, 2), np.tile([1, 6], n_users), n_items=8)
    sampled = sample_unrated(Holdout(Dataset.from_arrays(users, np.full(n_users, 3), n_items=8), known), n, seed=0)
    counts = np.bincount(sampled.ravel(), minlength=8)
    assert counts[[1, 3, 6]].tolist() == [0, 0, 0]
    assert abs(counts[[0, 2, 4, 5, 7]] - n_users * n / 5).max() < 5 * np.sqrt(n_users * 0.6 * 0.4)


def test_the_sample_depends_on_its_seed_only(holdout):
    np.testing.assert_array_equal(sample_unrated(holdout, 9, seed=0), sample_unrated(holdout, 9, seed=0))
    assert (sample_unrated(holdout, 9, seed=0) != sample_unrated(holdout, 9, seed=1)).any()
