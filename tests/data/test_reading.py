"""Reading of files: every row is used, counted, or refused in one sentence, whatever the format of the file."""

import bz2
import gzip
import json
import lzma
import os
import random
import re
import tracemalloc
from pathlib import Path

import duckdb
import pytest

from recsys.data.clean import Cleaning, check_dropped
from recsys.data.engines import DuckDB
from recsys.data.fingerprint import data_fingerprint, forget_digests
from recsys.data.plain import plain
from recsys.data.sources import Files
from recsys.errors import UserError
from tests.data.conftest import zipped
from tests.fuzz_files import try_one

COLUMNS = {name: name for name in ("user_id", "movie_id", "rating", "time")}
NAMES = list(COLUMNS)
CSV = "user_id,movie_id,rating,time\n1,7,4.5,1100000000\n2,7,3,1100000100\n2,8,0.5,1100000200\n"
EXPECTED = {("1", "7", 4.5, 1100000000), ("2", "7", 3.0, 1100000100), ("2", "8", 0.5, 1100000200)}


@pytest.fixture
def ratings(write, tmp_path):
    """Write files, read and clean one of them, and return its clean ratings under the ids of the source."""

    def ratings(content, name="r.csv", columns=COLUMNS, **settings):
        source = Files(str(write({name: content}) / name), columns, **settings)
        with duckdb.connect(config={"threads": 1}) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            cleaned = DuckDB().clean(connection, source, source.locate(tmp_path), tmp_path, tmp_path)
            rows = connection.execute(
                'SELECT user_id, movie_id, rating, time FROM ratings JOIN users USING ("user") JOIN films USING (item)'
            ).fetchall()
        check_dropped(cleaned.dropped, cleaned.rows_read, source.cleaning)
        assert len(rows) == cleaned.rows_read - sum(cleaned.dropped.values())
        return set(rows)

    return ratings


@pytest.fixture
def stored(write, prepared):
    """Prepare a file, and return its clean ratings as they are stored."""

    def stored(content, **settings):
        found = prepared(Files(str(write({"r.csv": content}) / "r.csv"), COLUMNS, **settings))
        tables = {table: str(file) for table, file in found.tables.items()}
        rows = duckdb.sql(
            f"SELECT user_id, movie_id, rating, time FROM '{tables['ratings']}' "
            f"JOIN '{tables['users']}' USING (\"user\") JOIN '{tables['films']}' USING (item)"
        ).fetchall()
        assert len(rows) == found.report.rows_kept
        return set(rows)

    return stored


def written(times):
    """Write a rating at each time."""
    return "user_id,movie_id,rating,time\n" + "".join(f"1,{item},3,{time}\n" for item, time in enumerate(times))


def only_times(rows):
    return [time for _, _, _, time in sorted(rows, key=lambda row: int(row[1]))]


# Dialects


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", "::", " "])
@pytest.mark.parametrize("header", [True, False])
def test_delimiters_are_detected(delimiter, header, ratings):
    text = CSV.replace(",", delimiter)
    if header:
        assert ratings(text, "r.dat") == EXPECTED
    else:
        assert ratings(text.partition("\n")[2], "r.dat", header=NAMES) == EXPECTED


def test_lines_may_end_in_different_ways(ratings):
    first, rest = CSV.split("\n", 1)
    assert ratings(f"{first}\r\n{rest}".encode()) == EXPECTED
    assert ratings(CSV.replace("\n", "\r\n", 2).encode()) == EXPECTED


@pytest.mark.parametrize("ends", [["\r", "\n"], ["\r\r\n"], ["\n", "\r\n", "\r"]])
def test_returns_are_ends_of_lines_too(ends, ratings):
    lines = CSV.splitlines()
    text = "".join(line + ends[place % len(ends)] for place, line in enumerate(lines))
    assert ratings(text.encode()) == EXPECTED


@pytest.mark.parametrize("before", ["\n\n", "\r\n", "\ufeff\ufeff"])
def test_invisible_characters_before_the_header_are_not_part_of_it(before, ratings):
    text = CSV.replace("\n", "\r\n") if "\r" in before else CSV
    assert ratings((before + text).encode()) == EXPECTED


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "windows-1252"])
def test_encodings_are_detected(encoding, newline, ratings):
    text = CSV.replace("2,", "Zoë,").replace("\n", newline)
    assert {user for user, *_ in ratings(text.encode(encoding))} == {"1", "Zoë"}


