"""Conversion of files to plain files: uncompressed Parquet, or uncompressed UTF-8 text with one kind of line ends.

Compression is detected from the content of a file, not from its name. The encoding is detected too, unless it is given.
A byte order mark is removed only if the encoding is detected.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import lzma
import shutil
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from recsys.counted import counted
from recsys.data.quoting import file_literal
from recsys.errors import UserError

_CHUNK = 1 << 20
_PARQUET = b"PAR1"
_ZSTANDARD = b"\x28\xb5\x2f\xfd"
_ZIPS = (b"PK\x03\x04", b"PK\x05\x06")  # the second is an empty archive
_STREAMS: dict[bytes, Callable[[Path], Any]] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open}
_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, since it begins with the mark of UTF-16
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_WEB_PAGE = "a web page: download the file that it links to"
_ARCHIVE = "an archive that recsys cannot unpack: unpack it first"
_FOREIGN = {  # beginnings in lower case
    b"\xd0\xcf\x11\xe0": "a spreadsheet: save it as CSV",
    b"sqlite format 3": "a database: read it with data=sql data.address=FILE",
    b"%pdf": "a PDF document",
    b"<!doctype": _WEB_PAGE,
    b"<html": _WEB_PAGE,
    b"<table": "a web page: save its table as CSV",
    b"<?xml": "XML: save it as CSV",
    b"version https://git-lfs": "a pointer of Git LFS: get the file with `git lfs pull`",
    b"7z\xbc\xaf": _ARCHIVE,
    b"rar!": _ARCHIVE,
    b"\x1f\x9d": _ARCHIVE,
    b"\x04\x22\x4d\x18": _ARCHIVE,
    b"\x89hdf": "HDF5: save it as CSV or Parquet",
    b"arrow1": "Arrow: save it as CSV or Parquet",
}
_TAR = slice(257, 262)  # position of the word `ustar` in a tar archive
_HIDDEN = ("__MACOSX/", ".DS_Store", "Thumbs.db", "desktop.ini")  # files that systems add to archives
_MAX_WRAPPED = 3  # layers of compression
# Each line is one field: no text contains the delimiter, a control character.
_ZSTANDARD_LINES = """
SELECT line FROM read_csv({file}, compression = 'zstd', auto_detect = false, header = false, delim = '\x01', quote = '',
    escape = '', new_line = '\\n', columns = {{'line': 'VARCHAR'}}, max_line_size = 16000000)
