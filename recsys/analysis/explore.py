"""The exploratory report of a data set: questions to its clean tables, each answered by a figure and a finding.

A directory of it holds `report.html`, which needs nothing else, each figure as `<question>.png` and `<question>.svg`,
and an event file that shows them in TensorBoard.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.image import imread
from rich.console import Console
from rich.progress import track
from torch.utils.tensorboard import SummaryWriter

from recsys.analysis.charts import percent
from recsys.analysis.figures import data_uri, save, settle, style
from recsys.analysis.page import write_page
from recsys.analysis.questions import LACKING, PARAMETERS, QUESTIONS, Question
from recsys.data.dataset import Dataset
from recsys.data.prepared import Prepared, Report
from recsys.errors import UserError

SQL = Path(__file__).parent / "sql"
PAGE = "report.html"
EVENTS = "events.out.tfevents.explore"


@dataclass(frozen=True)
class Answer:
    """A question, its figure and its finding."""

    question: Question
    figure: Figure
    finding: str


@dataclass(frozen=True)
class Exploration:
    """What the data say, and what they cannot say.

    Attributes:
        answers: in the order of `QUESTIONS`.
        left_out: a sentence for each reason why questions have no answer.
    """

    answers: list[Answer]
    left_out: list[str]


def explore(prepared: Prepared, directory: Path) -> Exploration:
    """Answer all questions that the data allow, and write the report.

    Args:
        prepared: the data.
        directory: of the report; made if need be. Files of an earlier report are replaced.

    Raises:
        UserError: the directory cannot be used.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"{directory} cannot hold a report ({error.strerror}): choose another place by --out."
        ) from error
    with style():
        exploration = answer(prepared)
        images = [data_uri(each.figure) for each in exploration.answers]
        for each in exploration.answers:
            save(each.figure, directory, each.question.name, each.question.asked)
    _write_events(exploration.answers, directory)
    shown = zip(exploration.answers, images, strict=True)
    sections = [(name, list(of)) for name, of in groupby(shown, key=lambda pair: pair[0].question.section)]
    write_page(
        directory / PAGE,
        "explore.html.j2",
        report=prepared.report,
        facts=_facts(prepared.report),
        sections=sections,
        left_out=exploration.left_out,
        cleaning=cleaning_finding(prepared.report),
    )
    return exploration


def answer(prepared: Prepared) -> Exploration:
    """The figures and findings that the data allow; within `figures.style()`."""
    known = _known(prepared.dataset)
    possible = [question for question in QUESTIONS if known.issuperset(question.needs)]
    asked = list(ask(prepared, possible))
    answers = [Answer(q, q.draw(rows), q.find(rows)) for q, rows in asked if len(rows) >= q.least]
    for each in answers:
        settle(each.figure)
    silent = [q for q, rows in asked if len(rows) < q.least]
    return Exploration(answers, _left_out(prepared.dataset.name, known, silent))


def ask(prepared: Prepared, questions: Sequence[Question]) -> Iterator[tuple[Question, pd.DataFrame]]:
    """The rows that each question's SELECT gives."""
    console = Console(stderr=True)
    with duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false")
        for name, file in prepared.tables.items():
            connection.read_parquet(str(file)).create_view(name)
        connection.execute((SQL / "views.sql").read_text(encoding="utf-8"))
        for question in track(questions, "Exploring", console=console, transient=True, disable=not console.is_terminal):
            sql = (SQL / f"{question.query or question.name}.sql").read_text(encoding="utf-8")
            [statement] = connection.extract_statements(sql)
            given = {**PARAMETERS, **question.parameters}
            taken = {name: given[name] for name in statement.named_parameters}
            yield question, connection.execute(statement, taken).df()


def cleaning_finding(report: Report) -> str:
    """What cleaning dropped, in a sentence."""
    n_dropped = sum(report.dropped.values())
    if not n_dropped:
        return f"Cleaning kept all {report.rows_read:,} ratings."
    worst = max(report.dropped, key=lambda rule: report.dropped[rule])
    return (
        f"Cleaning dropped {n_dropped:,} of {report.rows_read:,} ratings ({percent(n_dropped / report.rows_read)}), "
        f"most of them by the rule '{worst}'."
    )


def print_findings(exploration: Exploration, report: Report) -> None:
    """Each question and its finding."""
    for each in exploration.answers:
        print(f"{each.question.asked}\n  {each.finding}")
    print(f"What did cleaning drop?\n  {cleaning_finding(report)}")
    for sentence in exploration.left_out:
        print(sentence)


def _known(dataset: Dataset) -> set[str]:
    """Which of the names of `LACKING` the data do not lack."""
    users, films = dataset.user_frame, dataset.item_frame
    facts = {"gender": "gender" in users, "age": "age" in users, "occupation": "occupation" in users}
    facts |= {
        "ratings": dataset.scale[0] < dataset.scale[1],
        "times": dataset.times is not None,
        "genres": bool(films["genres"].map(len).any()),
        "years": bool(films["year"].notna().any()),
        "people": any(facts.values()),
    }
    return {name for name, is_known in facts.items() if is_known}


def _left_out(name: str, known: set[str], silent: Sequence[Question]) -> list[str]:
    """A sentence for each thing that the data lack and questions need, and one for questions with too little to say."""
    reasons: dict[str, list[str]] = {}
    for question in QUESTIONS:
        lacking = [need for need in question.needs if need not in known]
        if lacking:
            reasons.setdefault(LACKING[lacking[0]], []).append(question.asked)
        elif question in silent:
            reasons.setdefault("its groups are too small", []).append(question.asked)
    return [f"Of {name} it cannot be told, since {reason}: {' '.join(asked)}" for reason, asked in reasons.items()]


def _facts(report: Report) -> dict[str, str]:
    lowest, highest = report.scale
    return {
        "ratings": f"{report.rows_kept:,}",
        "users": f"{report.users:,}",
        "films": f"{report.films:,}",
        "of all pairs rated": percent(report.density),
        "stars": f"{lowest:g} to {highest:g}" if lowest < highest else "none",
    }


def _write_events(answers: Sequence[Answer], directory: Path) -> None:
    """The figures of a directory, and their findings, for TensorBoard: one file, whole."""
    with TemporaryDirectory(dir=directory, prefix="events-") as scratch:
        with SummaryWriter(scratch) as writer:
            for each in answers:
                name = each.question.name
                writer.add_image(name, imread(directory / f"{name}.png")[..., :3], dataformats="HWC")
                writer.add_text(name, each.finding)
        [events] = Path(scratch).iterdir()
        events.replace(directory / EVENTS)
