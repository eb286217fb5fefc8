"""Downloads of releases: from GroupLens, from the package index, and failures."""

import http.server
import socket
import threading
from dataclasses import replace

import pytest

from recsys.data.sources import MovieLens, movielens
from recsys.errors import UserError
from tests.data.conftest import digest, zipped

ATOMIC = "recbole/dataset_example/ml-100k/ml-100k"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body, length = self.server.files.get(self.path, (b"", 0))
        self.send_response(200 if body else 404)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    """A server of `files`: path -> body and announced length."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.files = {}
        server.address = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def archive(releases, monkeypatch):
    """A tiny ml-1m.zip with a known digest."""
    content = zipped({f"ml-1m/{name}": text for name, text in releases["ml-1m"].items()})
    release = replace(movielens.RELEASES["ml-1m"], digest=digest(content))
    monkeypatch.setitem(movielens.RELEASES, "ml-1m", release)
    return content


@pytest.fixture
def index(package_index, monkeypatch):
    """A package index with a wheel that contains a tiny ml-100k with known digests; returns the wheel."""
    files = {
        f"{ATOMIC}.inter": "user_id:token\titem_id:token\trating:float\ttimestamp:float\n1\t9\t4\t880000000\n",
        f"{ATOMIC}.user": "user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token\n",
        f"{ATOMIC}.item": "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
        "9\tMisérables, Les\t1995\tDrama Musical\n",
    }
    wheel = package_index("recbole", "1.2.1", files)
    monkeypatch.setattr(movielens, "MIRROR_FILES", {name: digest(text) for name, text in files.items()})
    monkeypatch.setattr(movielens, "MIRROR_DIGEST", digest(wheel.read_bytes()))
    return wheel


def unreachable():
    """Return an address without a server."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def downloads(tmp_path):
    return sorted(path.name for path in (tmp_path / "cache" / "downloads").iterdir())


def test_releases_are_downloaded_once_and_their_terms_are_shown(server, archive, prepared, tmp_path, capsys):
    server.files["/ml-1m.zip"] = (archive, len(archive))
    source = MovieLens("ml-1m", address=server.address)
    assert len(prepared(source).dataset) == 3
    printed = capsys.readouterr().out
    assert "The MovieLens Datasets: History and Context" in printed
    assert f"ml-1m: from {server.address}/ml-1m.zip" in printed
    assert downloads(tmp_path) == ["ml-1m.zip"]
    server.files.clear()
    assert len(prepared(source).dataset) == 3
    assert "Please cite" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("missing", r"Cannot download .*/ml-1m.zip: 404 Not Found; .*give data.path="),
        ("truncated", r"Cannot download .*/ml-1m.zip: .*; .*give data.path="),
        ("other", r"ml-1m.zip is not the expected file \(sha256:.*was not saved"),
        ("unreachable", r"Cannot download .*/ml-1m.zip: ConnectionError; .*give data.path="),
    ],
)
def test_failed_downloads_state_the_reason_and_leave_no_files(name, sentence, server, archive, prepared, tmp_path):
    if name == "truncated":
        server.files["/ml-1m.zip"] = (archive[:100], len(archive))
    if name == "other":
        server.files["/ml-1m.zip"] = (b"<html>Sign in</html>", 20)
    with pytest.raises(UserError, match=sentence):
        prepared(MovieLens("ml-1m", address=unreachable() if name == "unreachable" else server.address))
    assert downloads(tmp_path) == []


def test_ml_100k_comes_from_the_package_index_if_the_archive_cannot_be_reached(index, prepared, tmp_path, capsys):
    dataset = prepared(MovieLens("ml-100k", address=unreachable())).dataset
    assert dataset.part_names == ("u1",)
    assert dataset.item_frame.title[0] == "Les Misérables"
    said = capsys.readouterr().out
    assert "ml-100k: from package index, wheel recbole==1.2.1\n" in said
    assert said.count("GroupLens could not be reached") == 1
    assert downloads(tmp_path) == ["ml-100k-mirror"]


def test_the_official_archive_is_tried_first(server, releases, index, prepared, monkeypatch, tmp_path):
    content = zipped(releases["ml-100k"])
    release = replace(movielens.RELEASES["ml-100k"], digest=digest(content))
    monkeypatch.setitem(movielens.RELEASES, "ml-100k", release)
    server.files["/ml-100k.zip"] = (content, len(content))
    assert len(prepared(MovieLens("ml-100k", address=server.address)).dataset) == 3
    assert downloads(tmp_path) == ["ml-100k.zip"]


def test_failures_of_archive_and_package_index_are_both_named(index, prepared, tmp_path):
    index.unlink()
    with pytest.raises(
        UserError, match=r"Cannot download http.*ml-100k.zip: .*; nor from the package index: .*recbole"
    ):
        prepared(MovieLens("ml-100k", address=unreachable()))
    assert downloads(tmp_path) == []


@pytest.mark.parametrize("what", ["wheel", "file"])
def test_other_files_from_the_package_index_are_refused(what, index, prepared, monkeypatch, tmp_path):
    if what == "wheel":
        monkeypatch.setattr(movielens, "MIRROR_DIGEST", "sha256:0")
    else:
        monkeypatch.setattr(movielens, "MIRROR_FILES", {f"{ATOMIC}.inter": "sha256:0"})
    with pytest.raises(UserError, match=r"is not the expected file \(sha256:0\) and was not saved"):
        prepared(MovieLens("ml-100k", address=unreachable()))
    assert downloads(tmp_path) == []
