"""The commands beside train.py, from `prepare` to `serve`: `python -m recsys --help` lists them."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig, OmegaConf

from recsys.analysis import importance_report, report, segment_report
from recsys.analysis.explore import PAGE, explore, print_findings
from recsys.analysis.recommend import UNKNOWN, liked_by_somebody_new, neighbours, recommend, recommend_to_all, user_code
from recsys.analysis.segments import SegmentStudy, points_of, read_segments, segments_directory
from recsys.config import (
    CONFIGS,
    INTERRUPTED,
    Splits,
    compose,
    instantiate,
    one_sentence,
    read_study,
    resolved,
    studies,
)
from recsys.data.databases import DEFAULT_VARIABLE, TABLES, Address, check_free, clean_tables, write_tables
from recsys.data.dataset import Dataset, History
from recsys.data.filters import films_passing
from recsys.data.prepare import Prepared, prepare, print_report, with_new_films
from recsys.data.split import Split
from recsys.data.titles import find_item
from recsys.errors import UserError
from recsys.models.base import HasOpenCatalogue, Recommender
from recsys.models.trees import RatingTrees
from recsys.studies.plan import Finished, levels, with_searches
from recsys.studies.plan import arguments as as_arguments
from recsys.studies.runs import Run, find_runs, read_run, short
from recsys.studies.segmenting import find_segments
from recsys.studies.selection import select
from recsys.studies.study_report import print_tables, publish, write_report
from recsys.studies.tables import comparison, markdown, table
from recsys.studies.verification import NAMES, Verification, kept_run
from recsys.web import rollout
from recsys.web.catalogue import Catalogue
from recsys.web.http_server import ServerSettings, run_server
from recsys.web.loaded_run import load_run
from recsys.web.promotion import ERROR_MARGIN, RANKING_MARGIN
from recsys.web.recommendation_service import RecommendationService, runs_by_name
from recsys.web.refit import CONFIG, Refitter, refit_lock
from recsys.web.replay import REWARDS, print_replay, replay
from recsys.web.rollout import data_name
from recsys.web.store import Store

STORE_VARIABLE, STORES = "RECSYS_STORE_URL", Path("outputs", "feedback")  # where each data set has a store of its own
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
STUDIES = Path("outputs", "experiments")  # where the runs of studies lie, unless a command says otherwise


def prepare_command(arguments: argparse.Namespace) -> None:
    """Download, clean and cache a data set; say what cleaning kept and dropped and what metadata describes."""
    print_report(_prepared(compose("train", arguments.overrides)))


def explore_command(arguments: argparse.Namespace) -> None:
    """Answer questions about a data set by figures and findings: an HTML report, PNG, SVG, TensorBoard."""
    prepared = _prepared(compose("train", arguments.overrides))
    directory = arguments.out or Path("outputs", "explore", prepared.report.name)
    print_findings(explore(prepared, directory), prepared.report)
    print(f"report: {directory / PAGE}")


def table_command(arguments: argparse.Namespace) -> None:
    """Print the metrics of runs: mean and deviation over seeds and splits; of a study, write its folder anew."""
    if arguments.directories[0].name in studies() and not arguments.directories[0].is_dir():
        _write_study(*map(str, arguments.directories))
        return
    runs = [run for directory in arguments.directories for run in find_runs(directory)]
    frame = table(runs, arguments.metrics)
    print(frame.to_csv(index=False) if arguments.csv else markdown(frame))


def _write_study(name: str, *overrides: str) -> None:
    """Write experiments/<name>/ from the runs that there are, without training."""
    study, given = read_study([f"experiment={name}", *overrides])
    directory = STUDIES / study.name
    study = with_searches(study, directory)
    finished = Finished(STUDIES, lambda job: resolved((*given, *job.arguments())))
    outcomes = [job.outcome(run) for level in levels(study, directory, finished.latest) for job, run in level]
    if not any(outcome.run for outcome in outcomes):
        raise UserError(f"No run of {name} is finished: make them with python train.py experiment={name}.")
    folder = Path("experiments", study.name)
    print_tables(write_report(folder, study, outcomes))
    publish(directory, folder)
    print(f"Tables and figures are in {folder}.")


def verify_command(arguments: argparse.Namespace) -> None:
    """Make one run of a study again, and say whether its figures are those that the study has kept."""
    runs = Path("experiments", arguments.study, "runs.csv")
    kept = kept_run(runs, setting=arguments.setting, variant=arguments.variant, row=arguments.row, seed=arguments.seed)
    again = Path("outputs", "verify", f"{datetime.now(UTC):%Y-%m-%d_%H-%M-%S}", arguments.study)
    chosen = as_arguments({"study.settings_run": [kept["setting"]], "study.rows_run": [kept["row"]]})
    study, _ = read_study([f"experiment={arguments.study}", *chosen])
    on = {key: value for key, value in study.settings[kept["setting"]].overrides.items() if not isinstance(value, list)}
    command = [f"experiment={arguments.study}", f"seed={kept['seed']}", *kept["variant"].split(), *as_arguments(on)]
    train = [sys.executable, str(CONFIGS.parent / "train.py"), *command, *arguments.overrides, *chosen]
    train += as_arguments({"hydra.sweep.dir": str(again)})
    if subprocess.run(train, stdout=2, check=False).returncode:  # noqa: S603
        raise UserError(f"The run failed, and says above why; what there is of it is in {again}.")
    names = {name: kept[name] for name in NAMES}
    verification = Verification(kept, kept_run(again / "report" / "runs.csv", **names), study.tolerance)
    print("\n".join(verification.sentences()))
    if not verification.agrees:
        raise SystemExit(1)


def compare_command(arguments: argparse.Namespace) -> None:
    """Compare models with one of them, on the splits that both were tested on."""
    runs = [run for directory in arguments.directories for run in find_runs(directory)]
    frame = comparison(runs, arguments.baseline, arguments.metrics)
    print(frame.to_csv(index=False) if arguments.csv else markdown(frame))


def select_command(arguments: argparse.Namespace) -> None:
    """Say which model of a study to use by a metric, and how sure that is."""
    runs = [run for directory in arguments.directories for run in find_runs(directory)]
    print("\n".join(select(runs, arguments.metric).sentences()))


def recommend_command(arguments: argparse.Namespace) -> None:
    """Recommend films to a user of the data or to somebody new, with a reason for each."""
    model, dataset = _trained(arguments.directory, arguments.trusted, arguments.films)
    candidates = films_passing(dataset, arguments.filter)
    if arguments.user is None:
        user, liked = UNKNOWN, [find_item(dataset, title) for title in arguments.liked]
        history = liked_by_somebody_new(model, dataset, liked)
    else:
        user = user_code(dataset, arguments.user)
        history = dataset.history(np.array([user]))
    recommended = recommend(model, dataset, user, history, candidates, arguments.k)
    if arguments.json:
        answer = report.recommendations(dataset, user, history, recommended)
        print(json.dumps({"run": str(arguments.directory), **answer}, indent=2, ensure_ascii=False))
    else:
        report.print_recommendations(model, dataset, user, history, recommended)


def similar_command(arguments: argparse.Namespace) -> None:
    """List the films that a model places nearest to one."""
    model, dataset = _trained(arguments.directory, arguments.trusted, arguments.films)
    film = find_item(dataset, arguments.title)
    measure, near = neighbours(model, film, films_passing(dataset, arguments.filter), arguments.k)
    if arguments.json:
        answer = report.neighbours(dataset, film, measure, near)
        print(json.dumps({"run": str(arguments.directory), **answer}, indent=2, ensure_ascii=False))
    else:
        report.print_neighbours(model, dataset, film, measure, near)


def load_command(arguments: argparse.Namespace) -> None:
    """Write clean ratings, users and films into a database; of a run also what it recommends to every user."""
    address = Address.from_environment(DEFAULT_VARIABLE) if arguments.to is None else Address.parse(arguments.to)
    is_run = len(arguments.what) == 1 and "=" not in arguments.what[0]
    cfg = None if is_run else compose("train", arguments.what)
    if not arguments.replace:
        check_free(address, (*TABLES, "recommendations") if is_run else TABLES)
    if cfg is not None:
        tables = clean_tables(_prepared(cfg).dataset)
    else:
        model, dataset = _trained(Path(arguments.what[0]), arguments.trusted)
        tables = clean_tables(dataset) | {"recommendations": recommend_to_all(model, dataset, arguments.k)}
    write_tables(address, tables, replace=arguments.replace)
    print(f"{address}: {', '.join(f'{name} ({len(frame):,} rows)' for name, frame in tables.items())}")


def serve_command(arguments: argparse.Namespace) -> None:
    """Open a web page and an API on trained runs, and keep what viewers say of their films."""
    overrides = [word for word in arguments.what if "=" in word]
    settings: ServerSettings = instantiate(compose("serve", overrides))
    runs = runs_by_name([Path(word) for word in arguments.what if word not in overrides])
    store = _store(arguments.store, next(iter(runs.values())), make=True)
    run_server(RecommendationService(runs, _data, store, settings.explore, settings.index, arguments.trusted), settings)


def replay_command(arguments: argparse.Namespace) -> None:
    """Estimate from feedback what a run's lists would have been worth to those who saw the lists of others."""
    run = read_run(arguments.directory)
    store = _store(arguments.store, run.directory)
    catalogue = Catalogue(_data(read_run(rollout.original(run.directory))))
    served = load_run(str(short(run.directory)), run, catalogue, _data, trusted=arguments.trusted)
    replayed = replay(served, store, arguments.reward)
    if arguments.json:
        print(json.dumps(replayed.plain(), indent=2, ensure_ascii=False))
    else:
        print_replay(replayed)


