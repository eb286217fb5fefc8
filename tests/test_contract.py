"""The contract of every model in configs/model. A new model is tested by having a config."""

from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import DictConfig
from scipy import sparse
from torch._subclasses.fake_tensor import DataDependentOutputException, DynamicOutputShapeException, FakeTensorMode

from recsys.config import compose, instantiate
from recsys.config.loader import CONFIGS
from recsys.data.dataset import Dataset
from recsys.data.query import History, Query
from recsys.errors import UserError
from recsys.export.exported import ExportedModel, load_export
from recsys.export.folder import default_length, description, export
from recsys.export.layout import OUTPUTS
from recsys.export.program import served_graph
from recsys.metrics.ranking import mask_seen, top_k
from recsys.models.als import ALS
from recsys.models.base import HasGraph, Recommender
from recsys.models.bayesian_mf import BayesianMF
from recsys.models.elsa import ELSA
from recsys.models.ensemble import Ensemble
from recsys.models.gru4rec import GRU4Rec
from recsys.models.ials import IALS
from recsys.models.ncf import MLP, NeuMF
from recsys.models.neural import NeuralRecommender
from recsys.models.neural.content import ReadsItemContent
from recsys.models.neural.sampling import Draw, Interactions
from recsys.models.neural.sequences import SequenceRecommender
from recsys.models.popularity import Popularity
from recsys.models.rating_trees import RatingTrees
from recsys.models.rec_vae import RecVAE
from recsys.models.two_stage import TwoStage
from recsys.models.two_tower import TwoTower
from recsys.models.xsimgcl import XSimGCL
from recsys.testing import CHECKS, N_ITEMS, N_USERS, TrainedModel, check_recommender, checkerboard

WEIGHING_HISTORIES = (  # one config of each class; of the deep ones, which share their encoding of histories, two
    "als", "content", "content_knn", "dae", "ease", "gfcf", "ials", "item_knn", "rp3beta", "slim", "tfidf", "two_tower",
    "user_knn",
)  # fmt: skip
CONFIGURED = sorted(path.stem for path in (CONFIGS / "model").glob("*.yaml"))
MODELS = [*CONFIGURED, *(f"{name} by recency" for name in WEIGHING_HISTORIES)]
SMALL_AS_THE_DATA = (  # models that take no more memory than the data do
    "bias", "content", "content_knn", "popularity", "rating_user_knn", "recent_popularity", "segment_popularity",
    "tfidf",
)  # fmt: skip
ROUNDING = 1e-5  # of float32 scores, as a share of a user's largest one
AS_ONNX = ("ncf", "sasrec")  # kinds of graphs; tests of the command export EASE
NO_TASTE = {"check_checkerboard_is_recovered": "gives all users the same list"}
OWN_VECTORS = {"check_histories_are_embedded_as_users_with_them_are": "trained users have weights of their own"}
EXPECTED_FAILED_CHECKS = {
    "popularity": NO_TASTE,
    "recent_popularity": {**NO_TASTE, "check_data_without_times_can_be_learned": "counts the last days"},
    "bias": NO_TASTE,
    "ease_newcomers": {"check_users_without_history_are_ranked_by_popularity": "adds recent popularity"},
    "svd_pp": OWN_VECTORS,
    "two_tower": OWN_VECTORS,
    "two_tower by recency": OWN_VECTORS,
}
# The contrast is between the distinct users and items of a batch, whose number depends on values.
WAITING = {"xsimgcl"}


@cache
def configs() -> DictConfig:
    """The config of a run with those of all models in `models`, which are composed together."""
    models = [f"+model@models.{name}={name}" for name in CONFIGURED]
    return compose("train", ["encoder=tfidf", "encoder.n_components=4", *models])


