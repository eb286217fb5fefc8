"""The core that deep models share: modules, objectives, training, and recommenders that train modules.

A `NeuralModule` is a LightningModule, which any `pl.Trainer` can train without a recommender:

    module = NeuMFModule(train.n_users, train.n_items, 8, [64, 32, 16, 8], objective=LogLoss(n_negatives=4))
    module.bind(train)
    trainer = pl.Trainer(max_epochs=20, callbacks=[Validation(valid)])
    trainer.fit(module, TrainingData(train, module.objective, batch_size=256, seed=0))
    module.eval().refresh()
    scores = module.score(valid.known.query(valid.users))

`train` is a `Dataset` and `valid` a `Holdout`, as in `split.train` and `split.valid`; `NeuMFModule` is in
`recsys.models.ncf`. After this, the module has the weights of the last epoch. A recommender with the same settings that
is fitted without validation has the same weights if the module has no dropout, and if `torch.manual_seed` was called
with the recommender's seed before the module was built.
"""

from recsys.models.neural.batches import HistoryBatch, QueryBatch, RatingBatch, SampledBatch
from recsys.models.neural.data import TrainingData
from recsys.models.neural.module import EmbeddingModule, HistoryModule, NeuralModule
from recsys.models.neural.objectives import (
    BPR,
    ByUser,
    LogLoss,
    Objective,
    Sampled,
    SampledSoftmax,
    Softmax,
    SquaredError,
)
from recsys.models.neural.optimization import Optimization
from recsys.models.neural.recommender import EmbeddingRecommender, HistoryRecommender, NeuralRecommender
from recsys.models.neural.validation import Validation

__all__ = [
    "BPR",
    "ByUser",
    "EmbeddingModule",
    "EmbeddingRecommender",
    "HistoryBatch",
    "HistoryModule",
    "HistoryRecommender",
    "LogLoss",
    "NeuralModule",
    "NeuralRecommender",
    "Objective",
    "Optimization",
    "QueryBatch",
    "RatingBatch",
    "Sampled",
    "SampledBatch",
    "SampledSoftmax",
    "Softmax",
    "SquaredError",
    "TrainingData",
    "Validation",
]