def segments_command(arguments: argparse.Namespace) -> None:
    """Find segments of a run's users and report on them, or say which one somebody new is in."""
    run = read_run(arguments.directory)
    if arguments.liked:
        _print_segment(run, arguments.liked, arguments.overrides, arguments.trusted)
    else:
        _find_segments(run, arguments.overrides)


def refit_command(arguments: argparse.Namespace) -> None:
    """Train a run again with what viewers said, and serve it in the run's place if it is not worse."""
    directory = arguments.directory
    read_run(directory)
    if arguments.roll_back:
        with refit_lock(directory):
            print(f"{short(rollout.roll_back(directory))} is served again.")
        return
    refits = Refitter(
        directory,
        _store(arguments.store, directory),
        _split_of,
        _train,
        warm=arguments.warm,
        margin=arguments.margin,
        trusted=arguments.trusted,
        unattended=arguments.every is not None,
    )
    if arguments.every is None:
        _refit(refits)
        return
    try:
        while True:
            started = time.monotonic()
            try:
                _refit(refits)
            except Exception as error:  # the next one may do better
                print(f"error: {' '.join(str(error).split()) or type(error).__name__}", file=sys.stderr)
            time.sleep(max(0, started + arguments.every - time.monotonic()))
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None


def importance_command(arguments: argparse.Namespace) -> None:
    """Report on what the trees of a run go by, and how sure they are, by its test ratings."""
    run = read_run(arguments.directory)
    run.check_tested()
    model = run.model(arguments.trusted)
    if not isinstance(model, RatingTrees):
        raise UserError(
            f"{run.directory} holds a {type(model).__name__}, which is no trees: take a run of random_forest or "
            "gradient_boosting."
        )
    split = _split(run)
    run.check_split(split)
    directory = run.directory / "trees"
    for answer in importance_report.write_report(directory, model, split, arguments.seed):
        print(f"{answer.asked}\n  {answer.finding}")
    print(f"The report is {short(directory / importance_report.PAGE)}.")


