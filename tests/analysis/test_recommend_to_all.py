import numpy as np

from recsys.analysis.recommend import recommend_to_all
from recsys.data.dataset import Dataset
from recsys.metrics.ranking import mask_seen, top_k
from recsys.models.ease import EASE


def test_exported_lists_are_those_of_score(timed: Dataset):
    model = EASE(5.0, prior_strength=1.0, popularity_half_life=1e-4).fit(timed)
    lists = recommend_to_all(model, timed, k=5, batch_size=7)
    query = timed.query(np.arange(timed.n_users))
    scores = model.score(query)
    top = top_k(mask_seen(scores, query.history), query.users, 5)
    assert lists["movie_id"].tolist() == top.ravel().tolist()
    np.testing.assert_array_equal(lists["score"], np.take_along_axis(scores, top, axis=1).ravel())
    assert not np.array_equal(scores, model.score_without_fallback(query))
