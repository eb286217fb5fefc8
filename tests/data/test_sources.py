"""Sources in files: MovieLens releases, files of one's own, RecBole's atomic files, the NCF release."""

import duckdb
import numpy as np
import pytest

from recsys.data.clean import Cleaning
from recsys.data.sources import Files, MovieLens, NCFRelease, RecBole
from recsys.data.split import TEST, TRAIN, VALID
from recsys.data.splitters import Given
from recsys.errors import UserError
from tests.data.conftest import zipped

COLUMNS = {"user_id": "u", "movie_id": "m", "rating": "r", "time": "t"}
CSV = "u,m,r,t\nbob,7,4.5,880000000\namy,7,3,880000001\namy,8,0.5,880000000\n"


def archived(files):
    """A zip archive of a release, whose files are in a folder."""
    return zipped({f"release/{name}": content for name, content in files.items()})


# MovieLens


def test_ml_100k_has_its_canonical_folds(releases, write, prepared):
    rows = "".join(f"{i // 500 + 1}\t{i % 500 + 1}\t3\t{880000000 + i}\n" for i in range(40_001))
    dataset = prepared(MovieLens("ml-100k", str(write(releases["ml-100k"] | {"u.data": rows})))).dataset
    assert dataset.part_names == ("u1", "u2", "u3")
    assert np.array_equal(dataset.parts, np.arange(40_001) // 20_000)  # users and times rise with the rows here


def test_ml_100k_describes_users_and_items(releases, write, prepared):
    dataset = prepared(MovieLens("ml-100k", str(write(releases["ml-100k"])))).dataset
    user = dataset.user_frame.iloc[1]
    assert (user.age, user.age_group, user.gender, user.zip_code) == (53, "50-55", "F", "T8H1N")
    film = dataset.item_frame.iloc[0]
    assert (film.movie_id, film.title, film.year, film.genres) == (9, "Les Misérables", 1995, ["Drama", "Musical"])
    assert dataset.scale == (1, 5)


def test_placeholders_of_ml_100k_are_missing(releases, write, prepared):
    film = prepared(MovieLens("ml-100k", str(write(releases["ml-100k"])))).dataset.item_frame.iloc[1]
    assert film[["title", "year"]].isna().all()
    assert film.genres == []


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8"])
def test_ml_1m_is_read_in_either_encoding(encoding, releases, write, prepared):
    movies = releases["ml-1m"]["movies.dat"].decode("latin-1").encode(encoding)
    dataset = prepared(MovieLens("ml-1m", str(write(releases["ml-1m"] | {"movies.dat": movies})))).dataset
    assert dataset.item_frame.title[0] == "Les Misérables"


def test_ml_1m_has_named_occupations_and_age_groups(releases, write, prepared):
    frame = prepared(MovieLens("ml-1m", str(write(releases["ml-1m"])))).dataset.user_frame
    assert frame.occupation.tolist() == ["K-12 student", "self-employed"]
    assert frame.age_group.tolist() == ["under 18", "56 and over"]
    assert frame.age_group.min() == "under 18"


def test_empty_times_of_a_release_are_missing(releases, write, prepared):
    dataset = prepared(MovieLens("ml-1m", str(write(releases["ml-1m"])))).dataset
    assert dataset.times is None
    assert len(dataset) == 3


def test_ml_10m_has_half_stars_and_no_metadata_of_users(releases, write, prepared):
    dataset = prepared(MovieLens("ml-10m", str(write(releases["ml-10m"])))).dataset
    assert dataset.ratings.tolist() == [0.5, 4.5]
    assert dataset.user_frame.columns.tolist() == ["user_id"]


def test_newer_releases_have_links_if_there_is_a_file_of_them(releases, write, prepared):
    frame = prepared(MovieLens("ml-32m", str(write(releases["ml-32m"])))).dataset.item_frame
    assert frame.imdb_id.tolist() == ["0133093", "0000010"]
    assert frame.tmdb_id[0] == 603
    assert frame.tmdb_id.isna()[1]
    del releases["ml-32m"]["links.csv"]
    frame = prepared(MovieLens("ml-25m", str(write(releases["ml-32m"], "unlinked")))).dataset.item_frame
    assert frame.columns.tolist() == ["movie_id", "title", "year", "genres"]


@pytest.mark.parametrize("release", ["ml-100k", "ml-1m", "ml-10m", "ml-32m"])
def test_archives_and_folders_give_the_same_data(release, releases, write, prepared):
    archive = write({"release.zip": archived(releases[release])}) / "release.zip"
    packed = prepared(MovieLens(release, str(archive))).dataset
    opened = prepared(MovieLens(release, str(write(releases[release], "opened")))).dataset
    assert packed.ratings.tolist() == opened.ratings.tolist()
    assert packed.item_frame.equals(opened.item_frame)


def test_unknown_releases_are_refused():
    with pytest.raises(UserError, match=r"must be one of ml-100k, .* \(got 'ml-2m'\)"):
        MovieLens("ml-2m")


def test_paths_without_a_release_are_refused(releases, write, prepared):
    folder = write({"text.zip": "not a zip", "half.zip": archived(releases["ml-1m"])[:200]})
    with pytest.raises(UserError, match="nowhere does not exist"):
        prepared(MovieLens("ml-1m", str(folder / "nowhere")))
    for name in ("text.zip", "half.zip"):
        with pytest.raises(UserError, match="must be a folder or a complete zip archive"):
            prepared(MovieLens("ml-1m", str(folder / name)))
    with pytest.raises(UserError, match=r"lacks ratings.dat, movies.dat, users.dat"):
        prepared(MovieLens("ml-1m", str(folder)))


def test_damaged_archives_are_refused_and_leave_no_files(releases, write, prepared, tmp_path):
    content = archived(releases["ml-10m"]).replace(b"1::9::0.5", b"1::9::5.0")  # the checksum no longer matches
    with pytest.raises(UserError, match=r"release.zip is damaged"):
        prepared(MovieLens("ml-10m", str(write({"release.zip": content}) / "release.zip")))
    assert not any((tmp_path / "cache" / "prepared").iterdir())


def test_ids_of_a_release_must_be_numbers(releases, write, prepared):
    rows = "1::9::5::880000000\nbob::9::5::880000000\n"
    with pytest.raises(UserError, match=r"ratings.dat has text where a number belongs: 'bob' in column user_id, row 2"):
        prepared(MovieLens("ml-10m", str(write(releases["ml-10m"] | {"ratings.dat": rows}))))


def test_lines_with_too_few_fields_are_refused(releases, write, prepared):
    with pytest.raises(UserError, match=r"ratings.dat must have 4 fields in every row \(got 2 in line 2: '1::9'\)"):
        prepared(MovieLens("ml-10m", str(write(releases["ml-10m"] | {"ratings.dat": "1::9::5::1\n1::9\n"}))))


# Files


@pytest.mark.parametrize("name", ["r.csv", "r.tsv", "r.jsonl", "r.parquet", "r.csv.gz"])
def test_every_format_gives_the_same_data_set(name, write, prepared, tmp_path):
    csv = write({"ratings.csv": CSV}) / "ratings.csv"
    file = tmp_path / name
    options = {"r.tsv": "(FORMAT csv, DELIMITER '\t', HEADER)", "r.jsonl": "(FORMAT json)"}.get(name, "")
    duckdb.sql(f"COPY (FROM '{csv}') TO '{file}' {options}")
    dataset = prepared(Files(str(file), COLUMNS)).dataset
    assert dataset.user_frame.user_id.tolist() == ["amy", "bob"]
    assert dataset.item_frame.movie_id.tolist() == [7, 8]
    assert dataset.users.tolist() == [0, 0, 1]
    assert dataset.items.tolist() == [1, 0, 0]
    assert dataset.ratings.tolist() == [0.5, 3, 4.5]
    assert dataset.times.tolist() == [880000000, 880000001, 880000000]


def test_only_users_and_items_are_required(write, prepared):
    folder = write({"seen.csv": "u,m\n2,7\n1,7\n"})
    columns = {"user_id": "u", "movie_id": "m", "rating": None, "time": None}
    dataset = prepared(Files(str(folder / "seen.csv"), columns, scale=(2, 10))).dataset
    assert dataset.times is None
    assert dataset.parts is None
    assert dataset.ratings.tolist() == [1, 1]
    assert dataset.scale == (1, 1)
    assert dataset.item_frame.title.isna().all()


def test_files_of_users_and_items_can_have_further_columns(write, prepared):
    folder = write(
        {
            "ratings.csv": CSV,
            "users.csv": "id,years,from\namy,31,Oslo\n",
            "films.jsonl": '{"movie_id": 7, "title": "Seven, The", "genres": "Crime, Noir", "imdb_id": "tt7"}\n',
        }
    )
    source = Files(
        str(folder / "ratings.csv"),
        COLUMNS,
        users_path=str(folder / "users.csv"),
        users_columns={"user_id": "id", "age": "years", "city": "from"},
        films_path=str(folder / "films.jsonl"),
        genre_separator=",",
    )
    dataset = prepared(source).dataset
    assert dataset.user_frame.age[0] == 31
    assert dataset.user_frame.age_group[0] == "25-34"
    assert dataset.user_frame.city.tolist()[0] == "Oslo"
    assert dataset.user_frame.isna().iloc[1].tolist() == [False, True, True, True]  # bob has no metadata but the id
    assert dataset.item_frame.title[0] == "The Seven"
    assert dataset.item_frame.genres.tolist() == [["Crime", "Noir"], []]
    assert dataset.item_frame.imdb_id[0] == "tt7"


def test_the_partition_of_a_file_is_read(write, prepared):
    folder = write({"r.csv": "u,m,fold\n1,7,train\n1,8,test\n2,7,\n"})
    dataset = prepared(Files(str(folder / "r.csv"), {"user_id": "u", "movie_id": "m", "part": "fold"})).dataset
    assert dataset.part_names == ("train", "test")
    assert dataset.parts.tolist() == [0, 1, -1]


def test_times_can_be_dates(write, prepared):
    folder = write({"r.csv": "u,m,t\n1,7,2001-09-09 01:46:40\n1,8,1000000001\n"})
    dataset = prepared(Files(str(folder / "r.csv"), {"user_id": "u", "movie_id": "m", "time": "t"})).dataset
    assert dataset.times.tolist() == [1_000_000_000, 1_000_000_001]


def test_whole_numbers_stored_as_floats_are_ids(prepared, tmp_path):
    file = tmp_path / "r.parquet"
    duckdb.sql(f"COPY (FROM (VALUES (1.0::DOUBLE, 7), ('nan'::DOUBLE, 7), (NULL, 8)) v(u, m)) TO '{file}'")
    cleaning = Cleaning(max_dropped=1)
    prepared_ = prepared(Files(str(file), {"user_id": "u", "movie_id": "m"}, cleaning=cleaning))
    assert prepared_.dataset.user_frame.user_id.tolist() == [1]
    assert prepared_.report.dropped["missing id"] == 2


def test_bad_files_are_refused(write, prepared):
    folder = write(
        {
            "empty.csv": "u,m,r,t\n",
            "nothing.csv": "",
            "text.csv": CSV.replace("4.5", "good"),
            "date.csv": CSV.replace("880000001", "yesterday"),
            "ratings.xlsx": zipped({"[Content_Types].xml": ""}),
            "broken.parquet": "?",
            "ratings.csv": CSV,
        }
    )
    refused = {
        "nowhere.csv": "nowhere.csv does not exist",
        "empty.csv": "empty.csv has no rows",
        "nothing.csv": "nothing.csv",
        "text.csv": r"text.csv has text where a number belongs: 'good' in column r, row 1",
        "date.csv": r"date.csv has text where a number belongs: 'yesterday' in column t, row 2",
        "ratings.xlsx": "is a spreadsheet or document: save it as CSV",
        "broken.parquet": "broken.parquet is damaged or incomplete",
    }
    for name, sentence in refused.items():
        with pytest.raises(UserError, match=sentence):
            prepared(Files(str(folder / name), COLUMNS))
    with pytest.raises(UserError, match=r"give its path with data\.path="):
        prepared(Files(None, COLUMNS))


def test_a_file_of_films_without_titles_is_reported(write, prepared):
    folder = write({"ratings.csv": CSV, "films.csv": "m,Titel\n7,Heat\n"})
    ratings, films = str(folder / "ratings.csv"), str(folder / "films.csv")
    for columns, is_reported in (({"movie_id": "m"}, True), ({"movie_id": "m", "title": "Titel"}, False)):
        report = prepared(Files(ratings, COLUMNS, films_path=films, films_columns=columns)).report
        assert any("films.csv: no titles" in line for line in report.read_as) == is_reported


def test_missing_columns_are_named_with_those_that_exist(write, prepared):
    file = str(write({"ratings.csv": CSV}) / "ratings.csv")
    with pytest.raises(
        UserError, match=r"has the columns u, m, r, t; it lacks stars, when: .* data.columns.rating=NAME"
    ):
        prepared(Files(file, {"user_id": "u", "movie_id": "m", "rating": "stars", "time": "when"}))
    with pytest.raises(UserError, match=r"say which of them is movie_id: data\.columns\.movie_id=NAME"):
        prepared(Files(file, {"user_id": "u"}))
    with pytest.raises(UserError, match=r"\(got timestamp\)"):
        prepared(Files(file, {"user_id": "u", "movie_id": "m", "timestamp": "t"}))


# Sequences


def test_items_with_enough_ratings_give_the_sequences_of_a_file_without_times_and_header(releases, write, prepared):
    rated = [(1, 9, 3), (2, 10, 1), (2, 9, 1), (1, 11, 2), (1, 10, 3), (2, 12, 5), (3, 10, 7), (3, 9, 7)]
    rows = "".join(f"{user}::{item}::4::{880000000 + time}\n" for user, item, time in rated)
    release = MovieLens("ml-1m", str(write(releases["ml-1m"] | {"ratings.dat": rows})), cleaning=Cleaning(item_core=2))
    # by user, then time, and ties in the order of rows; items with one rating are left out
    sequences = "1 9\n1 10\n2 10\n2 9\n3 10\n3 9\n"
    file = str(write({"sequences.txt": sequences}, "sequences") / "sequences.txt")
    columns = {"user_id": "user_id", "movie_id": "movie_id", "rating": "rating", "time": "row", "part": None}
    files = Files(file, columns, header=["user_id", "movie_id"], delimiter=" ")
    expected, dataset = prepared(release).dataset, prepared(files).dataset
    for part in ("users", "items"):
        np.testing.assert_array_equal(getattr(dataset, part), getattr(expected, part))
    assert dataset.item_frame.movie_id.tolist() == expected.item_frame.movie_id.tolist() == [9, 10]
    assert dataset.times.tolist() == [1, 2, 3, 4, 5, 6]
    assert (dataset.ratings.tolist(), dataset.scale) == ([1.0] * 6, (1, 1))


def test_rows_of_many_chunks_are_numbered_in_their_order(write, prepared):
    rows = np.random.default_rng(0).permutation(50_000)
    file = str(write({"many.txt": "".join(f"1 {row}\n" for row in rows)}) / "many.txt")
    columns = {"user_id": "user_id", "movie_id": "movie_id", "time": "row"}
    dataset = prepared(Files(file, columns, header=["user_id", "movie_id"], delimiter=" ")).dataset
    np.testing.assert_array_equal(dataset.item_frame.movie_id.to_numpy()[dataset.items], rows)


def test_rows_in_order_of_time_can_have_a_header(write, prepared):
    folder = write({"ratings.csv": CSV, "ratings.txt": CSV.replace(",", "|")})
    columns = COLUMNS | {"time": "row"}
    for name, delimiter in (("ratings.csv", None), ("ratings.txt", "|")):
        dataset = prepared(Files(str(folder / name), columns, delimiter=delimiter)).dataset
        assert dataset.times.tolist() == [2, 3, 1]
        assert dataset.ratings.tolist() == [3.0, 0.5, 4.5]


def test_row_numbers_as_times_continue_over_several_files(write, prepared):
    folder = write({"a.csv": "user_id,movie_id\n1,7\n1,8\n", "b.csv": "user_id,movie_id\n1,6\n2,7\n"})
    columns = {"user_id": "user_id", "movie_id": "movie_id", "rating": None, "time": "row"}
    dataset = prepared(Files(str(folder), columns, glob="*.csv")).dataset
    assert dataset.items.tolist() == [1, 2, 0, 1]
    assert dataset.times.tolist() == [1, 2, 3, 4]


def test_headers_that_do_not_fit_their_file_are_refused(write, prepared):
    folder = write({"a.txt": "1 2\n1 3\n", "b.txt": "1 2,3\n1 3,4\n", "late.txt": "1 2\n1 3 7\n", "a.csv": "1,2\n"})
    columns = {"user_id": "user_id", "movie_id": "movie_id"}
    ids = ["user_id", "movie_id"]
    refused = [
        ("a.txt", [*ids, "time"], " ", r"must have 3 fields in every row \(got 2 in line 1: '1 2'\)"),
        ("late.txt", ids, " ", r"must have 2 fields in every row \(got 3 in line 2: '1 3 7'\)"),
        ("b.txt", ids, None, r"with one of the delimiters .* \(got ',' and ' '\): set data.delimiter"),
        ("a.txt", ["user_id", "user_id"], " ", "must name each column once"),
        ("a.txt", ids, "", "must be at least one character"),
        ("a.txt", ["user_id", "item"], " ", "say which of them is movie_id"),
    ]
    for name, header, delimiter, sentence in refused:
        with pytest.raises(UserError, match=sentence):
            prepared(Files(str(folder / name), columns, header=header, delimiter=delimiter))
    assert len(prepared(Files(str(folder / "a.csv"), columns, header=ids)).dataset) == 1


# RecBole


def test_atomic_files_are_read_by_their_headers(write, prepared):
    folder = write(
        {
            "toy.inter": "user_id:token\titem_id:token\trating:float\ttimestamp:float\tnote:token\na\t7\t4\t8.8e8\tx\n",
            "toy.user": "user_id:token\tgender:token\tage:token\na\tF\t31\n",
            "toy.item": "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
            '7\t"Seven", The\t1995\tCrime Film-Noir\n',
        },
        "toy",
    )
    dataset = prepared(RecBole(str(folder))).dataset
    assert dataset.name == "toy"
    assert dataset.times.tolist() == [880_000_000]
    assert dataset.user_frame.iloc[0][["user_id", "gender", "age"]].tolist() == ["a", "F", 31]
    assert dataset.item_frame.iloc[0].tolist() == [7, 'The "Seven"', 1995, ["Crime", "Film-Noir"]]


def test_atomic_files_may_be_in_another_encoding(write, prepared):
    items = "item_id:token\tmovie_title:token_seq\n7\tAmélie\n".encode("latin-1")
    folder = write({"toy.inter": "user_id:token\titem_id:token\na\t7\nb\t7\n", "toy.item": items}, "toy")
    assert prepared(RecBole(str(folder))).dataset.item_frame["title"].tolist() == ["Amélie"]


def test_recbole_requires_only_interactions(write, prepared):
    folder = write({"toy.inter": "user_id:token\titem_id:token\na\t7\nb\t7\n"})
    dataset = prepared(RecBole(str(folder), name="toy")).dataset
    assert dataset.scale == (1, 1)
    with pytest.raises(UserError, match=r"has no file other.inter, but toy.inter: choose data.name=toy\.$"):
        prepared(RecBole(str(folder), name="other"))
    (folder / "toy.inter").rename(folder / "toy.train.inter")
    with pytest.raises(UserError, match=r"but toy.train.inter: choose data.name=toy\.$"):
        prepared(RecBole(str(folder), name="other"))
    (folder / "toy.train.inter").unlink()
    with pytest.raises(UserError, match=r"other.inter does not exist"):
        prepared(RecBole(str(folder), name="other"))


def test_rows_with_a_label_of_zero_are_not_interactions(write, prepared):
    rows = "a\t7\t1\na\t8\t0\nb\t7\t0.0\nb\t8\t1.0\nc\t7\t\n"
    folder = write({"toy.inter": f"user_id:token\titem_id:token\tlabel:float\n{rows}"}, "toy")
    found = prepared(RecBole(str(folder)))
    assert (found.report.rows_read, found.report.rows_kept) == (5, 3)
    assert found.report.dropped["negative by its label"] == 2
    assert found.dataset.users.tolist() == [0, 1, 2]
    assert found.dataset.scale == (1, 1)


def test_the_text_of_atomic_files_is_interpreted_as_that_of_other_files(write, prepared):
    header = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
    rows = [f"{user}\t7\t4\t{1_100_000_000_000 + user}\n" for user in range(19)]
    folder = write({"toy.inter": header + "".join(rows) + "nan\t8.0\t4\t1100000000500\n"}, "toy")
    found = prepared(RecBole(str(folder), name="toy"))
    assert found.report.dropped["missing id"] == 1
    assert found.dataset.item_frame["movie_id"].tolist() == [7]
    assert set(found.dataset.times) == {1_100_000_000}
    assert found.report.read_as == (
        "toy.inter: movie_id such as 1.0 is read as 1",
        "toy.inter: times are milliseconds (data.time_format=ms)",
    )


def test_a_benchmark_of_recbole_has_the_parts_of_a_given_split(write, prepared):
    header = "user_id:token\titem_id:token\trating:float\n"
    folder = write(
        {
            "toy.test.inter": f"{header}a\t9\t2\n",
            "toy.train.inter": f"{header}a\t7\t4\nb\t7\t5\n",
            "toy.valid.inter": f"{header}a\t8\t3\n",
        },
        "toy",
    )
    dataset = prepared(RecBole(str(folder))).dataset
    assert dataset.part_names == ("train", "valid", "test")
    assert Given().labels(dataset).tolist() == [TRAIN, VALID, TEST, TRAIN]


def test_atomic_files_may_have_a_byte_order_mark_other_columns_and_separators(write, prepared):
    folder = write(
        {
            "toy.inter": "\ufeffuser_id:token\titem_id:token\na\t7\n",
            "toy.item": "\ufeffitem_id:token\tclass:token_seq\tgenre:token_seq\trating:float\titem:token\t"
            "title:token_seq\n"
            "7\tCrime;Film Noir\tother\t8.5\tx\tHeat; Ran\n",
        },
        "toy",
    )
    item = prepared(RecBole(str(folder), seq_separator=";")).dataset.item_frame.iloc[0]
    assert item[["genres", "genre", "rating", "item", "title"]].tolist() == [
        ["Crime", "Film Noir"],
        "other",
        "8.5",
        "x",
        "Heat; Ran",
    ]


# NCF


def test_the_ncf_release_has_parts_and_negatives(write, prepared):
    folder = write(
        {
            "toy.train.rating": "0\t3\t5\t978824330\n0\t1\t4\t978824331\n1\t1\t3\t978824332\n",
            "toy.test.rating": "0\t2\t5\t978824339\n1\t3\t4\t978824339\n",
            "toy.test.negative": "(1,3)\t2\n(0,2)\t99\t3\t1\n",
        }
    )
    dataset = prepared(NCFRelease(str(folder), name="toy")).dataset
    assert dataset.part_names == ("train", "test")
    assert dataset.items.tolist() == [2, 0, 1, 0, 2]
    assert dataset.parts.tolist() == [0, 0, 1, 0, 1]
    assert dataset.negatives.tolist() == [[2, 0], [1, -1]]  # item 99 has no rating and therefore no code


def test_placeholder_times_of_the_ncf_release_are_missing(write, prepared):
    files = {"toy.train.rating": "0\t3\t1\t1\n", "toy.test.rating": "0\t2\t1\t1\n", "toy.test.negative": "(0,2)\t3\n"}
    assert prepared(NCFRelease(str(write(files)), name="toy")).dataset.times is None


NCF_WITHOUT_TIMES = {
    "toy.train.rating": "0\t3\t5\t0\n0\t1\t4\n1\t1\t3\t1\n",
    "toy.test.rating": "0\t2\t5\t978824339\n1\t3\t4\t978824339\n",
    "toy.test.negative": "(1,3)\t2\n(0,2)\t3\t1\n",
}


@pytest.mark.parametrize(("time", "times"), [("null", None), ("row", [1, 2, 4, 3, 5])])
def test_an_ncf_release_without_usable_times_loses_nothing(time, times, write, load):
    folder = write(NCF_WITHOUT_TIMES)
    found = load("data=ncf", f"data.path={folder}", "data.name=toy", f"data.columns.time={time}")
    assert not any(found.report.dropped.values())
    dataset = found.dataset
    assert dataset.items.tolist() == [2, 0, 1, 0, 2]  # rows stay in order
    assert dataset.ratings.tolist() == [5, 4, 5, 3, 4]
    assert dataset.parts.tolist() == [0, 0, 1, 0, 1]
    assert dataset.negatives.tolist() == [[2, 0], [1, -1]]
    assert (None if dataset.times is None else dataset.times.tolist()) == times


def test_an_ncf_release_with_few_times_names_the_setting_that_reads_it(write, load):
    files = NCF_WITHOUT_TIMES | {"toy.train.rating": "0\t3\t5\t0\n0\t1\t4\t0\n1\t1\t3\t1\n"}
    settings = ("data=ncf", f"data.path={write(files)}", "data.name=toy")
    with pytest.raises(UserError, match=r"3 of them by 'missing time'\): check data.columns.time, which is null"):
        load(*settings)
    with pytest.raises(UserError, match=r"data.columns of data=ncf must set only time, to time, row or null \(got"):
        load(*settings, "data.columns.time=rating")
    write({"toy.train.rating": "0\t3\t5\n0\t1\t4\n1\t1\t3\n"})
    with pytest.raises(UserError, match=r"toy.train.rating has no times: set data.columns.time=null, or row if"):
        load(*settings)


def test_bad_lines_of_the_ncf_release_are_named(write, prepared):
    files = {"toy.train.rating": "0\t3\t1\t1\n", "toy.test.rating": "0\tx\t1\t1\n", "toy.test.negative": "(0,2)\t3\n"}
    with pytest.raises(UserError, match=r"toy.test.rating has text where a number belongs: 'x' .* row 1"):
        prepared(NCFRelease(str(write(files)), name="toy"))
    files |= {"toy.test.rating": "0\t2\t1\t1\n", "toy.test.negative": "0\t3\n"}
    with pytest.raises(UserError, match=r"toy.test.negative has a line that does not begin with \(user,film\)"):
        prepared(NCFRelease(str(write(files)), name="toy"))
