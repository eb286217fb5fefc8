"""A deep model from outside the project, by a config of one's own: `python train.py --config-dir DIR model=mine`."""

import importlib
import json
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fastapi.testclient import TestClient

from recsys.commands.run_data import data_of
from recsys.data.address import Address
from recsys.errors import UserError
from recsys.models.base import load
from recsys.studies.examples import Example
from recsys.studies.report import print_next_steps
from recsys.studies.runs import read_run
from recsys.testing import check_recommender
from recsys.web.app import create_app
from recsys.web.protection import Protection
from recsys.web.recommendation_service import RecommendationService
from recsys.web.store import Store
from tests.training import run_train

MODEL = '''
from torch.nn import functional as F

from recsys.models.neural import EmbeddingModule, EmbeddingRecommender, Sampled
from recsys.models.neural.embeddings import UserEmbedding, dot, item_embedding, rows_of


class MarginLoss(Sampled):
    """Positives are scored above negatives by a margin: Weston, Bengio and Usunier, IJCAI 2011, without ranks."""

    def __init__(self, n_negatives: int = 4, margin: float = 1.0) -> None:
        super().__init__(n_negatives)
        self.margin = margin

    def cost(self, logits, batch):
        return F.relu(self.margin - logits[:, :1] + logits[:, 1:]).mean()


class ProductModule(EmbeddingModule):
    """Logit = p_u . q_i."""

    def __init__(self, n_users, n_items, embedding_dim, **training):
        super().__init__(n_users, n_items, **training)
        self.users = UserEmbedding(n_users, embedding_dim, std=0.1)
        self.items = item_embedding(n_items, embedding_dim, std=0.1)

    def forward(self, queries, items=None):
        return dot(self.users(queries.users), rows_of(self.items, items))

    def user_embeddings(self):
        return self.users.known

    def item_embeddings(self):
        return self.items.weight


class Mine(EmbeddingRecommender):
    """Products of embeddings, with a margin."""

    objectives = {"margin": MarginLoss}

    def __init__(self, hidden: int = 8, margin: float = 1.0, loss: str = "margin", **training) -> None:
        super().__init__(loss, **training)
        self.hidden = hidden
        self.margin = margin

    def build(self, n_users, n_items, **training):
        return ProductModule(n_users, n_items, self.hidden, **training)
'''
BADLY_SAVED = """
import numpy as np

from recsys.models.base import Recommender


class {name}(Recommender):
    learned = {learned}

    def _fit(self, train, valid, context):
        self.counts = train.item_counts.astype(np.float32)

    def _score(self, query):
        return np.tile(self.counts, (len(query), 1))
"""
BADLY_SAVED_MODELS = {"Forgetful": "()", "Hasty": '("counts", "names")'}  # name -> learned
CONFIG = """
_target_: mypackage.mymodel.Mine
hidden: 4
margin: 0.5
max_epochs: 3
batch_size: 32
lr: 0.02
seed: ${seed}
"""


@dataclass
class Elsewhere:
    """A folder with a package, a config and ratings, outside the repository.

    Attributes:
        folder: of all of it.
        run: the directory of a run that was trained there.
    """

    folder: Path

    @property
    def run(self) -> Path:
        return self.folder / "run"

    def arguments(self, run: str, ratings: str = "ratings") -> list[str]:
        """Arguments of `train.py` that find the config and the ratings."""
        data = ["data=files", f"data.path={self.folder}/{ratings}.csv", f"cache_dir={self.folder}/cache"]
        where = ["logger=none", "ks=[5,10]", f"hydra.run.dir={self.folder}/{run}"]
        return ["--config-dir", f"{self.folder}/configs", *data, *where]


def package(folder: Path) -> Elsewhere:
    (folder / "mypackage").mkdir()
    (folder / "mypackage" / "__init__.py").touch()
    (folder / "mypackage" / "mymodel.py").write_text(MODEL)
    (folder / "configs" / "model").mkdir(parents=True)
    (folder / "configs" / "model" / "mine.yaml").write_text(CONFIG)
    for name, learned in BADLY_SAVED_MODELS.items():
        (folder / "mypackage" / f"{name.lower()}.py").write_text(BADLY_SAVED.format(name=name, learned=learned))
        (folder / "configs" / "model" / f"{name.lower()}.yaml").write_text(
            f"_target_: mypackage.{name.lower()}.{name}\n"
        )
    rng = np.random.default_rng(0)
    rows = [(f"u{u}", item, 4, 10**9 + item) for u in range(20) for item in rng.choice(15, 8, replace=False)]
    frame = pd.DataFrame(rows, columns=["user_id", "movie_id", "rating", "time"])
    frame.to_csv(folder / "ratings.csv", index=False)
    return Elsewhere(folder)


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory) -> Iterator[Elsewhere]:
    """The folder, on Python's path, with a finished run that `model.hidden` was overridden for."""
    place = package(tmp_path_factory.mktemp("elsewhere"))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(place.folder)
        assert run_train(*place.arguments("run"), "model=mine", "model.hidden=6") == 0
        yield place
    for name in ("mypackage.mymodel", "mypackage"):
        sys.modules.pop(name, None)


def test_it_is_trained_with_its_settings_tested_and_refitted(elsewhere: Elsewhere):
    run = read_run(elsewhere.run)
    assert run.config["model"]["_target_"] == "mypackage.mymodel.Mine"
    assert (run.config["model"]["hidden"], run.config["model"]["margin"]) == (6, 0.5)
    assert 0 < run.metrics["test/ndcg@10"] <= 1
    assert (elsewhere.run / "checkpoints" / "refit" / "last.ckpt").is_file()


