"""Formats records as TFRecords, which TensorBoard reads; their checksums are CRC-32C (Castagnoli).

TensorBoard's own writer is not used, because importing it takes longer than all other imports of the event log.
"""

from __future__ import annotations

import struct

POLYNOMIAL = 0x82F63B78  # of CRC-32C, least significant bit first


def framed(record: bytes) -> bytes:
    """Return a TFRecord, ready to be appended to a file: the record with its length and the checksums of both."""
    length = struct.pack("<Q", len(record))
    return length + _checksum(length) + record + _checksum(record)


def crc32c(data: bytes) -> int:
    """Return the CRC-32C of some bytes, as RFC 3720 defines it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def _checksum(data: bytes) -> bytes:
    """Return the masked CRC-32C of some bytes, as the TFRecord format requires.

    The CRC is rotated and an offset is added, since a CRC of data that contain CRCs themselves detects fewer errors.
    """
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def _remainder(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ POLYNOMIAL * (byte & 1)
    return byte


_TABLE = [_remainder(byte) for byte in range(256)]
