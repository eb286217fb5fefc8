"""Preparation: order of the ratings, cleaning rules, titles, the cache and the report."""

import hashlib
import io
import json
import os
import shutil
from collections import Counter
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

from recsys.data import engines
from recsys.data import fingerprint as fingerprint_module
from recsys.data.clean import RULES, SQL, Cleaning, clean
from recsys.data.prepare import prepare
from recsys.data.report import print_report
from recsys.data.seals import SEAL
from recsys.data.sources import Files
from recsys.errors import UserError

COLUMNS = {"user_id": "u", "movie_id": "m", "rating": "r", "time": "t"}
FIRST = 880_000_000


def rows(*ratings):
    """Write CSV of (user, item, rating, seconds after the first)."""
    lines = [f"{u},{m},{r},{'' if t is None else FIRST + t}" for u, m, r, t in ratings]
    return "\n".join(["u,m,r,t", *lines]) + "\n"


@pytest.fixture
def cleaned(write, prepared):
    """Prepare rows as a file of ratings, with cleaning options and metadata of items."""

    def cleaned(ratings, items=None, scale=(1, 5), max_dropped=1, **options):
        folder = write({"ratings.csv": rows(*ratings)})
        if items is not None:
            lines = "".join(json.dumps(item) + "\n" for item in items)
            write({"films.jsonl": lines})
        films_path = None if items is None else str(folder / "films.jsonl")
        path = str(folder / "ratings.csv")
        cleaning = Cleaning(max_dropped=max_dropped, **options)
        return prepared(Files(path, COLUMNS, films_path=films_path, scale=scale, cleaning=cleaning))

    return cleaned


def dropped(prepared_):
    return {rule: n for rule, n in prepared_.report.dropped.items() if n}


# Order and codes


def test_ratings_are_sorted_by_user_then_time_then_source_row(cleaned):
    dataset = cleaned([(2, 1, 3, 9), (1, 4, 3, 5), (1, 2, 3, 5), (1, 3, 3, 5), (1, 1, 3, 0)]).dataset
    assert dataset.users.tolist() == [0, 0, 0, 0, 1]
    assert dataset.items.tolist() == [0, 3, 1, 2, 0]  # items 4, 2, 3 have equal times and keep the order of their rows


def test_tables_of_many_chunks_keep_the_order_of_rows(cleaned):
    films = np.random.default_rng(0).permutation(125_000)  # a chunk of DuckDB has 122,880 rows at most
    dataset = cleaned([(1, film, 3, 0) for film in films]).dataset
    assert np.array_equal(dataset.items, films)


def test_codes_are_ranks_of_ids_for_every_order_of_rows(cleaned):
    ratings = [(user, film, 3, user) for user in (10, 9, 100) for film in (8, 70, 6)]
    one, other = (cleaned(order).dataset for order in (ratings, ratings[::-1]))
    assert one.user_frame.user_id.tolist() == other.user_frame.user_id.tolist() == [9, 10, 100]
    assert one.item_frame.movie_id.tolist() == [6, 8, 70]
    assert np.array_equal(one.users, other.users)


def test_ids_other_than_plain_numbers_stay_text(cleaned):
    frame = cleaned([("007", 1, 3, 0), ("x", 1, 3, 0), ("20", 1, 3, 0)]).dataset.user_frame
    assert frame.user_id.tolist() == ["007", "20", "x"]


def test_arrays_take_twenty_bytes_per_rating(cleaned):
    dataset = cleaned([(1, 1, 3, 0), (1, 2, 3, 1)]).dataset
    arrays = (dataset.users, dataset.items, dataset.ratings, dataset.times)
    assert [a.dtype for a in arrays] == [np.int32, np.int32, np.float32, np.int64]
    assert dataset.parts is None
    assert dataset.negatives is None


# Rules


def test_the_latest_of_several_ratings_counts(cleaned):
    result = cleaned([(1, 1, 5, 9), (1, 1, 2, 0), (1, 2, 4, 5), (1, 2, 1, 5)])
    assert result.dataset.ratings.tolist() == [1, 5]  # item 1 by its latest time, item 2 by its last row
    assert dropped(result) == {"duplicate of a later rating": 2}


def test_the_last_row_counts_without_times(cleaned):
    assert cleaned([(1, 1, 5, None), (1, 1, 2, None)]).dataset.ratings.tolist() == [2]