def test_it_is_loaded_only_if_it_is_trusted(elsewhere: Elsewhere):
    with pytest.raises(UserError, match=r"mypackage\.mymodel\.Mine.*trusted"):
        load(elsewhere.run / "model")
    model = load(elsewhere.run / "model", trusted=True)
    assert type(model).__name__ == "Mine"
    assert model.item_embeddings().shape == (15, 6)
    assert model.margin == 0.5


def test_it_recommends_on_the_command_line_if_it_is_trusted(elsewhere: Elsewhere, command):
    arguments = ("recommend", elsewhere.run, "--user", "u3", "-k", "3", "--json")
    status, _, err = command(*arguments)
    assert status == 2
    assert "trusted" in err
    status, out, err = command(*arguments, "--trusted")
    assert status == 0, err
    assert len(json.loads(out)["recommendations"]) == 3


def test_the_commands_that_a_run_proposes_trust_it(elsewhere: Elsewhere, capsys):
    print_next_steps(elsewhere.run, load(elsewhere.run / "model", trusted=True), Example("u1", ["Heat"], []))
    *_, recommend, serve = capsys.readouterr().out.splitlines()
    assert (recommend.endswith(" --trusted"), serve.endswith(" --trusted")) == (True, True)


def test_it_is_served_if_it_is_trusted(elsewhere: Elsewhere, tmp_path: Path):
    store = Store.open(Address.parse(f"{tmp_path}/feedback.sqlite"))
    service = RecommendationService({"mine": elsewhere.run}, data_of, store, trusted=True)
    with TestClient(create_app(service, Protection())) as client:
        answer = client.post("/api/recommend", json={"user_id": "u3", "k": 3}).json()
    store.close()
    assert answer["run"] == "mine"
    assert len(answer["films"]) == 3


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("forgetful", "A loaded Forgetful must have the scores of the saved one (got"),
        ("hasty", "Hasty._fit must set what learned names (got no names)"),
    ],
)
def test_a_model_that_is_not_saved_whole_is_an_error(elsewhere: Elsewhere, train_command, capsys, model, words):
    assert train_command(*elsewhere.arguments(model), f"model={model}") == 2
    assert words in capsys.readouterr().err


def test_it_meets_the_contract(elsewhere: Elsewhere):
    mine = importlib.import_module("mypackage.mymodel").Mine
    check_recommender(lambda seed: mine(batch_size=128, lr=0.04, max_epochs=20, seed=seed))


def test_a_search_names_a_command_that_finds_the_model_and_the_data(elsewhere: Elsewhere, train_command, capsys):
    search = ("-m", "hparams_search=base", "hydra.sweeper.n_trials=1", f"hydra.sweep.dir={elsewhere.folder}/search")
    settings = ("model=mine", "model.max_epochs=1", "model.margin=choice(0.25,0.5)")
    assert train_command(*elsewhere.arguments("none"), *search, *settings) == 0
    hint = capsys.readouterr().out.partition("to test it: ")[2].splitlines()[0]
    found = ["--config-dir", f"{elsewhere.folder}/configs", "model=mine", "data=files"]
    assert f" {shlex.join(found)} data.path={elsewhere.folder}/ratings.csv " in hint
    assert " model.max_epochs=1 ++model.margin=0." in hint
    assert "hparams_search" not in hint


def test_a_later_run_continues_from_its_weights(elsewhere: Elsewhere, train_command):
    before = pd.read_csv(elsewhere.folder / "ratings.csv")
    later = [(user, item, 4, 10**9 + 100 + item) for user in ("u0", "u1", "new") for item in range(15)]
    grown = pd.concat([before, pd.DataFrame(later, columns=before.columns)]).drop_duplicates(["user_id", "movie_id"])
    grown.to_csv(elsewhere.folder / "grown.csv", index=False)
    settings = ("model=mine", "model.hidden=6", "model.max_epochs=1", f"warm_from={elsewhere.run}")
    assert train_command(*elsewhere.arguments("warm", "grown"), *settings) == 0
    assert read_run(elsewhere.folder / "warm").is_warm


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["model=mine", "model.hiden=4"], "Mine takes no 'hiden': did you mean hidden"),
        (["model=mine", "model.margin=much"], "'margin' of Mine must be float (got 'much')"),
        (["model=mine", "model.lr_shedule=linear"], "did you mean lr_schedule"),
        (["model=mien"], "did you mean mine"),
        (["model=mine", "sede=1"], "did you mean seed"),
        (["model=mine", "++model._target_=mypackage.none.Mine"], "must name a class that can be imported"),
        (
            ["model=mine", "++model._target_=mypackage.mymodel.Mien"],
            "mymodel has no Mien: did you mean Mine?",
        ),
        (
            ["model=mine", "++model._target_=elsewhere.Mine"],
            "there is no package elsewhere in the environment",
        ),
        (["model=mine", "++model._target_=.Mine"], "must name a class that can be imported (got .Mine)"),
        (["--config-dir", "nowhere", "model=mine"], "--config-dir must be a folder of configs (got nowhere"),
    ],
)
def test_typing_errors_are_found(elsewhere: Elsewhere, train_command, capsys, arguments: list[str], words: str):
    assert train_command(*elsewhere.arguments("mistaken"), *arguments) == 2
    said = capsys.readouterr().err
    assert words in said
    assert len(said.splitlines()) == 1
