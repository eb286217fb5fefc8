from dataclasses import replace
from typing import Self

import numpy as np
import pandas as pd
import pytest

from recsys.config import compose, instantiate
from recsys.data.dataset import Dataset, Holdout
from recsys.data.splitters import ColdItems, LeaveLastOut, NewUsers, Ratio
from recsys.errors import UserError
from recsys.evaluation import metrics
from recsys.evaluation.evaluate import FullRanking, SampledNegatives, Several, check, draw_unrated, evaluate
from recsys.models.base import Recommender

KS = (1, 5, 10)


class RandomScores(Recommender):
    """A fixed random score for each user and film."""

    def __init__(self, n_users: int = 60, n_items: int = 40) -> None:
        self.scores = np.random.default_rng(3).standard_normal((n_users, n_items), dtype=np.float32)

    def fit(self, train, valid=None, context=None) -> Self:
        return self

    def score(self, users, history):
        return self.scores[users]


class RandomStars(RandomScores):
    predicts_ratings = True
    scale = np.array([1, 5], np.float32)

    def score(self, users, history):
        return np.clip(3.5 + self.scores[users], 1, 5)


class RandomSpace(RandomScores):
    def user_embeddings(self):
        return np.ones((60, 4), np.float32)

    def item_embeddings(self):
        return np.random.default_rng(4).standard_normal((40, 4), dtype=np.float32)


@pytest.fixture
def described(timed: Dataset) -> Dataset:
    """Ratings with all that slices look at; user 0 has no gender, film 0 neither year nor genres."""
    ages = pd.Categorical(["young", "old"] * 30, categories=["young", "old"], ordered=True)
    genders = [None] + ["F"] * 20 + ["M"] * 39
    years = pd.array([None] + [1950 + film for film in range(1, 40)], dtype="Int16")
    genres = [[]] + [["Drama"], ["Comedy", "Drama"], ["Comedy"]] * 13
    return replace(
        timed,
        user_frame=timed.user_frame.assign(user_id=np.arange(60) + 1000, age_group=ages, gender=genders),
        item_frame=timed.item_frame.assign(year=years, genres=genres),
    )


@pytest.fixture
def holdout(described: Dataset) -> Holdout:
    return Ratio(valid=0.2, test=0.4)(described).test


def test_evaluation_has_a_row_for_each_user_in_order(holdout):
    evaluation = evaluate(RandomScores(), holdout, ks=KS)
    assert evaluation.per_user["user_id"].tolist() == (holdout.users + 1000).tolist()
    assert evaluation.top.shape == (len(holdout.users), 10)


def test_per_user_values_are_those_of_ranking_metrics_and_summary_is_their_mean(holdout):
    model = RandomScores()
    evaluation = evaluate(model, holdout, ks=KS)
    expected = metrics.ranking_metrics(model.scores[holdout.users], holdout.users, holdout, KS)
    for name, values in expected.items():
        np.testing.assert_array_equal(evaluation.per_user[name], values)
        assert evaluation.summary[name] == pytest.approx(values.mean())
    assert evaluation.summary["auc"] == pytest.approx(evaluation.per_user["auc"].mean())


@pytest.mark.parametrize("model", [RandomStars(), RandomSpace()], ids=["stars", "embeddings"])
@pytest.mark.parametrize("protocol", [FullRanking(), SampledNegatives(n=15)], ids=["full", "sampled"])
def test_batches_of_any_size_give_the_same(protocol, model, holdout):
    whole, single = (evaluate(model, holdout, protocol, KS, batch_bytes=size) for size in (2**26, 1))
    pd.testing.assert_frame_equal(whole.per_user, single.per_user)
    pd.testing.assert_frame_equal(whole.slices, single.slices)
    np.testing.assert_array_equal(whole.top, single.top)


def test_films_seen_before_are_never_recommended(holdout):
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
    with pytest.raises(UserError, match="k=10 does not fit the 8 films"):
        evaluate(RandomScores(), holdout, ks=(1, 10))


