"""Training on a GPU, where there is one."""

from functools import partial

import numpy as np
import pytest
import torch

from recsys.data.split import Split
from recsys.models.base import FitContext, lightning_trainer
from recsys.models.lightgcn import LightGCN
from recsys.models.mf import MF
from recsys.models.neural import NeuralRecommender
from recsys.models.rec_vae import RecVAE
from recsys.models.sasrec import SASRec

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")]
MODELS = [
    MF(embedding_dim=4, max_epochs=2),
    SASRec(embedding_dim=8, max_length=5, max_epochs=2),
    LightGCN(embedding_dim=4, max_epochs=2),
    RecVAE(hidden_dim=8, latent_dim=4, max_epochs=2),
]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_a_model_trained_on_a_gpu_scores_there_as_on_the_cpu(model: NeuralRecommender, split: Split):
    trainer = partial(lightning_trainer, accelerator="gpu", enable_progress_bar=False)
    fitted = type(model)(**model.hyperparameters()).fit(split.train, split.valid, FitContext(trainer=trainer))
    assert fitted.module.device.type == "cuda"
    queries = split.test.known.query(split.test.users)
    scores = fitted.score(queries)
    fitted.module.cpu()
    np.testing.assert_allclose(fitted.score(queries), scores, rtol=1e-3, atol=1e-3)
