"""Item metadata in the notations of publishers: lists, durations, years, missing values, links."""

import re

import duckdb
import pytest

from recsys.data.metadata import Files as Catalogue
from recsys.data.normalize import normalize
from recsys.data.raw import ITEM_COLUMNS
from recsys.data.sources import Files

COLUMNS = {"user_id": "user_id", "movie_id": "movie_id"}


def create_films(connection, rows):
    connection.execute(f"CREATE TABLE raw_films ({', '.join(f'{column} VARCHAR' for column in ITEM_COLUMNS)})")
    for cells in rows:
        values = [cells.get(column) for column in ITEM_COLUMNS]
        connection.execute(f"INSERT INTO raw_films VALUES ({', '.join('?' * len(values))})", values)


def normalized(**cells):
    """The cells of one item after normalisation, by column."""
    with duckdb.connect() as connection:
        create_films(connection, [cells])
        normalize(connection, "raw_films")
        [row] = connection.table("raw_films").fetchall()
    return dict(zip(ITEM_COLUMNS, row, strict=True))


@pytest.mark.parametrize(
    ("cell", "elements"),
    [
        ("[{'id': 16, 'name': 'Animation'}, {'id': 35, 'name': \"Children's\"}]", "Animation|Children's"),
        ('[{"id": 16, "name": "Animation"}, {"id": 35, "name": "Com|edy"}]', "Animation|Com/edy"),
        ('["Animation", "Comedy"]', "Animation|Comedy"),
        ("['Animation', None, 'Comedy']", "Animation|Comedy"),
        ("['Animation' 'Comedy']", "Animation|Comedy"),
        ("[Animation, Comedy]", "Animation|Comedy"),
        ('{Animation,"Film Noir"}', "Animation|Film Noir"),
        ("{'id': 16, 'name': 'Animation'}", "Animation"),
        ("('Animation', 'Comedy')", "Animation|Comedy"),
        ("{'16': 'Animation', '35': 'Comedy'}", "Animation|Comedy"),
        ("(500) Days", "(500) Days"),
        ("Animation|Comedy", "Animation|Comedy"),
        ("[unclosed", "[unclosed"),
        ("[]", None),
        (r"\N", None),
        ("nan", None),
    ],
)
def test_lists_have_elements_in_every_notation(cell, elements):
    assert normalized(genres=cell)["genres"] == elements


def test_lists_in_json_or_python_notation_are_not_split_at_other_separators(films_of_catalogue):
    genres = "\"[{'id': 1, 'name': 'Sci-Fi, Fantasy'}]\""
    frame = films_of_catalogue(f'movie_id,genres\n1,{genres}\n2,"Crime, Drama"\n', separator=", ")
    assert frame.genres.tolist() == [["Sci-Fi, Fantasy"], ["Crime", "Drama"]]


@pytest.mark.parametrize(
    ("genres", "expected"),
    [
        (["Crime, Drama", "Drama", "Crime"], ["Crime|Drama", "Drama", "Crime"]),
        (["Crime;Drama", "Drama", "Crime"], ["Crime|Drama", "Drama", "Crime"]),
        (["Sci-Fi, Fantasy", "Drama"], ["Sci-Fi, Fantasy", "Drama"]),
        (["Sci-Fi, Fantasy", "Sci-Fi|Drama", "Sci-Fi", "Fantasy"],) * 2,
    ],
)
def test_genres_are_split_at_another_separator_if_that_gives_fewer_distinct_genres(genres, expected):
    with duckdb.connect() as connection:
        create_films(connection, [{"movie_id": str(row), "genres": cell} for row, cell in enumerate(genres)])
        notes = normalize(connection, "raw_films")
        rows = connection.sql("SELECT genres FROM raw_films ORDER BY movie_id").fetchall()
    assert [cell for (cell,) in rows] == expected
    assert bool(notes) == (genres != expected)


def test_a_crew_gives_directors_and_writers_and_a_cast_its_first_actors():
    crew = [
        {"job": "Director", "department": "Directing", "name": "A"},
        {"job": "Screenplay", "department": "Writing", "name": "B"},
        {"job": "Editor", "department": "Editing", "name": "C"},
    ]
    cast = str([{"order": place, "name": f"Actor {place}"} for place in range(12)])
    film = normalized(directors=str(crew), writers=str(crew), actors=cast)
    assert (film["directors"], film["writers"]) == ("A", "B")
    assert film["actors"].split("|") == [f"Actor {place}" for place in range(10)]


