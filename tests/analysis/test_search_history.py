"""Tests of the figure of a hyperparameter search."""

import numpy as np
import pandas as pd

from recsys.analysis.search_history import plot_history

TRIALS = pd.DataFrame(
    {
        "trial": range(5),
        "state": ["complete", "pruned", "failed", "complete", "complete"],
        "value": [0.2, 0.1, np.nan, 0.4, 0.3],
        "model.lr": [0.1, 0.01, 1.0, 0.02, 0.03],
        "model.loss": pd.Categorical(["bpr", "log", "bpr", "bpr", "log"], categories=["log", "bpr"]),
    }
)


def test_best_so_far_never_falls_and_excludes_pruned_trials():
    top = plot_history(TRIALS, [], []).axes[0]
    assert list(top.lines[0].get_ydata()) == [0.2, 0.2, 0.2, 0.4, 0.4]


def test_complete_pruned_and_failed_trials_have_different_markers():
    top = plot_history(TRIALS, [], []).axes[0]
    assert [text.get_text() for text in top.get_legend().get_texts()] == ["complete", "pruned", "best so far", "failed"]
    complete, pruned, best = (dots.get_offsets().tolist() for dots in top.collections)
    assert complete == [[0, 0.2], [3, 0.4], [4, 0.3]]
    assert pruned == [[1, 0.1]]
    assert best == [[3, 0.4]]


def test_each_setting_has_a_panel_with_its_scale():
    _, rate, loss = plot_history(TRIALS, ["model.lr", "model.loss"], ["model.lr"]).axes
    assert (rate.get_xlabel(), rate.get_xscale()) == ("lr", "log")
    assert [tick.get_text() for tick in loss.get_xticklabels()] == ["log", "bpr"]
