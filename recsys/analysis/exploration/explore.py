"""Explores a data set: answers questions about its clean tables, each with a figure and a finding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pandas as pd
from matplotlib.figure import Figure

from recsys.analysis.exploration.questions import INCLUDED, PARAMETERS, QUESTIONS, REQUIREMENTS, Question
from recsys.analysis.figures import freeze_layout
from recsys.data.columns import read_apart
from recsys.data.dataset import Dataset
from recsys.data.prepared import Prepared
from recsys.models.popularity_context import DAY
from recsys.progress_bar import ProgressBar

SQL = Path(__file__).parent / "sql"


@dataclass(frozen=True)
class Answer:
    """The answer to a question.

    Attributes:
        question: the question.
        fig: the figure; its layout is final.
        finding: the finding, in one or more sentences.
    """

    question: Question
    fig: Figure
    finding: str


@dataclass(frozen=True)
class Exploration:
    """The answers to those questions for which the data set suffices.

    Attributes:
        answers: answers in the order of `QUESTIONS`.
        omissions: a sentence for each reason why questions have no answer; the sentence lists these questions.
    """

    answers: list[Answer]
    omissions: list[str]


def explore(prepared: Prepared) -> Exploration:
    """Answer all questions for which the data suffice. This must be called within `figures.style()`."""
    available = _available(prepared.dataset)
    possible = [question for question in QUESTIONS if available.issuperset(question.requires)]
    results = list(query(prepared, possible))
    answers = [Answer(q, q.draw(rows), q.summarize(rows)) for q, rows in results if len(rows) >= q.min_rows]
    for answer in answers:
        freeze_layout(answer.fig)
    unanswered = [q for q, rows in results if len(rows) < q.min_rows]
    return Exploration(answers, _omissions(prepared.dataset.name, available, unanswered))


def query(prepared: Prepared, questions: Sequence[Question]) -> Iterator[tuple[Question, pd.DataFrame]]:
    """Run the SELECT statement of each question on the clean tables, and yield the question with the resulting rows."""
    with duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false")
        for name, file in prepared.tables.items():
            read_apart(connection, name, file).create_view(name)
        connection.execute((SQL / "views.sql").read_text(encoding="utf-8"))
        for question in ProgressBar(questions, desc="questions", leave=False):
            sql = (SQL / f"{question.query or question.name}.sql").read_text(encoding="utf-8")
            [statement] = connection.extract_statements(sql)
            parameters = {**PARAMETERS, **question.parameters}
            used = {name: parameters[name] for name in statement.named_parameters}
            yield question, connection.execute(statement, used).df()


def _available(dataset: Dataset) -> set[str]:
    """Return the keys of `REQUIREMENTS` that a data set meets."""
    users, films = dataset.user_frame, dataset.item_frame
    is_met = {name: name in users for name in ("gender", "age", "occupation")}
    is_met |= {
        "ratings": dataset.scale[0] < dataset.scale[1],
        "times": dataset.times is not None,
        "hours": dataset.times is not None and bool((dataset.times % DAY).any()),
        "genres": bool(films["genres"].map(len).any()),
        "years": bool(films["year"].notna().any()),
        "people": any(is_met.values()),
    }
    return {name for name, met in is_met.items() if met}


def _omissions(name: str, available: set[str], unanswered: Sequence[Question]) -> list[str]:
    """Return sentences that say which questions have no answer, and why.

    There is a sentence for each combination of missing properties, and one for questions whose result has too few rows.

    Args:
        name: name of the data set.
        available: keys of `REQUIREMENTS` that the data set meets.
        unanswered: questions whose SELECT statement returned too few rows.
    """
    texts: dict[str, list[str]] = {}
    for question in QUESTIONS:
        missing = [requirement for requirement in question.requires if requirement not in available]
        if missing:
            reasons = [REQUIREMENTS[name] for name in missing if INCLUDED.get(name) not in missing]
            texts.setdefault(" and ".join(reasons), []).append(question.text)
        elif question in unanswered:
            texts.setdefault("the groups are too small", []).append(question.text)
    return [f"{name} cannot answer this, since {reason}: {' '.join(omitted)}" for reason, omitted in texts.items()]