@pytest.mark.parametrize(
    ("cell", "minutes"),
    [
        ("91", 91),
        ("91.0", 91),
        ("91 min", 91),
        ("1h 31m", 91),
        ("1h31", 91),
        ("1 hr. 31 min.", 91),
        ("2 hours", 120),
        ("1.5 h", 90),
        ("PT1H31M", 91),
        ("PT91M", 91),
        ("P0DT1H31M00S", 91),
        ("PT1H30S", 60),
        ("PT5460S", 91),
        ("1:31", 91),
        ("01:31:00", 91),
        (r"\N", None),
    ],
)
def test_durations_are_minutes_in_every_notation(cell, minutes):
    found = normalized(runtime=cell)["runtime"]
    assert found == minutes if minutes is None else int(re.search(r"\d+", found)[0]) == minutes


@pytest.mark.parametrize(
    ("cells", "year"),
    [
        ({"year": "1995-12-15"}, 1995),
        ({"year": "1995.0"}, 1995),
        ({"year": "(1995)"}, 1995),
        ({"year": "1995-1997"}, 1995),
        ({"year": "15/12/1995"}, 1995),
        ({"release_date": "1995-12-15"}, 1995),
        ({"release_date": "December 15, 1995"}, 1995),
        ({"release_date": "12/15/1995"}, 1995),
        ({"title": "Heat (1995)", "release_date": "1996-01-01"}, None),  # the title's counts
        ({"year": r"\N"}, None),
    ],
)
def test_years_are_taken_from_dates(cells, year):
    found = normalized(**cells)["year"]
    assert found == year if year is None else float(found) == year


def test_dates_have_many_notations():
    for cell in ("15-Dec-1995", "December 15, 1995", "15.12.1995"):
        assert normalized(release_date=cell)["release_date"] == "1995-12-15"


def test_only_columns_of_lists_and_plots_have_words_for_missing_values():
    assert normalized(title="None", plot="None", tags="null", movie_id="nan") == dict.fromkeys(ITEM_COLUMNS) | {
        "title": "None",
        "movie_id": "nan",
    }


def test_metadata_in_the_usual_notation_is_unchanged():
    usual = {
        "movie_id": "1",
        "title": "[REC] (2007)",
        "year": "2007",
        "genres": "Horror|Sci-Fi",
        "directors": "A B (as C), D",
        "runtime": "78 min",
        "release_date": "23 Nov 2007",
        "plot": "['quoted']",
    }
    assert normalized(**usual) == dict.fromkeys(ITEM_COLUMNS) | usual


def test_nested_lists_of_json_and_parquet_are_lists_of_names(prepared, tmp_path):
    duckdb.sql(
        f"COPY (SELECT 7 AS movie_id, [{{'id': 16, 'name': 'Animation'}}, {{'id': 35, 'name': 'Comedy'}}] AS genres) "
        f"TO '{tmp_path}/films.parquet'"
    )
    (tmp_path / "films.jsonl").write_text(
        '{"movie_id": 7, "genres": [{"id": 16, "name": "Animation"}, {"name": "Comedy"}]}\n'
    )
    (tmp_path / "ratings.csv").write_text("user_id,movie_id\n1,7\n")
    for name in ("films.parquet", "films.jsonl"):
        source = Files(str(tmp_path / "ratings.csv"), COLUMNS, films_path=str(tmp_path / name))
        assert prepared(source).dataset.item_frame.genres.tolist() == [["Animation", "Comedy"]]


# Ids in other catalogues


@pytest.fixture
def films_of_catalogue(write, prepared):
    """Items 1 and 2, with links of the first to IMDb, described by a catalogue."""

    def films_of_catalogue(catalogue, **settings):
        folder = write(
            {
                "ratings.csv": "user_id,movie_id\n1,1\n1,2\n",
                "films.csv": "movie_id,title,year,imdb_id\n1,Heat,1995,0113277\n2,Ran,1985,\n",
                "catalogue.csv": catalogue,
            }
        )
        source = Files(str(folder / "ratings.csv"), COLUMNS, films_path=str(folder / "films.csv"))
        return prepared(source, Catalogue(str(folder / "catalogue.csv"), **settings)).dataset.item_frame

    return films_of_catalogue


def test_ids_of_imdb_come_before_titles(films_of_catalogue):
    rows = "imdb_id,title,year,plot\ntt0113277,Other,2001,by id\ntt9,Heat,1995,other film\ntt8,Ran,1985,by title\n"
    frame = films_of_catalogue(rows)
    assert frame["plot"].tolist() == ["by id", "by title"]
    assert frame.imdb_id.tolist() == ["0113277", "tt8"]


def test_equal_titles_with_other_ids_of_imdb_do_not_match(films_of_catalogue):
    frame = films_of_catalogue("imdb_id,tmdb_id,title,year,plot\ntt9,,Heat,1995,other film\ntt8,,Ran,1985,by title\n")
    assert frame["plot"].isna().tolist() == [True, False]
