import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from recsys.data.dataset import Dataset
from recsys.data.split import Split
from recsys.data.splitters import LeaveLastOut, Ratio
from recsys.errors import UserError
from recsys.metrics.accuracy import ranking_metrics
from recsys.models import ease
from recsys.models.base import FitContext, load
from recsys.models.blend import Blend, reciprocal_ranks, select_with_replacement, standard_scores
from recsys.models.mf import MF

EASE = {"_target_": "recsys.models.ease.EASE", "l2": 5.0}
POPULARITY = {"_target_": "recsys.models.popularity.Popularity"}
TWO = {"ease": EASE, "popularity": POPULARITY}


@pytest.fixture(scope="module")
def split() -> Split:
    """Half of the users rate the first half of the items, the others the rest."""
    rng = np.random.default_rng(0)
    users = np.repeat(np.arange(30), 8)
    items = np.concatenate([rng.permutation(12)[:8] + 12 * (user % 2) for user in range(30)])
    return LeaveLastOut()(Dataset.from_arrays(users, items, times=np.arange(240), fingerprint="halves"))


def ndcg(model, holdout) -> float:
    return ranking_metrics(model.score(holdout.query(np.arange(holdout.n_queries))), holdout, (10,))["ndcg@10"].mean()


def test_reciprocal_ranks_share_the_mean_rank_of_equal_scores():
    expected = [[1 / 61, 1 / 62.5, 1 / 62.5, 1 / 64]]
    np.testing.assert_allclose(reciprocal_ranks(np.array([[9, 2, 2, -1]], np.float32)), expected, rtol=1e-6)


def test_standard_scores_have_mean_zero_and_deviation_one_and_equal_scores_are_zero():
    scores = standard_scores(np.array([[1, 2, 3], [4, 4, 4]], np.float32))
    np.testing.assert_allclose(scores, [[-(1.5**0.5), 0, 1.5**0.5], [0, 0, 0]], rtol=1e-6)


def test_selection_stops_at_the_best_sum_and_may_choose_a_model_twice():
    def nearness_to_two_and_one(total: np.ndarray) -> float:
        return -np.abs(total / total.sum() - np.array([[2, 1, 0]]) / 3).sum()

    counts = select_with_replacement(list(np.eye(3)[:, None]), nearness_to_two_and_one, n_rounds=5)
    np.testing.assert_array_equal(counts, [2, 1, 0])


def test_scores_are_the_weighted_sum_of_comparable_scores(split: Split):
    model = Blend(TWO, weights={"ease": 3, "popularity": 1}).fit(split.train)
    query = split.train.query(np.arange(5))
    by_model = [reciprocal_ranks(base.score(query)) for base in model.base_models.values()]
    np.testing.assert_allclose(model.score(query), 0.75 * by_model[0] + 0.25 * by_model[1], rtol=1e-6)


def test_models_are_scored_one_after_the_other_and_their_scores_are_not_stacked(split: Split, monkeypatch):
    names = [f"popularity {n}" for n in range(6)]
    model = Blend(dict.fromkeys(names, POPULARITY), weights=dict.fromkeys(names, 1)).fit(split.train)
    n_items, query = split.train.n_items, split.train.query(np.zeros(2000, np.int64))
    score = np.ones((2000, n_items), np.float32)
    monkeypatch.setattr(model, "_comparable", lambda base, query: score)
    tracemalloc.start()
    model.score(query)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * score.nbytes  # the sum, the scores that are added, and those added before


def test_weights_chosen_on_validation_are_no_worse_there_than_the_best_model(split: Split):
    model = Blend(TWO).fit(split.train, split.valid)
    assert model.shares.sum() == pytest.approx(1)
    assert ndcg(model, split.valid) >= max(ndcg(base, split.valid) for base in model.base_models.values())


def test_a_refit_keeps_the_weights_and_refits_the_models(split: Split):
    model = Blend(TWO).fit(split.train, split.valid)
    refitted = model.refit(split.refit_train)
    np.testing.assert_array_equal(refitted.shares, model.shares)
    expected = ease.EASE(l2=5.0).fit(split.refit_train).item_weights
    np.testing.assert_array_equal(refitted.base_models["ease"].item_weights, expected)


def run_of_mf(directory: Path, split: Split) -> MF:
    """Fit and refit a model as train.py does, and write the files of its run that a blend reads."""
    model = MF(embedding_dim=4, max_epochs=2).fit(
        split.train, split.valid, FitContext(directory / "checkpoints" / "selection")
    )
    refitted = model.refit(split.refit_train, FitContext(directory / "checkpoints" / "refit"))
    refitted.save(directory / "model")
    (directory / "manifest.json").write_text(json.dumps({"split": {"fingerprint": split.fingerprint}}))
    return refitted


def test_a_run_on_the_same_split_is_not_trained_again(split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    trained = run_of_mf(tmp_path, split)
    monkeypatch.setattr(MF, "_train", lambda *args: pytest.fail("was trained"))
    model = Blend({"mf": str(tmp_path), "ease": EASE}).fit(split.train, split.valid).refit(split.refit_train)
    np.testing.assert_array_equal(model.base_models["mf"].item_embeddings(), trained.item_embeddings())
    assert model.models["mf"]["embedding_dim"] == 4


def test_a_run_on_another_split_gives_its_settings_and_is_trained_again(split: Split, tmp_path: Path):
    run_of_mf(tmp_path, split)
    other = Ratio(valid=0.3)(split.dataset)
    model = Blend({"mf": str(tmp_path), "ease": EASE}).fit(other.train)
    assert model.base_models["mf"].trained_on == other.train.fingerprint


def test_a_saved_blend_scores_as_before(split: Split, tmp_path: Path):
    model = Blend({"mf": {"_target_": "recsys.models.mf.MF", "max_epochs": 1}, "ease": EASE}).fit(split.train)
    model.save(tmp_path)
    query = split.train.query(np.arange(5))
    np.testing.assert_array_equal(load(tmp_path).score(query), model.score(query))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"models": {"ease": EASE}}, "at least two models"),
        (
            {"models": TWO | {"bias": {"_target_": "recsys.models.bias.Bias"}}},
            r"must rank items \(got bias, which",
        ),
        ({"models": TWO, "weights": {"ease": 1}}, "weights must name each of ease, popularity"),
        ({"models": TWO, "weights": {"ease": 1, "popularity": -1}}, "weights must be zero or above"),
        ({"models": TWO, "normalization": "softmax"}, "normalization must be one of"),
        ({"models": TWO | {"mf": "no/run"}}, "directory with a saved model"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, sentence: str):
    with pytest.raises(UserError, match=sentence):
        Blend(**settings)
