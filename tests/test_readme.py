"""README files: links lead to files, and figures are those of the study that a comment above their table names."""

import re
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[1]
MARKED = re.compile(r"<!-- (?P<file>\S+/table\.csv), (?P<setting>.+?) -->\n\n(?P<table>(?:\|.*\n)+)")
LINK = re.compile(r"\]\(([^)#\s]+)")
FILES = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("experiments/*/README.md"))]
TABLES = [marked for file in FILES for marked in MARKED.finditer(file.read_text())]


@pytest.mark.parametrize("marked", TABLES, ids=lambda marked: marked["file"])
def test_a_table_has_the_figures_of_its_study(marked):
    numbers = pd.read_csv(ROOT / marked["file"])
    means = numbers[numbers["setting"] == marked["setting"]].set_index(["row", "metric"])["mean"]
    lines = marked["table"].splitlines()
    header, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert rows
    for name, *cells in rows:
        for metric, cell in zip(header[1:], cells, strict=True):
            mean = means[name, metric.lower()]
            figure = "" if pd.isna(mean) else f"{mean:.4f}"  # empty: the row has no such metric
            assert cell.strip("*").split(" ")[0].strip("*") == figure, (name, metric)


def test_there_are_such_tables():
    assert len(TABLES) >= 3


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_links_lead_to_files(file):
    links = {link for link in LINK.findall(file.read_text()) if "://" not in link}
    assert {link for link in links if not (file.parent / link).exists()} == set()