def _refit(refits: Refitter) -> None:
    promotion = refits.refit()
    if promotion is None:
        print("Nobody has rated anything since the last refit or roll-back: nothing is to be done.")
    else:
        print("\n".join(promotion.sentences()))


def _train(config: Mapping[str, Any], directory: Path) -> None:
    """Run train.py on a config that lies in a directory, where the run is to lie."""
    shown = {"job_logging": {"loggers": {"pytorch_lightning": {"level": "WARNING"}}}}  # as configs/train.yaml has it
    place = {"run": {"dir": str(directory)}, "job": {"name": "train"}}
    OmegaConf.save({**config, "hydra": shown | place}, directory / CONFIG)
    named = ["--config-path", str(directory.resolve()), "--config-name", Path(CONFIG).stem]
    train = [sys.executable, str(CONFIGS.parent / "train.py"), *named]
    if subprocess.run(train, stdout=2, check=False).returncode:  # noqa: S603
        raise UserError(f"The refit failed, and says above why; what there is of it is in {short(directory)}.")


def _find_segments(run: Run, overrides: list[str]) -> None:
    study: SegmentStudy = instantiate(compose("segments", overrides))
    found = find_segments(run, _split(run), study)
    segment_report.print_segments(found)
    print(f"The report is {short(segments_directory(run.directory) / 'report.html')}.")


