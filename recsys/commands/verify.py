"""The command `python -m recsys verify`: repeats one run of a study to check its published results."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path

from recsys.commands.training import run_train
from recsys.config.studies import read_study
from recsys.studies.plan import override_arguments
from recsys.studies.verification import RUN_KEY, Verification, published_run, seed_deviations


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments: the study, config overrides, and the options that select a run of the study."""
    parser.add_argument("study", metavar="STUDY", help="name of a study in experiments/")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="overrides for the run: data.path=DIR")
    for name in RUN_KEY:
        parser.add_argument(
            f"--{name}", metavar="NAME", help=f"{name} of the run (of several runs, the one that trained fastest)"
        )


def run(arguments: argparse.Namespace) -> None:
    """Repeat the selected run, and print whether its metrics agree with the published ones.

    Raises:
        SystemExit: with status 1, if the metrics do not agree.
        UserError: no published run matches the options, or the training fails.
    """
    file = Path("experiments", arguments.study, "runs.csv")
    published = published_run(file, **{name: getattr(arguments, name) for name in RUN_KEY})
    directory = Path("outputs", "verify", f"{datetime.now(UTC):%Y-%m-%d_%H-%M-%S}", arguments.study)
    chosen = override_arguments({"study.settings_run": [published["setting"]], "study.rows_run": [published["row"]]})
    study, _ = read_study([f"experiment={arguments.study}", *chosen])
    setting = {
        key: value
        for key, value in study.settings[published["setting"]].overrides.items()
        if not isinstance(value, list)
    }
    train = [f"experiment={arguments.study}", f"seed={published['seed']}", *published["variant"].split()]
    train += [
        *override_arguments(setting),
        *arguments.overrides,
        *chosen,
        *override_arguments({"hydra.sweep.dir": str(directory)}),
    ]
    run_train(train, directory, "run")
    repeated = published_run(directory / "report" / "runs.csv", **{name: published[name] for name in RUN_KEY})
    verification = Verification(published, repeated, seed_deviations(file, published), study.tolerance)
    print("\n".join(verification.sentences()))
    if not verification.agrees:
        raise SystemExit(1)
