"""The framing of records and the names of event files, against published checksums and TensorBoard's own."""

import pytest
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c
from tensorboard.plugins.hparams import metadata

from recsys.studies.event_log import HPARAMS, SESSION_END, SESSION_START
from recsys.studies.tfrecord import crc32c, framed


@pytest.mark.parametrize(
    ("data", "checksum"), [(b"123456789", 0xE3069283), (bytes(32), 0x8A9136AA), (b"\xff" * 32, 0x62A8AB43)]
)
def test_checksums_are_those_of_rfc_3720(data: bytes, checksum: int):
    assert crc32c(data) == checksum


@pytest.mark.parametrize("record", [b"", b"event", bytes(range(256)) * 3])
def test_a_record_is_written_between_its_length_and_its_checksum(record: bytes):
    length = len(record).to_bytes(8, "little")
    parts = (length, masked_crc32c(length).to_bytes(4, "little"), record, masked_crc32c(record).to_bytes(4, "little"))
    assert framed(record) == b"".join(parts)


def test_the_names_of_the_hyperparameter_tab_are_tensorboards_own():
    assert metadata.PLUGIN_NAME == HPARAMS
    assert (metadata.SESSION_START_INFO_TAG, metadata.SESSION_END_INFO_TAG) == (SESSION_START, SESSION_END)