def untrained(name: str, seed: int) -> Recommender:
    """Return a model of its config, except for settings that suit a data set of a few hundred ratings."""
    config, _, by_recency = name.partition(" by ")
    cfg = configs()
    cfg.seed = seed
    model = instantiate(cfg.models[config])
    small = {"half_life": 3.0} if by_recency else {}
    if getattr(model, "prior_strength", 0.0):
        small |= {"prior_strength": 0.01}  # all histories are short
    if isinstance(model, ALS):
        small |= {"embedding_dim": 16, "l2": 10.0}
    if isinstance(model, IALS):
        small |= {"unobserved_weight": 0.3, "l2": 0.007}
    if isinstance(model, NeuralRecommender):
        batch_size = 16 if model.objectives[model.loss].scores_catalogue else 128
        small |= {"batch_size": batch_size, "lr": 0.04, "max_epochs": 8, "weight_decay": 0.0}
    if isinstance(model, NeuMF | MLP) and not model.objectives[model.loss].scores_catalogue:
        small |= {"batch_size": 256}
    if isinstance(model, SequenceRecommender):
        small |= {"embedding_dim": 16, "batch_size": 16, "n_negatives": 16}
    if isinstance(model, ELSA):
        small |= {"embedding_dim": 16}
    if isinstance(model, RecVAE):
        small |= {"hidden_dim": 16, "latent_dim": 8, "encoder_passes": 1, "lr": 0.03}
    if isinstance(model, GRU4Rec):
        small |= {"hidden_dim": 16}
    if isinstance(model, XSimGCL):
        small |= {
            "lr": 0.01
        }  # in few epochs, scores on which a rating of a new user, in the same graph, has little effect
    if isinstance(model, BayesianMF):
        small = {"n_sweeps": 60, "burn_in": 20, "n_samples": 40}
    if isinstance(model, RatingTrees):
        base_models = {name: model.models[name] for name in ("bias", "item_knn")}
        small = {"models": base_models, "n_trees": 20, "min_samples_leaf": 5, "n_folds": 2, "n_segments": 2}
    if isinstance(model, Ensemble):
        small = {
            "models": {
                "markov": {"_target_": "recsys.models.markov.Markov"},
                "ease": {"_target_": "recsys.models.ease.EASE"},
            }
        }
    if isinstance(model, TwoStage):
        small |= {"n_trees": 30, "min_samples_leaf": 5, "n_labels": 3}
    return type(model)(**{**model.hyperparameters(), **small})


@pytest.fixture(scope="module", params=MODELS)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def trained(name: str) -> TrainedModel:
    if name == "two_stage_lambdamart":
        pytest.importorskip("lightgbm", exc_type=(ImportError, OSError))
    return TrainedModel(partial(untrained, name))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
def test_model(check, trained: TrainedModel, name: str):
    reason = EXPECTED_FAILED_CHECKS.get(name, {}).get(check.__name__)
    if reason:
        pytest.skip(reason)
    check(trained)


def test_its_graph_scores_all_users_as_the_model(trained: TrainedModel):
    model, data = trained.model, trained.given
    if not isinstance(model, HasGraph):
        with pytest.raises(UserError, match="a graph of tensor operations"):
            served_graph(model, data, 1)
        return
    length = default_length(model, data)
    graph = served_graph(model, data, length)

    def compute(output, inputs):
        with torch.no_grad():
            return graph(*map(torch.from_numpy, inputs.values()))[OUTPUTS.index(output)].numpy()

    check_scores_are_equal(ExportedModel(description(model, data, "torch", graph.reads, length), compute), trained)


@pytest.mark.parametrize("name", AS_ONNX, indirect=True, scope="module")
def test_its_file_scores_all_users_as_the_model(trained: TrainedModel, tmp_path: Path):
    pytest.importorskip("onnxscript")
    export(trained.model, trained.given, tmp_path / "export")
    check_scores_are_equal(load_export(tmp_path / "export"), trained)


def check_scores_are_equal(exported: ExportedModel, trained: TrainedModel) -> None:
    """Compare scores and the ten best items, of users with histories of all lengths if new users are scored."""
    queries = [trained.valid.query(np.arange(trained.valid.n_queries)), trained.query]
    if exported.scores_new_users:
        histories = trained.train.histories()
        queries += [Query(np.full(len(histories), -1), histories.latest(n)) for n in (0, 1, 5)]
    for query in queries:
        scores, expected = exported.score(query), trained.model.score(query)
        np.testing.assert_allclose(scores, expected, atol=1e-4)
        check_lists_are_equal(scores, expected, query)
        np.testing.assert_allclose(
            exported.score_without_fallback(query), trained.model.score_without_fallback(query), atol=1e-4
        )


def check_lists_are_equal(scores: np.ndarray, expected: np.ndarray, query: Query) -> None:
    """Compare the ten best items; two of them may change places if their expected scores are equal but for rounding."""
    listed, wanted = (top_k(mask_seen(ranked, query.history), query.users, 10) for ranked in (scores, expected))
    np.testing.assert_array_equal(listed < 0, wanted < 0)
    gaps = np.abs(np.take_along_axis(expected, listed, axis=1) - np.take_along_axis(expected, wanted, axis=1))
    assert (gaps <= ROUNDING * np.abs(expected).max(axis=1, keepdims=True)).all()