def test_bad_rows_are_dropped_by_their_rules(cleaned):
    result = cleaned(
        [
            (1, 1, 3, 0),
            ("", 1, 3, 0),
            (1, "", 3, 0),
            (1, 2, "", 0),
            (1, 3, 0.5, 0),
            (1, 4, 6, 0),
            (1, 5, "nan", 0),
            (1, 6, 3, None),
            (1, 7, 3, -FIRST),
            (1, 8, 3, -FIRST - 1),
            (1, 9, 3, 10**10),
        ]
    )
    assert result.report.rows_read == 11
    assert dropped(result) == {
        "missing id": 2,
        "missing rating": 2,
        "rating outside the scale": 2,
        "missing time": 1,
        "impossible time": 3,
    }
    assert result.report.rows_kept == len(result.dataset) == 1


def test_bad_rows_do_not_count_as_later_ratings(cleaned):
    assert cleaned([(1, 1, 4, 0), (1, 1, 9, 5)]).dataset.ratings.tolist() == [4]


def test_scales_of_tenths_include_their_ends(cleaned):
    assert len(cleaned([(1, 1, 0.1, 0), (1, 2, 0.6, 0)], scale=(0.1, 0.6)).dataset) == 2


def test_order_numbers_are_times_with_an_earlier_earliest_date(cleaned):
    assert len(cleaned([(1, 1, 3, 1 - FIRST), (1, 2, 3, 2 - FIRST)], earliest="1970-01-01").dataset) == 2


def test_the_earliest_date_must_be_a_date():
    with pytest.raises(UserError, match=r"must be an ISO date, such as 1990-01-01 \(got soon\)"):
        Cleaning(earliest="soon")


def test_items_without_metadata_are_dropped_or_not_as_the_setting_says(cleaned):
    ratings, films = [(1, 1, 3, 0), (1, 2, 3, 0)], [{"movie_id": 1, "title": "Heat (1995)", "genres": "Crime"}]
    result = cleaned(ratings, films)
    assert result.dataset.item_frame.title.isna().tolist() == [False, True]
    assert result.dataset.item_frame.year.isna().tolist() == [False, True]
    assert result.dataset.item_frame.genres.tolist() == [["Crime"], []]
    assert result.report.films_untitled == 1
    assert dropped(cleaned(ratings, films, keep_unknown_films=False)) == {"film unknown to the metadata": 1}


def test_the_threshold_applies_to_the_latest_rating(cleaned):
    result = cleaned([(1, 1, 5, 0), (1, 1, 2, 9), (1, 2, 4, 0)], min_rating=4)
    assert result.dataset.item_frame.movie_id.tolist() == [2]
    assert dropped(result) == {"duplicate of a later rating": 1, "rating below the threshold": 1}


def test_the_core_is_that_of_a_slow_loop(cleaned):
    rng = np.random.default_rng(0)
    ratings = [(u, m, 3, 0) for u in range(30) for m in range(30) if rng.random() < 0.17]
    left = {(u, m) for u, m, _, _ in ratings}
    while True:
        users, films = (Counter(pair[side] for pair in left) for side in (0, 1))
        smaller = {(u, m) for u, m in left if users[u] >= 4 and films[m] >= 3}
        if smaller == left:
            break
        left = smaller
    result = cleaned(ratings, user_core=4, item_core=3)
    dataset = result.dataset
    ids = zip(dataset.user_frame.user_id[dataset.users], dataset.item_frame.movie_id[dataset.items], strict=True)
    assert 0 < len(left) < len(ratings)
    assert set(ids) == left
    assert dropped(result) == {"user or film with too few ratings": len(ratings) - len(left)}


@pytest.mark.parametrize(
    ("ratings", "chosen", "rule"),
    [
        ([(1, 1, 9, 0), (1, 2, 9, 0), (1, 3, "", 0)], {}, r"\(2\) by the rule 'rating outside the scale'"),
        ([(1, 1, 3, 0)], {"min_rating": 4}, "'rating below the threshold'"),
        ([(1, 1, 3, 0)], {"user_core": 2}, "'user or film with too few ratings'"),
    ],
)
def test_cleaning_that_drops_everything_names_the_rule(ratings, chosen, rule, cleaned):
    with pytest.raises(UserError, match=rf"Cleaning dropped all ratings \({len(ratings)}\), most of them .*{rule}"):
        cleaned(ratings, **chosen)


# Titles and genres


