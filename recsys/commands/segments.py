"""The command `python -m recsys segments`: groups the users of a run into segments, or assigns a new user to one."""

from __future__ import annotations

import argparse

from recsys.analysis.segments.spaces import EMBEDDINGS, cannot_place, points_of
from recsys.analysis.segments.stored import read_segments, segments_directory
from recsys.analysis.segments.study import SegmentStudy
from recsys.commands.arguments import add_run, add_trusted
from recsys.commands.run_data import split_of
from recsys.config import compose, instantiate
from recsys.data.titles import find_items
from recsys.errors import UserError
from recsys.files import short
from recsys.studies.runs import Run, read_run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments: the run, config overrides, and the films that a new user likes."""
    add_run(parser)
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="KEY=VALUE",
        help="segments=hdbscan space=ratings segments.n_segments=5 map=tsne",
    )
    parser.add_argument(
        "--liked", action="append", metavar="TITLE", help="title that a new user likes: 'Heat (1995)'; may be repeated"
    )
    add_trusted(parser)


def run(arguments: argparse.Namespace) -> None:
    """Find segments and write a report on them or, with `--liked`, print the segment of a new user.

    Raises:
        UserError: the run cannot be loaded, a setting is not valid, or a new user cannot be assigned to a segment.
    """
    run = read_run(arguments.directory)
    if arguments.liked:
        _print_segment(run, arguments.liked, arguments.overrides, arguments.trusted)
    else:
        _find_segments(run, arguments.overrides, arguments.trusted)


def _find_segments(run: Run, overrides: list[str], trusted: bool) -> None:
    from recsys.analysis.segments import report  # needs an extra; --help does not
    from recsys.studies.segmenting import find_segments, with_space

    given: SegmentStudy = instantiate(compose("segments", overrides))
    study = with_space(given, run)
    print(_space(study, run, is_default=given.space is None))
    found = find_segments(run, split_of(run, trusted), study)
    report.print_segments(found)
    print(f"The report is {short(segments_directory(run.directory) / 'report.html')}.")


def _space(study: SegmentStudy, run: Run, *, is_default: bool) -> str:
    """Return a sentence on the space in which users are represented; if it is the default, the sentence says why."""
    model = run.config["model"]["_target_"].rpartition(".")[2]
    if study.space == EMBEDDINGS:
        return f"Users are placed by the embeddings of {model}; space=ratings uses genres and decades."
    reason = f", because {model} learns no embeddings of users" if is_default else ""
    return f"Users are placed by the genres and decades of their films{reason}."


def _print_segment(run: Run, titles: list[str], overrides: list[str], trusted: bool) -> None:
    if overrides:
        raise UserError(f"--liked uses the segments that were found before: leave out {' '.join(overrides)}.")
    segments = read_segments(run.directory)
    if not segments.may_place_new_users:
        raise cannot_place(run.model_class.rpartition(".")[2])
    split = split_of(run, trusted)
    segments.check(split)
    history = split.dataset.history_of_liked(find_items(split.dataset, titles))
    points = points_of(segments.space, run.model(trusted), run.learned_from(split), history)
    segment = segments.segmentation.predict(points)[0]
    print(f"Segment {segment + 1}: {segments.names[segment]}")