def test_encodings_can_be_set(ratings):
    assert ("Фильм", "7", 3, 1100000100) in ratings(CSV.replace("2,7", "Фильм,7").encode("cp1251"), encoding="cp1251")
    with pytest.raises(UserError, match=r"must be in the encoding utf-8 .*: set data.encoding"):
        ratings("é".encode("latin-1") + CSV.encode(), encoding="utf-8")
    with pytest.raises(UserError, match=r"encoding windows-1252 \(got the byte 0x81: .*\): set data.encoding"):
        ratings(CSV.encode() + b"\x81,7,4,1100000000\n")
    with pytest.raises(UserError, match=r"must be an encoding of Python, such as latin-1 \(got latin-99\)"):
        ratings(CSV, encoding="latin-99")


def test_the_encoding_of_a_large_file_is_detected_in_little_memory(tmp_path):
    file = tmp_path / "large.csv"
    file.write_bytes("1,Zoë,5\n".encode("windows-1252") * 2**20)  # 8 MiB
    tracemalloc.start()
    converted = plain(file, tmp_path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert converted.encoding == "windows-1252"
    assert peak < 8 * 2**20


def test_a_replacement_character_is_part_of_utf_8(ratings):
    assert ("\ufffd", "7", 3, 1100000100) in ratings(CSV.replace("2,7", "\ufffd,7"))


def test_damaged_utf_8_is_not_taken_for_another_encoding(ratings):
    text = CSV + "é,ü,3,1100000000\n"
    with pytest.raises(UserError, match="must be in one encoding"):
        ratings(text.encode() + b"\xff,9,3,1100000000\n")


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress, lambda data: zipped({"r.csv": data})])
def test_compression_is_detected_whatever_the_name(compress, ratings):
    assert ratings(compress(CSV.encode()), "ratings") == EXPECTED


def test_archives_in_archives_are_read(ratings):
    packed = gzip.compress(CSV.encode())
    for twice in (gzip.compress(packed), zipped({"r.csv.gz": packed, ".DS_Store": "x"})):
        assert ratings(twice, "r.csv.gz") == EXPECTED
    with pytest.raises(UserError, match=r"must hold one file \(got none\)"):
        ratings(zipped({}))


def test_zstandard_is_read_and_incomplete_files_are_refused(ratings, tmp_path):
    file = tmp_path / "packed.zst"
    rows = f"SELECT 1 AS user_id, i AS movie_id, 3 AS rating, {1_100_000_000} + i AS time FROM range(20000) t(i)"
    duckdb.sql(f"COPY ({rows}) TO '{file}' (FORMAT csv, HEADER, COMPRESSION zstd)")
    packed = file.read_bytes()
    assert len(ratings(packed, "r.csv.zst")) == 20_000
    with pytest.raises(UserError, match=r"part.csv.zst is damaged or incomplete"):
        ratings(packed[: len(packed) // 2], "part.csv.zst")


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_incomplete_archives_are_refused(compress, ratings):
    data = CSV.encode() + os.urandom(3000).hex().encode()
    with pytest.raises(UserError, match=r"r\.csv is damaged or incomplete: copy or download it again"):
        ratings(compress(data)[:-20])


def test_archives_of_several_files_are_refused(ratings):
    with pytest.raises(UserError, match=r"must hold one file \(got a.csv, b.csv\): unpack it first"):
        ratings(zipped({"a.csv": CSV, "b.csv": CSV}))


def test_other_kinds_of_files_are_refused(ratings):
    kinds = {
        b"\xd0\xcf\x11\xe0": "a spreadsheet",
        b"<!doctype html>": "a web page",
        b"<?xml version='1.0'?>": "XML: save it as CSV",
        b"version https://git-lfs.github.com/spec/v1\n": "a pointer of Git LFS",
        b"7z\xbc\xaf\x27\x1c": "an archive that recsys cannot unpack",
        b"u,m\n1,\0": "a zero byte in line 2",
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\x81": "a zero byte in line 3",
    }
    for content, kind in kinds.items():
        with pytest.raises(UserError, match=f"must be text or Parquet.*{kind}"):
            ratings(content + b"x" * 100)


def test_hash_marks_are_text(ratings):
    text = CSV.replace("\n1,", "\n#1,").replace(",8,", ",#8,")
    assert ratings(text) == {("#1", "7", 4.5, 1100000000), ("2", "7", 3, 1100000100), ("2", "#8", 0.5, 1100000200)}


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("3,7,4", r"must have 4 fields in every row \(got 3 in line 5: '3,7,4'\)"),
        ("3,7,4,1100000000,x", r"must have 4 fields in every row \(got 5 in line 5"),
        ("3  7", r"must have 4 fields in every row \(got 1 in line 5: '3  7'\)"),
        ("user_id,movie_id,rating,time", "repeats its header in row 4: remove this line"),
        ('3,7,4,"1100000000', r"must close every quotation mark .* in line 5; data.quote='' reads marks as text"),
        ('"3" x,7,4,1100000000', "must close every quotation mark"),
    ],
)
def test_damaged_rows_are_refused(line, sentence, ratings):
    with pytest.raises(UserError, match=sentence):
        ratings(CSV + line + "\n4,7,4,1100000000\n")


