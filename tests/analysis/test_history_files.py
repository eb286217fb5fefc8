"""Histories that other services export: files of each format, and the films of the data that they name."""

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from recsys.analysis.history_files import tables
from recsys.analysis.history_files.entries import read_history
from recsys.analysis.history_files.matching import HistoryMatcher
from recsys.data.dataset import Dataset
from recsys.errors import UserError

FILMS = [  # MovieLens id, title, year, IMDb id, TMDb id
    (6, "Heat", 1995, "0113277", 949),
    (79132, "Inception", 2010, "1375666", 27205),
    (2571, "The Matrix", 1999, "0133093", 603),
    (73, "Les Misérables", 1995, "0113828", 48787),
    (97913, "Les Misérables", 2012, "1707386", 82695),
    (260, "Star Wars: Episode IV - A New Hope", 1977, "0076759", 11),
    (4963, "Ocean's Eleven", 2001, "0240772", 161),
    (1221, "The Godfather: Part II", 1974, "0071562", 240),
    (2028, "Saving Private Ryan", 1998, "0120815", 857),
    (1198, "Raiders of the Lost Ark (Indiana Jones and the Raiders of the Lost Ark)", 1981, "0082971", 85),
    (838, "Emma", 1996, "0116191", 3573),
    (26, "Emma", 1996, "0118308", 12254),
    (162, "The One", 2001, "0267804", 10796),
    (1258, "The Shining", 1980, "0081505", 694),
    (608, "Fargo", 1996, "0116282", 275),
]


def data(scale: tuple[float, float] = (0.5, 5), name: str = "ml-latest-small", step: float = 0.5) -> Dataset:
    values = np.arange(scale[0], scale[1] + step / 2, step)
    items = np.resize(np.arange(len(FILMS)), max(len(FILMS), len(values)))
    made = Dataset.from_arrays(np.arange(len(items)), items, np.resize(values, len(items)), n_items=len(FILMS))
    frame = pd.DataFrame(FILMS, columns=["movie_id", "title", "year", "imdb_id", "tmdb_id"])
    return replace(made, name=name, scale=scale, item_frame=frame.astype({"year": "Int16", "tmdb_id": "Int32"}))


@pytest.fixture(scope="module")
def matcher() -> HistoryMatcher:
    return HistoryMatcher(data())


def found(matcher: HistoryMatcher, content: str | bytes, name: str = "history.csv") -> tuple[dict, Mapping[str, str]]:
    """Return the ratings of the films found by name, None for one without, and the reasons for the others."""
    matched = matcher.match(read_history(name, content.encode() if isinstance(content, str) else content))
    ratings = {str(matcher.names[film.item]): film.rating if film.is_rated else None for film in matched.matched}
    return ratings, {film.name: film.reason for film in matched.unmatched}


LETTERBOXD = "Date,Name,Year,Letterboxd URI"
IMDB = "Const,Your Rating,Date Rated,Title,Original Title,URL,Title Type,IMDb Rating,Runtime (mins),Year,Genres"
IMDB_UNTIL_2017 = '"position","const","created","modified","description","Title","Title type","Directors","You rated"'


@pytest.mark.parametrize(
    ("content", "ratings"),
    [
        (f"{LETTERBOXD},Rating\n2024-01-02,Heat,1995,https://boxd.it/1,4.5\n", {"Heat (1995)": 4.5}),
        (f"{LETTERBOXD}\n2024-01-02,Heat,1995,https://boxd.it/1\n", {"Heat (1995)": None}),
        (
            f"{LETTERBOXD},Rating,Rewatch,Tags,Watched Date\n2024-01-02,Heat,1995,u,3,,,2024-01-01\n"
            "2023-05-05,Heat,1995,u,5,Yes,,2023-05-04\n",
            {"Heat (1995)": 3},
        ),
        (f"{IMDB}\ntt0113277,9,2024-01-01,Hitze,Hitze,u,Movie,8,170,1996,Crime\n", {"Heat (1995)": 4.5}),
        (f'{IMDB_UNTIL_2017}\n1,tt0113277,"Mon Jan  5 00:00:00 2015",,,Heat,Feature Film,x,7\n', {"Heat (1995)": 3.5}),
        ('Title,Date\n"The Matrix","1/31/24"\n', {"The Matrix (1999)": None}),
        (
            "Profile Name,Start Time,Duration,Attributes,Title,Supplemental Video Type,Device Type\n"
            "me,2024-01-01 20:00:00,02:00:00,,The Matrix,,TV\nme,2024-01-02 20:00:00,00:01:00,,Heat,TRAILER,TV\n",
            {"The Matrix (1999)": None},
        ),
        ("movie_id,imdb_id,tmdb_id,rating,average_rating,title\n1,,603,4.5,4,?\n", {"The Matrix (1999)": 4.5}),
        ("userId,movieId,rating,timestamp\n1,2571,4.0,964982703\n", {"The Matrix (1999)": 4}),
        (
            "Film;Erscheinungsjahr;Score\nMatrix, The (1999);;7,5\nHeat (1995);;10\n",
            {"The Matrix (1999)": 4, "Heat (1995)": 5},
        ),
        ("title\tstars\nInception\t3\n", {"Inception (2010)": 3}),
        (
            "movie_id,title,year,rating,rated_at,imdb_id,tmdb_id\n1,x,,1.0,2024-01-01T10:00:00+00:00,tt0113277,\n",
            {"Heat (1995)": 1},
        ),
    ],
)
def test_formats_are_recognised_by_their_columns(matcher, content, ratings):
    assert found(matcher, content)[0] == ratings