def _print_segment(run: Run, titles: list[str], overrides: list[str], trusted: bool) -> None:
    """Say which of a run's segments somebody new is in."""
    if overrides:
        raise UserError(f"--liked asks for segments that were found already: leave out {' '.join(overrides)}.")
    segments = read_segments(run.directory)
    split = _split(run)
    segments.check(split)
    liked = list(dict.fromkeys(find_item(split.dataset, title) for title in titles))
    history = History.of_items([liked], rating=split.dataset.scale[1])
    segment = segments.segmentation.assign(
        points_of(segments.space, run.model(trusted), run.learned_from(split), history)
    )[0]
    print(f"Segment {segment + 1}: {segments.names[segment]}")


def _trained(directory: Path, trusted: bool, new_films: str | None = None) -> tuple[Recommender, Dataset]:
    """A run's model, and the data that its config names, from the cache or prepared again; both with new films."""
    run = read_run(directory)
    model, dataset = run.model(trusted), _data(run)
    return (model, dataset) if new_films is None else (model, _extended(model, dataset, new_films))


def _data(run: Run) -> Dataset:
    cfg = OmegaConf.create(run.config)
    with contextlib.redirect_stdout(sys.stderr):  # where data come from is no part of an answer
        dataset = _prepared(cfg).dataset
    run.check_data(dataset)
    return dataset


def _store(address: str | None, run: Path, *, make: bool = False) -> Store:
    """The store of feedback at an address, or where the environment says, or that of the data set of a run."""
    data = data_name(read_run(run))
    text = address or os.environ.get(STORE_VARIABLE)
    if make and not text:
        STORES.mkdir(parents=True, exist_ok=True)
    store = Store.open(Address.parse(text or str(STORES / f"{data}.sqlite")), make=make)
    if (other := store.data()) not in (None, data):
        raise UserError(
            f"{store.address} has feedback on {other}, and {short(run)} was trained on {data}: name another --store."
        )
    return store


def _split_of(config: Mapping[str, Any]) -> Split:
    with contextlib.redirect_stdout(sys.stderr):  # where data come from is no part of an answer
        return Splits().of(config)


def _split(run: Run) -> Split:
    return instantiate(OmegaConf.create(run.config).split)(_data(run))


def _prepared(cfg: DictConfig) -> Prepared:
    """The data that a config names, from the cache or prepared anew."""
    return prepare(instantiate(cfg.data), Path(cfg.cache_dir), instantiate(cfg.get("metadata")))


def _extended(model: Recommender, dataset: Dataset, new_films: str) -> Dataset:
    """The data set with further films, which the model learns of too."""
    if not isinstance(model, HasOpenCatalogue):
        raise UserError(f"{type(model).__name__} scores only the films it was trained on: take a run of two_tower.")
    extended = with_new_films(dataset, new_films)
    model.add_items(extended.item_frame.iloc[dataset.n_items :])
    return extended


def _at_least_one(text: str) -> int:
    if not (text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"'{text}' is no number of films")
    return int(text)


def _period(text: str) -> float:
    match = re.fullmatch(rf"(\d+)([{''.join(SECONDS)}])", text)
    if match is None or not int(match[1]):
        raise argparse.ArgumentTypeError(f"'{text}' is no period of time: write 30s, 10m, 1h or 1d")
    return int(match[1]) * SECONDS[match[2]]


