"""Expected best validation result of a hyperparameter search, by the number of configurations that are compared.

Dodge et al., "Show Your Work: Improved Reporting of Experimental Results", EMNLP 2019.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from recsys.files import read_csv
from recsys.metrics.direction import sign
from recsys.studies.plan import row_directory
from recsys.studies.searches import SEARCH
from recsys.studies.study import Setting


def expected_best(values: np.ndarray) -> np.ndarray:
    """Return the expected maximum of k draws with replacement from n values, for k = 1, 2, ..., n.

    Args:
        values: float (n,) values.

    Returns:
        float64 (n,).
    """
    n_values = len(values)
    shares = np.arange(n_values + 1) / n_values
    n_drawn = np.arange(1, n_values + 1)[:, None]
    return np.diff(shares**n_drawn, axis=1) @ np.sort(values)


def budget_curves(runs: Path, name: str, setting: Setting) -> dict[str, pd.Series]:
    """Return the expected best validation metric by number of configurations, for each model that was searched.

    A pruned trial counts with its value at the epoch of pruning, a failed trial with the worst value of all trials.
    Interrupted trials do not count.

    Args:
        runs: directory of the study's runs.
        name: name of the setting.
        setting: the setting (data, split and protocol). The searches optimise the setting's main metric; if smaller
            values of this metric are better, as of rmse, `trials.csv` has negated values.

    Returns:
        Name of the model's row in the study's table -> series of the expected best value, indexed by the number of
        configurations, from 1.
    """
    curves = {}
    for row in setting.rows:
        file = row_directory(runs, name, row) / SEARCH / "trials.csv"
        if file.is_file():
            trials = read_csv(file, ["state", "value"])
            values = trials.loc[trials["state"] != "stopped", "value"]
            best = sign(setting.metrics[0]) * expected_best(values.fillna(values.min()).to_numpy(float))
            curves[row] = pd.Series(best, np.arange(1, len(best) + 1))
    return curves
