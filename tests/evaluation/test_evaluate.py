from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from recsys.data.dataset import Dataset, Holdout
from recsys.data.splitters import ColdItems, LeaveOneOut, NewUsers
from recsys.errors import UserError
from recsys.evaluation.evaluate import check, check_metric, evaluate
from recsys.evaluation.protocols import FullRanking, SampledNegatives
from recsys.metrics.accuracy import ranking_metrics
from recsys.metrics.beyond_accuracy import coverage, gini, mean_popularity, novelty
from recsys.models.bias import Bias
from tests.evaluation.random_models import RandomEmbeddings, RandomRatings, RandomScores, UnscorableModel

KS = (1, 5, 10)


def test_evaluation_has_a_row_for_each_user_in_order(holdout):
    evaluation = evaluate(RandomScores(), holdout, ks=KS)
    assert evaluation.per_user["user_id"].tolist() == (holdout.users + 1000).tolist()
    assert evaluation.top.shape == (len(holdout.users), 10)


def test_per_user_values_are_those_of_ranking_metrics_and_summary_is_their_mean(holdout):
    model = RandomScores()
    evaluation = evaluate(model, holdout, ks=KS)
    expected = ranking_metrics(model.scores[holdout.users], holdout, KS)
    for name, values in expected.items():
        np.testing.assert_array_equal(evaluation.per_user[name], values)
        assert evaluation.summary[name] == pytest.approx(values.mean())
    assert evaluation.summary["auc"] == pytest.approx(evaluation.per_user["auc"].mean())


@pytest.mark.parametrize("model", [RandomRatings(), RandomEmbeddings()], ids=["ratings", "embeddings"])
@pytest.mark.parametrize("protocol", [FullRanking(), SampledNegatives(n=15)], ids=["full", "sampled"])
def test_batches_of_any_size_give_the_same(protocol, model, holdout):
    whole, single = (evaluate(model, holdout, protocol, KS, batch_bytes=size) for size in (2**26, 1))
    pd.testing.assert_frame_equal(whole.per_user, single.per_user)
    pd.testing.assert_frame_equal(whole.slices, single.slices)
    np.testing.assert_array_equal(whole.top, single.top)


def test_seen_items_are_never_recommended(holdout):
    top = evaluate(RandomScores(), holdout, ks=(30,)).top
    known = holdout.known.matrix().toarray()[holdout.users]
    rows, places = np.nonzero(top >= 0)
    assert known[rows, top[rows, places]].sum() == 0
    assert ((top >= 0).sum(axis=1) == np.minimum(30, 40 - known.sum(axis=1))).all()


def test_only_candidates_are_ranked(described):
    holdout = ColdItems(valid=0.1, test=0.2)(described).test
    evaluation = evaluate(RandomScores(), holdout, ks=(1, 5))
    assert set(evaluation.top.ravel()) <= set(holdout.candidates)
    assert evaluation.summary["coverage@5"] == 1.0  # of the candidates
    with pytest.raises(UserError, match=r"ks must be between 1 and 8, .* \(got 10\)"):
        evaluate(RandomScores(), holdout, ks=(1, 10))


@pytest.mark.parametrize("protocol", [FullRanking(), SampledNegatives(n=15)], ids=["full", "sampled"])
def test_withheld_items_are_not_ranked(protocol, described):
    holdout = NewUsers(valid=0.1, test=0.3, n_known=1, found_after=9)(described).test
    top = evaluate(RandomScores(), holdout, protocol, ks=(10,)).top
    rated = holdout.unranked.matrix().toarray()[holdout.users]
    rows, places = np.nonzero(top >= 0)
    assert (rated.sum(axis=1) == 9).all()
    assert rated[rows, top[rows, places]].sum() == 0


@pytest.mark.parametrize("k", [0, 41])
def test_a_k_that_does_not_fit_the_catalogue_is_refused_before_any_scoring(k, holdout):
    with pytest.raises(UserError, match=rf"ks must be between 1 and 40, the number .* \(got {k}\)"):
        evaluate(UnscorableModel(), holdout, ks=(1, k))
    with pytest.raises(UserError, match=rf"\(got {k}\)"):
        check(UnscorableModel(), (k,), holdout)
    with pytest.raises(UserError, match=r": set ks=\[1,5\]\.$"):
        check(UnscorableModel(), (1, 5, k), holdout)


def test_an_evaluation_without_list_lengths_is_refused_before_any_scoring(holdout):
    for refused in (lambda: check(UnscorableModel(), (), holdout), lambda: check_metric("ndcg@10", [], FullRanking())):
        with pytest.raises(UserError, match=r"ks must have at least one list length: set ks=\[10\]"):
            refused()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_raise_an_error_with_the_models_name(value, holdout):
    model = RandomScores()
    model.scores[holdout.users[-1], 7] = value
    with pytest.raises(UserError, match="The scores of RandomScores must be finite"):
        evaluate(model, holdout, ks=KS)


@pytest.mark.parametrize("make", [sparse.csr_matrix, lambda scores: scores[:, 1:], lambda scores: scores.tolist()])
def test_scores_that_are_no_array_of_users_and_items_raise_an_error_with_the_models_name(make, holdout, monkeypatch):
    model = RandomScores()
    score = model.score
    monkeypatch.setattr(model, "score", lambda query: make(score(query)))
    with pytest.raises(UserError, match=r"The scores of RandomScores must be a NumPy array of shape \(\d"):
        evaluate(model, holdout, ks=KS)