def test_a_line_of_more_than_16_mb_is_refused(ratings):
    with pytest.raises(UserError, match=r"must have lines of at most 16000000 bytes \(got a longer one in line 5\)"):
        ratings(CSV + "x" * 17_000_000 + ",7,4,1100000000\n")


@pytest.mark.parametrize("names", ["USER_ID,MOVIE_ID,RATING,TIME", "userId,movieId,rating,timestamp"])
def test_a_header_is_found_among_the_rows_in_other_spellings(names, ratings):
    columns = {"user_id": "user_id", "movie_id": "movie_id"}
    with pytest.raises(UserError, match="repeats its header in row 4: remove this line"):
        ratings(f"{CSV}{names}\n4,7,4,1100000000\n", columns=columns)


@pytest.mark.parametrize("place", [0, 1, 4])
def test_marks_that_enclose_whole_rows_need_a_setting(place, ratings):
    rows = [row.split(",") for row in CSV.splitlines()]
    for row, note in zip(rows, ["note", '"new', "none", 'seen"'], strict=True):
        row.insert(place, note)
    text = "\n".join(map(",".join, rows)) + "\n"
    with pytest.raises(
        UserError, match=r"close every quotation mark .* in one field; data.quote='' reads marks as text"
    ):
        ratings(text)
    assert ratings(text, quote="") == EXPECTED
    assert len(ratings(text, quote='"')) == 1


def test_text_with_lines_and_commas_needs_no_setting(ratings):
    notes = ["note", '"1. a, b,\nc, d\n2, e"', "", '"5, 4, 3\n2, 1, 0"']
    text = "\n".join(map(",".join, zip(CSV.splitlines(), notes, strict=True)))
    assert ratings(text + "\n") == EXPECTED


def test_a_header_is_refused_if_a_setting_names_the_columns(ratings):
    columns = {"user_id": "user_id", "movie_id": "movie_id"}
    text, names = "userId,movieId\n1,7\n2,8\n", [*columns]
    with pytest.raises(UserError, match=r"must have no header .* \(got 'userId, movieId'\): set data.skip=1"):
        ratings(text, columns=columns, header=names)
    assert len(ratings(text, columns=columns, header=names, skip=1)) == 2
    assert len(ratings("ann,heat\nbob,7\nbob,up\n", columns=columns, header=names)) == 3


def test_a_header_that_names_a_column_twice_is_refused(ratings):
    with pytest.raises(UserError, match=r"must name each column once \(got rating, Rating\)"):
        ratings("user_id,movie_id,rating,Rating,time\n1,2,3,4,5\n")
    with pytest.raises(UserError, match=r"lacks movie_id, user_id: name all columns with data.header"):
        ratings("1,1,3,1100000000\n2,1,3,1100000000\n")
    assert ratings(CSV.replace("\n", ",\n")) == EXPECTED  # a delimiter at the end of each line


@pytest.mark.parametrize(
    ("films", "title"),
    [
        ('movie_id\ttitle\n7\t"Seven", again\n', '"Seven", again'),
        ('movie_id\ttitle\n7\t"Seven\n8\tEight"\n', '"Seven'),
        ('movie_id\ttitle\n7\t"Se\tven"\n', "Se\tven"),
        ('movie_id,title\n7,"The \\"Seven\\", 1"\n', 'The "Seven", 1'),
        ('movie_id,title\n7,"The ""Seven"",\n1"\n', 'The "Seven",\n1'),
        ("'movie_id','title'\n'7','Seven, 1'\n", "Seven, 1"),
        ("movie_id,title\n7,Film #7 of all\n", "Film #7 of all"),
    ],
)
def test_quotation_marks_are_read_as_they_were_meant(films, title, write, prepared):
    folder = write({"ratings.csv": CSV, "films.txt": films})
    source = Files(str(folder / "ratings.csv"), COLUMNS, films_path=str(folder / "films.txt"))
    assert prepared(source).dataset.item_frame.title[0] == title


