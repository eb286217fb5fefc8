"""Tests of `python -m recsys segments` on tiny runs, and of runs that use the segments of another run."""

import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import train
from recsys.__main__ import main
from recsys.config import compose
from recsys.errors import UserError
from recsys.models.base import load

FAST = ("max_k=3", "n_bootstraps=2", "segments.n_segments=2")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Files of 40 users, of whom half rate dramas and half comedies."""
    folder = tmp_path_factory.mktemp("segments")
    rng = np.random.default_rng(0)
    rows = [
        (f"u{user}", item, rng.integers(3, 6), 10**9 + rng.integers(10**6))
        for user in range(40)
        for item in np.arange(user % 2, 30, 2)
        if rng.random() < 0.6
    ]
    pd.DataFrame(rows, columns=["user_id", "movie_id", "rating", "time"]).to_csv(folder / "ratings.csv", index=False)
    films = pd.DataFrame({"movie_id": range(30)})
    films["title"] = [f"<b>{'Hope' if i % 2 else 'Joke'}</b> {i} ({1950 + i})" for i in films["movie_id"]]
    films["genres"] = ["Drama" if i % 2 else "Comedy" for i in films["movie_id"]]
    films.to_csv(folder / "films.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def trained(folder):
    """Train with overrides into a directory of the given name, and return the directory."""
    data = ["data=files", f"data.path={folder}/ratings.csv", "ks=[1,5,10]", "logger=none", f"cache_dir={folder}/cache"]
    metadata = (
        f"data.films_path={folder}/films.csv",
        *(f"data.films_columns.{name}={name}" for name in ("movie_id", "title", "genres")),
    )

    def run(name: str, *overrides: str, films: tuple[str, ...] = metadata) -> Path:
        train.train(compose("train", [*data, *films, *overrides, f"run_dir={folder}/{name}"]))
        return folder / name

    return run


@pytest.fixture
def segments(command, undrawn):
    """Run `python -m recsys segments ARGUMENTS`, and return the exit status, stdout and stderr."""
    return lambda *arguments: command("segments", *arguments)


@pytest.fixture(scope="module")
def ials(trained) -> Path:
    return trained("ials", "model=ials", "model.embedding_dim=8")


@pytest.fixture(scope="module")
def segmented(ials, folder) -> Path:
    """A run with segments that no test changes."""
    run = Path(shutil.copytree(ials, folder / "segmented"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["recsys", "segments", str(run), *FAST])
        main()
    return run


def test_the_command_finds_the_planted_segments_and_prints_a_verdict(ials, segments):
    status, out, _ = segments(ials, *FAST)
    assert status == 0
    for word in ("Comedy", "Drama", "hr@10", "The 2 segments", "stability 1.00", "report.html"):
        assert word in out
    members = pd.read_csv(ials / "segments" / "segments.csv")
    assert members.columns.tolist() == ["user_id", "segment", "name"]
    odd = members["user_id"].str[1:].astype(int) % 2 == 1
    np.testing.assert_array_equal(members["name"].str.startswith("Drama"), odd)


def test_the_report_is_self_contained_escapes_titles_and_has_all_figures(segmented):
    page = (segmented / "segments" / "report.html").read_text()
    assert "&lt;b&gt;Hope" in page
    assert "<b>Hope" not in page
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    for name in ("map", "tastes", "choice"):
        assert (segmented / "segments" / f"{name}.png").stat().st_size > 1000
        assert (segmented / "segments" / f"{name}.svg").read_text().lstrip().startswith("<?xml")


def test_the_projector_colours_users_by_segment(segmented):
    table = next((segmented / "segments" / "tensorboard").glob("*/users/metadata.tsv")).read_text().splitlines()
    assert table[0].split("\t")[:2] == ["user_id", "segment"]
    assert len(table) == 1 + 40


@pytest.mark.parametrize("method", ["gaussian_mixture", "agglomerative", "hdbscan"])
def test_each_clustering_method_has_a_config(ials, segments, method):
    status, out, _ = segments(ials, *FAST, f"segments={method}", "space=ratings", "map=tsne")
    assert status == 0
    assert json.loads((ials / "segments" / "segments.json").read_text())["segmentation"]["method"] == method
    assert "Drama" in out


def test_segments_of_a_model_without_embeddings_are_found_by_ratings(trained, segments):
    run = trained("without", "model=ease")
    assert segments(run, *FAST)[0] == 0
    assert json.loads((run / "segments" / "segments.json").read_text())["space"] == "ratings"
    status, _, err = segments(run, *FAST, "space=embeddings")
    assert status == 2
    assert "space=ratings" in err


@pytest.mark.parametrize("space", ["embeddings", "ratings"])
def test_a_new_user_is_assigned_by_the_liked_films(ials, segments, space):
    segments(ials, *FAST, f"space={space}")
    for film, genre in (("hope", "Drama"), ("joke", "Comedy")):
        liked = [argument for i in (3, 5, 7) for argument in ("--liked", f"<b>{film}</b> {i + (genre == 'Comedy')}")]
        status, out, _ = segments(ials, *liked)
        assert status == 0
        assert re.match(rf"Segment \d: {genre}", out)


def test_a_new_user_of_a_model_that_embeds_only_its_own_is_refused_before_data_and_model_are_read(
    trained, segments, monkeypatch
):
    run = trained("mf", "model=mf", "model.max_epochs=1", "model.embedding_dim=4")
    assert segments(run, *FAST)[0] == 0
    monkeypatch.setattr("recsys.commands.segments.split_of", lambda *_: pytest.fail("read the data"))
    monkeypatch.setattr("recsys.studies.runs.Run.model", lambda *_: pytest.fail("loaded the model"))
    status, _, err = segments(run, "--liked", "hope 3")
    assert status == 2
    assert "MF cannot embed new users as it embeds those of its training data" in err
    assert "space=ratings" in err


@pytest.mark.parametrize(
    ("model", "overrides", "words"),
    [
        ("ials", (), "Users are placed by the embeddings of IALS; space=ratings uses"),
        ("ease", (), "by the genres and decades of their films, because EASE learns no embeddings of users."),
        ("ials", ("space=ratings",), "by the genres and decades of their films.\n"),
    ],
)
def test_the_space_of_the_segments_is_printed_with_the_reason_for_a_default(trained, segments, model, overrides, words):
    size = ("model.embedding_dim=8",) if model == "ials" else ()
    assert words in segments(trained(f"space_{model}", f"model={model}", *size), *FAST, *overrides)[1]


def test_segments_are_slices_of_a_run_on_the_same_split(segmented, trained):
    sliced = pd.read_csv(trained("ease", "model=ease", f"segments_from={segmented}") / "slices.csv")
    segments = sliced[sliced["slice"] == "segment"]
    assert segments["n"].tolist() == [20, 20]
    assert set(segments["value"].str.split(",").str[0]) == {"Drama", "Comedy"}


def test_segment_popularity_uses_the_segments_of_a_run(segmented, trained):
    given = trained("given", "model=segment_popularity", f"segments_from={segmented}")
    model = load(given / "model")
    assert not model.uses_history
    assert len(model.shares) == 2 + 1


def test_segments_of_another_split_are_refused(segmented, trained):
    with pytest.raises(UserError, match="found in another split"):
        trained("other", "model=popularity", f"segments_from={segmented}", "split=leave_one_out")


def test_embeddings_of_another_split_are_refused(trained, segments):
    run = trained("stale", "model=ials", "model.embedding_dim=8")
    with np.load(run / "embeddings.npz") as stored:
        np.savez(run / "embeddings.npz", **{**stored, "split": np.array("another")})
    status, _, err = segments(run, *FAST)
    assert status == 2
    assert "learned on another split" in err


def test_invalid_arguments_give_one_sentence_and_status_2(ials, trained, segments):
    popularity = trained("popularity", "model=popularity")
    for arguments, words in (
        ((popularity, "space=embeddings"), "need none: space=ratings"),
        ((ials, "segments=kmean"), "did you mean kmeans"),
        ((ials, "segments.method=kmean"), "method must be one of kmeans"),
        ((ials, "segments.n_segments=41"), "n_segments must be from 2 to 39"),
        ((ials, "spce=ratings"), "did you mean space"),
        ((ials, "max_k=many"), "'max_k' of SegmentStudy must be int"),
        ((popularity, "--liked", "hope 3"), "holds no segments"),
        ((ials.parent,), "holds no finished run"),
    ):
        status, _, err = segments(*arguments)
        assert status == 2
        assert err.splitlines()[-1].startswith("error: ")
        assert words in err


def test_an_untested_run_is_refused(trained, segments):
    status, _, err = segments(trained("untested", "model=popularity", "test=false"), *FAST, "space=ratings")
    assert status == 2
    assert "was not tested" in err


def test_the_report_has_no_tastes_without_genres_and_years(trained, segments):
    bare = trained("bare", "model=ials", "model.embedding_dim=8", films=())
    assert segments(bare, *FAST)[0] == 0
    assert "Near the average" in (bare / "segments" / "report.html").read_text()
    status, _, err = segments(bare, *FAST, "space=ratings")
    assert status == 2
    assert "must have genres or years" in err


def test_a_model_without_embeddings_has_segments_in_the_space_of_ratings(trained, segments):
    status, out, _ = segments(trained("popularity", "model=popularity"), *FAST, "space=ratings")
    assert status == 0
    assert "Drama" in out
