"""Recommenders, classic and deep, behind one interface (`base.Recommender`).

Each class is imported only when it is first used: programs with only closed-form models do not wait for the import of
PyTorch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # `as` marks a re-export for strict type checkers
    from recsys.models.als import ALS as ALS
    from recsys.models.bayesian_mf import BayesianMF as BayesianMF
    from recsys.models.bias import Bias as Bias
    from recsys.models.biased_mf import BiasedMF as BiasedMF
    from recsys.models.blend import Blend as Blend
    from recsys.models.content import Content as Content
    from recsys.models.content import ContentKNN as ContentKNN
    from recsys.models.content_sasrec import ContentSASRec as ContentSASRec
    from recsys.models.dae import DAE as DAE
    from recsys.models.ease import EASE as EASE
    from recsys.models.elsa import ELSA as ELSA
    from recsys.models.gfcf import GFCF as GFCF
    from recsys.models.gru4rec import GRU4Rec as GRU4Rec
    from recsys.models.ials import IALS as IALS
    from recsys.models.knn import ItemKNN as ItemKNN
    from recsys.models.knn import UserKNN as UserKNN
    from recsys.models.lightgcn import LightGCN as LightGCN
    from recsys.models.linear_ar import LinearAR as LinearAR
    from recsys.models.low_rank_gfcf import LowRankGFCF as LowRankGFCF
    from recsys.models.low_rank_linear_ar import LowRankLinearAR as LowRankLinearAR
    from recsys.models.markov import Markov as Markov
    from recsys.models.mf import MF as MF
    from recsys.models.mult_vae import MultVAE as MultVAE
    from recsys.models.ncf import GMF as GMF
    from recsys.models.ncf import MLP as MLP
    from recsys.models.ncf import NeuMF as NeuMF
    from recsys.models.popularity import Popularity as Popularity
    from recsys.models.random_walks import RP3Beta as RP3Beta
    from recsys.models.rating_knn import RatingItemKNN as RatingItemKNN
    from recsys.models.rating_knn import RatingUserKNN as RatingUserKNN
    from recsys.models.rec_vae import RecVAE as RecVAE
    from recsys.models.recent_popularity import RecentPopularity as RecentPopularity
    from recsys.models.sasrec import SASRec as SASRec
    from recsys.models.segment_popularity import SegmentPopularity as SegmentPopularity
    from recsys.models.slim import SLIM as SLIM
    from recsys.models.svd_pp import SVDPP as SVDPP
    from recsys.models.tfidf import TfidfProfile as TfidfProfile
    from recsys.models.trees import GradientBoosting as GradientBoosting
    from recsys.models.trees import RandomForest as RandomForest
    from recsys.models.two_stage import BoostedTwoStage as BoostedTwoStage
    from recsys.models.two_stage import ForestTwoStage as ForestTwoStage
    from recsys.models.two_stage import LambdaMARTTwoStage as LambdaMARTTwoStage
    from recsys.models.two_tower import TwoTower as TwoTower
    from recsys.models.xsimgcl import XSimGCL as XSimGCL

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
    "LowRankGFCF": "low_rank_gfcf",
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
    "XSimGCL": "xsimgcl",
}
__all__ = [*MODULES]


def __getattr__(name: str) -> Any:
    """Import the module that defines a class of `MODULES`, and return the class.

    Raises:
        AttributeError: `name` is not a class of `MODULES`.
    """
    if name not in MODULES:
        raise AttributeError(f"module 'recsys.models' has no attribute {name!r}")
    return getattr(import_module(f"recsys.models.{MODULES[name]}"), name)
