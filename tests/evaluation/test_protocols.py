from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from recsys.config import compose, instantiate
from recsys.data.dataset import Holdout
from recsys.data.splitters import LeaveLastOut
from recsys.errors import UserError
from recsys.evaluation.evaluate import check, evaluate
from recsys.evaluation.negatives import sample_unrated
from recsys.evaluation.protocols import FullRanking, SampledNegatives, SeveralProtocols
from tests.evaluation.random_models import RandomRatings, RandomScores, UnscorableModel

KS = (1, 5, 10)


def test_names_carry_the_sample(holdout):
    summary = evaluate(RandomRatings(), holdout, SampledNegatives(n=15), KS).summary
    assert {"ndcg@10/sampled15", "auc/sampled15", "rmse"} <= set(summary)
    assert not {"ndcg@10", "ndcg@10/sampled99"} & set(summary)


def test_held_out_items_are_ranked_among_the_sample_only(holdout):
    model, protocol = RandomScores(), SampledNegatives(n=8, seed=5)
    evaluation = evaluate(model, holdout, protocol, ks=(3,))
    sampled = sample_unrated(holdout, 8, seed=5)
    for row, user in enumerate(holdout.users):
        relevant = holdout.ratings.items[holdout.ratings.users == user]
        pool = np.concatenate([relevant, sampled[row]])
        best = pool[np.argsort(-model.scores[user, pool])][:3]
        assert evaluation.top[row].tolist() == best.tolist()
        assert evaluation.per_user["recall@3/sampled8"][row] == np.isin(best, relevant).sum() / len(relevant)


def test_negatives_of_the_source_replace_the_sample(timed):
    split = LeaveLastOut()(timed)
    own = np.full((60, 4), -1, np.int32)
    own[:, :3] = sample_unrated(split.test, 3, seed=9)
    holdout = Holdout(split.test.ratings, replace(split.test.known, negatives=own))
    evaluation = evaluate(RandomScores(), holdout, SampledNegatives(n=99), ks=(4,))
    assert "hr@4/sampled4" in evaluation.summary
    pools = np.column_stack([own[holdout.users, :3], holdout.ratings.items])
    np.testing.assert_array_equal(np.sort(evaluation.top, axis=1), np.sort(pools, axis=1))


def test_a_k_larger_than_the_sample_is_refused(holdout):
    with pytest.raises(UserError, match=r"ks must be between 1 and 6, .* \(got 10\)"):
        evaluate(UnscorableModel(), holdout, SampledNegatives(n=5), ks=(5, 10))


class CountedScores(RandomScores):
    n_scored = 0

    def _score(self, query):
        self.n_scored += len(query)
        return super()._score(query)


def test_each_of_several_protocols_measures_what_it_measures_alone(holdout):
    full, sampled = FullRanking(), SampledNegatives(n=15)
    both = evaluate(RandomRatings(), holdout, SeveralProtocols({"full": full, "sampled": sampled}), KS)
    alone = [evaluate(RandomRatings(), holdout, each, KS) for each in (full, sampled)]
    assert both.summary == alone[0].summary | alone[1].summary
    for one in alone:
        pd.testing.assert_frame_equal(both.per_user[one.per_user.columns], one.per_user)
        pd.testing.assert_frame_equal(both.slices[one.slices.columns], one.slices)
    np.testing.assert_array_equal(both.top, alone[0].top)


def test_a_user_is_scored_once(holdout):
    model = CountedScores()
    evaluate(model, holdout, SeveralProtocols({"full": FullRanking(), "sampled": SampledNegatives(n=15)}), KS)
    assert model.n_scored == len(holdout.users)


def test_every_k_fits_the_smallest_ranking(holdout):
    several = SeveralProtocols({"full": FullRanking(), "sampled": SampledNegatives(n=5)})
    with pytest.raises(UserError, match=r"ks must be between 1 and 6, .* \(got 10\)"):
        check(UnscorableModel(), (5, 10), holdout, several)


def test_protocols_with_the_same_metric_names_are_refused(holdout):
    several = SeveralProtocols({"one": SampledNegatives(n=15, seed=0), "other": SampledNegatives(n=15, seed=1)})
    with pytest.raises(UserError, match="would have the same names"):
        check(UnscorableModel(), KS, holdout, several)


@pytest.mark.parametrize(("setting", "sentence"), [({"n": 0}, "n must be above zero"), ({"seed": -1}, "seed must be")])
def test_samples_that_cannot_be_drawn_are_refused(setting, sentence):
    with pytest.raises(UserError, match=sentence):
        SampledNegatives(**setting)


def test_config_composes_the_single_protocols():
    cfg = compose("train", ["protocol=full_and_sampled99", "protocol.protocols.sampled99.n=50"])
    assert instantiate(cfg.protocol) == SeveralProtocols({"full": FullRanking(), "sampled99": SampledNegatives(n=50)})
