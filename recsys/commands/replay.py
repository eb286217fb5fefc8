"""The command `python -m recsys replay`: evaluates a run off-policy, from viewers' feedback on lists that they saw."""

from __future__ import annotations

import argparse
import json
from functools import partial

from recsys.commands.arguments import add_json, add_run, add_trusted
from recsys.commands.feedback import add_store, open_store
from recsys.commands.run_data import data_of, reranker_of
from recsys.files import short
from recsys.studies.runs import read_run
from recsys.web import rollout
from recsys.web.catalogue import Catalogue
from recsys.web.replay import REWARDS, print_replay, replay


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments: the run, the reward and the store of feedback."""
    add_run(parser)
    parser.add_argument(
        "--reward", choices=[*REWARDS], default="click", help=f"reward to estimate: {', '.join(REWARDS.values())}"
    )
    add_json(parser)
    add_trusted(parser)
    add_store(parser)


def run(arguments: argparse.Namespace) -> None:
    """Print the estimated reward of the run's lists and the observed reward of the lists that viewers saw.

    The output is text or, with `--json`, JSON.

    Raises:
        UserError: the run or the store cannot be read, or the feedback does not allow an estimate.
    """
    from recsys.web.loaded_run import load_run  # needs an extra; --help does not

    run = read_run(arguments.directory)
    store = open_store(arguments.store, run.directory)
    data = partial(data_of, trusted=arguments.trusted)
    catalogue = Catalogue(data(read_run(rollout.original(run.directory))))
    reranker = reranker_of(run, arguments.trusted)
    loaded = load_run(str(short(run.directory)), run, catalogue, data, trusted=arguments.trusted, reranker=reranker)
    replayed = replay(loaded, store, arguments.reward)
    if arguments.json:
        print(json.dumps(replayed.plain(), indent=2, ensure_ascii=False))
    else:
        print_replay(replayed)