def _share(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 <= float(text) < 1:
            return float(text)
    raise argparse.ArgumentTypeError(f"'{text}' is no share, which is a number from 0 and below 1")


def _seed(text: str) -> int:
    if not (text.isdecimal() and int(text) < 2**31):
        raise argparse.ArgumentTypeError(f"'{text}' is no seed, which is a whole number from 0 to {2**31 - 1}")
    return int(text)


def main() -> None:
    """Read the command line and run one command."""
    parser = argparse.ArgumentParser(prog="python -m recsys", description=__doc__)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    preparing = argparse.ArgumentParser(add_help=False)
    preparing.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="as of train.py: data=ml-1m data.path=DIR")

    command = commands.add_parser(
        "prepare", parents=[preparing], help=prepare_command.__doc__, description=prepare_command.__doc__
    )
    command.set_defaults(run=prepare_command)

    command = commands.add_parser(
        "explore", parents=[preparing], help=explore_command.__doc__, description=explore_command.__doc__
    )
    command.add_argument("--out", type=Path, metavar="DIR", help="of the report (default: outputs/explore/NAME)")
    command.set_defaults(run=explore_command)

    tabulating = argparse.ArgumentParser(add_help=False)
    tabulating.add_argument(
        "directories",
        nargs="+",
        type=Path,
        metavar="DIR",
        help="runs, sweeps, or outputs; of `table` also a study, and overrides that choose a part of it",
    )
    tabulating.add_argument("--metrics", nargs="+", default=["test/hr@10", "test/ndcg@10"], metavar="NAME")
    tabulating.add_argument("--csv", action="store_true", help="print CSV where Markdown is the default")

    command = commands.add_parser(
        "table", parents=[tabulating], help=table_command.__doc__, description=table_command.__doc__
    )
    command.set_defaults(run=table_command)

    command = commands.add_parser(
        "compare", parents=[tabulating], help=compare_command.__doc__, description=compare_command.__doc__
    )
    command.add_argument("--baseline", required=True, metavar="MODEL", help="as `table` names it: TfidfProfile")
    command.set_defaults(run=compare_command)

    command = commands.add_parser("verify", help=verify_command.__doc__, description=verify_command.__doc__)
    command.add_argument("study", metavar="STUDY", help="as in experiments/ and configs/experiment/")
    command.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="of all its runs: data.path=DIR")
    for name in NAMES:
        command.add_argument(f"--{name}", metavar="NAME", help="of the run (of several, the one that trained fastest)")
    command.set_defaults(run=verify_command)

    command = commands.add_parser("select", help=select_command.__doc__, description=select_command.__doc__)
    command.add_argument("directories", nargs="+", type=Path, metavar="DIR", help="runs or sweeps of one study")
    command.add_argument(
        "--metric", default="ndcg@10", metavar="NAME", help="ndcg@10, f1@10, rmse (default: %(default)s)"
    )
    command.set_defaults(run=select_command)

    trusting = argparse.ArgumentParser(add_help=False)
    trusting.add_argument(
        "--trusted", action="store_true", help="load a model that is unpickled, which runs code: one that you made"
    )

    answering = argparse.ArgumentParser(add_help=False, parents=[trusting])
    answering.add_argument("directory", type=Path, metavar="RUN", help="the directory of a finished run")
    answering.add_argument("-k", type=_at_least_one, default=10, help="films to list at most (default: %(default)s)")
    answering.add_argument(
        "--filter",
        action="append",
        default=[],
        metavar="CONDITION",
        help="genre=Comedy, 'year>=1990', any column of the films; several all hold",
    )
    answering.add_argument(
        "--films", metavar="FILE", help="films that came later: CSV or Parquet with title, year, genres, plot, ..."
    )
    answering.add_argument("--json", action="store_true", help="print JSON where a table is the default")

    command = commands.add_parser(
        "recommend", parents=[answering], help=recommend_command.__doc__, description=recommend_command.__doc__
    )
    person = command.add_mutually_exclusive_group(required=True)
    person.add_argument("--user", metavar="ID", help="as the data's source has it")
    person.add_argument("--liked", action="append", metavar="TITLE", help="somebody new: 'Heat (1995)'; more than once")
    command.set_defaults(run=recommend_command)

    command = commands.add_parser(
        "similar", parents=[answering], help=similar_command.__doc__, description=similar_command.__doc__
    )
    command.add_argument("title", metavar="TITLE", help="with its year in brackets if need be")
    command.set_defaults(run=similar_command)

    command = commands.add_parser(
        "load", parents=[trusting], help=load_command.__doc__, description=load_command.__doc__
    )
    command.add_argument("what", nargs="*", metavar="RUN|KEY=VALUE", help="a run, or overrides as of train.py")
    command.add_argument(
        "--to",
        metavar="ADDRESS",
        help="postgresql://USER:PASSWORD@HOST/DATABASE, mysql://..., a .duckdb or .sqlite file (default: what the "
        f"environment variable {DEFAULT_VARIABLE} holds, which leaves no password in the shell's history)",
    )
    command.add_argument("--replace", action="store_true", help="put the tables in the place of those of their names")
    command.add_argument(
        "-k", type=_at_least_one, default=10, help="films to recommend to each user (default: %(default)s)"
    )
    command.set_defaults(run=load_command)

    storing = argparse.ArgumentParser(add_help=False)
    storing.add_argument(
        "--store",
        metavar="ADDRESS",
        help="of feedback: an .sqlite file, postgresql://USER:PASSWORD@HOST/DATABASE, mysql://... (default: what the "
        f"environment variable {STORE_VARIABLE} holds, else {STORES / 'DATA.sqlite'})",
    )

    command = commands.add_parser(
        "serve", parents=[trusting, storing], help=serve_command.__doc__, description=serve_command.__doc__
    )
    command.add_argument(
        "what",
        nargs="+",
        metavar="RUN|KEY=VALUE",
        help="finished runs on the same data, the default first, or a directory of some; settings: port=8000",
    )
    command.set_defaults(run=serve_command)

    command = commands.add_parser(
        "refit", parents=[trusting, storing], help=refit_command.__doc__, description=refit_command.__doc__
    )
    command.add_argument("directory", type=Path, metavar="RUN", help="a finished run, as it is named to `serve`")
    command.add_argument("--warm", action="store_true", help="continue from the weights of the run that is served")
    command.add_argument(
        "--margin",
        type=_share,
        metavar="SHARE",
        help="of what earlier runs reach that a refit must be shown not to lose "
        f"(default: {RANKING_MARGIN}, of errors {ERROR_MARGIN})",
    )
    when = command.add_mutually_exclusive_group()
    when.add_argument("--every", type=_period, metavar="PERIOD", help="go on doing so: 30s, 10m, 1h, 1d")
    when.add_argument("--roll-back", action="store_true", help="serve again what was served before the last promotion")
    command.set_defaults(run=refit_command)

    command = commands.add_parser(
        "replay", parents=[trusting, storing], help=replay_command.__doc__, description=replay_command.__doc__
    )
    command.add_argument("directory", type=Path, metavar="RUN", help="the directory of a finished run")
    command.add_argument(
        "--reward", choices=[*REWARDS], default="click", help=f"what is counted: {', '.join(REWARDS.values())}"
    )
    command.add_argument("--json", action="store_true", help="print JSON where a table is the default")
    command.set_defaults(run=replay_command)

    command = commands.add_parser(
        "segments", parents=[trusting], help=segments_command.__doc__, description=segments_command.__doc__
    )
    command.add_argument("directory", type=Path, metavar="RUN", help="the directory of a finished run")
    command.add_argument(
        "overrides",
        nargs="*",
        metavar="KEY=VALUE",
        help="segments=hdbscan space=ratings segments.n_segments=5 map=tsne",
    )
    command.add_argument(
        "--liked", action="append", metavar="TITLE", help="somebody new: 'Heat (1995)'; more than once"
    )
    command.set_defaults(run=segments_command)

    command = commands.add_parser(
        "importance", parents=[trusting], help=importance_command.__doc__, description=importance_command.__doc__
    )
    command.add_argument("directory", type=Path, metavar="RUN", help="a finished run of random_forest, ...")
    command.add_argument(
        "--seed", type=_seed, default=0, metavar="N", help="of ratings drawn and of permutations (default: %(default)s)"
    )
    command.set_defaults(run=importance_command)

    arguments = parser.parse_args()
    with one_sentence():
        arguments.run(arguments)


if __name__ == "__main__":
    main()
