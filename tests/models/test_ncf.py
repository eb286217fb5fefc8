"""GMF, MLP and NeuMF against the paper's equations, written out in slow numpy."""

from pathlib import Path

import numpy as np
import pytest
import torch

from recsys.data.dataset import Dataset
from recsys.data.splitters import LeaveLastOut
from recsys.errors import UserError
from recsys.metrics.accuracy import ranking_metrics
from recsys.models.base import FitContext, load
from recsys.models.ncf import ALPHAS, GMF, MLP, GMFModule, MLPModule, NeuMF, NeuMFModule
from recsys.models.neural import NeuralModule, QueryBatch

USERS, ITEMS, DIM, TOWER = 5, 7, 3, [6, 4, 2]
SMALL = {"batch_size": 64, "max_epochs": 2, "lr": 0.02}


@pytest.fixture(params=["gmf", "mlp", "neumf"])
def module(request: pytest.FixtureRequest) -> NeuralModule:
    torch.manual_seed(0)
    modules = {
        "gmf": lambda: GMFModule(USERS, ITEMS, DIM),
        "mlp": lambda: MLPModule(USERS, ITEMS, TOWER, dropout=0.0),
        "neumf": lambda: NeuMFModule(USERS, ITEMS, DIM, TOWER, dropout=0.0),
    }
    module = modules[request.param]()
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter)
    return module


