"""Pages of reports: what their summaries take from findings."""

import pytest

from recsys.analysis.page import first_sentence


@pytest.mark.parametrize(
    ("finding", "expected"),
    [
        ("Dr. No (1962) is rated highest: 4.25. It has 194.", "Dr. No (1962) is rated highest: 4.25."),
        ("Drama receives the most, 40%. Others fewer.", "Drama receives the most, 40%."),
        ("It is so (95%). And so on.", "It is so (95%)."),
        ("There is one sentence of 0.5 stars.", "There is one sentence of 0.5 stars."),
    ],
)
def test_a_summary_takes_the_first_sentence_of_a_finding(finding, expected):
    assert first_sentence(finding) == expected
