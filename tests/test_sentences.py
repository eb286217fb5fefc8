"""Faults of the machine are one sentence too."""

import errno
import os

import pytest

from recsys.config import one_sentence


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EROFS, errno.EIO])
def test_a_file_that_cannot_be_written_is_one_sentence(number, capsys):
    with pytest.raises(SystemExit, match="2"), one_sentence():
        raise OSError(number, os.strerror(number), "outputs/run/model")
    said = capsys.readouterr().err
    assert said.startswith(f"error: outputs/run/model cannot be used ({os.strerror(number)}): ")
    assert len(said.splitlines()) == 1


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