def numpy(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().numpy()


def phi_gmf(module: GMFModule, user: int, item: int) -> np.ndarray:
    """Equation 8."""
    return numpy(module.users.weight)[user] * numpy(module.items.weight)[item]


def phi_mlp(module: MLPModule, user: int, item: int) -> np.ndarray:
    """Equation 10, on the concatenation."""
    z = np.concatenate([numpy(module.users.weight)[user], numpy(module.items.weight)[item]])
    for layer in [module.first, *module.others]:
        z = np.maximum(numpy(layer.weight) @ z + numpy(layer.bias), 0)
    return z


def logit(module: NeuralModule, user: int, item: int) -> float:
    """h . phi, equations 9 to 12, without the sigmoid."""
    if isinstance(module, NeuMFModule):
        phi = np.concatenate([phi_gmf(module.gmf, user, item), phi_mlp(module.mlp, user, item)])
        h = np.concatenate([numpy(module.gmf.output.weight)[0], numpy(module.mlp.output.weight)[0]])
        return h @ phi + module.gmf.output.bias.item() + module.mlp.output.bias.item()
    phi = phi_gmf(module, user, item) if isinstance(module, GMFModule) else phi_mlp(module, user, item)
    return numpy(module.output.weight)[0] @ phi + module.output.bias.item()


def test_logits_are_those_of_the_papers_equations(module: NeuralModule):
    users, items = torch.tensor([0, 3, 4]), torch.tensor([[1, 2], [6, 6], [0, 5]])
    expected = [[logit(module, u, i) for i in row] for u, row in zip(users.tolist(), items.tolist(), strict=True)]
    np.testing.assert_allclose(numpy(module(QueryBatch(users), items)), expected, rtol=1e-4, atol=1e-5)


def test_scores_of_the_catalogue_are_those_of_each_item(module: NeuralModule):
    queries = QueryBatch(torch.tensor([2, 0]))
    each = module(queries, torch.arange(ITEMS).repeat(2, 1))
    torch.testing.assert_close(module(queries), each, rtol=1e-4, atol=1e-5)


def test_initial_embeddings_are_gaussian_with_the_papers_deviation():
    torch.manual_seed(0)
    module = NeuMFModule(2000, 2000, 8, [64, 32, 16, 8], dropout=0.0)
    for table in (module.gmf.users, module.gmf.items, module.mlp.users, module.mlp.items):
        assert table.weight.std().item() == pytest.approx(0.01, rel=0.03)
        assert table.weight.mean().item() == pytest.approx(0.0, abs=3e-4)


def test_a_pretrained_start_is_the_weighted_sum_of_its_parts():
    torch.manual_seed(0)
    gmf, mlp = GMFModule(USERS, ITEMS, DIM), MLPModule(USERS, ITEMS, TOWER, dropout=0.0)
    fused = NeuMFModule(USERS, ITEMS, DIM, TOWER, dropout=0.0)
    fused.start_from(gmf, mlp, alpha=0.3)
    queries = QueryBatch(torch.arange(USERS))
    torch.testing.assert_close(fused(queries), 0.3 * gmf(queries) + 0.7 * mlp(queries))


def test_neumf_starts_from_runs_on_the_same_ratings_and_refuses_others(timed: Dataset, tmp_path: Path):
    gmf, mlp = GMF(DIM, **SMALL).fit(timed), MLP(TOWER, **SMALL).fit(timed)
    gmf.save(tmp_path / "gmf" / "model")
    mlp.save(tmp_path / "mlp" / "model")
    parts = {"pretrained_gmf": str(tmp_path / "gmf"), "pretrained_mlp": str(tmp_path / "mlp")}
    still = {**SMALL, "optimizer": "sgd", "lr": 1e-12}
    fused = NeuMF(DIM, TOWER, **parts, **still).fit(timed)
    query = timed.query(np.arange(6))
    expected = 0.5 * gmf.score(query) + 0.5 * mlp.score(query)
    np.testing.assert_allclose(fused.score(query), expected, atol=1e-5)
    with pytest.raises(UserError, match="other sizes"):
        NeuMF(DIM + 1, TOWER, **parts, **SMALL).fit(timed)
    other = Dataset.from_arrays(timed.users, timed.items, fingerprint="other", n_users=60, n_items=40)
    with pytest.raises(UserError, match="must be trained on the same data and split"):
        NeuMF(DIM, TOWER, **parts, **SMALL).fit(other)


def test_a_selection_starts_from_weights_that_were_not_trained_on_validation(timed: Dataset, tmp_path: Path):
    split = LeaveLastOut()(timed)
    parts = {}
    for name, model in (("gmf", GMF(DIM, **SMALL)), ("mlp", MLP(TOWER, **SMALL))):
        model.fit(split.train, split.valid, FitContext(tmp_path / name / "checkpoints" / "selection"))
        model.refit(split.refit_train).save(tmp_path / name / "model")
        parts[f"pretrained_{name}"] = model
    still = {**SMALL, "optimizer": "sgd", "lr": 1e-12}
    runs = {"pretrained_gmf": str(tmp_path / "gmf"), "pretrained_mlp": str(tmp_path / "mlp")}
    query = split.valid.known.query(split.valid.users)
    gmf, mlp = (part.score(query) for part in parts.values())
    fused = NeuMF(DIM, TOWER, **runs, alpha=0.5, **still).fit(split.train, split.valid)
    np.testing.assert_allclose(fused.score(query), 0.5 * gmf + 0.5 * mlp, atol=1e-5)

    def ndcg(scores: np.ndarray) -> float:
        return ranking_metrics(scores, split.valid, (10,))["ndcg@10"].mean()

    by_alpha = {alpha: ndcg(alpha * gmf + (1 - alpha) * mlp) for alpha in ALPHAS}
    chosen = NeuMF(DIM, TOWER, **runs, **still).fit(split.train, split.valid)
    assert len(set(by_alpha.values())) > 1
    assert by_alpha[chosen.chosen_alpha] == max(by_alpha.values())
    chosen.save(tmp_path / "fused")
    assert load(tmp_path / "fused").refit(split.refit_train).chosen_alpha == chosen.chosen_alpha


def test_pretrained_parts_are_scored_once_for_all_weights(timed: Dataset, monkeypatch):
    split = LeaveLastOut()(timed)
    gmf, mlp = (model.fit(split.train).module for model in (GMF(DIM, **SMALL), MLP(TOWER, **SMALL)))
    sizes, score = [], gmf.score
    monkeypatch.setattr(gmf, "score", lambda query: sizes.append(len(query)) or score(query))
    monkeypatch.setattr("recsys.models.neural.validation.SCORES_PER_BATCH", 20 * timed.n_items)
    assert NeuMF(DIM, TOWER)._best_alpha(gmf, mlp, split.valid) in ALPHAS
    assert len(sizes) > 1
    assert sum(sizes) == split.valid.n_queries


def test_neumf_starts_from_both_parts_or_from_neither():
    with pytest.raises(UserError, match="both trained parts or from neither"):
        NeuMF(pretrained_gmf="somewhere")


@pytest.mark.parametrize("tower", [[64], [7, 4], []])
def test_fewer_than_two_widths_and_odd_first_widths_are_refused(tower: list[int]):
    with pytest.raises(UserError, match="hidden_dims must have at least two widths"):
        MLP(tower)
