"""Lists for all users through the index of a large catalogue; tests/analysis and tests/export have the rest."""

import numpy as np

from recsys.analysis.recommend_to_all import ListMaker, scores_of
from recsys.commands.all_users import indexed_scores
from recsys.models.ials import IALS
from recsys.testing import checkerboard


def test_an_index_lists_the_films_with_the_best_products():
    data = checkerboard(with_dislikes=False)[0]
    model = IALS(embedding_dim=4, n_sweeps=1, prior_strength=0.01).fit(data)
    users = np.arange(data.n_users)
    assert model.falls_back(data.query(users)).any()  # popularity is in their scores, so an index is of no use
    exact, indexed = (
        ListMaker(data, 5, scores).lists(users) for scores in (scores_of(model), indexed_scores(model, data, n_best=5))
    )
    assert indexed["item"].tolist() == exact["item"].tolist()
    np.testing.assert_allclose(indexed["score"], exact["score"], rtol=1e-5)
