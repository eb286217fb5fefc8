"""Several sources gathered into one data set: conflicts, their counts, and the source of each row."""

import duckdb
import numpy as np
import pytest

from recsys.data.clean import Cleaning
from recsys.data.gather import Gathered
from recsys.data.sources import Files, MovieLens
from recsys.errors import UserError

COLUMNS = {name: name for name in ("user_id", "movie_id", "rating", "time")}


@pytest.fixture
def files(write):
    """CSV sources by name."""

    def files(**tables: str) -> dict[str, Files]:
        sources = {}
        for name, rows in tables.items():
            kind = name.split("_")[-1]
            path = str(write({f"{name}.csv": rows}) / f"{name}.csv")
            given = {"path": path} if kind == "ratings" else {"path": None, f"{kind}_path": path}
            columns = {column: column for column in rows.split("\n")[0].split(",")}
            sources[name] = Files(**given, columns=columns if kind == "ratings" else {})
        return sources

    return files


@pytest.fixture
def clean_table(tmp_path):
    """Read a clean table of the one data set that a test has prepared."""

    def clean_table(name: str) -> list[tuple]:
        [file] = (tmp_path / "cache" / "prepared").glob(f"*/{name}.parquet")
        return duckdb.read_parquet(str(file))

    return clean_table


def test_the_latest_rating_counts_in_whichever_source_it_is(files, prepared):
    sources = files(
        first_ratings="user_id,movie_id,rating,time\n1,1,5,1000000009\n1,2,5,1000000000\n",
        second_ratings="user_id,movie_id,rating,time\n1,1,1,1000000000\n1,2,1,1000000009\n",
    )
    found = prepared(Gathered(sources))
    assert found.dataset.ratings.tolist() == [5, 1]
    assert found.report.dropped["duplicate across sources"] == 2
    assert found.report.dropped["duplicate of a later rating"] == 0
    assert found.report.sources == {"first_ratings": 1, "second_ratings": 1}


def test_without_times_the_source_listed_last_counts(files, prepared):
    tables = {
        "one_ratings": "user_id,movie_id,rating\n1,1,5\n1,2,5\n",
        "other_ratings": "user_id,movie_id,rating\n1,1,1\n",
    }
    reversed_ = dict(reversed(files(**tables).items()))
    for sources, rating in ((files(**tables), 1), (reversed_, 5)):
        dataset = prepared(Gathered(sources)).dataset
        assert dict(zip(dataset.items.tolist(), dataset.ratings.tolist(), strict=True)) == {0: rating, 1: 5}


def test_duplicates_within_a_source_are_counted_separately(files, prepared):
    sources = files(
        one_ratings="user_id,movie_id,rating\n1,1,5\n1,1,4\n1,2,3\n",
        other_ratings="user_id,movie_id,rating\n1,2,1\n1,3,1\n1,3,2\n",
    )
    dropped = prepared(Gathered(sources)).report.dropped
    assert (dropped["duplicate of a later rating"], dropped["duplicate across sources"]) == (2, 1)


def test_the_source_column_is_in_the_order_of_the_ratings(files, prepared, clean_table):
    rng = np.random.default_rng(0)
    pairs = rng.permutation(400)
    rows = [f"{pair // 20},{pair % 20},{1 + place % 2},{10**9 + rng.integers(5)}" for place, pair in enumerate(pairs)]
    header = "user_id,movie_id,rating,time\n"
    sources = files(a_ratings=header + "\n".join(rows[::2]), b_ratings=header + "\n".join(rows[1::2]))
    dataset = prepared(Gathered(sources)).dataset
    table = clean_table("ratings").df()
    assert table["rating"].tolist() == dataset.ratings.tolist()
    assert table["source"].tolist() == ["a_ratings" if rating == 1 else "b_ratings" for rating in dataset.ratings]


def test_gathering_changes_neither_rows_nor_order(releases, write, prepared):
    release = MovieLens("ml-100k", str(write(releases["ml-100k"])))
    alone, gathered = prepared(release).dataset, prepared(Gathered({"release": release}, scale=(1, 5))).dataset
    for name in ("users", "items", "ratings", "times", "parts"):
        assert np.array_equal(getattr(alone, name), getattr(gathered, name))
    assert gathered.item_frame.drop(columns="source").equals(alone.item_frame)
    assert gathered.fingerprint != alone.fingerprint


def test_only_the_source_listed_last_describes_a_user_or_an_item(files, prepared, clean_table):
    sources = files(
        ratings="user_id,movie_id,rating\n1,1,5\n2,2,4\n3,1,3\n",
        old_users="user_id,age,zip_code\n1,20,11111\n2,30,22222\n",
        new_users="user_id,age,plan\n1,21,paid\n",
        films="movie_id,title\n1,Heat\n",
    )
    found = prepared(Gathered(sources))
    users = clean_table("users").select("age, zip_code, plan, source").fetchall()
    assert users == [(21, None, "paid", "new_users"), (30, "22222", None, "old_users"), (None, None, None, None)]
    assert found.report.described_again == {"users": 1, "films": 0}
    assert found.dataset.item_frame["title"].tolist()[0] == "Heat"


def test_gathering_again_overwrites_the_source_column(files, prepared, clean_table):
    sources = files(
        ratings="user_id,movie_id,rating\n1,1,5\n2,1,4\n",
        users="user_id,age,source\n1,20,earlier\n2,30,earlier\n",
    )
    prepared(Gathered(sources))
    assert clean_table("users").select("source").fetchall() == [("users",), ("users",)]


def test_archives_of_several_releases_do_not_mix(releases, write, prepared):
    sources = {name: MovieLens(name, str(write(releases[name], name))) for name in ("ml-10m", "ml-1m")}
    origin = prepared(Gathered(sources, cleaning=Cleaning(max_dropped=1))).report.origin
    assert origin.startswith("ml-10m: ")
    assert "; ml-1m: " in origin


def test_sources_without_any_ratings_are_refused(files, prepared):
    with pytest.raises(UserError, match="has no ratings: combine it with a source that has ratings"):
        prepared(Gathered(files(users="user_id,age\n1,20\n")))


def test_gathering_no_sources_is_refused():
    with pytest.raises(UserError, match=r"needs at least one source: add some, as in \+data@data\.sources\.NAME="):
        Gathered({})


def test_cleaning_options_of_a_single_source_are_refused(files):
    [source] = files(ratings="user_id,movie_id,rating\n1,1,5\n").values()
    source.cleaning = Cleaning(min_rating=4)
    with pytest.raises(UserError, match=r"data\.sources\.site\.cleaning has no effect"):
        Gathered({"site": source})
