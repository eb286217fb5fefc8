"""Converts a trained model to a `torch.export` program, including the popularity that `ReadsHistories.score` adds."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from recsys.data.dataset import Dataset
from recsys.errors import UserError
from recsys.models.base import HasGraph, Recommender
from recsys.models.graphs import PADDING, PaddedQuery, PopularityGraph, ScoreGraph
from recsys.models.histories import ReadsHistories

MAX_BATCH = 1 << 20  # largest number of users in a call of an exported model


class ServedGraph(nn.Module):
    """A torch module that computes what a model's methods `score` and `score_without_fallback` return.

    Args:
        graph: module that computes the model's scores without fallback.
        popularity: module that adds popularity to these scores for short histories, or None to add none.

    Attributes:
        reads: names of the inputs: the fields of `PaddedQuery` that at least one of the modules reads, in the order of
            `PaddedQuery`.
    """

    def __init__(self, graph: ScoreGraph, popularity: PopularityGraph | None) -> None:
        super().__init__()
        self.own, self.popularity = graph, popularity
        read = {*graph.reads, *(() if popularity is None else popularity.reads)}
        self.reads = tuple(name for name in PaddedQuery._fields if name in read)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return the outputs `layout.OUTPUTS`, each float32 (B, n_items), for inputs in the order of `reads`."""
        query = PaddedQuery(**dict(zip(self.reads, inputs, strict=True)))
        own = self.own(query)
        if self.popularity is None:
            return own.clone(), own  # a copy, since a graph cannot return the same tensor twice
        return self.popularity(own, self.own.lengths(query), self.own.by_history(query), query), own


def served_graph(model: Recommender, data: Dataset, length: int) -> ServedGraph:
    """Return a torch module, in evaluation mode, that computes a model's scores with and without fallback.

    Args:
        model: the trained model.
        data: the data set whose ratings form the histories of users.
        length: number of columns of the module's input arrays of histories; see `HasGraph.graph`.

    Raises:
        UserError: the model cannot be exported, or its weights do not fit in memory.
    """
    graph, popularity = with_graph(model).graph(data, length), None
    if isinstance(model, ReadsHistories) and not model.predicts_ratings:
        popularity = model.popularity_graph()
    return ServedGraph(graph, popularity).eval()


def with_graph(model: Recommender) -> HasGraph:
    """Return the model itself after checking that it can be exported, that is, that it is a `HasGraph`.

    Raises:
        UserError: the model cannot be exported.
    """
    if not isinstance(model, HasGraph):
        raise UserError(
            "The scores of an exported model must be a graph of tensor operations (got those of "
            f"{type(model).__name__}): choose a run of a model such as ease, linear_ar, mf, two_tower or sasrec."
        )
    return model


def program(graph: ServedGraph, length: int) -> torch.export.ExportedProgram:
    """Trace a module with `torch.export`; the program accepts batches of 1 to `MAX_BATCH` users.

    Args:
        graph: the module to trace, from `served_graph`.
        length: number of columns of the module's input arrays of histories.
    """
    examples = tuple(example_inputs(length)[name] for name in graph.reads)
    batch = torch.export.Dim("batch", min=1, max=MAX_BATCH)
    with torch.no_grad():
        return torch.export.export(graph, examples, dynamic_shapes={"inputs": tuple({0: batch} for _ in examples)})


def example_inputs(length: int) -> dict[str, Tensor]:
    """Return example inputs, keyed by name, of two unknown users, one with a single interaction and one with none.

    Histories have `length` columns.
    """
    items = torch.full((2, length), PADDING)
    items[0, -1] = 0
    return {
        "users": torch.tensor([-1, -1]),
        "items": items,
        "times": torch.zeros(2, length, dtype=torch.int64),
        "plays": torch.ones(2, length),
        "moments": torch.zeros(2, dtype=torch.int64),
    }
