import json
import sys
from pathlib import Path

import numpy as np
import pytest

from recsys.data.dataset import Dataset
from recsys.data.split import Split
from recsys.data.splitters import LeaveLastOut
from recsys.errors import UserError
from recsys.metrics.accuracy import ranking_metrics
from recsys.models import two_stage
from recsys.models.base import load
from recsys.models.ease import EASE
from recsys.models.two_stage import BoostedTwoStage, ForestTwoStage, LambdaMARTTwoStage, TwoStage, last_ratings

TWO = {
    "markov": {"_target_": "recsys.models.markov.Markov"},
    "ease": {"_target_": "recsys.models.ease.EASE", "l2": 5.0},
}
UNPERSONALISED = {
    "popularity": {"_target_": "recsys.models.popularity.Popularity"},
    "recent": {"_target_": "recsys.models.recent_popularity.RecentPopularity"},
}
LIGHT = {"n_trees": 10, "min_samples_leaf": 5, "n_labels": 2, "n_candidates": 5}


@pytest.fixture(scope="module")
def split() -> Split:
    """Half of the users rate the first half of the items, which are dramas, the others the rest, comedies."""
    rng = np.random.default_rng(0)
    users = np.repeat(np.arange(60), 8)
    items = np.concatenate([rng.permutation(12)[:8] + 12 * (user % 2) for user in range(60)])
    dataset = Dataset.from_arrays(users, items, times=np.arange(480), fingerprint="halves")
    dataset.item_frame["genres"] = [["Drama"]] * 12 + [["Comedy"]] * 12
    return LeaveLastOut()(dataset)


@pytest.fixture(scope="module")
def fitted(split: Split) -> TwoStage:
    return BoostedTwoStage(TWO, **LIGHT).fit(split.train, split.valid)


def ndcg(model, holdout) -> float:
    return ranking_metrics(model.score(holdout.query(np.arange(holdout.n_queries))), holdout, (10,))["ndcg@10"].mean()


def test_labels_are_last_ratings_and_histories_end_before_them():
    train = Dataset.from_arrays([0] * 5 + [1] * 3 + [2], [4, 3, 2, 1, 0, 0, 1, 2, 3], times=np.arange(9))
    labels = last_ratings(train, 2)
    assert labels.ratings.items.tolist() == [1, 0, 2]  # one of three ratings at most, and none of a single one
    histories = labels.query(np.arange(3)).history
    assert [histories.between(row, row + 1).items.tolist() for row in range(3)] == [[4, 3, 2], [4, 3, 2, 1], [0, 1]]
    assert labels.known.items.tolist() == [4, 3, 2, 0, 1, 3]


def test_features_of_labels_come_from_models_that_have_seen_none(split: Split, monkeypatch: pytest.MonkeyPatch):
    described = []

    def record(first_stage, holdout, description):
        described.append((first_stage, holdout))
        return original(first_stage, holdout, description)

    original = two_stage._described
    monkeypatch.setattr(two_stage, "_described", record)
    BoostedTwoStage(TWO, **LIGHT).fit(split.train)
    [(first_stage, labels)] = described
    known = last_ratings(split.train, 2).known
    assert not np.isin(labels.ratings.pairs, known.pairs).any()
    np.testing.assert_array_equal(first_stage.features.popularity, np.log1p(known.item_counts).astype(np.float32))
    np.testing.assert_array_equal(first_stage.models["ease"].item_weights, EASE(l2=5.0).fit(known).item_weights)


@pytest.mark.parametrize("model", [BoostedTwoStage, ForestTwoStage, LambdaMARTTwoStage])
def test_the_second_stage_finds_tastes_that_its_models_cannot(model: type[TwoStage], split: Split):
    if model is LambdaMARTTwoStage:
        pytest.importorskip("lightgbm", exc_type=(ImportError, OSError))
    fitted = model(UNPERSONALISED, **LIGHT | {"n_candidates": 24}).fit(split.train)
    best = max(ndcg(base, split.valid) for base in fitted.base_models.values())
    assert ndcg(fitted, split.valid) > 1.3 * best