# Ids


def test_ids_of_json_stay_as_they_are(ratings):
    users = [10**20 + 1, 10**20 + 2, "10000000000000000000003", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", 7, "7"]
    rows = [
        {"user_id": user, "movie_id": 9223372036854775808 + place, "rating": 3.5, "time": 1100000000}
        for place, user in enumerate(users)
    ]
    expected = {(str(row["user_id"]), str(row["movie_id"]), 3.5, 1100000000) for row in rows}
    assert ratings("\n".join(map(json.dumps, rows)), "r.txt") == expected
    assert ratings(json.dumps(rows), "r.json") == expected
    assert ratings("\n".join(json.dumps(row, indent=2) for row in rows), "objects.json") == expected


def test_numbers_and_texts_of_json_that_count_as_the_same_id_are_reported(write, prepared):
    folder = write({"r.jsonl": '{"user_id": 7, "movie_id": 1}\n{"user_id": "7", "movie_id": 2}\n'})
    found = prepared(Files(str(folder / "r.jsonl"), {"user_id": "user_id", "movie_id": "movie_id"}))
    assert found.report.users == 1
    assert found.report.read_as == ('r.jsonl: user_id such as 7 and "7" count as the same',)


@pytest.mark.parametrize("kind", ["DOUBLE", "FLOAT", "VARCHAR", "DECIMAL(9, 1)", "DECIMAL(12, 4)"])
def test_whole_ids_of_parquet_have_no_decimal_point(kind, ratings, tmp_path):
    file = tmp_path / "made.parquet"
    values = "(VALUES (38.0, 7), (39.0, 8)) v(u, m)"
    duckdb.sql(f"COPY (SELECT CAST(u AS {kind}) AS user_id, m AS movie_id FROM {values}) TO '{file}'")
    columns = {"user_id": "user_id", "movie_id": "movie_id"}
    assert ratings(file.read_bytes(), "r.parquet", columns) == {("38", "7", 1, None), ("39", "8", 1, None)}


def test_ids_with_a_decimal_point_match_those_of_items_without_one(write, prepared):
    folder = write(
        {"r.csv": CSV.replace(",7,", ",7.0,").replace(",8,", ",8.0,"), "films.csv": "movie_id,title\n7,Seven\n"}
    )
    source = Files(str(folder / "r.csv"), COLUMNS, films_path=str(folder / "films.csv"))
    assert prepared(source).dataset.item_frame.title.tolist()[0] == "Seven"


def test_whole_numbers_among_other_ids_have_no_decimal_point(ratings):
    users = [user for user, *_ in ratings(CSV.replace("\n2,7", "\n2.0,7") + "ann,9,1,1100000000\n")]
    assert {*users} == {"1", "2", "ann"}


@pytest.mark.parametrize("invisible", ["\ufeff", "\t", "\u200b"])
def test_invisible_characters_around_an_id_are_not_part_of_it(invisible, stored, capsys):
    assert stored(CSV.replace("\n2,7", f"\n{invisible}2{invisible},7")) == EXPECTED
    assert "user_id is read without the invisible characters around it" in capsys.readouterr().out


@pytest.mark.parametrize("rounded", ["1.23457E+11", "1e+17", "8.1E10"])
def test_ids_that_a_spreadsheet_rounded_are_refused(rounded, ratings):
    with pytest.raises(UserError, match=rf"must have whole ids \(got '{re.escape(rounded)}' in column user_id, row 2"):
        ratings(CSV.replace("\n2,7", f"\n{rounded},7"))
    assert len(ratings(CSV.replace("\n2,7", "\n12e34567,7"))) == 3  # a hexadecimal number


@pytest.mark.parametrize("marked", ["'{}'", '="{}"', '"""{}"""', "“{}”"])
def test_quotation_marks_around_all_ids_are_not_part_of_them(marked, stored, capsys):
    header, *rows = (line.split(",", 1) for line in CSV.splitlines())
    lines = [",".join(header), *(f"{marked.format(user)},{rest}" for user, rest in rows)]
    assert stored("\n".join(lines) + "\n") == EXPECTED
    assert "is read without the quotation marks" in capsys.readouterr().out


def test_quotation_marks_around_only_some_ids_are_kept_in_the_ids(ratings):
    assert ("'2'", "7", 3, 1100000100) in ratings(CSV.replace("\n2,7", "\n'2',7"))


@pytest.mark.parametrize("word", ["none", "n/a", "NAN", "-", "?"])
def test_words_that_may_stand_for_missing_ids_are_reported(word, stored, capsys):
    assert (word, "7", 3, 1100000100) in stored(CSV.replace("\n2,7", f"\n{word},7"))
    assert f"user_id {word!r} is an id (data.missing=[{word!r}] reads it as missing)" in capsys.readouterr().out


@pytest.mark.parametrize(("kind", "least"), [("FLOAT", 2**24), ("DOUBLE", 2**53)])
def test_floating_point_ids_that_may_be_rounded_are_refused(kind, least, ratings, tmp_path):
    file, columns = tmp_path / "made.parquet", {"user_id": "user_id", "movie_id": "movie_id"}
    for first in (least - 2, least):
        duckdb.sql(f"COPY (SELECT {first}::{kind} AS user_id, 7 AS movie_id) TO '{file}'")
        if first < least:
            assert ratings(file.read_bytes(), "r.parquet", columns) == {(str(first), "7", 1, None)}
        else:
            with pytest.raises(
                UserError, match=rf"got {least} in column user_id, of type {kind}, which may be rounded"
            ):
                ratings(file.read_bytes(), "r.parquet", columns)
    with pytest.raises(UserError, match=r"got 9007199254740993|got 9007199254740992 in column user_id"):
        ratings('{"user_id": 9007199254740993.0, "movie_id": 7}\n', "r.jsonl", columns)


def test_text_that_parquet_stores_as_bytes_is_text(ratings, tmp_path):
    file, columns = tmp_path / "made.parquet", {"user_id": "user_id", "movie_id": "movie_id"}
    duckdb.sql(f"COPY (SELECT encode('Zoë') AS user_id, '7'::BLOB AS movie_id) TO '{file}'")
    assert ratings(file.read_bytes(), "r.parquet", columns) == {("Zoë", "7", 1, None)}


@pytest.mark.parametrize(("name", "brackets", "place"), [("r.jsonl", ("", ""), "line 3"), ("r.json", "[]", "record 3")])
def test_damage_in_json_is_named_by_its_line_or_record(ratings, name, brackets, place):
    row = '{"user_id": 1, "movie_id": 2, "rating": 4}'
    content = (",\n" if brackets[0] else "\n").join([row, row, row[:20] + "}", row])
    with pytest.raises(UserError, match=rf"must be whole JSON \(got damage at byte \d+ in {place}\)"):
        ratings(f"{brackets[0]}{content}{brackets[1]}", name)


def test_brackets_after_an_unclosed_string_are_not_levels(ratings):
    rows = ['{"user_id": 1, "movie_id": 2, "title": "a"}', '{"user_id": 1, "movie_id": 2, "title": "a}']
    rows += ['{"user_id": 1, "movie_id": 2, "title": "[["}'] * 200
    with pytest.raises(UserError, match=r"must be whole JSON \(got damage at byte \d+ in line 2\)"):
        ratings("\n".join(rows), "r.jsonl", {"user_id": "user_id", "movie_id": "movie_id"})


def test_a_json_object_of_more_than_16_mb_is_refused(ratings):
    with pytest.raises(UserError, match=r"must have JSON objects of at most 16777216 bytes \(got a longer one\)"):
        ratings('{"user_id": 1, "movie_id": 7}\n{"user_id": "' + "x" * 40_000_000 + '"}\n')


def test_one_nested_id_in_json_is_refused(ratings):
    columns, rows = {"user_id": "user_id", "movie_id": "movie_id"}, '{"user_id": 7, "movie_id": 1}\n'
    for user in ('{"id": 7}', "[7, 8]"):
        with pytest.raises(UserError, match="but its user_id has several values"):
            ratings(f'{rows}{{"user_id": {user}, "movie_id": 2}}\n', "r.jsonl", columns)
    with pytest.raises(UserError, match="has no rows"):
        ratings("[]", "r.json", columns)
    assert len(ratings('{"user_id": 7, "movie_id": 1, "": 2}\n', "r.jsonl", columns)) == 1


@pytest.mark.parametrize(("name", "brackets", "line"), [("r.jsonl", ("", ""), ""), ("r.json", "[]", "\n")])
def test_json_may_have_a_hundred_levels(ratings, name, brackets, line):
    """The object of a row is one of them, and the list of all rows; brackets in strings are none."""
    columns = {"user_id": "user_id", "movie_id": "movie_id"}

    def content(n):
        rows = (
            '{"user_id": 7, "movie_id": 1, "x": "]\\"[[["}',
            f'{{"user_id": 8, "movie_id": 2, "x": {"[" * n}{line}{"]" * n}}}',
        )
        return f"{brackets[0]}{(',' if brackets[0] else chr(10)).join(rows)}{brackets[1]}"

    n = 99 - bool(brackets[0])
    assert len(ratings(content(n), name, columns)) == 2
    for more in (n + 1, 100_000):
        with pytest.raises(UserError, match="must have at most 100 levels of lists and objects"):
            ratings(content(more), name, columns)


def test_ids_that_differ_by_zeros_are_reported(stored, capsys):
    assert len(stored(CSV.replace("\n2,7", "\n002,7"))) == 3
    assert "user_id 002 and 2 count as different" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["[1, 2]", "{'id': 1}", "MAP {1: 2}"])