"""


@dataclass(frozen=True)
class Plain:
    """A plain file: Parquet, or text in UTF-8.

    Attributes:
        path: path of the plain file: the original, or a copy if it had to be converted.
        encoding: encoding of the text in the original file; None for Parquet.
        has_quotes: whether the text contains double quotation marks.
    """

    path: Path
    encoding: str | None
    has_quotes: bool = False

    def head(self, n_bytes: int = _CHUNK) -> str:
        """Return the beginning of the text, at most `n_bytes`, cut after its last complete line if there is one."""
        with self.path.open("rb") as stream:
            start, more = stream.read(n_bytes), stream.read(1)
        if more:
            start = start[: start.rfind(b"\n") + 1] or start
        return start.decode("utf-8", errors="replace")


def plain(file: Path, scratch: Path, encoding: str | None = None, skip: int = 0) -> Plain:
    """Convert a file to a plain one in `scratch`; a file that is plain is returned as it is, unless lines are skipped.

    Args:
        file: the file to convert.
        scratch: an existing folder for the copy.
        encoding: encoding of the file if it is text; None to detect it.
        skip: number of lines at the beginning of the text to leave out.

    Raises:
        UserError: the file is damaged or incomplete, is an archive of several files, is neither text nor Parquet, or is
            not in the given encoding.
    """
    path = file
    for layer in range(_MAX_WRAPPED):
        path = _decompressed(file, path, scratch / f"decompressed{layer}")
    with path.open("rb") as stream:
        start = stream.read(_CHUNK)
    if start.startswith(_PARQUET):
        return Plain(path, None)
    _refuse_foreign(file, start)
    if file.suffix.lower() == ".parquet":
        raise UserError(f"{file} is damaged or incomplete: copy or download it again.")
    detected = encoding or _encoding(file, path, start)
    if encoding is not None or detected != "utf-8":
        path = _transcoded(file, path, detected, scratch / "utf-8")
    _refuse_zeros(file, path)
    if skip:
        path = _without_first_lines(path, skip, scratch / "skipped")
    if _has_mixed_line_ends(path):
        path = _with_equal_line_ends(path, scratch / "lines")
    return Plain(path, detected, any(b'"' in chunk for chunk in _chunks(path)))


def _refuse_foreign(file: Path, start: bytes) -> None:
    """Check that a file does not begin like a known format that is neither text nor Parquet.

    Raises:
        UserError: the file begins like such a format, for example the format of spreadsheets.
    """
    beginning = start[:64].lstrip().lower()
    kind = next((kind for magic, kind in _FOREIGN.items() if beginning.startswith(magic)), None)
    if start[_TAR] == b"ustar":
        kind = _ARCHIVE
    if kind is not None:
        raise UserError(f"{file} must be text or Parquet, but is {kind}.")


def _decompressed(file: Path, path: Path, copy: Path) -> Path:
    """Remove one layer of compression: return the decompressed `copy`, or `path` if that is not compressed.

    Args:
        file: the original file, for messages.
        path: the file to decompress: the original file, or the content of an outer layer of compression.
        copy: path of the copy to write.

    Raises:
        UserError: the file is damaged or incomplete, or is an archive of several files.
    """
    with path.open("rb") as stream:
        start = stream.read(8)
    try:
        if start.startswith(_ZIPS):
            _extract_only_member(file, path, copy)
        elif start.startswith(_ZSTANDARD):
            _decompress_zstandard(path, copy)
        elif openers := [opener for magic, opener in _STREAMS.items() if start.startswith(magic)]:
            with openers[0](path) as packed, copy.open("wb") as target:
                shutil.copyfileobj(packed, target, _CHUNK)
        else:
            return path
    except (EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError, zipfile.BadZipFile, duckdb.Error) as error:
        raise UserError(f"{file} is damaged or incomplete: copy or download it again.") from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise UserError(f"{file} is damaged or incomplete: copy or download it again.") from error  # what bz2 raises
    return copy


def _extract_only_member(file: Path, path: Path, copy: Path) -> None:
    """Extract the only file of the zip archive `path` to `copy`.

    Raises:
        UserError: the archive does not contain exactly one file, is a spreadsheet, or cannot be unpacked.
    """
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
        names = [name for name in names if not any(hidden in name for hidden in _HIDDEN)]
        if "[Content_Types].xml" in names:
            raise UserError(f"{file} must be text or Parquet, but is a spreadsheet or document: save it as CSV.")
        if len(names) != 1:
            raise UserError(f"{file} must hold one file (got {', '.join(names[:10]) or 'none'}): unpack it first.")
        try:
            with archive.open(names[0]) as packed, copy.open("wb") as target:
                shutil.copyfileobj(packed, target, _CHUNK)
        except (RuntimeError, NotImplementedError) as error:  # a password, or a method that Python lacks
            raise UserError(f"{file} cannot be unpacked here ({error}): unpack it first.") from error


def _decompress_zstandard(file: Path, copy: Path) -> None:
    """Decompress Zstandard text by DuckDB, after checking that the file is complete, since DuckDB does not check.

    Raises:
        EOFError: the file is truncated.
    """
    if not _has_whole_frames(file):
        raise EOFError
    with duckdb.connect() as connection, copy.open("w", encoding="utf-8", newline="") as target:
        lines = connection.execute(_ZSTANDARD_LINES.format(file=file_literal(file)))
        while chunk := lines.fetchmany(10_000):
            target.writelines(f"{line or ''}\n" for (line,) in chunk)


def _has_whole_frames(file: Path) -> bool:
    """Return whether a file consists of complete Zstandard frames, according to the sizes in their headers.

    See RFC 8878, section 3.1.
    """
    size = file.stat().st_size
    with file.open("rb") as stream:
        while stream.tell() < size:
            magic = stream.read(4)
            if magic[1:] == b"\x2a\x4d\x18":  # a skippable frame
                stream.seek(int.from_bytes(stream.read(4), "little"), 1)
                continue
            if magic != _ZSTANDARD:
                return False
            [descriptor] = stream.read(1) or [0]
            single_segment = descriptor >> 5 & 1
            size_field = (single_segment, 2, 4, 8)[descriptor >> 6]
            stream.seek((0, 1, 2, 4)[descriptor & 3] + size_field + 1 - single_segment, 1)
            last = False
            while not last:
                if len(header := stream.read(3)) < 3:
                    return False
                block = int.from_bytes(header, "little")
                last = bool(block & 1)
                stream.seek(1 if block >> 1 & 3 == 1 else block >> 3, 1)  # one byte to repeat, or the block
            stream.seek(4 * (descriptor >> 2 & 1), 1)  # checksum
        return stream.tell() == size


def _chunks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            yield chunk


def _refuse_zeros(file: Path, path: Path) -> None:
    """Check that a text contains no zero bytes, which occur in binary data and in damaged text.

    Raises:
        UserError: the text contains a zero byte.
    """
    n_lines = 0
    for chunk in _chunks(path):
        before, zero, _ = chunk.partition(b"\0")
        n_lines += before.count(b"\n")
        if zero:
            raise UserError(f"{file} must be text or Parquet (got binary data: a zero byte in line {n_lines + 1}).")


def _encoding(file: Path, path: Path, start: bytes) -> str:
    """Detect the encoding of text.

    A byte order mark or a zero byte at the beginning decides. Otherwise the encoding is UTF-8 if the text is valid
    UTF-8, else Windows-1252.

    Raises:
        UserError: most but not all of the non-ASCII characters are valid UTF-8, or the file is binary data.
    """
    for mark, encoding in _BYTE_ORDER_MARKS.items():
        if start.startswith(mark):
            return encoding
    if start[1:2] == b"\0" and start[0:1] != b"\0":
        return "utf-16-le"
    if start[0:1] == b"\0" and start[1:2] != b"\0":
        return "utf-16-be"
    with suppress(UnicodeDecodeError):
        for _ in codecs.iterdecode(_chunks(path), "utf-8"):
            pass
        return "utf-8"
    n_damaged = n_beyond_ascii = 0
    for text in codecs.iterdecode(_chunks(path), "utf-8", errors="replace"):
        n_damaged += text.count("\ufffd")
        n_beyond_ascii += len(text) - len(text.encode("ascii", errors="ignore"))
    if n_beyond_ascii > 2 * n_damaged:
        raise UserError(
            f"{file} must be in one encoding (got UTF-8 with {counted(n_damaged, 'invalid byte')}): "
            "save it again, or set data.encoding."
        )
    _refuse_zeros(file, path)
    return "windows-1252"


def _transcoded(file: Path, path: Path, encoding: str, copy: Path) -> Path:
    """Convert text from the given encoding to UTF-8, write it to `copy`, and return `copy`.

    Raises:
        UserError: the encoding is unknown, or the file is not valid text in it.
    """
    try:
        with (
            path.open(encoding=encoding, newline="") as text,
            copy.open("w", encoding="utf-8", newline="") as target,
        ):
            shutil.copyfileobj(text, target, _CHUNK)
    except UnicodeError as error:
        raise UserError(
            f"{file} must be in the encoding {encoding} (got {_invalid(error)}): set data.encoding if it is text."
        ) from error
    except LookupError as error:
        raise UserError(f"data.encoding must be an encoding of Python, such as latin-1 (got {encoding}).") from error
    return copy


def _invalid(error: UnicodeError) -> str:
    """Return the reason why text cannot be decoded, including the first invalid byte if it is known."""
    if isinstance(error, UnicodeDecodeError):
        return f"the byte 0x{error.object[error.start]:02x}: {error.reason}"
    return str(error)


def _without_first_lines(path: Path, n: int, copy: Path) -> Path:
    """Write a text in UTF-8 without its first n lines to `copy`, and return `copy`."""
    with (
        path.open(encoding="utf-8", newline="") as text,
        copy.open("w", encoding="utf-8", newline="") as target,
    ):
        for _ in range(n):
            text.readline()
        shutil.copyfileobj(text, target, _CHUNK)
    return copy


def _has_mixed_line_ends(path: Path) -> bool:
    """Return whether a text mixes the line ends CR LF, LF and CR; DuckDB cannot read such a mixture."""
    n_line_feeds = n_returns = n_both = 0
    end = b""
    for chunk in _chunks(path):
        n_line_feeds += chunk.count(b"\n")
        n_returns += chunk.count(b"\r")
        n_both += chunk.count(b"\r\n") + (end == b"\r" and chunk[:1] == b"\n")
        end = chunk[-1:]
    return sum(n > 0 for n in (n_both, n_line_feeds - n_both, n_returns - n_both)) > 1


def _with_equal_line_ends(path: Path, copy: Path) -> Path:
    """Write a text to `copy` with the line ends CR LF, CR CR LF and CR replaced by LF, and return `copy`."""
    with path.open(encoding="utf-8", newline="") as text, copy.open("w", encoding="utf-8", newline="") as target:
        before = ""
        for line in text:  # each ends with any of the line ends
            if not (line == "\r\n" and before.endswith("\r")):
                target.write(line.rstrip("\r\n") + "\n" if line.endswith(("\r", "\n")) else line)
            before = line
    return copy