@pytest.mark.parametrize("protocol", [FullRanking(), SampledNegatives(n=15)], ids=["full", "sampled"])
def test_withheld_films_are_not_ranked(protocol, described):
    holdout = NewUsers(valid=0.1, test=0.3, n_known=1, found_after=9)(described).test
    top = evaluate(RandomScores(), holdout, protocol, ks=(10,)).top
    rated = holdout.unranked.matrix().toarray()[holdout.users]
    rows, places = np.nonzero(top >= 0)
    assert (rated.sum(axis=1) == 9).all()
    assert rated[rows, top[rows, places]].sum() == 0


class Unscorable(RandomScores):
    def score(self, users, history):
        raise AssertionError


@pytest.mark.parametrize("k", [0, 41])
def test_a_k_that_does_not_fit_the_catalogue_is_refused_before_any_scoring(k, holdout):
    with pytest.raises(UserError, match=f"k={k} does not fit the 40 films that are ranked: choose ks from 1 to 40"):
        evaluate(Unscorable(), holdout, ks=(1, k))
    with pytest.raises(UserError, match=f"k={k} "):
        check(Unscorable(), (k,), holdout)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_are_refused_with_the_models_name(value, holdout):
    model = RandomScores()
    model.scores[holdout.users[-1], 7] = value
    with pytest.raises(UserError, match="RandomScores gives scores that are not finite"):
        evaluate(model, holdout, ks=KS)


def test_scores_are_left_as_they_were(holdout):
    model = RandomScores()
    before = model.scores.copy()
    evaluate(model, holdout, ks=KS)
    np.testing.assert_array_equal(model.scores, before)


def test_beyond_accuracy_looks_at_lists_of_ten(holdout):
    evaluation = evaluate(RandomSpace(), holdout, ks=(1, 20))
    top, counts = evaluation.top[:, :10], holdout.known.item_counts
    exposure = np.bincount(top[top >= 0], minlength=40)
    assert evaluation.summary["coverage@10"] == metrics.coverage(exposure)
    assert evaluation.summary["gini@10"] == metrics.gini(exposure)
    n_known_users = len(np.unique(holdout.known.users))
    np.testing.assert_array_equal(evaluation.per_user["novelty@10"], metrics.novelty(top, counts, n_known_users))
    np.testing.assert_array_equal(evaluation.per_user["mean_popularity@10"], metrics.mean_popularity(top, counts))
    for name in ("diversity@10", "embedding_diversity@10"):
        assert evaluation.per_user[name].between(0, 2, inclusive="neither").all()
    assert "embedding_diversity@10" not in evaluate(RandomScores(), holdout, ks=KS).summary


def test_diversity_is_of_the_films_genres(holdout):
    evaluation = evaluate(RandomScores(), holdout, ks=(2,))
    genres = holdout.known.item_frame["genres"]
    for (one, other), value in zip(evaluation.top, evaluation.per_user["diversity@2"], strict=True):
        joint = len(set(genres[one]) | set(genres[other]))
        assert value == pytest.approx(1 - len(set(genres[one]) & set(genres[other])) / max(joint, 1))


def test_errors_of_ratings_are_pooled_over_ratings_in_the_summary(holdout):
    evaluation = evaluate(RandomStars(), holdout, ks=KS)
    users, items, stars = holdout.ratings.users, holdout.ratings.items, holdout.ratings.ratings
    error = RandomStars().score(users, None)[np.arange(len(users)), items] - stars
    assert evaluation.summary["rmse"] == pytest.approx(np.sqrt((error**2).mean()), rel=1e-5)
    of_one = error[users == holdout.users[3]]
    assert evaluation.per_user["rmse"][3] == pytest.approx(np.sqrt((of_one**2).mean()), rel=1e-5)
    assert "rmse" not in evaluate(RandomScores(), holdout, ks=KS).summary


