"""Databases at the command line: runs on them, tables loaded into them, and passwords that stay out of sight."""

import signal
import sys
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest

import train
from recsys.__main__ import main as command_line
from recsys.config import main
from recsys.data.address import Address
from recsys.data.attach import attached
from tests.servers import PASSWORD

SECRETS = (PASSWORD, quote(PASSWORD, safe=""))


@pytest.fixture
def run(monkeypatch):
    """`python train.py ARGUMENTS` or `python -m recsys ARGUMENTS` in this process; gives the exit status."""
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")

    def run(*arguments: str) -> int:
        on_interrupt = signal.getsignal(signal.SIGINT)
        is_training = arguments[0] == "train"
        monkeypatch.setattr(sys, "argv", ["train.py", *arguments[1:]] if is_training else ["recsys", *arguments])
        try:
            main(train.objective) if is_training else command_line()
        except SystemExit as stop:
            return stop.code
        finally:
            signal.signal(signal.SIGINT, on_interrupt)
        return 0

    return run


@pytest.fixture
def ratings(tmp_path) -> list[str]:
    """Overrides for 20 users who rated 8 of 25 films."""
    rng = np.random.default_rng(0)
    rows = [f"{u},{i},{rng.integers(1, 6)},{10**9 + u}" for u in range(20) for i in rng.choice(25, 8, replace=False)]
    (tmp_path / "ratings.csv").write_text("user_id,movie_id,rating,time\n" + "\n".join(rows) + "\n")
    return ["data=files", f"data.path={tmp_path}/ratings.csv", f"cache_dir={tmp_path}/cache"]


def rows(address: str, sql: str) -> list[tuple]:
    with attached(Address.parse(address), "source", read_only=True) as connection:
        return connection.execute(sql).fetchall()


def test_a_run_on_a_database_stores_no_password(server, run, ratings, tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("RECSYS_POSTGRES_URL", server)
    monkeypatch.setenv("RECSYS_DATABASE_URL", server)
    assert run("load", *ratings) == 0
    training = ["data=postgres", "model=popularity", f"cache_dir={tmp_path}/cache", "ks=[5]"]
    assert run("train", *training, f"hydra.run.dir={tmp_path}/run") == 0
    assert "127.0.0.1" in (tmp_path / "run" / "manifest.json").read_text()  # it does say where the data came from
    kept = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    printed = "".join(capfd.readouterr())
    for secret in SECRETS:
        assert not any(secret.encode() in content for content in kept)
        assert secret not in printed


@pytest.mark.parametrize(
    "override",
    [
        "data.address='postgresql://ann:pa55@host/films'",
        "+data.address='postgresql://ann:pa55@host/films'",
        "data.address_env='mysql://ann:pa55@host/films'",
        "data.address='host=h password=pa55'",
    ],
)
def test_a_password_in_the_command_is_refused_before_anything_is_stored(override, run, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert run("train", "data=sql", override) == 2
    told = capfd.readouterr()
    assert told.err.startswith("error: The command or a config contains a password, which a run would store")
    assert "pa55" not in told.out + told.err
    assert not list(tmp_path.iterdir())


def test_an_address_with_a_password_from_the_environment_may_not_be_resolved_into_a_config(
    run, tmp_path, monkeypatch, capfd
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOME_URL", "postgresql://ann:pa55@host/films")
    assert run("train", "data=sql", "data.address='${oc.env:SOME_URL}'", "hydra.run.dir=run") == 2
    assert "data.address holds a password" in capfd.readouterr().err
    assert not any(b"pa55" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_a_run_s_recommendations_are_loaded(run, ratings, tmp_path, server, monkeypatch, capfd):
    monkeypatch.setenv("RECSYS_DATABASE_URL", server)
    assert run("train", *ratings, "model=ease", "ks=[5]", f"hydra.run.dir={tmp_path}/run") == 0
    assert run("load", f"{tmp_path}/run", "-k", "3") == 0
    assert capfd.readouterr().out.endswith(
        "ratings (160 rows), users (20 rows), films (25 rows), recommendations (60 rows)\n"
    )
    assert rows(server, "SELECT min(place), max(place), count(DISTINCT user_id) FROM recommendations") == [(1, 3, 20)]
    repeated = "SELECT count(*) FROM recommendations JOIN ratings USING (user_id, movie_id)"
    assert rows(server, repeated) == [(0,)]
    falling = "SELECT bool_and(a.score >= b.score) FROM recommendations a JOIN recommendations b USING (user_id)"
    assert rows(server, f"{falling} WHERE a.place < b.place") == [(True,)]
    assert run("load", f"{tmp_path}/run") == 2
    assert "already has films, ratings, recommendations, users: give --replace" in capfd.readouterr().err


def test_a_run_with_an_equals_sign_in_its_path_is_not_an_override(run, ratings, tmp_path, capfd):
    directory, files = tmp_path / "split.fold=1_seed0", tmp_path / "films.duckdb"
    assert run("train", *ratings, "model=popularity", "ks=[5]", f"hydra.run.dir={tmp_path}/run") == 0
    (tmp_path / "run").rename(directory)
    assert run("load", str(directory), "--to", str(files)) == 0
    assert "recommendations (200 rows)" in capfd.readouterr().out
    (directory / "again.yaml").write_text((directory / "config.yaml").read_text())  # as a refit does
    again = ["--config-path", str(directory), "--config-name", "again", f"run_dir={tmp_path}/again"]
    assert run("train", *again, f"hydra.run.dir={tmp_path}/again") == 0
    assert (tmp_path / "again" / "manifest.json").is_file()


def test_loading_without_a_database_is_an_error_of_one_sentence(run, ratings, monkeypatch, tmp_path, capsys):
    monkeypatch.delenv("RECSYS_DATABASE_URL", raising=False)
    assert run("load", *ratings) == 2
    assert "The environment variable RECSYS_DATABASE_URL is not set" in capsys.readouterr().err
    assert run("load", *ratings, "--to", f"{tmp_path}/no/such/folder/films.duckdb") == 2
    assert capsys.readouterr().err.startswith(f"error: Cannot reach {tmp_path}/no/such/folder/films.duckdb: ")


def test_sources_are_gathered_by_name(run, ratings, tmp_path, capsys):
    (tmp_path / "users.csv").write_text("user_id,age\n1,30\n")
    site = tmp_path / "site.duckdb"
    assert run("load", *ratings, "--to", str(site)) == 0
    gathered = [
        "data=gathered",
        "+data@data.sources.old=files",
        f"data.sources.old.path={tmp_path}/ratings.csv",
        "+data@data.sources.site=sql",
        f"data.sources.site.address={site}",
        "+data@data.sources.people=files",
        f"data.sources.people.users_path={tmp_path}/users.csv",
    ]
    capsys.readouterr()
    assert run("prepare", *gathered, f"cache_dir={tmp_path}/cache") == 0
    told = capsys.readouterr().out
    assert Path(tmp_path / "cache").exists()
    counts = {line.split("│")[1].strip(): line.split("│")[2].strip() for line in told.splitlines() if "│" in line}
    assert counts["dropped: duplicate across sources"] == "160"
    assert counts["of site"] == "160"
    assert run("prepare", *gathered, "data.sources.site.adress=x") == 2
    assert "did you mean address" in capsys.readouterr().err
