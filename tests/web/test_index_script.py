"""experiments/serving/index.py measures the index and the exact scores of the same queries."""

import sys
from pathlib import Path

import numpy as np

from recsys.data.dataset import Dataset

EXPERIMENT = Path(__file__).parents[2] / "experiments" / "serving"


def test_the_index_and_exact_scores_are_measured_for_learned_and_random_vectors(monkeypatch, capsys):
    monkeypatch.syspath_prepend(EXPERIMENT)
    script = __import__("index")
    for name in ("index", "catalogue"):
        sys.modules.pop(name)
    pairs = np.random.default_rng(0).choice(30 * 40, 300, replace=False)
    data = Dataset.from_arrays(pairs // 40, pairs % 40, n_users=30, n_items=40)
    monkeypatch.setattr(script, "synthetic_dataset", lambda n_films: data)
    monkeypatch.setattr(sys, "argv", ["index.py", "--dim", "4"])
    script.main()
    rows = [line for line in capsys.readouterr().out.splitlines() if "%" in line]
    assert [row.split()[1] for row in rows] == ["learned", "learned", "random", "random"]