TITLES = {
    "Matrix, The (1999)": ("The Matrix", 1999),
    "Misérables, Les (1995)": ("Les Misérables", 1995),
    "Avventura, L' (a.k.a. Adventure, The) (1960)": ("L'Avventura (a.k.a. The Adventure)", 1960),
    "City of Lost Children, The (Cité des enfants perdus, La) (1995)": (
        "The City of Lost Children (La Cité des enfants perdus)",
        1995,
    ),
    "Crow, The: Wicked Prayer (2005)": ("The Crow: Wicked Prayer", 2005),
    "Seven (a.k.a. Se7en) (1995)": ("Seven (a.k.a. Se7en)", 1995),
    "It's a Mad, Mad, Mad, Mad World (1963)": ("It's a Mad, Mad, Mad, Mad World", 1963),
    "Monsters, Inc. (2001)": ("Monsters, Inc.", 2001),
    "Nikita (La Femme Nikita)": ("Nikita (La Femme Nikita)", None),
    "Land Before Time III (1995) (V)": ("Land Before Time III", 1995),
    "Fawlty Towers (1975-1979)": ("Fawlty Towers", 1975),
    "Unbreakable Kimmy Schmidt (2015\u2013)": ("Unbreakable Kimmy Schmidt", 2015),
    "2001: A Space Odyssey (1968) ": ("2001: A Space Odyssey", 1968),
    "1984": ("1984", None),
    "unknown": (None, None),
    "Unknown (2011)": ("Unknown", 2011),
}


def test_titles_are_normalised(cleaned):
    films = [{"movie_id": film, "title": raw, "genres": "Drama"} for film, raw in enumerate(TITLES)]
    frame = cleaned([(1, film, 3, 0) for film in range(len(TITLES))], films).dataset.item_frame.astype(object)
    found = frame[["title", "year"]].where(frame[["title", "year"]].notna(), None)
    assert dict(zip(TITLES, found.itertuples(index=False, name=None), strict=True)) == TITLES


def test_genres_are_lists_without_placeholders(cleaned):
    genres = {1: "Drama|Film-Noir", 2: "(no genres listed)", 3: "unknown", 4: "", 5: " Drama | War"}
    films = [{"movie_id": film, "title": "", "genres": text} for film, text in genres.items()]
    frame = cleaned([(1, film, 3, 0) for film in genres], films).dataset.item_frame
    assert frame.genres.tolist() == [["Drama", "Film-Noir"], [], [], [], ["Drama", "War"]]


def test_equal_titles_stay_two_items(cleaned):
    films = [{"movie_id": film, "title": "Hamlet (1996)", "genres": "Drama"} for film in (1, 2)]
    assert cleaned([(1, 1, 3, 0), (1, 2, 3, 0)], films).dataset.item_frame.title.tolist() == ["Hamlet", "Hamlet"]


def test_the_last_of_several_rows_of_an_item_counts(cleaned):
    films = [{"movie_id": 1, "title": title, "genres": "Drama"} for title in ("Old", "New")]
    dataset = cleaned([(1, 1, 3, 0)], films).dataset
    assert dataset.item_frame.title.tolist() == ["New"]
    assert len(dataset) == 1


# Cache and report


@pytest.fixture
def source(write):
    folder = write({"ratings.csv": rows((1, 1, 3, 0), (2, 1, 4, 86400), (2, 2, 9, 0))})
    return Files(str(folder / "ratings.csv"), COLUMNS, scale=(1, 5), cleaning=Cleaning(max_dropped=1))


def test_a_second_run_reads_only_the_cache(source, prepared, monkeypatch):
    first = prepared(source)
    monkeypatch.setattr(engines, "read", None)
    monkeypatch.setattr(fingerprint_module, "sha256", None)
    second = prepared(source)
    assert second.report == first.report
    assert second.dataset.ratings.tolist() == first.dataset.ratings.tolist()
    assert second.dataset.item_frame.equals(first.dataset.item_frame)


def test_the_fingerprint_depends_on_content_and_cleaning(source, write, prepared):
    first = prepared(source).dataset
    path = Path(source.path)
    os.utime(path, ns=(0, 0))
    assert prepared(source).dataset.fingerprint == first.fingerprint
    elsewhere = write({"ratings.csv": path.read_text()}, "elsewhere") / "ratings.csv"
    assert (
        prepared(Files(str(elsewhere), COLUMNS, scale=(1, 5), cleaning=source.cleaning)).dataset.fingerprint
        == first.fingerprint
    )
    path.write_text(path.read_text().replace("1,1,3", "1,1,5"))
    changed = prepared(source).dataset
    assert changed.fingerprint != first.fingerprint
    assert changed.ratings.tolist() == [5, 4]
    other = prepared(Files(str(path), COLUMNS, scale=(1, 5), cleaning=Cleaning(min_rating=5, max_dropped=1))).dataset
    assert other.fingerprint != changed.fingerprint
    assert other.ratings.tolist() == [5]


