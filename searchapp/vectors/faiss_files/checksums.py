"""Write checksums at the end of an index file, and find damage with them.

FAISS ignores bytes after the index. There, the file has a CRC-32 for each block of BLOCK_BYTES, as
little-endian integers of 32 bits, and then a footer: the size of the index in bytes (64 bits), the
CRC-32 of the checksums (32 bits), and MAGIC_BYTES. Files of earlier versions have no checksums.
"""

from __future__ import annotations

import os
import random
import struct
from array import array
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO
from zlib import crc32

BLOCK_BYTES = 1 << 20
FOOTER = struct.Struct("<QI8s")
MAGIC_BYTES = b"SA-CRC32"
# Opening a file reads at most this many blocks, which takes about 0.1 s. A whole file can take
# seconds, and a query reads only a part of it.
MAX_BLOCKS_ON_OPEN = 64
EDGE_BLOCKS = (
    8  # The first and the last blocks hold the structure of an index, and are always read.
)


class ChecksumWriter:
    """Write an index to an opened file, and then its checksums."""

    def __init__(self, file: BinaryIO) -> None:
        """Write to a file that was opened for binary writing."""
        self._file = file
        self._size_bytes = 0
        self._checksums = array("I")

    def write(self, data: bytes) -> None:
        """Write the next bytes of the index."""
        self._file.write(data)
        rest = memoryview(data)
        while rest:
            filled_bytes = self._size_bytes % BLOCK_BYTES
            part = rest[: BLOCK_BYTES - filled_bytes]
            if filled_bytes:
                self._checksums[-1] = crc32(part, self._checksums[-1])
            else:
                self._checksums.append(crc32(part))
            self._size_bytes += len(part)
            rest = rest[len(part) :]

    def finish(self) -> None:
        """Write the checksums after the last bytes of the index."""
        table = struct.pack(f"<{len(self._checksums)}I", *self._checksums)
        self._file.write(table)
        self._file.write(FOOTER.pack(self._size_bytes, crc32(table), MAGIC_BYTES))


def find_damage(file: Path, *, read_all: bool) -> str | None:
    """Return how an index file differs from its checksums; None: no difference, or no checksums.

    read_all: compare all blocks. Otherwise a file of more than MAX_BLOCKS_ON_OPEN blocks is
    compared at both ends and at random.
    """
    try:
        with file.open("rb") as opened:
            return _compare_blocks(opened, read_all=read_all)
    except OSError as error:
        return f"it cannot be read ({error.strerror})"


def find_content_end(opened: BinaryIO) -> int:
    """Return where the checksums of an open index file begin, or its size if it has none."""
    footer = _read_footer(opened)
    return footer[0] if footer is not None else opened.seek(0, os.SEEK_END)


def _read_footer(opened: BinaryIO) -> tuple[int, int] | None:
    """Return the size of an index in bytes and the checksum of its checksums; None: no footer."""
    if opened.seek(0, os.SEEK_END) < FOOTER.size:
        return None
    opened.seek(-FOOTER.size, os.SEEK_END)
    size_bytes, table_checksum, magic_bytes = FOOTER.unpack(opened.read())
    return (size_bytes, table_checksum) if magic_bytes == MAGIC_BYTES else None


def _compare_blocks(opened: BinaryIO, *, read_all: bool) -> str | None:
    footer = _read_footer(opened)
    if footer is None:
        return None
    size_bytes, table_checksum = footer
    file_bytes = opened.seek(0, os.SEEK_END)
    count = -(-size_bytes // BLOCK_BYTES)
    if file_bytes != size_bytes + 4 * count + FOOTER.size:
        return "its content is damaged (checksums)"
    opened.seek(size_bytes)
    table = opened.read(4 * count)
    if crc32(table) != table_checksum:
        return "its content is damaged (checksums)"
    checksums = struct.unpack(f"<{count}I", table)
    for number in range(count) if read_all else _choose_blocks(count):
        start = number * BLOCK_BYTES
        opened.seek(start)
        if crc32(opened.read(min(BLOCK_BYTES, size_bytes - start))) != checksums[number]:
            return f"its content is damaged (after byte {start:,})"
    return None


def _choose_blocks(count: int) -> Iterable[int]:
    """Return the numbers of the blocks to compare when a file of count blocks is opened."""
    if count <= MAX_BLOCKS_ON_OPEN:
        return range(count)
    inner = range(EDGE_BLOCKS, count - EDGE_BLOCKS)
    chosen = random.sample(inner, MAX_BLOCKS_ON_OPEN - 2 * EDGE_BLOCKS)
    return [*range(EDGE_BLOCKS), *sorted(chosen), *range(count - EDGE_BLOCKS, count)]