def test_parquet_with_several_values_in_place_of_one_is_refused(kind, ratings, tmp_path):
    file = tmp_path / "made.parquet"
    duckdb.sql(f"COPY (SELECT {kind} AS user_id, 7 AS movie_id) TO '{file}'")
    with pytest.raises(UserError, match=r"must have one value of user_id in a row \(got the type "):
        ratings(file.read_bytes(), "r.parquet", {"user_id": "user_id", "movie_id": "movie_id"})


def test_items_of_which_none_has_a_rating_are_refused(write, prepared):
    folder = write({"r.csv": CSV, "films.csv": "movie_id,title\ntt7,Seven\n"})
    source = Files(str(folder / "r.csv"), COLUMNS, films_path=str(folder / "films.csv"))
    with pytest.raises(
        UserError, match=r"data.films_columns.movie_id must be written as in the ratings.*'tt7' and, .*'7'"
    ):
        prepared(source)


def test_texts_for_missing_values_are_not_ids(ratings):
    rows = "".join(f"{user},7,3,1100000000\n" for user in ("NULL", "NA", "nan", "None", "\\N"))
    with pytest.raises(
        UserError, match=r"\(got 5 of 8, 5 of them by 'missing id'\): check data.columns and data.missing"
    ):
        ratings(CSV + rows)
    assert ratings(CSV + rows, cleaning=Cleaning(max_dropped=1)) == EXPECTED
    assert len(ratings(CSV + rows, missing=[])) == 8


