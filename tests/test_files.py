"""Files are whole and on disk before they get their names."""

import os
from pathlib import Path

import pytest

from recsys.files import move_into_place, write_text


@pytest.fixture
def calls(monkeypatch) -> list[str]:
    """What is synced and renamed, in order."""
    done: list[str] = []
    sync, replace = os.fsync, Path.replace

    def synced(descriptor: int) -> None:
        done.append(f"sync {Path(f'/proc/self/fd/{descriptor}').readlink().name.partition('.')[0]}")
        sync(descriptor)

    def renamed(path: Path, place: Path) -> Path:
        done.append(f"rename {path.name.partition('.')[0]}")
        return replace(path, place)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    return done


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="names of open files are those of Linux")
def test_content_is_synced_before_it_is_renamed_and_the_folder_after(calls, tmp_path):
    place = tmp_path / "place"
    (tmp_path / "folder").mkdir()
    write_text(tmp_path / "folder" / "file.txt", "text")
    assert calls == ["sync file", "rename file", "sync folder"]
    calls.clear()
    move_into_place(tmp_path / "folder", place)
    assert calls == ["sync file", "sync folder", "rename folder", f"sync {tmp_path.name}"]
    assert (place / "file.txt").read_text() == "text"


def test_a_write_that_fails_leaves_the_earlier_file(tmp_path, monkeypatch):
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    write_text(tmp_path / "file", "earlier")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_text(tmp_path / "file", "later")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["earlier"]