@pytest.mark.parametrize(("better", "are_equal"), [(1.0, True), (1.0 + 1e-7, True), (1.001, False)])
def test_lists_are_equal_if_only_rounding_orders_their_items(better: float, are_equal: bool):
    expected = np.arange(N_ITEMS, dtype=np.float32)[None] / N_ITEMS
    expected[0, 3:5] = 1.0, better
    scores = expected.copy()
    scores[0, 3:5] = better, 1.0
    query = Query(np.array([0]), History.of_items([[0, 1]]))
    if are_equal:
        check_lists_are_equal(scores, expected, query)
    else:
        with pytest.raises(AssertionError):
            check_lists_are_equal(scores, expected, query)


@pytest.mark.parametrize("model", [name for name in CONFIGURED if name not in SMALL_AS_THE_DATA])
def test_what_does_not_fit_in_memory_is_refused_before_work_starts(model: str, monkeypatch):
    monkeypatch.setattr("recsys.models.memory.available_bytes", lambda: 1000)
    with pytest.raises(UserError, match="of memory, but only"):
        untrained(model, 0).fit(checkerboard(with_dislikes=False)[0])


def step_waits(model: NeuralRecommender, train: Dataset) -> bool:
    """Return whether a step on a GPU would wait for it: whether it computes what depends on the values of a tensor.

    Also check that the module stores no tensor but parameters and buffers, which move to a device with it.
    """
    if isinstance(model, ReadsItemContent):
        model.content.fit(train, None, None)
    if isinstance(model, TwoTower):
        model.user_facts = sparse.csr_matrix((train.n_users + 1, 1))
    objective, interactions = model.objective(), Interactions(train, torch.device("cpu"))
    module = model.build(train.n_users, train.n_items, objective=objective)
    module.bind(train)
    objective.bind(interactions)
    batch = next(iter(objective.epoch(interactions, Draw(model.batch_size, seed=0))))
    assert not [
        tensor for part in module.modules() for tensor in vars(part).values() if isinstance(tensor, torch.Tensor)
    ]
    try:
        with FakeTensorMode(allow_non_fake_inputs=True):
            module.training_step(batch, 0).backward()
    except (DataDependentOutputException, DynamicOutputShapeException):
        return True
    return False


def test_training_steps_wait_for_no_value_unless_sizes_depend_on_values():
    train = checkerboard(with_dislikes=False)[0]
    models = {name: untrained(name, 0) for name in CONFIGURED}
    neural = {name: model for name, model in models.items() if isinstance(model, NeuralRecommender)}
    assert {name for name, model in neural.items() if step_waits(model, train)} == WAITING


class Sound(Popularity):
    """A model from outside that meets the contract; those derived from it break one rule each."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.seed = seed


class DoublePrecision(Sound):
    def score(self, query):
        return super().score(query).astype(np.float64)


class Unsaved(Sound):
    learned = ()

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed)
        self.noise = 0.0

    def _fit(self, train, valid, context):
        self.noise = 1.0

    def _score(self, query):
        return super()._score(query) + self.noise * np.arange(N_ITEMS, dtype=np.float32)


class Forgotten(Sound):
    learned = ()

    def _fit(self, train, valid, context):
        self.offsets = np.zeros(N_ITEMS, np.float32)

    def _score(self, query):
        return super()._score(query) + self.offsets


class Overwriting(Sound):
    def _fit(self, train, valid, context):
        train.ratings[:] = 1.0


class HistoryReader(Sound):
    def _score(self, query):
        return super()._score(query) + query.history.matrix(N_ITEMS).toarray()


class Indexing(Sound):
    def _score(self, query):
        own = np.arange(N_USERS)[query.users]
        return super()._score(query) + np.outer(own, np.arange(N_ITEMS)).astype(np.float32)


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (DoublePrecision, "score must return float32"),
        (Unsaved, "must have the scores of the saved one"),
        (Forgotten, "must have the scores of the saved one .* has no attribute 'offsets'.*in learned"),
        (Overwriting, "fit must leave its inputs unchanged"),
        (HistoryReader, "uses_history must be true"),
        (Indexing, r"scores of an unknown user \(-1\) must not be those of the last user"),
    ],
)
def test_the_contract_finds_a_faulty_model(model: type[Recommender], sentence: str):
    with pytest.raises(AssertionError, match=sentence):
        check_recommender(model, NO_TASTE)


def test_a_sound_model_from_outside_passes_the_contract():
    check_recommender(Sound, NO_TASTE)


def test_a_model_without_taste_fails_where_that_is_not_expected():
    with pytest.raises(AssertionError, match="in 90% of pairs"):
        check_recommender(Sound)


def test_a_check_that_does_not_exist_cannot_be_left_out():
    with pytest.raises(ValueError, match="must be names of checks"):
        check_recommender(Sound, {"check_taste": "has none"})