def test_numbers_may_stand_for_missing_ratings(ratings):
    rows = "3,7,-1,1100000000\n3,8,NaN,1100000000\n"
    with pytest.raises(UserError, match=r"\(got 2 of 5, 2 of them by 'missing rating'\)"):
        ratings(CSV + rows, missing=[-1, "NaN"])
    assert ratings(CSV + rows, missing=[-1, "NaN"], cleaning=Cleaning(max_dropped=1)) == EXPECTED


# Lines before the header

PREAMBLES = {
    "comment": "# ratings, as of 2020: 40 users\n",
    "prose": 'Export of "my site"\n\nwritten, by; hand\n',
    "half a quote": 'it is 5" long\n',
    "more than rows have": "a,b,c,d,e,f\n",
}


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("preamble", PREAMBLES.values(), ids=PREAMBLES)
def test_lines_before_the_header_are_skipped_by_the_setting_that_the_error_names(preamble, newline, ratings):
    text, n_lines = (preamble + CSV).replace("\n", newline), preamble.count("\n")
    with pytest.raises(
        UserError, match=rf"must begin with its columns .* in line {n_lines + 1}\): set data.skip={n_lines}\."
    ):
        ratings(text)
    assert ratings(text, skip=n_lines) == EXPECTED


def test_lines_before_rows_without_a_header_are_skipped(ratings):
    header, rows = CSV.split("\n", 1)
    text, settings = f"% made up\n%\n{rows}", {"header": header.split(",")}
    with pytest.raises(UserError, match=r"must begin with its columns \(got '% made up', .* set data.skip=2"):
        ratings(text, **settings)
    assert ratings(text.replace(",", ";"), skip=2, **settings) == EXPECTED


def test_lines_of_errors_are_those_of_the_whole_file(ratings):
    with pytest.raises(UserError, match=r"\(got 2 in line 6: "):
        ratings(f"# made up\n{CSV}1,2\n", skip=1)


