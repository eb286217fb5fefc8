"""The notebooks: their cells work as they stand, and their stored outputs are small."""

import ast
import json
from pathlib import Path

import pandas as pd
import pytest

import recsys
from recsys import for_frames
from recsys.web import fitted

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
MAX_BYTES = 20_000


@pytest.fixture(scope="module")
def data() -> recsys.Dataset:
    """Made-up ratings under the ids and titles that the notebooks name, in place of MovieLens-100K."""
    rows = [
        (190 + u, i, 3 + (u + i) % 3, 10**9 + 50 * u + (i * 7 + u) % 40) for u in range(20) for i in range(u % 3, 40, 3)
    ]
    frame = pd.DataFrame(rows, columns=["user", "film", "stars", "ts"])
    titles = ["Toy Story (1995)", "Heat (1995)", *(f"Film {i} (1999)" for i in range(2, 40))]
    films = pd.DataFrame({"film": range(40), "title": titles, "genres": [["Drama"]] * 40})
    return recsys.Dataset.from_frame(frame, "user", "film", "stars", "ts", items=films)


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_the_cells_of_a_notebook_run(file: Path, data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(for_frames, "load_movielens", lambda release: data)
    monkeypatch.setattr(fitted, "run_server", lambda *_: None)
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    cells = [cell for cell in json.loads(file.read_text())["cells"] if cell["cell_type"] == "code"]
    for cell in cells:
        code = "".join(cell["source"])
        exec(code, names)
        last = ast.parse(code).body[-1]
        assert bool(cell["outputs"]) or not isinstance(last, ast.Expr)


def test_there_are_two_notebooks_with_small_outputs():
    assert [file.stem for file in NOTEBOOKS] == ["from_data_to_page", "ten_lines"]
    assert all(file.stat().st_size < MAX_BYTES for file in NOTEBOOKS)