def test_candidates_are_unseen_and_score_above_the_others_which_follow_the_first_model(fitted: TwoStage, split: Split):
    query = split.train.query(np.arange(10))
    candidates = fitted._first_stage.candidates(query)
    is_candidate = np.zeros((10, 24), bool)
    is_candidate[candidates.rows, candidates.items] = True
    assert not is_candidate[query.history.rows, query.history.items].any()
    for scores, chosen, first in zip(
        fitted.score(query), is_candidate, fitted.base_models["markov"].score(query), strict=True
    ):
        assert scores[chosen].min() > scores[~chosen].max()
        others = np.argsort(-first[~chosen], kind="stable")
        assert (np.diff(scores[~chosen][others]) <= 0).all()


def test_budgets_limit_the_candidates_of_a_model(split: Split):
    model = BoostedTwoStage(TWO, **LIGHT, budgets={"markov": 1, "ease": 3}).fit(split.train)
    candidates = model._first_stage.candidates(split.train.query(np.arange(10)))
    assert np.bincount(candidates.rows).max() <= 4
    np.testing.assert_array_less(-1e-6, candidates.features["by markov"]["rank"])


def test_the_recall_of_the_candidates_is_reported(fitted: TwoStage, split: Split):
    query = split.valid.query(np.arange(split.valid.n_queries))
    candidates = fitted._first_stage.candidates(query)
    found = split.valid.ratings.items[candidates.rows] == candidates.items
    assert fitted.fit_report.metrics()["train/candidate_recall"] == pytest.approx(found.sum() / len(query))


def test_what_groups_of_features_add_sums_to_the_score(fitted: TwoStage, split: Split):
    query, items = split.train.query(np.array([0])), np.arange(24)
    added = fitted.feature_contributions(query, items)
    is_candidate = added.notna().all(axis=1)
    expected = fitted.score(query)[0, is_candidate]
    np.testing.assert_allclose(added[is_candidate].sum(axis=1) + fitted.trees.mean, expected, rtol=1e-4)
    assert 0 < is_candidate.sum() < 24
    assert list(added) == ["by markov", "by ease", "by all models", "user", "item", "moment", "affinity"]


def test_a_refit_keeps_the_trees_and_refits_the_models(fitted: TwoStage, split: Split):
    refitted = fitted.refit(split.refit_train)
    assert refitted.trees is fitted.trees
    expected = EASE(l2=5.0).fit(split.refit_train).item_weights
    np.testing.assert_array_equal(refitted.base_models["ease"].item_weights, expected)
    assert refitted.features.popularity.sum() > fitted.features.popularity.sum()


@pytest.mark.parametrize("name", ["trees.children", "features.clock", "models.ease.item_weights"])
def test_a_saved_model_without_a_part_is_refused(fitted: TwoStage, tmp_path: Path, name: str):
    fitted.save(tmp_path)
    arrays = {key: array for key, array in fitted.arrays().items() if key != name}
    np.savez(tmp_path / "arrays.npz", allow_pickle=False, **arrays)
    description = json.loads((tmp_path / "model.json").read_text())
    (tmp_path / "model.json").write_text(json.dumps(description | {"arrays": None}))  # as in earlier versions
    with pytest.raises(UserError, match="saved by another version"):
        load(tmp_path)


def test_without_lightgbm_a_lambdamart_says_what_installs_it(split: Split, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    with pytest.raises(UserError, match=r"pip install 'recsys\[lightgbm\]'"):
        LambdaMARTTwoStage(TWO, **LIGHT).fit(split.train)


def test_a_model_cannot_learn_from_users_with_one_rating():
    train = Dataset.from_arrays([0, 1, 2], [0, 1, 2], times=np.arange(3))
    with pytest.raises(UserError, match=r"must find users' last ratings .*\(got none of 0\): raise n_candidates"):
        BoostedTwoStage(TWO).fit(train)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"models": {"ease": TWO["ease"]}}, "at least two models"),
        ({"budgets": {"als": 5}}, r"budgets must name some of markov, ease \(got als\)"),
        ({"budgets": {"ease": 0}}, "ease must be above zero"),
        ({"n_labels": 0}, "n_labels must be above zero"),
        ({"n_negatives": -1}, "n_negatives must be above zero"),
        ({"max_leaf_nodes": 1}, "max_leaf_nodes must be at least 2"),
        ({"seed": -1}, "seed must be a seed"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, sentence: str):
    with pytest.raises(UserError, match=sentence):
        BoostedTwoStage(**{"models": TWO} | settings)
