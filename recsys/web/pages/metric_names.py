"""Names and explanations of metrics in plain words, for the web pages."""

from __future__ import annotations

import re
from dataclasses import dataclass

from recsys.metrics.direction import direction

_NAME = re.compile(r"(?P<base>[^@/]+)(?:@(?P<k>\d+))?(?P<rest>/.*)?")
_WORDS = {  # a "found" film is one of the list that the viewer rated later
    "hr": ("Hit rate", "share of viewers for whom the list found a film that they went on to rate"),
    "precision": ("Precision", "share of the listed films that the viewer went on to rate"),
    "recall": ("Recall", "share of the films that the viewer went on to rate which the list found"),
    "f1": ("F1", "precision and recall in one number"),
    "ndcg": ("NDCG", "how many films were found, and how near the top of the list"),
    "mrr": ("MRR", "how near the top the first found film is"),
    "map": ("MAP", "precision at the places of the found films"),
    "auc": ("AUC", "how often a film that the viewer went on to rate ranks above another film"),
    "rmse": ("RMSE", "error of predicted stars, in which large errors count more"),
    "mae": ("MAE", "mean error of predicted stars"),
    "novelty": ("Novelty", "larger: the listed films are known to fewer viewers"),
    "mean_popularity": ("Popularity", "mean number of ratings of the listed films"),
    "diversity": ("Diversity", "larger: the genres within a list differ more"),
    "embedding_diversity": ("Model diversity", "larger: the films within a list differ more to the model"),
    "miscalibration": ("Miscalibration", "smaller: the genres of a list are more like those of the viewer's history"),
    "coverage": ("Coverage", "share of all films that are in the list of at least one viewer"),
    "gini": ("Gini", "larger: the lists of all viewers have more of the same films"),
}
_GOOD = {1: "higher is better", -1: "lower is better", 0: ""}


@dataclass(frozen=True)
class MetricWords:
    """The name of a metric and what it means, in plain words.

    Attributes:
        name: name with the list length, such as `NDCG@10`.
        meaning: what the metric measures, or "" for a metric without a description.
        good: whether higher or lower values are better, as text, or "" if neither is better.
    """

    name: str
    meaning: str
    good: str

    @property
    def sentence(self) -> str:
        """Return the meaning of the metric, and whether higher or lower values are better, as one text."""
        return "; ".join(filter(None, (self.meaning, self.good)))


def in_words(metric: str) -> MetricWords:
    """Describe a metric such as `ndcg@10` in plain words; a metric without a description keeps its technical name."""
    match = _NAME.fullmatch(metric)
    if match is None or match["base"] not in _WORDS:
        return MetricWords(metric, "", _GOOD[direction(metric)])
    name, meaning = _WORDS[match["base"]]
    length = f"@{match['k']}" if match["k"] else ""
    return MetricWords(f"{name}{length}{match['rest'] or ''}", meaning, _GOOD[direction(metric)])
