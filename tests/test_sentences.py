"""Faults of the machine are one sentence too."""

import errno
import os
import threading

import pytest
from tensorboard.summary.writer.event_file_writer import EventFileWriter
from tensorboard.summary.writer.record_writer import RecordWriter

from recsys.config import one_sentence
from recsys.counted import counted


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EROFS, errno.EIO])
def test_a_file_that_cannot_be_written_is_one_sentence(number, capsys):
    with pytest.raises(SystemExit, match="2"), one_sentence():
        raise OSError(number, os.strerror(number), "outputs/run/model")
    said = capsys.readouterr().err
    assert said.startswith(f"error: outputs/run/model cannot be used ({os.strerror(number)}): ")
    assert len(said.splitlines()) == 1


def test_a_disk_that_is_full_for_tensorboards_thread_is_one_sentence(tmp_path, monkeypatch, capsys):
    def fail(writer: RecordWriter, data: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "events")

    monkeypatch.setattr(threading, "excepthook", threading.__excepthook__)
    monkeypatch.setattr(RecordWriter, "write", fail)
    with pytest.raises(SystemExit, match="2"), one_sentence():
        EventFileWriter(str(tmp_path))  # whose thread writes the version of the file
    said = capsys.readouterr().err
    assert said.startswith("error: events cannot be used (No space left on device): free some space")
    assert len(said.splitlines()) == 1


def test_errors_of_other_threads_are_reported(monkeypatch):
    reported = []
    monkeypatch.setattr(threading, "excepthook", reported.append)
    with one_sentence():
        thread = threading.Thread(target=lambda: [][0])
        thread.start()
        thread.join()
    assert [failed.exc_type for failed in reported] == [IndexError]


def test_too_little_memory_is_one_sentence(capsys):
    with pytest.raises(SystemExit, match="2"), one_sentence():
        raise MemoryError("Unable to allocate 7 TiB")
    assert capsys.readouterr().err.startswith(
        "error: This needs more memory than there is (Unable to allocate 7 TiB): "
    )


@pytest.mark.parametrize(
    "message",
    [
        "DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes. Error code 12",
        "CUDA out of memory. Tried to allocate 20.00 MiB.",
        "Storage size calculation overflowed with sizes=[4000000000, 4000000000]",
    ],
)
def test_too_little_memory_for_torch_is_one_sentence(message, capsys):
    with pytest.raises(SystemExit, match="2"), one_sentence():
        raise RuntimeError(message)
    assert "choose a smaller model" in capsys.readouterr().err
    with pytest.raises(RuntimeError, match="of another kind"), one_sentence():
        raise RuntimeError("of another kind")


def test_a_noun_is_singular_after_one():
    assert [counted(n, "film") for n in (0, 1, 2000)] == ["0 films", "1 film", "2,000 films"]
    assert [counted(n, "query", "queries") for n in (1, 5)] == ["1 query", "5 queries"]
