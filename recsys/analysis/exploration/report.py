"""The exploratory report: writes the answers to the questions about a data set to files, and prints them.

The directory of a report has `report.html`, which is self-contained, each figure as `<question>.png` and
`<question>.svg`, and an event file with which TensorBoard shows the figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

from matplotlib.image import imread
from torch.utils.tensorboard import SummaryWriter

from recsys.analysis import figures
from recsys.analysis.charts import percent
from recsys.analysis.exploration.explore import Answer, Exploration, explore
from recsys.analysis.page import first_sentence, write_page
from recsys.data.prepared import Prepared, Report
from recsys.errors import UserError

PAGE = "report.html"
EVENTS = "events.out.tfevents.explore"


def write_report(directory: Path, prepared: Prepared) -> Exploration:
    """Explore a data set and write the report.

    Args:
        directory: directory of the report, created if it does not exist; files of an earlier report in it are replaced.
        prepared: the data set to explore.

    Raises:
        UserError: the directory cannot be created.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"{directory} cannot hold a report ({error.strerror}): choose another directory with --out."
        ) from error
    with figures.style():
        exploration = explore(prepared)
        images = [figures.data_uri(answer.fig) for answer in exploration.answers]
        for answer in exploration.answers:
            figures.save(answer.fig, directory, answer.question.name, answer.question.text)
    _write_events(directory, exploration.answers)
    cards = zip(exploration.answers, images, strict=True)
    sections = [(name, list(group)) for name, group in groupby(cards, key=lambda card: card[0].question.section)]
    write_page(
        directory / PAGE,
        "explore.html.j2",
        report=prepared.report,
        facts=_facts(prepared.report),
        summary=[(card[0].question.text, first_sentence(card[0].finding)) for _, (card, *_) in sections],
        sections=sections,
        omissions=exploration.omissions,
        cleaning=cleaning_finding(prepared.report),
    )
    return exploration


def print_findings(exploration: Exploration, report: Report) -> None:
    """Print each question with its finding, what cleaning removed, and which questions have no answer."""
    for answer in exploration.answers:
        print(f"{answer.question.text}\n  {answer.finding}")
    print(f"What did cleaning remove?\n  {cleaning_finding(report)}")
    for sentence in exploration.omissions:
        print(sentence)


def cleaning_finding(report: Report) -> str:
    """State in a sentence how many ratings cleaning removed, and which of its rules removed the most."""
    n_dropped = sum(report.dropped.values())
    if not n_dropped:
        return f"Cleaning removed none of the {report.rows_read:,} ratings."
    main_rule = max(report.dropped, key=lambda rule: report.dropped[rule])
    return (
        f"Cleaning removed {n_dropped:,} of {report.rows_read:,} ratings ({percent(n_dropped / report.rows_read)}), "
        f"the most by the rule '{main_rule}'."
    )


def _facts(report: Report) -> dict[str, str]:
    lowest, highest = report.scale
    return {
        "ratings": f"{report.rows_kept:,}",
        "users": f"{report.users:,}",
        "films": f"{report.films:,}",
        "of all pairs rated": percent(report.density),
        "stars": f"{lowest:g} to {highest:g}" if lowest < highest else "none",
    }


def _write_events(directory: Path, answers: Sequence[Answer]) -> None:
    """Write the findings, and the figures from PNG files in the directory, to one event file, atomically."""
    with TemporaryDirectory(dir=directory, prefix="events-") as scratch:
        with SummaryWriter(scratch) as writer:
            for answer in answers:
                name = answer.question.name
                writer.add_image(name, imread(directory / f"{name}.png")[..., :3], dataformats="HWC")
                writer.add_text(name, answer.finding)
        [events] = Path(scratch).iterdir()
        events.replace(directory / EVENTS)
