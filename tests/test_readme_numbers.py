"""Numbers in the text of studies are those of the cells that the cells.yaml beside each README names."""

from pathlib import Path

import pytest

from tests.cells import problems
from tests.test_readme import ROOT

STUDIES = sorted(readme.parent for readme in ROOT.glob("experiments/*/README.md"))


@pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.name)
def test_the_text_of_a_study_has_the_numbers_of_its_cells(study):
    found = problems(study)
    assert not found, "\n".join(found)


def test_every_study_names_its_cells():
    assert [study.name for study in STUDIES if not (study / "cells.yaml").exists()] == []


README = """# Study

    python train.py model=ease model.l2=0.25

EASE exceeds popularity by 0.031 NDCG@10 [0.013,
0.055], a third of its NDCG@10 (33%). Over 1,200 users of MovieLens-1M, NDCG@10 is between 0.060 and 0.091. It took
0.16 s, in an earlier run 0.18, and `l2=0.75` was chosen.

| model | few ratings | many |
| --- | --- | --- |
| EASE | **0.091** | 0.095 |
| above | [0.013, 0.055] | 0.02 |
"""
CELLS = """
- file: table.csv
  setting: few
  row: EASE
  column: [difference, low, high]
  numbers:
    - 0.031 NDCG@10 [0.013, 0.055]
    - 33%: {row: [EASE, Popularity], column: mean, take: decrease}
    - 1,200: {column: users}
    - 0.060 and 0.091: {row: [EASE, Popularity], column: mean, take: [min, max]}
- command: python experiments/speed/start.py
  numbers: [0.16 s]
- uncommitted: of an earlier run
  numbers: [0.18]
- table: few ratings | many
  file: table.csv
  setting: [few, many]
  lines:
    above:
      - {row: EASE, setting: few, column: [low, high]}
      - {uncommitted: not in the table, count: 1}
"""
TABLE = """setting,row,mean,users,difference,low,high
few,Popularity,0.0604,,,,
few,EASE,0.0906,1200.0,0.0312,0.0131,0.0549
many,Popularity,0.0611,,,,
many,EASE,0.0949,1200.0,0.0212,0.0031,0.0449
"""


def problems_after(folder: Path, file: str = "README.md", old: str = "", new: str = "") -> list[str]:
    """Check a made-up study, in a file of which some words are replaced."""
    for name, text in {"README.md": README, "cells.yaml": CELLS, "table.csv": TABLE}.items():
        assert name != file or old in text
        (folder / name).write_text(text.replace(old, new, 1) if name == file else text)
    return problems(folder)


def test_equal_text_and_cells_have_no_problem(tmp_path):
    assert problems_after(tmp_path) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "problem"),
    [
        (
            "table.csv",
            "0.0312",
            "0.0316",
            "'0.031 NDCG@10 [0.013, 0.055]': 0.031 should be 0.032, of {'file'",
        ),
        ("table.csv", "0.0949", "0.0956", "0.095 should be 0.096"),
        ("table.csv", "0.0604", "0.0590", "33 should be 35"),
        ("table.csv", "1200.0,0.0312", "1201.0,0.0312", "1,200 should be 1201"),
        ("table.csv", "0.0131", "", "low is empty"),
        ("README.md", "0.031", "0.032", "'0.031 NDCG@10 [0.013, 0.055]' does not follow"),
        ("README.md", "0.031", "0.032", "'0.032' has no entry: 'EASE exceeds popularity"),
        ("README.md", "33%", "33% or 34.00%", "'34.00' has no entry"),
        ("README.md", "| EASE | **0.091**", "| EASE | **0.092**", "0.092 should be 0.091"),
        ("README.md", "| EASE |", "| SLIM |", "table.csv has no row SLIM"),
        ("README.md", "| above |", "| below |", "'| above |' does not follow"),
        ("cells.yaml", "- 33%", "- 0.18: {column: low}\n    - 33%", "'33%' does not follow"),
        ("cells.yaml", "[difference, low, high]", "[difference, low]", "has 3 numbers for 2 cells"),
        ("cells.yaml", "setting: few", "setting: none", "table.csv has no setting none"),
        ("cells.yaml", "setting: few", "metric: hr@10", "table.csv has no metric hr@10"),
        ("cells.yaml", "  setting: few\n", "", "table.csv has 2 lines with {'row': 'EASE'}"),
        ("cells.yaml", "row: EASE", "row: SLIM", "table.csv has no row SLIM"),
        ("cells.yaml", "column: users", "column: votes", "table.csv has no column votes"),
        ("cells.yaml", "take: decrease", "take: increase", "table.csv has no take increase"),
        ("cells.yaml", "file: table.csv", "file: pairs.csv", "there is no file pairs.csv"),
        ("cells.yaml", "start.py", "end.py", "there is no command python experiments/speed/end.py"),
        ("cells.yaml", "uncommitted:", "because:", "one of command, file, given, uncommitted is needed"),
    ],
)
def test_what_differs_is_found(tmp_path, file, old, new, problem):
    found = problems_after(tmp_path, file, old, new)
    assert any(problem in line for line in found), found
    assert all(line.startswith(f"{tmp_path.name}/README.md: ") for line in found)
