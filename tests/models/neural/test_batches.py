"""Queries on the device, and the padded layout of histories."""

import numpy as np
import pytest
import torch

from recsys.data.query import History
from recsys.models.neural import HistoryBatch

CPU = torch.device("cpu")
ROWS = [[3, 1, 4, 1], [], [5], [9, 2]]


@pytest.fixture
def batch() -> HistoryBatch:
    return HistoryBatch.from_history(History.of_items(ROWS, rating=4.0), CPU)


def test_a_batch_holds_the_interactions_of_its_histories(batch: HistoryBatch):
    assert batch.lengths.tolist() == [4, 0, 1, 2]
    assert batch.rows.tolist() == [0, 0, 0, 0, 2, 3, 3]
    assert batch.items.tolist() == [3, 1, 4, 1, 5, 9, 2]
    assert batch.ratings.tolist() == [4.0] * 7
    assert batch.times is None
    assert batch.items.dtype == batch.rows.dtype == batch.lengths.dtype == torch.int64


def test_times_reach_the_batch_where_the_source_has_some():
    history = History(np.array([0, 2]), np.array([7, 8], np.int32), np.ones(2, np.float32), np.array([100, 200]))
    assert HistoryBatch.from_history(history, CPU).times.tolist() == [100, 200]


def test_shorter_rows_are_padded_from_the_left_to_the_latest_item_in_the_last_column(batch: HistoryBatch):
    expected = [[0, 3, 1, 4, 1], [0, 0, 0, 0, 0], [0, 0, 0, 0, 5], [0, 0, 0, 9, 2]]
    assert batch.padded(batch.items, 5, padding=0).tolist() == expected


def test_of_a_longer_history_the_latest_items_are_used(batch: HistoryBatch):
    assert batch.padded(batch.items, 2, padding=-1).tolist() == [[4, 1], [-1, -1], [-1, 5], [9, 2]]
    assert batch.padded(batch.items, 1, padding=-1).tolist() == [[1], [-1], [5], [2]]


def test_any_value_of_the_interactions_can_be_padded(batch: HistoryBatch):
    padded = batch.padded(batch.ratings, 2, padding=0.5)
    assert padded.dtype == torch.float32
    assert padded.tolist() == [[4.0, 4.0], [0.5, 0.5], [0.5, 4.0], [4.0, 4.0]]


def test_gradients_flow_through_the_padded_layout(batch: HistoryBatch):
    values = torch.ones(7, requires_grad=True)
    batch.padded(values, 2, padding=0.0).sum().backward()
    assert values.grad.tolist() == [0, 0, 1, 1, 1, 1, 1]


def test_histories_that_are_all_empty_give_only_padding():
    empty = HistoryBatch.from_history(History.of_items([[], []]), CPU)
    assert empty.padded(empty.items, 3, padding=40).tolist() == [[40] * 3] * 2
