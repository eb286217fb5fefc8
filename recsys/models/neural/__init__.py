"""The core of deep models: modules, objectives, training and the recommenders around them."""

from recsys.models.neural.batches import HistoryBatch, QueryBatch, RatingBatch, SampledBatch
from recsys.models.neural.data import TrainingData
from recsys.models.neural.module import EmbeddingModule, HistoryModule, NeuralModule
from recsys.models.neural.objectives import BPR, LogLoss, Objective, SampledSoftmax, Softmax, SquaredError
from recsys.models.neural.optimization import Optimization
from recsys.models.neural.recommender import EmbeddingRecommender, HistoryRecommender, NeuralRecommender
from recsys.models.neural.validation import Validation

__all__ = [
    "BPR",
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
    "SampledBatch",
    "SampledSoftmax",
    "Softmax",
    "SquaredError",
    "TrainingData",
    "Validation",
]
