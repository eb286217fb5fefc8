"""Spark's tables are those of DuckDB, and what Spark does not read is refused."""

import importlib.util
import shutil
import warnings
from collections.abc import Iterator
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf

from recsys.config import complete, compose, instantiate
from recsys.config.stored import stored_config
from recsys.data.address import JavaAddress
from recsys.data.clean import Cleaning
from recsys.data.databases import Database
from recsys.data.prepare import prepare
from recsys.data.prepared import Prepared
from recsys.data.raw import Source
from recsys.data.sources import Files, MovieLens, Published
from recsys.data.spark import Spark
from recsys.data.spark.session import check_reachable
from recsys.errors import UserError
from recsys.studies.identity import identity
from recsys.studies.runs import read_run
from tests.training import run_train

COLUMNS = {"user_id": "who", "movie_id": "what", "rating": "how", "time": "when", "part": "part"}
FOUR_COLUMNS = {name: column for name, column in COLUMNS.items() if name != "part"}
FIRST = 880_000_000
# Short tasks are over before Java has compiled them well.
OPTIONS = {
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Dderby.stream.error.file=/dev/null",
    "spark.driver.memory": "512m",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.files.maxPartitionBytes": "8000",  # several blocks of a file
    "spark.sql.shuffle.partitions": "2",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}


