"""Plays of items: read from files and published layouts, added up, and stored with the ratings."""

import gzip

import pytest

from recsys.config import compose
from recsys.data.address import Address
from recsys.data.clean import Cleaning
from recsys.data.databases import Database
from recsys.data.gather import Gathered
from recsys.data.sources import Files
from recsys.data.splitters import LeaveOneOut
from recsys.data.tables import clean_tables, write_tables
from recsys.errors import UserError
from tests.data.test_published import LAYOUTS

COLUMNS = {"user_id": "user_id", "movie_id": "movie_id", "rating": None, "time": None, "plays": "hours"}


@pytest.fixture
def played(write, prepared):
    """Prepare rows of user, item and plays."""

    def played(*rows, **settings):
        text = "user_id,movie_id,hours\n" + "".join(f"{row}\n" for row in rows)
        return prepared(Files(str(write({"r.csv": text}) / "r.csv"), COLUMNS, **settings))

    return played


def test_plays_of_a_pair_are_added_up(played):
    found = played("2,8,1.5", "1,7,3", "1,8,2", "1,7,4", "2,7,0", "2,9,")
    dataset = found.dataset
    assert dataset.items.tolist() == [1, 0, 1, 0, 2]
    assert dataset.plays.tolist() == [2, 7, 1.5, 0, 1]  # a row without a number is one play
    assert dataset.plays.dtype == "float32"
    assert (dataset.scale, set(dataset.ratings)) == ((1, 1), {1})
    assert (found.report.rows_read, found.report.rows_kept) == (6, 5)


def test_plays_of_dropped_rows_do_not_count(played):
    assert played(
        "1,7,3", "1,,40", "NULL,7,40", "2,7,5", "2,7,1", cleaning=Cleaning(max_dropped=1)
    ).dataset.plays.tolist() == [3, 6]


def test_plays_have_decimal_commas_and_missing_values_as_ratings_do(played):
    found = played('1,7,"3,5"', "1,8,NA", '2,7,"0,25"')
    assert found.dataset.plays.tolist() == [3.5, 1, 0.25]


@pytest.mark.parametrize("cell", ["-1", "many", "inf", "nan1"])
def test_plays_that_are_not_numbers_are_refused(cell, played):
    with pytest.raises(
        UserError, match=rf"must be a number that is not negative \(got '{cell}' in column hours, row 2\)"
    ):
        played("1,7,3", f"1,8,{cell}")


def test_labels_are_numbers_or_truth_values(write, prepared):
    columns = COLUMNS | {"plays": None, "label": "hours"}

    def rows_kept(*labels):
        rows = "".join(f"{user},7,{label}\n" for user, label in enumerate(labels))
        file = write({"r.csv": f"user_id,movie_id,hours\n{rows}"}) / "r.csv"
        return prepared(Files(str(file), columns)).report.rows_kept

    assert rows_kept("1", "0", "0.0", "-1", "true", "False", "NA", "") == 4
    with pytest.raises(UserError, match=r"label of a row of .* must be a number, true or false \(got 'disliked'"):
        rows_kept("1", "disliked")


def test_data_without_plays_have_none(write, prepared):
    file = str(write({"r.csv": "user_id,movie_id,hours\n1,7,3\n2,7,1\n"}) / "r.csv")
    found = prepared(Files(file, COLUMNS | {"plays": None}))
    assert found.dataset.plays is None
    same = prepared(Files(file, {name: theirs for name, theirs in COLUMNS.items() if name != "plays"}))
    assert same.dataset.fingerprint == found.dataset.fingerprint
    assert prepared(Files(file, COLUMNS)).dataset.fingerprint != found.dataset.fingerprint


def test_plays_follow_their_ratings_into_parts_histories_and_tables(played):
    dataset = played("1,7,1", "1,8,2", "1,9,3", "1,6,4", "2,7,5", "2,8,6", "2,6,7", "2,9,8").dataset
    of_pair = dict(zip(dataset.pairs, dataset.plays, strict=True))
    train = LeaveOneOut()(dataset).train
    assert train.plays.tolist() == [of_pair[pair] for pair in train.pairs]
    history = dataset.histories()
    assert history.reversed().plays.tolist() == [4, 3, 2, 1, 8, 7, 6, 5]
    assert history.latest(1).plays.tolist() == [4, 8]
    tables = clean_tables(dataset)
    assert tables["ratings"]["plays"].tolist() == dataset.plays.tolist()


def test_plays_are_read_back_from_a_database(played, prepared, tmp_path):
    dataset = played("1,7,1.5", "1,8,2", "2,7,5").dataset
    address = str(tmp_path / "r.duckdb")
    write_tables(Address.parse(address), {"ratings": clean_tables(dataset)["ratings"]})
    columns = {name: name for name in ("user_id", "movie_id", "plays")}
    assert prepared(Database(columns=columns, address=address)).dataset.plays.tolist() == [1.5, 2, 5]


def test_sources_with_and_without_plays_are_gathered(write, prepared):
    folder = write({"r.csv": "user_id,movie_id,hours\n1,7,3\n2,8,4\n", "s.csv": "user_id,movie_id\n1,8\n1,7\n"})
    without = {name: theirs for name, theirs in COLUMNS.items() if name != "plays"}
    sources = {"one": Files(str(folder / "r.csv"), COLUMNS), "two": Files(str(folder / "s.csv"), without)}
    dataset = prepared(Gathered(sources)).dataset
    assert dataset.items.tolist() == [1, 0, 1]
    assert dataset.plays.tolist() == [1, 4, 4]


@pytest.mark.parametrize(
    ("name", "plays"),
    [
        ("lastfm-1k", [1, 2]),
        ("lastfm-360k", [2137, 1099]),
        ("lastfm-hetrec", [13883, 11690]),
        ("steam-200k", [273]),
        ("steam-items", [6, 0]),
    ],
)
def test_plays_of_published_data_are_read_on_request(name, plays, write, load):
    path = f"data.path={write(LAYOUTS[name][0], name)}"
    without = load(f"data={name}", path).dataset
    found = load(f"data={name}", path, "data.plays=true").dataset
    assert found.plays.tolist() == plays
    assert without.plays is None
    assert (found.items.tolist(), found.ratings.tolist()) == (without.items.tolist(), without.ratings.tolist())


def test_a_database_may_have_a_column_of_plays():
    assert compose("train", ["data=sql", "data.columns.plays=n"]).data.columns.plays == "n"


def test_games_that_were_bought_and_not_played_have_no_hours(write, load):
    rows = "7,Ran,purchase,1.0,0\n7,Heat,purchase,1.0,0\n7,Heat,play,2.5,0\n"
    dataset = load("data=steam-200k", f"data.path={write({'steam.csv': rows})}/steam.csv", "data.plays=true").dataset
    assert dict(zip(dataset.item_frame.title[dataset.items], dataset.plays, strict=True)) == {"Ran": 0, "Heat": 2.5}


def test_layouts_without_plays_refuse_to_read_them(write, load):
    with pytest.raises(UserError, match=r"data.plays must be false for netflix, which has no plays"):
        load("data=netflix", f"data.path={write({'x': gzip.compress(b'')})}", "data.plays=true")