def test_scores_are_not_changed(holdout):
    model = RandomScores()
    before = model.scores.copy()
    evaluate(model, holdout, ks=KS)
    np.testing.assert_array_equal(model.scores, before)


def test_metrics_beyond_accuracy_measure_lists_of_ten(holdout):
    evaluation = evaluate(RandomEmbeddings(), holdout, ks=(1, 20))
    top, counts = evaluation.top[:, :10], holdout.known.item_counts
    exposure = np.bincount(top[top >= 0], minlength=40)
    assert evaluation.summary["coverage@10"] == coverage(exposure)
    assert evaluation.summary["gini@10"] == gini(exposure)
    n_known_users = len(np.unique(holdout.known.users))
    np.testing.assert_array_equal(evaluation.per_user["novelty@10"], novelty(top, counts, n_known_users))
    np.testing.assert_array_equal(evaluation.per_user["mean_popularity@10"], mean_popularity(top, counts))
    for name in ("diversity@10", "embedding_diversity@10"):
        assert evaluation.per_user[name].between(0, 2, inclusive="neither").all()
    assert "embedding_diversity@10" not in evaluate(RandomScores(), holdout, ks=KS).summary


def test_diversity_is_that_of_the_items_genres(holdout):
    evaluation = evaluate(RandomScores(), holdout, ks=(2,))
    genres = holdout.known.item_frame["genres"]
    for (one, other), value in zip(evaluation.top, evaluation.per_user["diversity@2"], strict=True):
        joint = len(set(genres[one]) | set(genres[other]))
        assert value == pytest.approx(1 - len(set(genres[one]) & set(genres[other])) / max(joint, 1))


def test_errors_of_ratings_are_pooled_over_ratings_in_the_summary(holdout):
    evaluation = evaluate(RandomRatings(), holdout, ks=KS)
    users, items, ratings = holdout.ratings.users, holdout.ratings.items, holdout.ratings.ratings
    error = RandomRatings().scores_of(users)[np.arange(len(users)), items] - ratings
    assert evaluation.summary["rmse"] == pytest.approx(np.sqrt((error**2).mean()), rel=1e-5)
    own = error[users == holdout.users[3]]
    assert evaluation.per_user["rmse"][3] == pytest.approx(np.sqrt((own**2).mean()), rel=1e-5)
    assert "rmse" not in evaluate(RandomScores(), holdout, ks=KS).summary


def test_calibration_bins_predictions_by_the_nearest_quarter(holdout):
    calibration = evaluate(RandomRatings(), holdout, ks=KS).calibration
    held_out = holdout.ratings
    predicted = RandomRatings().scores_of(held_out.users)[np.arange(len(held_out)), held_out.items]
    near = abs(predicted - 3.25) < 0.125
    assert calibration["n"].sum() == len(held_out)
    assert calibration["stars"].is_monotonic_increasing
    row = calibration.set_index("stars").loc[3.25]
    assert row["n"] == near.sum()
    assert row["predicted"] == pytest.approx(predicted[near].mean())
    assert row["actual"] == pytest.approx(held_out.ratings[near].mean())


def test_calibration_is_empty_where_no_ratings_are_predicted(holdout):
    calibration = evaluate(RandomScores(), holdout, ks=KS).calibration
    assert calibration.columns.tolist() == ["stars", "n", "predicted", "actual"]
    assert calibration.empty


class TestRatingPrediction:
    """`protocol=ratings`."""

    def test_predicted_ratings_are_measured_without_a_ranking_as_with_one(self, holdout: Holdout):
        model = RandomRatings()
        alone, ranked = evaluate(model, holdout, protocol=None), evaluate(model, holdout, ks=KS)
        assert set(alone.summary) == {"rmse", "mae", "precision/relevant", "recall/relevant", "f1/relevant"}
        assert alone.summary == {name: ranked.summary[name] for name in alone.summary}
        assert alone.top.shape == (len(holdout.users), 0)

    def test_slices_of_items_average_the_errors_of_their_ratings(self, holdout: Holdout):
        slices = evaluate(RandomRatings(), holdout, protocol=None).slices
        of_items = slices[slices["slice"] == "popularity"]
        predicted = np.clip(RandomRatings().scores_of(holdout.ratings.users), 1, 5)
        errors = predicted[np.arange(len(holdout.ratings)), holdout.ratings.items] - holdout.ratings.ratings
        assert (of_items["mse"] * of_items["n"]).sum() == pytest.approx((errors**2).sum())

    def test_a_model_that_predicts_no_ratings_is_refused(self, holdout: Holdout):
        with pytest.raises(UserError, match="RandomScores predicts no ratings"):
            evaluate(RandomScores(), holdout, protocol=None)


def test_data_without_ratings_have_no_errors_of_predicted_ratings(holdout):
    unrated = replace(holdout, **{part: replace(getattr(holdout, part), scale=(1, 1)) for part in ("known", "ratings")})
    assert "rmse" not in evaluate(Bias().fit(unrated.known), unrated, ks=(10,)).summary
    with pytest.raises(UserError, match=r"protocol=ratings must have data with ratings \(got arrays\)"):
        check(Bias(), (10,), unrated, protocol=None)


def test_users_who_have_rated_all_items_leave_nothing_to_rank():
    users, items = np.divmod(np.arange(60), 6)
    holdout = LeaveOneOut()(Dataset.from_arrays(users, items, np.ones(60), np.arange(60))).test
    with pytest.raises(UserError, match="must have items to choose from"):
        check(Bias(), (1,), holdout)
