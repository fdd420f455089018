"""Reading TensorFlow checkpoints ("tensor bundles") without TensorFlow.

Released RoFormerV2 weights are such checkpoints: ``NAME.index``, a sorted table from variable names to places, and
``NAME.data-00000-of-0000N`` with the bare numbers. TensorFlow itself could read them, but it is a download of more than
half a gigabyte that lags behind new Python versions, for a file format that has not changed since 2016 and fits this
page; the tests read a checkpoint that TensorFlow wrote.

The index is a table in LevelDB's format: a footer of 48 bytes points at an index block, which points at data blocks;
in a block, each key is stored as the difference to the one before it. Values are protocol-buffer messages. Checksums of
the index are verified, those of the tensors are not (CRC-32C of all the data would take Python minutes); their sizes
are.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ironwok.errors import CheckpointError

_MAGIC = 0xDB4775248B80FB57
_FOOTER = 48  # bytes: two block handles, padding, magic
_TRAILER = 5  # bytes after each block: kind of compression, checksum
# TensorFlow's DataType numbers of what checkpoints of models hold
_DTYPES = {1: "<f4", 2: "<f8", 3: "<i4", 4: "u1", 6: "i1", 9: "<i8", 10: "?", 19: "<f2"}


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a variable lies: ``size`` bytes from ``offset`` in the data file number ``shard``."""

    dtype: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int


class TensorBundle:
    """The variables of one checkpoint, by name.

    prefix: the path without ``.index``, for example ``chinese_roformer-v2-char_L-6_H-384_A-6/bert_model.ckpt``.
    Raises CheckpointError where a file is missing, damaged or of another format.
    """

    def __init__(self, prefix: str | os.PathLike[str]) -> None:
        self.prefix = Path(prefix)
        index = self.prefix.with_name(self.prefix.name + ".index")
        try:
            table = dict(_read_table(index.read_bytes()))
            header = dict(_fields(table.pop(b"", b"")))
            self.shards = int(header.get(1, 0))
            if self.shards < 1 or header.get(2, 0) != 0:
                raise CheckpointError(f"{index} is no little-endian TensorFlow checkpoint of version 2")
            self.entries = {name.decode(): _entry(value) for name, value in table.items()}
        except OSError as error:
            raise CheckpointError(f"{index} cannot be read: {error.strerror}") from error
        except (IndexError, ValueError, struct.error) as error:
            raise CheckpointError(f"{index} is damaged or no TensorFlow checkpoint of version 2: {error}") from error

    def names(self) -> tuple[str, ...]:
        return tuple(sorted(self.entries))

    def read(self, name: str) -> np.ndarray:
        """The variable ``name``. Raises CheckpointError if it is not there, of an unknown type, or cut off."""
        entry = self.entries.get(name)
        if entry is None:
            raise CheckpointError(f"{self.prefix} has no variable {name!r}")
        if entry.dtype not in _DTYPES:
            raise CheckpointError(
                f"{self.prefix}: {name!r} has TensorFlow's data type {entry.dtype}, which is not read"
            )
        dtype = np.dtype(_DTYPES[entry.dtype])
        if entry.size != int(np.prod(entry.shape, dtype=np.int64)) * dtype.itemsize:
            raise CheckpointError(f"{self.prefix}: {name!r} has {entry.size} bytes, not enough for {entry.shape}")
        data = self.prefix.with_name(f"{self.prefix.name}.data-{entry.shard:05d}-of-{self.shards:05d}")
        try:
            with data.open("rb") as file:
                file.seek(entry.offset)
                content = file.read(entry.size)
        except OSError as error:
            raise CheckpointError(f"{data} cannot be read: {error.strerror}") from error
        if len(content) != entry.size:
            raise CheckpointError(
                f"{data} is cut off: {name!r} should have {entry.size} bytes, {len(content)} are there"
            )
        return np.frombuffer(content, dtype).reshape(entry.shape)


def _read_table(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """All keys and values of a table, in order."""
    if len(content) < _FOOTER or struct.unpack("<Q", content[-8:])[0] != _MAGIC:
        raise ValueError("the magic number at its end is missing")
    footer = content[-_FOOTER:]
    _, position = _handle(footer, 0)  # of the meta index, which TensorFlow leaves empty
    index, _ = _handle(footer, position)
    for _, value in _block(content, *index):
        data, _ = _handle(value, 0)
        yield from _block(content, *data)


def _handle(content: bytes, position: int) -> tuple[tuple[int, int], int]:
    """A block handle (offset, size), and the position after it."""
    offset, position = _varint(content, position)
    size, position = _varint(content, position)
    return (offset, size), position


def _block(content: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    end = offset + size
    if end + _TRAILER > len(content):
        raise ValueError("a block lies beyond the end")
    if content[end] != 0:
        raise ValueError(f"a block is compressed (kind {content[end]}), TensorFlow writes them plain")
    (stored,) = struct.unpack("<I", content[end + 1 : end + _TRAILER])
    if stored != masked_crc32c(content[offset : end + 1]):
        raise ValueError("the checksum of a block is wrong")
    (restarts,) = struct.unpack("<I", content[end - 4 : end])
    last = end - 4 - 4 * restarts
    key, position = b"", offset
    while position < last:
        shared, position = _varint(content, position)
        unshared, position = _varint(content, position)
        length, position = _varint(content, position)
        key = key[:shared] + content[position : position + unshared]
        position += unshared
        yield key, content[position : position + length]
        position += length


def _varint(content: bytes, position: int) -> tuple[int, int]:
    """A number in groups of seven bits, lowest first, and the position after it."""
    value, shift = 0, 0
    while True:
        byte = content[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Field numbers and raw values of a protocol-buffer message."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        kind = tag & 7
        if kind == 0:
            value, position = _varint(message, position)
        elif kind == 2:
            length, position = _varint(message, position)
            value, position = message[position : position + length], position + length
        elif kind in (1, 5):
            width = 8 if kind == 1 else 4
            value, position = int.from_bytes(message[position : position + width], "little"), position + width
        else:
            raise ValueError(f"a message has a field of kind {kind}")
        yield tag >> 3, value


def _entry(message: bytes) -> Entry:
    fields: dict[int, int | bytes] = {}
    for number, value in _fields(message):
        if number == 7:
            raise ValueError("a variable is stored in slices, which is not read")
        fields[number] = value
    shape = tuple(_size(value) for number, value in _fields(_as_bytes(fields.get(2, b""))) if number == 2)
    shard, offset, size = (int(fields.get(number, 0)) for number in (3, 4, 5))
    return Entry(int(fields.get(1, 0)), shape, shard, offset, size)


def _size(dimension: int | bytes) -> int:
    return int(dict(_fields(_as_bytes(dimension))).get(1, 0))


def _as_bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise ValueError("a number stands where a message should")
    return value


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return tuple(table)


_CRC_TABLE = _crc_table()


def masked_crc32c(content: bytes) -> int:
    """CRC-32C (Castagnoli), rotated and shifted as LevelDB stores it."""
    crc = 0xFFFFFFFF
    for byte in content:
        crc = _CRC_TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF
