"""Recommenders, classic and deep, behind one interface (`base.Recommender`).

Each class is imported when it is first used, so that closed-form models do not wait for PyTorch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recsys.models.als import ALS
    from recsys.models.bayesian_mf import BayesianMF
    from recsys.models.bias import Bias
    from recsys.models.biased_mf import BiasedMF
    from recsys.models.blend import Blend
    from recsys.models.content import Content, ContentKNN
    from recsys.models.content_sasrec import ContentSASRec
    from recsys.models.dae import DAE
    from recsys.models.ease import EASE
    from recsys.models.elsa import ELSA
    from recsys.models.gfcf import GFCF
    from recsys.models.gru4rec import GRU4Rec
    from recsys.models.ials import IALS
    from recsys.models.knn import ItemKNN, UserKNN
    from recsys.models.lightgcn import LightGCN
    from recsys.models.linear_ar import LinearAR
    from recsys.models.low_rank_linear_ar import LowRankLinearAR
    from recsys.models.markov import Markov
    from recsys.models.mf import MF
    from recsys.models.mult_vae import MultVAE
    from recsys.models.ncf import GMF, MLP, NeuMF
    from recsys.models.popularity import Popularity
    from recsys.models.random_walks import RP3Beta
    from recsys.models.rating_knn import RatingItemKNN, RatingUserKNN
    from recsys.models.rec_vae import RecVAE
    from recsys.models.recent_popularity import RecentPopularity
    from recsys.models.sasrec import SASRec
    from recsys.models.segment_popularity import SegmentPopularity
    from recsys.models.slim import SLIM
    from recsys.models.svd_pp import SVDPP
    from recsys.models.tfidf import TfidfProfile
    from recsys.models.trees import GradientBoosting, RandomForest
    from recsys.models.two_stage import BoostedTwoStage, ForestTwoStage, LambdaMARTTwoStage
    from recsys.models.two_tower import TwoTower

MODULES = {
    "ALS": "als",
    "BayesianMF": "bayesian_mf",
    "Bias": "bias",
    "BiasedMF": "biased_mf",
    "Blend": "blend",
    "BoostedTwoStage": "two_stage",
    "Content": "content",
    "ContentKNN": "content",
    "ContentSASRec": "content_sasrec",
    "DAE": "dae",
    "EASE": "ease",
    "ELSA": "elsa",
    "ForestTwoStage": "two_stage",
    "GFCF": "gfcf",
    "GMF": "ncf",
    "GRU4Rec": "gru4rec",
    "GradientBoosting": "trees",
    "IALS": "ials",
    "ItemKNN": "knn",
    "LambdaMARTTwoStage": "two_stage",
    "LightGCN": "lightgcn",
    "LinearAR": "linear_ar",
    "LowRankLinearAR": "low_rank_linear_ar",
    "MF": "mf",
    "MLP": "ncf",
    "Markov": "markov",
    "MultVAE": "mult_vae",
    "NeuMF": "ncf",
    "Popularity": "popularity",
    "RP3Beta": "random_walks",
    "RandomForest": "trees",
    "RatingItemKNN": "rating_knn",
    "RatingUserKNN": "rating_knn",
    "RecVAE": "rec_vae",
    "RecentPopularity": "recent_popularity",
    "SASRec": "sasrec",
    "SLIM": "slim",
    "SVDPP": "svd_pp",
    "SegmentPopularity": "segment_popularity",
    "TfidfProfile": "tfidf",
    "TwoTower": "two_tower",
    "UserKNN": "knn",
}
__all__ = [*MODULES]


def __getattr__(name: str) -> Any:
    """Import the module of a class."""
    if name not in MODULES:
        raise AttributeError(f"module 'recsys.models' has no attribute {name!r}")
    return getattr(import_module(f"recsys.models.{MODULES[name]}"), name)