@pytest.fixture(scope="module")
def spark(tmp_path_factory) -> Iterator[Spark]:
    """The engine, with one session for all tests."""
    if importlib.util.find_spec("pyspark") is None or shutil.which("java") is None:
        pytest.skip("pyspark or Java is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pyspark.sql import SparkSession
    scratch = tmp_path_factory.mktemp("spark")
    places = {"spark.local.dir": str(scratch), "spark.sql.warehouse.dir": str(scratch / "warehouse")}
    builder = SparkSession.builder.master("local[1]")
    for name, value in (places | OPTIONS).items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    yield Spark(n_buckets=3)
    session.stop()


def with_every_kind_of_dirt() -> pd.DataFrame:
    """Text of 600 ratings by 40 users of 30 items: repeated, tied in time, and impossible ones among them."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "who": rng.integers(1, 41, 600).astype(str),
            "what": [f"i{item}" for item in rng.integers(0, 30, 600)],
            "how": rng.choice(["1", "2.5", "3", "4.0", "5"], 600),
            "when": (FIRST + 60 * rng.integers(0, 20, 600)).astype(str),
            "part": rng.choice(["b", "a", ""], 600),
        }
    )
    for column, texts in {
        "who": ["", "NULL", "\ufeff7", "x1", "7.0"],
        "what": ["", "N/A", "é", "E", "10", "9"],
        "how": ["", "0.4", "99", "nan", "1e400", "-3"],
        "when": ["", "2031-01-01", "12", "1999-01-01 10:30:00+02:00", "880000000.5", "880000001.5", "NA"],
    }.items():
        for text in texts:
            frame.loc[rng.choice(len(frame), 4, replace=False), column] = text
    return frame


def equal(source: Source, engine: Spark, tmp_path: Path) -> Prepared:
    """Prepare a source by both engines, check that all tables and reports are the same, and return Spark's."""
    expected = prepare(source, tmp_path / "by-duckdb")
    found = prepare(source, tmp_path / "by Spark, [1] 100%20", engine=engine)
    assert asdict(found.report) == asdict(expected.report)
    for name in ("users", "items", "ratings", "times", "parts"):
        ours, theirs = getattr(found.dataset, name), getattr(expected.dataset, name)
        np.testing.assert_array_equal(ours, theirs, err_msg=name)
        assert ours is None or ours.dtype == theirs.dtype
    pd.testing.assert_frame_equal(found.dataset.user_frame, expected.dataset.user_frame)
    pd.testing.assert_frame_equal(found.dataset.item_frame, expected.dataset.item_frame)
    return found


@pytest.fixture(scope="module")
def dirty(spark: Spark, tmp_path_factory) -> Prepared:
    """Dirty ratings of items of which some are known, cleaned by every rule; the tables are those of DuckDB."""
    folder = tmp_path_factory.mktemp("dirty")
    with_every_kind_of_dirt().to_csv(folder / "ratings.csv", index=False)
    known = [{"movie_id": item} for item in ("i1", "é", *(f"i{number}" for number in range(3, 30)))]
    pd.DataFrame(known).to_csv(folder / "films.csv", index=False)
    cleaning = Cleaning(min_rating=2, user_core=6, item_core=5, keep_unknown_films=False, max_dropped=1)
    films = str(folder / "films.csv")
    source = Files(str(folder / "ratings.csv"), COLUMNS, films_path=films, scale=(0.5, 5), cleaning=cleaning)
    return equal(source, spark, folder)


def test_every_rule_drops_the_same_ratings_as_with_duckdb(dirty: Prepared):
    assert all(dirty.report.dropped.values()), dirty.report.dropped
    assert dirty.report.part_names


def test_buckets_have_users_with_consecutive_codes(dirty: Prepared):
    buckets = [duckdb.read_parquet(str(file)).df() for file in sorted(dirty.tables["ratings"].iterdir())]
    assert len(buckets) == 3
    np.testing.assert_array_equal(pd.concat(buckets)["user"], dirty.dataset.users)
    assert all(one["user"].max() < other["user"].min() for one, other in pairwise(buckets))


def test_files_in_several_formats_are_read_as_with_duckdb(spark: Spark, tmp_path: Path):
    clean = pd.DataFrame({"who": [1, 2, 3] * 20, "what": range(60), "how": [3.5, 4, 1] * 20})
    folder = tmp_path / "source" / "part=x"
    folder.mkdir(parents=True)
    in_milliseconds = clean.assign(when=1000 * (FIRST + clean["what"] // 7) + 999)
    in_milliseconds.to_csv(folder / "1.csv", index=False, sep=";", decimal=",")
    dated = clean.assign(who=(clean["who"] + 1).where(clean["what"] > 2), when=pd.Timestamp("2001-02-03 04:05:06.7"))
    duckdb.from_df(dated).to_parquet(str(folder / "2.parquet"))
    source = Files(str(folder.parent), COLUMNS, glob="**/*.*")
    found = equal(source, spark, tmp_path)
    assert any("milliseconds" in note for note in found.report.read_as)
    assert any("decimal commas" in note for note in found.report.read_as)


def test_what_is_detected_in_files_is_noted_as_with_duckdb(spark: Spark, tmp_path: Path):
    folder = tmp_path / "source"
    folder.mkdir()
    offset = "2004-11-09 10:{0:02}:00+02:00"
    rows = {  # by name of the file: the delimiter, and a row with a place and a number from 0 to 4
        "marked.csv": (",", "'{0}',=\"{0}\",{1},88000000{1}"),
        "padded.csv": (",", f"\u200bx{{0}},{{0}}.0,{{1}},{offset}"),
        "zeros.csv": (",", "{1:0{0}},none,{1},88000000{1}.5"),
        "quarters.csv": (";", "{1};{0};{1},25;88000000{1}250,5"),
        "text.tsv": ("\t", '{0}\t{1}\t{1}\t88000000{1}\t"A" {0}'),
        "quoted.csv": (",", '"{0}","{1}",{1},NA,"A ""b"",\n{0}"'),
    }
    for name, (delimiter, row) in rows.items():
        header = delimiter.join(["who", "what", "how", "when", "text"][: row.count(delimiter) + 1])
        lines = (row.format(place, place % 5) for place in range(12))
        (folder / name).write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    source = Files(str(folder), FOUR_COLUMNS, glob="*.*", cleaning=Cleaning(max_dropped=1))
    notes = equal(source, spark, tmp_path).report.read_as
    assert set(notes) >= {
        "marked.csv: user_id such as '0' is read without the quotation marks",
        'marked.csv: movie_id such as ="0" is read without the quotation marks',
        "padded.csv: user_id is read without the invisible characters around it",
        "padded.csv: movie_id such as 1.0 is read as 1",
        "zeros.csv: user_id 0 and 0000000000 count as different",
        "zeros.csv: movie_id 'none' is an id (data.missing=['none'] reads it as missing)",
        "quarters.csv: delimiter ';'",
        "quarters.csv: times are milliseconds (data.time_format=ms)",
        "text.tsv: quotation marks belong to the text",
        "ratings are from 0 to 5 (data.scale)",
    }


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("{0},{1},3,1.1E+12", r"must have whole times \(got '1.1E\+12'"),
        ("1.2E+1{1},{0},3,880000000", r"must have whole ids \(got '1.2E\+10'"),
        ("{0},{1},3,11/1{1}/2004", "engine=duckdb reads dates in other formats"),
        ('{0},{1},3,880000000,"a \\"b\\" {0}"', "Spark does not read quotation marks after a backslash"),
        ('{0},{1},3,880000000,"{0}\n{0},{1},3,880000000,"{0}', "must close every quotation mark"),
        ("userId,What,how,when", "repeats its header"),
    ],
)
def test_ratings_are_refused_that_would_be_read_differently(row, sentence, spark: Spark, write, tmp_path: Path):
    header = ",".join(["who", "what", "how", "when", "text"][: 5 if '"' in row else 4])
    lines = "".join(f"{row.format(place, place % 5)}\n" for place in range(12))
    folder = write({"ratings.csv": f"{header}\n{lines}"})
    with pytest.raises(UserError, match=sentence):
        prepare(Files(str(folder / "ratings.csv"), FOUR_COLUMNS), tmp_path / "cache", engine=spark)


def test_floating_point_ids_that_may_be_rounded_are_refused(spark: Spark, tmp_path: Path):
    file = tmp_path / "ratings.parquet"
    row = 'SELECT 9007199254740993.0::DOUBLE AS who, 1 AS what, 3 AS how, 880000000 AS "when"'
    duckdb.sql(f"COPY ({row}) TO '{file}'")
    with pytest.raises(UserError, match=r"must have whole ids \(got '9\.007199254740992E15'"):
        prepare(Files(str(file), FOUR_COLUMNS), tmp_path / "cache", engine=spark)


def test_ids_of_a_known_layout_stay_as_they_are(spark: Spark, write, tmp_path: Path):
    folder = write(
        {
            "ratings_small.csv": "userId,movieId,rating,timestamp\n7.0,1,2.5,1260759144\n7,1,3.5,1260759145.5\n",
            "links_small.csv": "movieId,imdbId,tmdbId\n1,0113277,949\n",
        }
    )
    assert len(equal(Published("kaggle-movies-small", str(folder)), spark, tmp_path).dataset.user_frame) == 2


def test_rows_in_order_of_time_are_numbered_over_the_blocks_of_an_address(spark: Spark, write, tmp_path: Path):
    frame = with_every_kind_of_dirt()[["who", "what"]]
    path = write({"ratings.csv": frame.to_csv(index=False)}) / "ratings.csv"
    columns = {"user_id": "who", "movie_id": "what", "rating": None, "time": "row"}
    local, remote = (
        Files(address, columns, cleaning=Cleaning(max_dropped=1)) for address in (str(path), path.as_uri())
    )
    expected, found = (prepare(local, tmp_path / "cache"), prepare(remote, tmp_path / "cache", engine=spark))
    assert found.report.dropped == expected.report.dropped
    np.testing.assert_array_equal(found.dataset.items, expected.dataset.items)
    np.testing.assert_array_equal(found.dataset.times, expected.dataset.times)
    assert found.report.fingerprint != expected.report.fingerprint  # of contents, and of names, sizes and times
    with pytest.raises(UserError, match=r"Only Spark reads file:.*: set engine=spark"):
        prepare(remote, tmp_path / "cache")


def test_a_table_is_read_through_a_java_driver(spark: Spark, tmp_path: Path, monkeypatch):
    from pyspark.sql import SparkSession

    address = f"jdbc:derby:{tmp_path}/shop;create=true;user=ann;password=s3cret"
    rows = f"('1', '10', 4D, {FIRST}L), ('1', '9', 3D, {FIRST + 1}L), ('2', '9', NULL, {FIRST}L)"
    frame = SparkSession.getActiveSession().sql(f"FROM VALUES {rows} AS t(who, what, how, at)")  # needs no Python
    frame.coalesce(1).write.jdbc(address, "votes")
    monkeypatch.setenv("SHOP", address)
    columns = {"user_id": "who", "movie_id": "what", "rating": "how", "time": "at"}
    shop = Database("votes", columns, address_env="SHOP", scale=(1, 5), cleaning=Cleaning(max_dropped=1))
    found = prepare(shop, tmp_path / "cache", engine=spark)
    assert list(found.dataset.items) == [1, 0]
    assert found.report.dropped["missing rating"] == 1
    assert "s3cret" not in "".join(file.read_text() for file in (tmp_path / "cache").rglob("*.json"))


def test_rows_of_another_width_are_refused(spark: Spark, write, tmp_path: Path):
    folder = write({"ratings.csv": "who,what,how,when,part\n1,2,3,4,5\n1,2\n"})
    with pytest.raises(UserError, match="Rows must have a field for each column"):
        prepare(Files(str(folder / "ratings.csv"), COLUMNS), tmp_path / "cache", engine=spark)


def test_a_run_on_the_tables_of_spark_has_the_metrics_of_one_on_those_of_duckdb(spark: Spark, data, tmp_path: Path):
    for engine in ("duckdb", "spark"):
        places = [f"cache_dir={tmp_path}/{engine}-cache", f"hydra.run.dir={tmp_path}/{engine}"]
        assert run_train(*data, "model=ease", "logger=none", f"engine={engine}", *places) == 0
    one, other = (read_run(tmp_path / engine) for engine in ("duckdb", "spark"))
    assert one.metrics == other.metrics
    assert one.manifest["split"] == other.manifest["split"]
    assert [*tmp_path.glob("spark-cache/prepared/*/ratings.parquet/*.parquet")]


# Without a session


@pytest.mark.parametrize(
    ("settings", "unread"),
    [
        ({"columns": {**COLUMNS, "label": "seen"}}, "data.columns.label"),
        ({"columns": COLUMNS, "time_format": "%d.%m.%Y"}, "dates in the format of data.time_format"),
    ],
)
def test_what_only_duckdb_reads_is_refused(settings: dict, unread: str, write, tmp_path: Path):
    source = Files(str(write({"ratings.csv": "who,what,how,when\n1,2,3,4\n"}) / "ratings.csv"), **settings)
    with pytest.raises(UserError, match=f"Spark does not read {unread}: set engine=duckdb"):
        prepare(source, tmp_path / "cache", engine=Spark())


def test_a_layout_that_only_duckdb_reads_is_refused(write, releases, tmp_path: Path):
    with pytest.raises(UserError, match=r"Spark does not read the layout of .*u\.data: set engine=duckdb"):
        prepare(MovieLens("ml-100k", str(write(releases["ml-100k"]))), tmp_path / "cache", engine=Spark())


def test_options_with_secrets_are_refused():
    secret = "spark.hadoop.fs.s3a.secret.key"
    with pytest.raises(UserError, match=f"engine.options must hold no password.*{secret}"):
        Spark(options={secret: "s3cret"})
    with pytest.raises(UserError, match="contains a password"):
        complete("train", ["engine=spark", f"engine.options.{secret}=s3cret"])


def test_java_is_needed_and_a_server_must_answer(monkeypatch):
    with pytest.raises(UserError, match=r"Spark does not answer at sc://localhost:1 .*engine\.remote"):
        check_reachable("sc://localhost:1/;token=s3cret")
    monkeypatch.setenv("JAVA_HOME", "/nowhere")
    with pytest.raises(UserError, match="needs Java 17 or later"):
        check_reachable("local[1]")


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("jdbc:postgresql://host:5432/shop?user=ann&password=s3cret", "jdbc:postgresql://host:5432/shop"),
        ("jdbc:sqlserver://host;user=ann;password=s3cret", "jdbc:sqlserver://host"),
        ("jdbc:oracle:thin:ann/s3cret@//host/shop", "jdbc:oracle:"),
        ("jdbc:mysql://ann:s3cret?@host/shop", "jdbc:mysql:"),
    ],
)
def test_an_address_of_java_is_shown_without_its_password(address: str, place: str):
    assert str(JavaAddress(address)) == place
    assert "s3cret" not in repr(JavaAddress(address))
    with pytest.raises(UserError, match="holds a password"):
        Database(address=address)


def test_options_of_a_command_are_those_of_spark():
    engine = instantiate(compose("train", ["engine=spark", "engine.options.spark.sql.shuffle.partitions=64"]).engine)
    assert engine.options["spark.sql.shuffle.partitions"] == 64
    assert engine.options["spark.driver.memory"] == "4g"


def test_the_engine_is_not_part_of_the_identity_of_a_run():
    configs = [OmegaConf.to_container(compose("train", [f"engine={name}"])) for name in ("duckdb", "spark")]
    without = {name: node for name, node in configs[0].items() if name != "engine"}
    assert identity(configs[0]) == identity(configs[1]) == identity(without)


def test_a_run_of_unknown_origin_starts_no_engine():
    config = {"data": {"_target_": "recsys.data.sources.MovieLens", "release": "ml-1m"}}
    assert "engine" not in stored_config({**config, "engine": {"_target_": "os.system"}}, ["data"])