def trakt(**film: object) -> dict:
    return {"type": "movie", "movie": {"title": "Heat", "year": 1995, "ids": {"trakt": 1, "imdb": "tt0113277"}}, **film}


def test_trakt_has_ratings_plays_and_lists(matcher):
    show = {"title": "Fargo", "year": 1996, "ids": {"imdb": None, "tmdb": 275}}
    records = [
        trakt(rated_at="2024-01-01T00:00:00.000Z", rating=8),
        {"plays": 2, "last_watched_at": "2024-01-01T00:00:00.000Z", "movie": {"title": "Inception", "year": 2010}},
        {"plays": 9, "last_watched_at": "2024-01-01T00:00:00.000Z", "show": show, "seasons": [{"number": 1}]},
        {"listed_at": "2024-01-01T00:00:00.000Z", "type": "movie", "movie": {"title": "The Matrix", "year": 1999}},
    ]
    ratings, reasons = found(matcher, json.dumps(records), "ratings.json")
    assert ratings == {"Heat (1995)": 4, "Inception (2010)": None}
    assert reasons == {
        "Fargo (1996)": "a TV series",
        "The Matrix (1999)": "on a list, which does not say that it was seen",
    }


def zipped(members: Mapping[str, str | bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def test_only_seen_films_of_a_zip_count_and_each_with_its_latest_rating(matcher):
    archive = zipped(
        {
            "letterboxd-me/profile.csv": "Date Joined,Username\n2020-01-01,me\n",
            "letterboxd-me/ratings.csv": f"{LETTERBOXD},Rating\n2024-01-01,Heat,1995,u,4\n",
            "letterboxd-me/watched.csv": f"{LETTERBOXD}\n2024-02-01,Heat,1995,u\n2024-02-01,Inception,2010,u\n",
            "letterboxd-me/watchlist.csv": f"{LETTERBOXD}\n2024-02-01,The Matrix,1999,u\n",
            "letterboxd-me/deleted/diary.csv": f"{LETTERBOXD},Rating\n2025-01-01,Heat,1995,u,1\n",
            "__MACOSX/letterboxd-me/ratings.csv": b"\0\1",
        }
    )
    ratings, reasons = found(matcher, archive, "letterboxd.zip")
    assert ratings == {"Heat (1995)": 4, "Inception (2010)": None}
    assert reasons == {}


@pytest.mark.parametrize(
    ("name", "year", "film"),
    [
        ("matrix", 1999, "The Matrix (1999)"),
        ("Matrix, The", 2000, "The Matrix (1999)"),
        ("LES MISERABLES", 2012, "Les Misérables (2012)"),
        ("Misérables", 1994, "Les Misérables (1995)"),
        ("Les Mise\u0301rables", 1995, "Les Misérables (1995)"),
        ("Star Wars", 1977, "Star Wars: Episode IV - A New Hope (1977)"),
        ("A New Hope", 1977, "Star Wars: Episode IV - A New Hope (1977)"),
        ("Ocean\u2019s 11", 2001, "Ocean's Eleven (2001)"),
        ("The Godfather 2", 1974, "The Godfather: Part II (1974)"),
        ("The Godfather Part Two", 1974, "The Godfather: Part II (1974)"),
        ("Saving Private Ryans", 1998, None),  # the last letter gives a plural away, and must be right
        ("Saving Pirvate Ryan", 1999, "Saving Private Ryan (1998)"),
        ("Raiders of the Lost Ark", 1981, FILMS[9][1] + " (1981)"),
        ("Indiana Jones and the Raiders of the Lost Ark", 1981, FILMS[9][1] + " (1981)"),
    ],
)
def test_titles_match_whatever_their_articles_accents_numbers_and_typing_errors(matcher, name, year, film):
    ratings, _ = found(matcher, f'title,year\n"{name}",{year}\n')
    assert list(ratings) == ([film] if film else [])


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("The Shining,1997", "another year: the data have The Shining (1980)"),
        ("Les Misérables,", "ambiguous: Les Misérables (1995), Les Misérables (2012)"),
        ("Emma,1996", "ambiguous: Emma (1996), Emma (1996)"),
        ("The Godfather: Part III,1974", "not in the data"),
        ("Heat (1),2001", "another year: the data have Heat (1995)"),
        ("Parasite,2019", "not in the data"),
        (",", "the row has neither a title nor an id"),
    ],
)
def test_other_films_and_ambiguous_ones_are_not_matched(matcher, row, reason):
    ratings, reasons = found(matcher, f"title,year,rating\n{row},5\n")
    assert ratings == {}
    assert list(reasons.values()) == [reason]


