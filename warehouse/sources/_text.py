"""Text files as plain UTF-8 on disk, checked byte by byte, with constant memory."""

from __future__ import annotations

import codecs
import gzip
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from market.errors import BadBarsError, SourceError
from warehouse.sources._files import head_and_tail

_CHUNK_BYTES = 1 << 20
_GZIP = b"\x1f\x8b"
_FOREIGN = {
    b"PAR1": ("a parquet file", "use --source parquet"),
    b"PK\x03\x04": ("a zip archive or a spreadsheet", "unpack it, or save the sheet as CSV"),
    b"\xd0\xcf\x11\xe0": ("a spreadsheet", "save the sheet as CSV"),
    b"BZh": ("compressed with bzip2", "unpack it, or compress it with gzip"),
    b"\xfd7zXZ": ("compressed with xz", "unpack it, or compress it with gzip"),
    b"\x28\xb5\x2f\xfd": ("compressed with zstandard", "unpack it, or compress it with gzip"),
    b"<!DOCTYPE": ("a web page", "download the table itself; the page may be an error message"),
    b"<html": ("a web page", "download the table itself; the page may be an error message"),
    b"%PDF": ("a PDF", "export the table as CSV"),
}
_WIDE_MARKS = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


@contextmanager
def plain_utf8(path: Path, *, encoding: str | None) -> Iterator[Path]:
    """The file itself when it is plain UTF-8, else a temporary UTF-8 copy: unpacked, decoded, without byte-order mark.

    Args:
        path: A text file; gzip is recognised by its first bytes, whatever the name.
        encoding: None for UTF-8.

    Raises:
        SourceError: The file is missing, unreadable, empty, cut off, or no text.
        BadBarsError: A byte is no character of the encoding; its line is the row.
    """
    head, _ = head_and_tail(path)
    _refuse_foreign(path, head, encoding)
    packed = head.startswith(_GZIP)
    in_place = not packed and encoding in (None, "utf-8") and not head.startswith(codecs.BOM_UTF8)
    decoded = _decoded(path, packed=packed, encoding=encoding or "utf-8")
    if in_place:
        for _ in decoded:
            pass
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="tradehits-") as folder:
        copy = Path(folder) / "utf8.csv"
        with copy.open("w", encoding="utf-8", newline="") as target:
            target.writelines(decoded)
        yield copy


def _decoded(path: Path, *, packed: bool, encoding: str) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8-sig" if encoding == "utf-8" else encoding)()
    offset, line = 0, 1
    try:
        with gzip.open(path, "rb") if packed else path.open("rb") as file:
            for chunk in _chunks(file):  # type: ignore[arg-type]
                held = len(decoder.getstate()[0])
                try:
                    text = decoder.decode(chunk, final=not chunk)
                except UnicodeDecodeError as error:
                    lines = line + error.object[: error.start].count(b"\n")
                    raise _undecodable(path, error, offset=offset - held + error.start, line=lines) from error
                if "\0" in text:
                    raise BadBarsError(
                        "a NUL byte: this is no text, or text in another encoding",
                        file=str(path),
                        row=line + text[: text.index("\0")].count("\n"),
                        remedy="name the encoding of the file, such as encoding: utf-16",
                    )
                offset += len(chunk)
                line += text.count("\n")
                yield text
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise SourceError(
            f"{path} is a damaged or cut-off gzip file (after line {line}): {error}",
            remedy="write or download it again",
        ) from error


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    """The last chunk is empty, so that a decoder can complain about half a character."""
    while chunk := file.read(_CHUNK_BYTES):
        yield chunk
    yield b""


def _undecodable(path: Path, error: UnicodeDecodeError, *, offset: int, line: int) -> BadBarsError:
    return BadBarsError(
        f"byte {offset} (0x{error.object[error.start]:02x}) is no {error.encoding} text",
        file=str(path),
        row=line,
        remedy="name the encoding of the file, such as encoding: latin-1 or cp1252, or save it as UTF-8",
    )


def _refuse_foreign(path: Path, head: bytes, encoding: str | None) -> None:
    for magic, (what, remedy) in _FOREIGN.items():
        if head.lower().startswith(magic.lower()):
            raise SourceError(f"{path} is no text file but {what}", remedy=remedy)
    wide = next((name for mark, name in _WIDE_MARKS.items() if head.startswith(mark)), None)
    if wide and encoding is None:
        raise BadBarsError(
            f"byte 0 (0x{head[0]:02x}) begins {wide} text, not UTF-8",
            file=str(path),
            row=1,
            remedy=f"set encoding: {wide}, or save the file as UTF-8",
        )
