"""README files: links lead to files, and figures are those of the study that a comment above their table names."""

import re
from pathlib import Path

import pandas as pd
import pytest

from recsys.evaluation.intervals import Interval

ROOT = Path(__file__).parents[1]
MARKED = re.compile(r"<!-- (?P<file>\S+/table\.csv), (?P<setting>.+?) -->\n\n(?P<table>(?:\|.*\n)+)")
PAIRS = re.compile(r"<!-- (?P<file>\S+/pairs\.csv), (?P<setting>.+?), (?P<metric>\S+) -->\n\n(?P<table>(?:\|.*\n)+)")
LINK = re.compile(r"\]\(([^)#\s]+)")
FILES = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("experiments/*/README.md"))]
COMPARISONS = [marked for file in FILES for marked in PAIRS.finditer(file.read_text())]
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


@pytest.mark.parametrize("marked", COMPARISONS, ids=lambda marked: f"{marked['file']}, {marked['setting']}")
def test_differences_and_conclusions_are_those_of_declared_pairs(marked):
    """A line has the two rows, the difference with its interval, the smallest detectable one, p, and the conclusion."""
    pairs = pd.read_csv(ROOT / marked["file"])
    pairs = pairs[(pairs["setting"] == marked["setting"]) & (pairs["metric"] == marked["metric"])]
    pairs = pairs.set_index(["row", "other"])
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in marked["table"].splitlines()[2:]]
    for row, other, *cells in rows:
        own = pairs.loc[row, other]
        conclusion = own["conclusion"] + ", equivalent" * (str(own["equivalent"]) == "True")  # NaN without a margin
        difference = str(Interval(*own[["difference", "low", "high"]].astype(float)))
        assert cells == [difference, f"{own['detectable']:.4f}", f"{own['p_holm']:.2g}", conclusion], (row, other)
    assert {(row[0], row[1]) for row in rows} == set(pairs.index)  # none is left out


def test_there_are_such_tables():
    assert len(TABLES) >= 3


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_links_lead_to_files(file):
    links = {link for link in LINK.findall(file.read_text()) if "://" not in link}
    assert {link for link in links if not (file.parent / link).exists()} == set()