def test_a_film_with_another_id_is_another_film_whatever_its_title(matcher):
    ratings, reasons = found(matcher, f"{IMDB}\ntt9999999,9,2024-01-01,Heat,Heat,u,Movie,8,170,1995,Crime\n")
    assert ratings == {}
    assert list(reasons.values()) == ["not in the data"]


def test_episodes_and_series_are_not_matched_with_films_of_the_same_name(matcher):
    episodes = ['"Fargo: Season 1: Pilot"', '"Fargo: Season 1: Eating"', '"Dark: Staffel 2: Geister"', '"Fargo"']
    ratings, reasons = found(matcher, "Title,Date\n" + "".join(f"{title},1/2/24\n" for title in episodes))
    assert ratings == {"Fargo (1996)": None}
    assert reasons == {"Fargo": "episodes of a series", "Dark": "episodes of a series"}
    assert found(matcher, f"{IMDB}\n,9,2024-01-01,Fargo,Fargo,u,TV Series,8,50,1996,Crime\n") == (
        {},
        {"Fargo (1996)": "a TV series"},
    )


def test_ambiguous_films_have_their_candidates(matcher):
    matched = matcher.match(read_history("x.csv", b"title,rating\nEmma,4\n"))
    assert [(film.item, film.rating) for film in matched.unmatched[0].candidates] == [(10, 4), (11, 4)]


@pytest.mark.parametrize(
    ("scale", "step", "of_ten"),
    [
        ((0.5, 5), 0.5, {1: 0.5, 7: 3.5, 8: 4, 10: 5}),
        ((1, 5), 1, {1: 1, 5: 3, 6: 3, 7: 4, 9: 5, 10: 5}),
        ((1, 10), 1, {1: 1, 7: 7}),
        ((-10, 10), 1, {5: 0, 10: 10}),
        ((1, 1), 1, {1: 1, 10: 1}),
    ],
)
def test_ratings_are_converted_to_the_scale_of_the_data(scale, step, of_ten):
    matcher = HistoryMatcher(data(scale, step=step))
    assert {rating: matcher.rating(rating / 10) for rating in of_ten} == of_ten


def test_a_film_without_a_rating_gets_the_mean_rating_of_the_data():
    dataset = data((1, 5), step=1)
    assert HistoryMatcher(dataset).rating(None) == round(float(dataset.ratings.mean()))


def test_a_rating_off_the_scale_is_not_used(matcher):
    content = f"{LETTERBOXD},Rating\n2024-01-02,Heat,1995,u,11\n2024-01-02,Inception,2010,u,good\n"
    assert found(matcher, content) == (
        {},
        {
            "Heat (1995)": "the rating must be from 0.5 to 5 (got 11)",
            "Inception (2010)": "the rating must be from 0.5 to 5 (got good)",
        },
    )


