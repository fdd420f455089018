"""Bytes and lines of a file, packed or not, with every failure named."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from ironwok.errors import EncodingError, UnreadableDocumentError
from ironwok.text.encodings import Decoded, decode, detect_lines, is_wide, known_codec
from ironwok.text.formats.values import ReadOptions

if TYPE_CHECKING:
    from typing_extensions import Buffer

PACKED = (".gz", ".bz2", ".xz", ".zst")
_BLOCK = 1 << 20


def unpacked_name(path: Path) -> Path:
    """The name without the suffix of the packer: ``a.jsonl.gz`` becomes ``a.jsonl``."""
    return path.with_suffix("") if path.suffix.lower() in PACKED else path


@contextlib.contextmanager
def open_file(path: Path) -> Iterator[BinaryIO]:
    """The unpacked bytes, as a stream. Trouble with the file inside the block becomes UnreadableDocumentError."""
    try:
        with contextlib.ExitStack() as stack:
            yield _open(path, stack)
    except PermissionError as error:
        raise UnreadableDocumentError(f"{path}: no permission to read it") from error
    except FileNotFoundError as error:
        raise UnreadableDocumentError(f"{path}: does not exist") from error
    except (EOFError, lzma.LZMAError, zlib.error, gzip.BadGzipFile) as error:
        raise UnreadableDocumentError(f"{path}: the packed file is damaged ({error})") from error
    except OSError as error:
        raise UnreadableDocumentError(f"{path}: cannot be read ({error.strerror or error})") from error


def read_bytes(path: Path, options: ReadOptions) -> bytes:
    """The whole unpacked file. Raises UnreadableDocumentError if it is larger than ``options.max_bytes``."""
    with open_file(path) as file:
        blocks: list[bytes] = []
        size = 0
        while block := file.read(_BLOCK):  # not all at once: a buffer of the limit's size would be reserved
            blocks.append(block)
            size += len(block)
            if size > options.max_bytes:
                raise UnreadableDocumentError(
                    f"{path}: larger than max_bytes = {options.max_bytes:,} (unpacked): "
                    "raise the limit or split the file"
                )
    return b"".join(blocks)


def read_text(path: Path, options: ReadOptions, *, declared: str | None = None) -> Decoded:
    """The whole file as text: its byte order mark removed, nothing else changed. Raises EncodingError, too."""
    return decode(read_bytes(path, options), name=str(path), encoding=options.encoding, declared=declared)


def read_lines(path: Path, options: ReadOptions) -> Iterator[tuple[int, Decoded | EncodingError]]:
    """The lines of a file with their numbers, from 1, read as a stream; line ends stay on the lines.

    A line that is in another encoding than the rest is detected on its own, unless an encoding is named and counts for
    all of them; one that is no text at all, or not in the named encoding, comes as the error that says so, and the next
    lines go on.
    """
    codec = known_codec(options.encoding) if options.encoding else _codec_of(path)
    assert codec is not None, "ReadOptions has checked the encoding"
    if is_wide(codec):
        text = decode(read_bytes(path, options), name=str(path), encoding=codec).text
        for number, line in enumerate(io.StringIO(text, newline="\n"), 1):
            yield number, Decoded(line, codec)
        return
    named = None if options.mixed else options.encoding
    with open_file(path) as file:
        number = 0
        while line := file.readline(options.max_bytes + 1):
            number += 1
            if len(line) > options.max_bytes:
                raise UnreadableDocumentError(
                    f"{path}: line {number} is longer than max_bytes = {options.max_bytes:,}, "
                    "reading stopped there: raise the limit or split the line"
                )
            yield number, _decode_line(line, codec, name=f"{path}, line {number}", named=named)


def _codec_of(path: Path) -> str:
    with open_file(path) as file:
        return detect_lines(file, name=str(path))


def _decode_line(line: bytes, codec: str, *, name: str, named: str | None) -> Decoded | EncodingError:
    if named is None or line.isascii():
        try:
            return Decoded(line.decode(codec).removeprefix("\ufeff"), codec)
        except UnicodeDecodeError:
            pass  # another encoding than the rest, or damaged: judged by itself
    try:
        return decode(line, name=name, encoding=named)
    except EncodingError as error:
        return error


def _open(path: Path, stack: contextlib.ExitStack) -> BinaryIO:
    match path.suffix.lower():
        case ".gz":
            return cast(BinaryIO, stack.enter_context(gzip.open(path, "rb")))
        case ".bz2":
            return cast(BinaryIO, stack.enter_context(bz2.open(path, "rb")))
        case ".xz":
            return cast(BinaryIO, stack.enter_context(lzma.open(path, "rb")))
        case ".zst":
            packed = stack.enter_context(path.open("rb"))
            return stack.enter_context(io.BufferedReader(_ZstandardStream(packed), _BLOCK))
        case _:
            return stack.enter_context(path.open("rb"))


class _ZstandardStream(io.RawIOBase):
    """Unpacks Zstandard frames one after the other.

    The library's own stream ends silently where a truncated file ends; this one tells.
    """

    def __init__(self, packed: BinaryIO) -> None:
        import zstandard

        self._damage = zstandard.ZstdError
        self._decompressor = zstandard.ZstdDecompressor()
        self._packed = packed
        self._frame = self._decompressor.decompressobj()
        self._unused = b""  # packed bytes that belong to the next frame
        self._ready = memoryview(b"")
        self._started = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        with memoryview(buffer).cast("B") as target:
            while not self._ready:
                if not self._advance():
                    return 0
            count = min(len(target), len(self._ready))
            target[:count] = self._ready[:count]
            self._ready = self._ready[count:]
            return count

    def _advance(self) -> bool:
        """Unpack some more; False at the end of the file."""
        packed = self._unused or self._packed.read(1 << 16)
        self._unused = b""
        if not packed:
            if self._started:
                raise EOFError("it ends in the middle of a frame")
            return False
        if not self._started:
            self._frame, self._started = self._decompressor.decompressobj(), True
        try:
            self._ready = memoryview(self._frame.decompress(packed))
        except self._damage as error:
            raise OSError(f"the packed file is damaged: {error}") from error
        if self._frame.eof:
            self._unused, self._started = self._frame.unused_data, False
        return True
