"""Tables in texts that show figures of a study."""

import pandas as pd
import pytest

from recsys.errors import UserError
from recsys.studies.readme_tables import fill, fill_files

TEXT = """# Study

<!-- experiments/tiny/table.csv, ml -->

| model | NDCG@10 | RMSE |
| --- | --- | --- |
| EASE | **0.1000** | **0.9** |
| MF |  | |

More text.

<!-- experiments/tiny/pairs.csv, ml, ndcg@10 -->

| row | other | difference | detectable | p | conclusion |
| --- | --- | --- | --- | --- | --- |
| MF | Popularity | 1 | 1 | 1 | above |
"""
FILLED = """# Study

<!-- experiments/tiny/table.csv, ml -->

| model | NDCG@10 | RMSE |
| --- | --- | --- |
| EASE | 0.2000 |  |
| MF | **0.3000** ± 0.0120 | **0.9500** |

More text.

<!-- experiments/tiny/pairs.csv, ml, ndcg@10 -->

| row | other | difference | detectable | p | conclusion |
| --- | --- | --- | --- | --- | --- |
| MF | EASE | 0.1000 [-0.0100, 0.2000] | 0.0500 | 0.12 | undecided |
| EASE | EASE 2 | 0.0010 [-0.0020, 0.0030] | 0.0040 | 1 | undecided, equivalent |
"""


@pytest.fixture
def root(tmp_path):
    """A folder with a published study."""
    study = tmp_path / "experiments" / "tiny"
    study.mkdir(parents=True)
    rows = [
        ("ml", "ndcg@10", "EASE", 0.2, None),
        ("ml", "ndcg@10", "MF", 0.3, 0.012),
        ("ml", "rmse", "EASE", None, None),
        ("ml", "rmse", "MF", 0.95, None),
        ("ml", "rmse", "Popularity", 0.5, None),  # not in the text, so it is not the best
        ("other", "ndcg@10", "EASE", 0.7, None),
    ]
    pd.DataFrame(rows, columns=["setting", "metric", "row", "mean", "std"]).to_csv(study / "table.csv", index=False)
    pairs = [
        ("ml", "ndcg@10", "MF", "EASE", 0.1, -0.01, 0.2, 0.05, 0.123, "undecided", False),
        ("ml", "ndcg@10", "EASE", "EASE 2", 0.001, -0.002, 0.003, 0.004, 1.0, "undecided", True),
        ("ml", "hr@10", "MF", "EASE", 0.1, 0.01, 0.2, 0.05, 0.01, "above", False),
    ]
    figures = ["difference", "low", "high", "detectable", "p_holm"]
    columns = ["setting", "metric", "row", "other", *figures, "conclusion", "equivalent"]
    pd.DataFrame(pairs, columns=columns).to_csv(study / "pairs.csv", index=False)
    return tmp_path


def test_rows_of_the_text_get_the_figures_of_the_study_and_pairs_are_all_listed(root):
    assert fill(TEXT, root) == FILLED
    assert fill(FILLED, root) == FILLED


def test_a_row_that_the_study_does_not_have_is_named(root):
    with pytest.raises(UserError, match=r"got 'SLIM'.*EASE, MF"):
        fill(TEXT.replace("| MF |", "| SLIM |"), root)


def test_only_files_with_other_figures_of_the_study_change(root):
    (root / "docs").mkdir()
    texts = {"README.md": TEXT, "docs/results.md": FILLED, "docs/other.md": TEXT.replace("tiny", "absent")}
    for name, text in texts.items():
        (root / name).write_text(text)
    assert fill_files("tiny", root) == [root / "README.md"]
    texts["README.md"] = FILLED
    assert {name: (root / name).read_text() for name in texts} == texts