def test_movielens_ids_count_only_where_the_data_have_them():
    content = "userId,movieId,rating,timestamp\n1,6,4.0,964982703\n"
    assert found(HistoryMatcher(data(name="ml-100k")), content)[0] == {}


def test_a_list_of_imdb_without_ratings_of_the_user_is_not_a_history(matcher):
    content = f"{IMDB}\ntt0113277,,,Heat,Heat,u,Movie,8,170,1995,Crime\n"
    assert found(matcher, content) == ({}, {"Heat (1995)": "the file has no rating for it"})


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_encodings_are_detected(matcher, encoding):
    content = f"{LETTERBOXD}\r\n2024-01-02,Les Misérables,2012,u\r\n".encode(encoding)
    assert list(found(matcher, content)[0]) == ["Les Misérables (2012)"]


def test_a_row_with_too_many_cells_is_named_by_its_line(matcher):
    ratings, reasons = found(matcher, "title,year\nHeat,1995\nGood, the Bad and the Ugly,1966\n")
    assert list(ratings) == ["Heat (1995)"]
    assert list(reasons.values()) == ["line 3 has more cells than there are columns"]


def test_characters_that_control_a_terminal_are_left_out(matcher):
    assert list(found(matcher, "title,year\n\x1b[31mNo film,1990\n")[1]) == ["[31mNo film (1990)"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"a,b\n1,2\n", r"must be a history of Letterboxd, IMDb, .* the columns a, b"),
        ("a.csv", b"", "must be a history of"),
        ("a.csv", b"title,year\n", "must have at least one film"),
        ("a.csv", b'title,year\n"Heat,1995\n', "is not valid CSV near line"),
        ("a.json", b'[{"movie": ', "is not valid JSON"),
        ("a.json", b"[" * 100_000, "is not valid JSON"),
        ("a.png", b"\x89PNG\r\n\x1a\n\0\0\0", "must be a CSV file, a JSON file or a zip archive"),
        ("a.zip", b"PK\x03\x04broken", "cannot be unpacked here"),
        ("a.xlsx", zipped({"[Content_Types].xml": "", "xl/a.csv": ""}), "spreadsheet"),
        ("a.zip", zipped({"notes.doc": "x"}), "no table with columns"),
        ("a.csv", b"userId,movieId,rating,timestamp\n1,6,4,1\n2,6,3,1\n", "history of one viewer"),
    ],
)
def test_files_that_are_not_histories_are_refused_in_a_sentence(name, content, message):
    with pytest.raises(UserError, match=message):
        read_history(name, content)


def test_sizes_are_limited_whatever_sizes_an_archive_states(monkeypatch):
    with pytest.raises(UserError, match="at most 5 MB"):
        read_history("a.csv", b"x" * (tables.MAX_BYTES + 1))
    monkeypatch.setattr(tables, "MAX_UNPACKED", 10_000)
    bomb = zipped({"ratings.csv": "title\n" + "x" * 100_000})
    for content in (bomb, bomb.replace((100_006).to_bytes(4, "little"), (9).to_bytes(4, "little"))):
        with pytest.raises(UserError, match=r"must unpack to at most|cannot be unpacked"):
            read_history("a.zip", content)
    for name, content in (
        ("a.csv", b"title" + b"," * 2000),
        ("a.json", json.dumps([dict.fromkeys(map(str, range(2000)), 1)]).encode()),
    ):
        with pytest.raises(UserError, match="at most 500 columns"):
            read_history(name, content)
    with pytest.raises(UserError, match=r"at most 1,000 files \(got 1,001\)"):
        read_history("a.zip", zipped({f"{place}/ratings.csv": "title\na\n" for place in range(1001)}))
    monkeypatch.setattr(tables, "MAX_ROWS", 2)
    with pytest.raises(UserError, match="at most 2 rows"):
        read_history("a.csv", b"title\na\nb\nc\n")
    with pytest.raises(UserError, match="at most 2 rows"):
        read_history("a.json", json.dumps([{"title": "a"}] * 3).encode())


def test_the_order_is_that_of_the_dates(matcher):
    rows = ["2024-03-01,Heat,1995,u,4", "2022-01-01,Inception,2010,u,3", "2023-01-01,The Matrix,1999,u,2"]
    ratings, _ = found(matcher, "\n".join([f"{LETTERBOXD},Rating", *rows]))
    assert list(ratings) == ["Inception (2010)", "The Matrix (1999)", "Heat (1995)"]