def test_data_with_continued_row_numbers_do_not_share_the_fingerprint_of_earlier_versions(write, prepared, monkeypatch):
    folder = write({"1.csv": "user_id,movie_id\n1,7\n2,7\n", "2.csv": "user_id,movie_id\n1,8\n2,8\n"})
    columns = {"user_id": "user_id", "movie_id": "movie_id", "time": "row"}
    one, both = Files(str(folder / "1.csv"), columns), Files(str(folder), columns, glob="*.csv")
    found = prepared(both)
    assert sorted(found.dataset.times.tolist()) == [1, 2, 3, 4]
    assert any("continue from file to file (data that earlier versions" in note for note in found.report.read_as)
    alone = prepared(one).dataset.fingerprint
    monkeypatch.setattr(fingerprint_module, "counts_rows_on", lambda raw: False)  # as in earlier versions
    assert prepared(one).dataset.fingerprint == alone
    assert prepared(both).dataset.fingerprint != found.dataset.fingerprint


def test_the_sql_is_that_of_published_fingerprints():
    files = sorted(SQL.rglob("*.sql"))
    digest = sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    assert digest == "990c5942dd8639cd1c339805d77fd715712694851c713ee0858d06d4faa8a802", (
        "another fingerprint for every data set: saved runs would be refused, studies outdated"
    )


@pytest.mark.parametrize("error", [UserError, KeyboardInterrupt])
def test_interrupted_preparation_leaves_no_files(error, source, prepared, monkeypatch, tmp_path):
    def stop(*args):
        raise error

    monkeypatch.setattr(engines, "clean", stop)
    with pytest.raises(error):
        prepared(source)
    assert not any((tmp_path / "cache" / "prepared").iterdir())
    monkeypatch.undo()
    assert len(prepared(source).dataset) == 2


def test_two_processes_can_prepare_the_same_data_at_the_same_time(source, prepared, monkeypatch, tmp_path):
    def prepared_meanwhile(*args):
        monkeypatch.undo()
        prepared(source)
        return clean(*args)

    monkeypatch.setattr(engines, "clean", prepared_meanwhile)
    assert len(prepared(source).dataset) == 2
    assert len(list((tmp_path / "cache" / "prepared").iterdir())) == 1


def flip_a_byte(file: Path) -> None:
    """Change one byte in the middle of a file."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize("damage", [flip_a_byte, lambda file: file.write_bytes(b"")])
def test_damaged_tables_are_refused(damage, source, prepared, tmp_path):
    prepared(source)
    [folder] = (tmp_path / "cache" / "prepared").iterdir()
    for name in ("ratings.parquet", "users.parquet", "films.parquet", "report.json", SEAL):
        intact = (folder / name).read_bytes()
        damage(folder / name)
        with pytest.raises(UserError, match=rf"remove (the folder|{folder}), and it will be created again"):
            prepared(source)
        (folder / name).write_bytes(intact)
    assert len(prepared(source).dataset) == 2
    shutil.rmtree(folder)
    assert len(prepared(source).dataset) == 2


def test_a_missing_table_is_refused(source, prepared, tmp_path):
    prepared(source)
    next((tmp_path / "cache" / "prepared").glob("*/films.parquet")).unlink()
    with pytest.raises(UserError, match=r"No such file .*: remove the folder"):
        prepared(source)


def test_tables_without_digests_are_read_if_they_have_as_many_rows_as_their_report_says(source, prepared, tmp_path):
    prepared(source)
    [folder] = (tmp_path / "cache" / "prepared").iterdir()
    (folder / SEAL).unlink()  # as in earlier versions
    assert len(prepared(source).dataset) == 2
    report = folder / "report.json"
    report.write_text(report.read_text().replace('"rows_kept": 2', '"rows_kept": 2000000000'))
    with pytest.raises(UserError, match=r"\(2 ratings instead of 2,000,000,000\)"):
        prepared(source)


def test_a_process_reads_tables_once_to_check_them(source, prepared, monkeypatch):
    prepared(source)
    monkeypatch.setattr(hashlib, "file_digest", None)
    assert len(prepared(source).dataset) == 2


def test_the_report_prints_every_rule_and_the_clean_data(source, prepared):
    console = Console(file=io.StringIO(), width=100)
    print_report(prepared(source), console)
    lines = [" ".join(line.strip("│ \n").split()) for line in console.file.getvalue().splitlines()]
    printed = {name.strip(): value.strip() for name, _, value in (line.partition("│") for line in lines)}
    assert printed["rows read"] == "3"
    assert [printed[f"dropped: {rule}"] for rule in RULES] == ["0", "0", "1", "0", "0", "0", "0", "0", "0"]
    assert printed["rows kept"] == printed["users"] == "2"
    assert printed["items"] == "1"
    assert printed["density"] == "100.000%"
    assert printed["time span"] == "1997-11-20 to 1997-11-21"
    assert printed["last ratings with the time of the rating before"] == "0.0%"


def test_caches_that_cannot_be_written_are_refused_immediately(source, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"Cannot prepare data in .*file"):
        prepare(source, tmp_path / "file" / "cache")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=10))
    with pytest.raises(UserError, match="free some space"):
        prepare(source, tmp_path / "cache")