def test_a_skip_of_nothing_leaves_the_fingerprint(write, prepared):
    file = str(write({"r.csv": CSV}) / "r.csv")
    table = Files(file, COLUMNS).locate(Path()).tables[0]
    assert "skip" not in table.parameters
    assert Files(file, COLUMNS, skip=1).locate(Path()).tables[0].parameters["skip"] == 1
    with pytest.raises(UserError, match=r"data.skip must be a number of lines, zero or above \(got -1\)"):
        Files(file, COLUMNS, skip=-1)


# Ratings


def test_decimal_commas_are_read(ratings):
    text = CSV.replace(",", ";").replace(".", ",")
    assert ratings(text) == EXPECTED
    with pytest.raises(UserError, match="text where a number belongs: '4,5' in column rating, row 1"):
        ratings(text, decimal=".")
    with pytest.raises(UserError, match=r"numbers such as 1,234 .*set data.decimal=','"):
        ratings("user_id;movie_id;rating;time\n1;2;1,234;1100000000\n")


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ([1, 5], (1, 5)),
        ([0.5, 4], (0.5, 5)),
        ([0, 1], (0, 1)),
        ([2, 10], (1, 10)),
        ([-10, 9.75], (-10, 9.75)),
        ([1, 1], (1, 1)),
    ],
)
def test_the_scale_is_that_of_the_ratings_if_none_is_set(values, scale, write, prepared):
    rows = "".join(f"1,{item},{value},\n" for item, value in enumerate(values))
    found = prepared(Files(str(write({"r.csv": "user_id,movie_id,rating,time\n" + rows}) / "r.csv"), COLUMNS))
    assert found.dataset.scale == scale
    assert found.report.rows_kept == 2


def test_rows_without_ids_do_not_set_the_scale(write, prepared):
    text = CSV + "".join(f"1,{item},5,1100000000\n" for item in range(40)) + "total,,180,\n"
    found = prepared(Files(str(write({"r.csv": text}) / "r.csv"), COLUMNS))
    assert found.dataset.scale == (0.5, 5)


@pytest.mark.parametrize(
    ("cell", "hint"),
    [
        ("n/a", r"data.missing=\['n/a'\] reads it as missing"),
        ("true", "data.columns.label reads a column of truth values"),
        ("'4'", "data.quote names the quotation mark"),
    ],
)
def test_a_cell_that_is_not_a_number_is_refused_with_the_setting_that_reads_it(cell, hint, ratings):
    with pytest.raises(UserError, match=f"in column rating, row 2: {hint}"):
        ratings(CSV.replace("2,7,3", f"2,7,{cell}"))


def test_too_many_rows_dropped_by_rules_that_no_setting_chose_are_an_error_of_one_sentence(ratings, stored, capsys):
    with pytest.raises(
        UserError, match=r"more than 5% .* \(got 1 of 3, 1 of them by 'rating outside the scale'\): set data.scale"
    ):
        stored(CSV, scale=(1, 5))
    assert "cleaning dropped 1 of 3 ratings: 1 by 'rating outside the scale'" in capsys.readouterr().out
    assert len(ratings(CSV, scale=(1, 5), cleaning=Cleaning(max_dropped=0.5))) == 2
    assert len(ratings(CSV, cleaning=Cleaning(min_rating=4))) == 1  # a rule that a setting chose
    assert len(ratings(CSV + CSV.partition("\n")[2])) == 3  # duplicates


# Times


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        (["1100000000123", "1100000001999"], [1100000000, 1100000001]),
        (["1100000000123456", "1100000001123456", "-1"], [1100000000, 1100000001, -1]),
        (["1100000000123456789", ""], [1100000000]),
        (["20041109", "20041231"], [1099958400, 1104451200]),
        (["20041109120000", "20041109120001"], [1100001600, 1100001601]),
        (["2004", "1969"], [1072915200, -31536000]),
        (["2004-11-09T12:00:00Z", "2004-11-09T14:00:00+02:00"], [1100001600, 1100001600]),
        (["1951-03-01", "1100001600"], [-594518400, 1100001600]),
        (["31/12/2004", "01/02/2004"], [1104451200, 1075593600]),
        (["12/31/2004 1:30 PM", "01/02/2004 12:00 AM"], [1104499800, 1073001600]),
        (["31.12.2004", "01.02.2004"], [1104451200, 1075593600]),
        (["31 Dec 2004", "NULL"], [1104451200]),
        (["31-Dec-2004", "01-Feb-2004"], [1104451200, 1075593600]),
        (["3 May 2004", "31 May 2004"], [1083542400, 1085961600]),
        (["2004-11-09 03:33:20 -08:00", "2004-11-09T13:33+02:00"], [1100000000, 1099999980]),
        (["Tue Nov 09 11:33:20 +0000 2004", "Tue Nov 09 03:33:21 -0800 2004"], [1100000000, 1100000001]),
    ],
)
def test_times_are_read_in_the_unit_or_format_that_they_have(times, expected, ratings):
    cleaning = Cleaning(earliest="1900-01-01", max_dropped=1)
    assert only_times(ratings(written(times), cleaning=cleaning)) == expected