def test_calibration_counts_ratings_by_the_nearest_quarter_star(holdout):
    calibration = evaluate(RandomStars(), holdout, ks=KS).calibration
    found = holdout.ratings
    predicted = RandomStars().score(found.users, None)[np.arange(len(found)), found.items]
    near = abs(predicted - 3.25) < 0.125
    assert calibration["n"].sum() == len(found)
    assert calibration["stars"].is_monotonic_increasing
    row = calibration.set_index("stars").loc[3.25]
    assert row["n"] == near.sum()
    assert row["predicted"] == pytest.approx(predicted[near].mean())
    assert row["actual"] == pytest.approx(found.ratings[near].mean())


def test_calibration_is_empty_where_no_stars_are_predicted(holdout):
    calibration = evaluate(RandomScores(), holdout, ks=KS).calibration
    assert calibration.columns.tolist() == ["stars", "n", "predicted", "actual"]
    assert calibration.empty


class TestSlices:
    def slice(self, evaluation, kind):
        slices = evaluation.slices
        return slices[slices["slice"] == kind].set_index("value")

    def test_users_are_averaged_by_activity_age_and_gender(self, holdout):
        evaluation = evaluate(RandomScores(), holdout, ks=KS)
        person = holdout.known.user_frame.iloc[holdout.users].reset_index(drop=True)
        by_gender = self.slice(evaluation, "gender")
        for gender in ("F", "M"):
            chosen = evaluation.per_user[person["gender"] == gender]
            assert by_gender.loc[gender, "n"] == len(chosen)
            assert by_gender.loc[gender, "ndcg@10"] == pytest.approx(chosen["ndcg@10"].mean())
        assert by_gender.loc["unknown", "n"] == 1
        assert self.slice(evaluation, "age").index.tolist() == ["young", "old"]
        activity = self.slice(evaluation, "activity")
        assert activity["n"].sum() == len(holdout.users)
        sizes = holdout.known.user_counts[holdout.users]
        low, high = map(int, activity.index[0].split("-"))
        chosen = (sizes >= low) & (sizes <= high)
        assert low == sizes.min()
        assert activity["hr@5"].iloc[0] == pytest.approx(evaluation.per_user["hr@5"][chosen].mean())

    def test_held_out_ratings_are_averaged_by_popularity_decade_and_genre(self, holdout):
        evaluation = evaluate(RandomScores(), holdout, ks=KS)
        row = {user: row for row, user in enumerate(holdout.users)}
        found = holdout.ratings
        places = [
            [*evaluation.top[row[user]], item].index(item) for user, item in zip(found.users, found.items, strict=True)
        ]
        pairs = pd.DataFrame({"recall": np.array(places) < 5, "dcg": [1 / np.log2(p + 2) * (p < 5) for p in places]})
        film = found.item_frame
        decade = self.slice(evaluation, "decade")
        of_sixties = pairs[(film["year"] // 10 == 196).fillna(False).to_numpy()[found.items]]
        assert decade.index.tolist() == ["1950s", "1960s", "1970s", "1980s", "unknown"]
        assert decade.loc["1960s", "n"] == len(of_sixties)
        assert decade.loc["1960s", "recall@5"] == pytest.approx(of_sixties["recall"].mean())
        assert decade.loc["1960s", "dcg@5"] == pytest.approx(of_sixties["dcg"].mean())
        genre = self.slice(evaluation, "genre")
        of_comedy = pairs[film["genres"].map(lambda genres: "Comedy" in genres).to_numpy()[found.items]]
        assert set(genre.index) == {"Comedy", "Drama", "unknown"}
        assert genre.loc["Comedy", "n"] == len(of_comedy)
        assert genre.loc["Comedy", "recall@5"] == pytest.approx(of_comedy["recall"].mean())
        assert self.slice(evaluation, "popularity")["n"].sum() == len(found)

    def test_what_the_source_does_not_tell_is_not_sliced_by(self, timed):
        evaluation = evaluate(RandomScores(), LeaveLastOut()(timed).test, ks=KS)
        assert set(evaluation.slices["slice"]) == {"activity", "popularity"}

    def test_films_whose_metadata_is_empty_are_unknown(self, described):
        empty = {"year": pd.array([None] * 40, dtype="Int16"), "genres": [[] for _ in range(40)]}
        bare = replace(described, item_frame=described.item_frame.assign(**empty))
        evaluation = evaluate(RandomScores(), LeaveLastOut()(bare).test, ks=KS)
        assert self.slice(evaluation, "decade")["n"].to_dict() == {"unknown": 60}
        assert self.slice(evaluation, "genre")["n"].to_dict() == {"unknown": 60}
        assert "diversity@10" not in evaluation.summary


class TestSampledNegatives:
    def test_names_carry_the_sample(self, holdout):
        summary = evaluate(RandomStars(), holdout, SampledNegatives(n=15), KS).summary
        assert {"ndcg@10/sampled15", "auc/sampled15", "rmse"} <= set(summary)
        assert not {"ndcg@10", "ndcg@10/sampled99"} & set(summary)

    def test_negatives_are_unrated_distinct_and_as_many_as_asked(self, holdout):
        drawn = draw_unrated(holdout, 12, seed=0)
        rated = (holdout.known.matrix() + holdout.ratings.matrix()).toarray()[holdout.users]
        assert drawn.shape == (len(holdout.users), 12)
        assert all(len(set(row)) == 12 for row in drawn.tolist())
        assert (np.take_along_axis(rated, drawn.astype(np.int64), axis=1) == 0).all()
        assert (drawn >= 0).all()
        assert (drawn < 40).all()

    def test_who_has_too_few_unrated_films_gets_them_all(self, holdout):
        drawn = draw_unrated(holdout, 40, seed=0)
        rated = (holdout.known.matrix() + holdout.ratings.matrix()).toarray()[holdout.users]
        for row, films in zip(drawn, rated, strict=True):
            assert sorted(row[row >= 0]) == np.flatnonzero(films == 0).tolist()

    def test_every_unrated_film_is_drawn_as_often(self):
        n_users, n = 20_000, 3
        users = np.arange(n_users)
        known = Dataset.from_arrays(np.repeat(users, 2), np.tile([1, 6], n_users), n_items=8)
        drawn = draw_unrated(Holdout(Dataset.from_arrays(users, np.full(n_users, 3), n_items=8), known), n, seed=0)
        counts = np.bincount(drawn.ravel(), minlength=8)
        assert counts[[1, 3, 6]].tolist() == [0, 0, 0]
        assert abs(counts[[0, 2, 4, 5, 7]] - n_users * n / 5).max() < 5 * np.sqrt(n_users * 0.6 * 0.4)

    def test_draw_follows_its_seed_alone(self, holdout):
        np.testing.assert_array_equal(draw_unrated(holdout, 9, seed=0), draw_unrated(holdout, 9, seed=0))
        assert (draw_unrated(holdout, 9, seed=0) != draw_unrated(holdout, 9, seed=1)).any()

    def test_held_out_films_are_ranked_among_the_sample_alone(self, holdout):
        model, protocol = RandomScores(), SampledNegatives(n=8, seed=5)
        evaluation = evaluate(model, holdout, protocol, ks=(3,))
        drawn = draw_unrated(holdout, 8, seed=5)
        for row, user in enumerate(holdout.users):
            relevant = holdout.ratings.items[holdout.ratings.users == user]
            pool = np.concatenate([relevant, drawn[row]])
            best = pool[np.argsort(-model.scores[user, pool])][:3]
            assert evaluation.top[row].tolist() == best.tolist()
            assert evaluation.per_user["recall@3/sampled8"][row] == np.isin(best, relevant).sum() / len(relevant)

    def test_the_sources_own_negatives_are_taken(self, timed):
        split = LeaveLastOut()(timed)
        own = np.full((60, 4), -1, np.int32)
        own[:, :3] = draw_unrated(split.test, 3, seed=9)
        holdout = Holdout(split.test.ratings, replace(split.test.known, negatives=own))
        evaluation = evaluate(RandomScores(), holdout, SampledNegatives(n=99), ks=(4,))
        assert "hr@4/sampled4" in evaluation.summary
        pools = np.column_stack([own[holdout.users, :3], holdout.ratings.items])
        np.testing.assert_array_equal(np.sort(evaluation.top, axis=1), np.sort(pools, axis=1))

    def test_a_k_larger_than_the_sample_is_refused(self, holdout):
        with pytest.raises(UserError, match="k=10 does not fit the 6 films"):
            evaluate(Unscorable(), holdout, SampledNegatives(n=5), ks=(5, 10))


class CountedScores(RandomScores):
    asked = 0

    def score(self, users, history):
        self.asked += len(users)
        return super().score(users, history)


class TestSeveralProtocols:
    """`protocol=full_and_sampled99`."""

    def test_each_measures_as_it_does_alone(self, holdout):
        full, sampled = FullRanking(), SampledNegatives(n=15)
        both = evaluate(RandomStars(), holdout, Several({"full": full, "sampled": sampled}), KS)
        alone = [evaluate(RandomStars(), holdout, each, KS) for each in (full, sampled)]
        assert both.summary == alone[0].summary | alone[1].summary
        for one in alone:
            pd.testing.assert_frame_equal(both.per_user[one.per_user.columns], one.per_user)
            pd.testing.assert_frame_equal(both.slices[one.slices.columns], one.slices)
        np.testing.assert_array_equal(both.top, alone[0].top)

    def test_a_user_is_scored_once(self, holdout):
        model = CountedScores()
        evaluate(model, holdout, Several({"full": FullRanking(), "sampled": SampledNegatives(n=15)}), KS)
        assert model.asked == len(holdout.users)

    def test_every_k_fits_the_smallest_ranking(self, holdout):
        several = Several({"full": FullRanking(), "sampled": SampledNegatives(n=5)})
        with pytest.raises(UserError, match="k=10 does not fit the 6 films"):
            check(Unscorable(), (5, 10), holdout, several)

    def test_protocols_whose_metrics_have_one_name_are_refused(self, holdout):
        several = Several({"one": SampledNegatives(n=15, seed=0), "other": SampledNegatives(n=15, seed=1)})
        with pytest.raises(UserError, match="would have the same names"):
            check(Unscorable(), KS, holdout, several)

    def test_config_is_made_of_the_single_ones(self):
        cfg = compose("train", ["protocol=full_and_sampled99", "protocol.protocols.sampled99.n=50"])
        assert instantiate(cfg.protocol) == Several({"full": FullRanking(), "sampled99": SampledNegatives(n=50)})


class TestWithoutARanking:
    """`protocol=ratings`."""

    def test_only_stars_are_measured_and_as_with_a_ranking(self, holdout: Holdout):
        model = RandomStars()
        alone, ranked = evaluate(model, holdout, protocol=None), evaluate(model, holdout, ks=KS)
        assert set(alone.summary) == {"rmse", "mae", "precision/relevant", "recall/relevant", "f1/relevant"}
        assert alone.summary == {name: ranked.summary[name] for name in alone.summary}
        assert alone.top.shape == (len(holdout.users), 0)

    def test_slices_of_films_hold_the_errors_of_their_ratings(self, holdout: Holdout):
        slices = evaluate(RandomStars(), holdout, protocol=None).slices
        of_films = slices[slices["slice"] == "popularity"]
        predicted = np.clip(RandomStars().score(holdout.ratings.users, None), 1, 5)
        errors = predicted[np.arange(len(holdout.ratings)), holdout.ratings.items] - holdout.ratings.ratings
        assert (of_films["mse"] * of_films["n"]).sum() == pytest.approx((errors**2).sum())

    def test_a_model_without_stars_is_refused(self, holdout: Holdout):
        with pytest.raises(UserError, match="RandomScores predicts no ratings"):
            evaluate(RandomScores(), holdout, protocol=None)
