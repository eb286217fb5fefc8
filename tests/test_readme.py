"""README files and the manual: links lead to files, and tables of studies have the published figures."""

import re
from pathlib import Path

import pytest

from recsys.studies.readme_tables import MARKED, fill, texts

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"\]\(([^)#\s]+)")
FILES = texts(ROOT)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_tables_of_studies_have_the_published_figures(file):
    text = file.read_text()
    assert text == fill(text, ROOT)


def test_there_are_such_tables():
    assert sum(len(MARKED.findall(file.read_text())) for file in FILES) >= 3


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_links_lead_to_files(file):
    links = {link for link in LINK.findall(file.read_text()) if "://" not in link}
    assert {link for link in links if not (file.parent / link).exists()} == set()