def test_dates_that_may_be_read_in_two_ways_need_a_setting(ratings):
    text = written(["11/09/2004", "01/02/2004"])
    with pytest.raises(UserError, match=r"set data.time_format to '%m/%d/%Y' or '%d/%m/%Y'"):
        ratings(text)
    assert only_times(ratings(text, time_format="%m/%d/%Y")) == [1099958400, 1073001600]
    assert only_times(ratings(text, time_format="%d/%m/%Y")) == [1094860800, 1075593600]
    assert only_times(ratings(written(["900000000000"]), time_format="ms")) == [900000000]


def test_no_time_is_lost_to_an_unknown_notation(ratings):
    for time in ("09 Nov 2004 at 11:33:20 +0000", "11:33:20 +0000"):
        with pytest.raises(UserError, match=r"data\.time_format says how times are written"):
            ratings(written([time]))
    for time in ("1.1E+09", "1.10E+12"):
        with pytest.raises(UserError, match=r"must have whole times \(got '1.10?E.*row 1, which may be rounded"):
            ratings(written([time]))
    with pytest.raises(UserError, match=r"data.time_format must be s, ms, us or ns, .* \(got 'minutes'\)"):
        ratings(CSV, time_format="minutes")


def test_the_unit_of_times_is_reported(write, prepared):
    folder = write({"r.csv": written(["1100000000123"])})
    report = prepared(Files(str(folder / "r.csv"), COLUMNS)).report
    assert report.read_as[0] == "r.csv: times are milliseconds (data.time_format=ms)"


# Paths


def test_a_path_is_not_a_pattern(write, prepared):
    folder = write({"r*.csv": CSV, "r2.csv": CSV, "[1].csv": CSV}, "a[1]")
    for name in ("r*.csv", "[1].csv"):
        assert prepared(Files(str(folder / name), COLUMNS)).report.rows_read == 3


def test_files_of_a_folder_are_read_by_a_pattern(write, prepared, tmp_path):
    for year, row in (("2004", "1,7,4.5"), ("2005", "2,7,3")):
        write({}, "parts")
        write({"part.csv": f"user_id,movie_id,rating\n{row}\n"}, f"parts/year={year}")
    columns = {"user_id": "user_id", "movie_id": "movie_id", "rating": "rating", "part": "year"}
    dataset = prepared(Files(str(tmp_path / "parts"), columns, glob="**/*.csv")).dataset
    assert dataset.part_names == ("2004", "2005")
    assert dataset.ratings.tolist() == [4.5, 3]
    with pytest.raises(UserError, match=r"must be a file, but is a folder: data.glob"):
        prepared(Files(str(tmp_path / "parts"), columns))
    with pytest.raises(UserError, match=r"has no files that match data.glob=\*.parquet"):
        prepared(Files(str(tmp_path / "parts"), columns, glob="*.parquet"))


def test_the_home_directory_may_be_a_tilde(write, prepared, monkeypatch):
    monkeypatch.setenv("HOME", str(write({"r.csv": CSV})))
    assert prepared(Files("~/r.csv", COLUMNS)).report.rows_read == 3


def test_a_file_that_changes_with_equal_size_and_time_is_read_again(write, tmp_path):
    folder = write({"r.csv": CSV})
    source, file = Files(str(folder / "r.csv"), COLUMNS), folder / "r.csv"

    def fingerprint():
        return data_fingerprint(source, source.locate(tmp_path), tmp_path)

    first, stat = fingerprint(), file.stat()
    file.write_text(CSV.replace("4.5", "1.5"))
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert fingerprint() != first
    forget_digests(tmp_path)
    file.write_text(CSV)
    assert fingerprint() == first


# Random files


@pytest.mark.parametrize("seed", random.Random(1).sample(range(10_000), 40))
def test_random_files_are_read_exactly_or_refused(seed, tmp_path):
    made, outcome = try_one(seed, tmp_path)
    assert outcome.startswith(("read", "refused")), made.traits
