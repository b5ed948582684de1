"""Map the inverted lists of a FAISS FastScan index; FAISS itself can only read all of them.

FAISS writes such lists at the end of an index. Each list is the number of its ids, the ids, the
number of bytes of its codes, and the codes, in blocks of which the last is padded. All numbers have
64 bits and are little-endian.
https://github.com/facebookresearch/faiss/blob/main/faiss/invlists/BlockInvertedLists.cpp

Behind the index is a table, which FAISS ignores: the number of ids of each list (64 bits), and a
footer with the number of lists, the ids and bytes of a block (64 bits each), and MAGIC_BYTES. So
opening an index reads none of its lists.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Callable
from importlib import import_module
from typing import Any, BinaryIO

import numpy as np

from searchapp.vectors.faiss_files import choose_index
from searchapp.vectors.faiss_files.checksums import find_content_end
from searchapp.vectors.packing import Ids

FOOTER = struct.Struct("<QQQ8s")
MAGIC_BYTES = b"SA-LISTS"
# FAISS writes in front of the lists: a tag, their number, and the sizes of a code and a block.
LISTS_HEADER = struct.Struct("<4sQQQQ")
LISTS_TAG = b"ilbl"
COUNT_BYTES = ID_BYTES = 8


def has_packed_lists(ivf: Any) -> bool:
    """Return whether an IVF index of FAISS (None: no IVF index) has lists for this module."""
    faiss: Any = import_module("faiss")
    return isinstance(ivf, faiss.IndexIVFPQFastScan)


def remove_ids(index: Any, ivf: Any, ids: Ids) -> None:
    """Remove ids from a FAISS index, and clear the places that their codes had in the lists of ivf.

    FAISS leaves the old codes behind the last id of a list, and combines new codes with them by OR.
    https://github.com/facebookresearch/faiss/blob/main/faiss/impl/fast_scan/fast_scan.cpp

    Raises RuntimeError if this version of FAISS cannot remove vectors.
    """
    faiss: Any = import_module("faiss")
    lists = faiss.downcast_InvertedLists(ivf.invlists)
    old_sizes = [lists.list_size(number) for number in range(ivf.nlist)]
    index.remove_ids(faiss.IDSelectorBatch(ids))
    empty_code = np.zeros(lists.packer.code_size, np.uint8)
    for number, old_size in enumerate(old_sizes):
        size = lists.list_size(number)
        used_places = size % lists.n_per_block
        if size < old_size and used_places:
            code_bytes = (size // lists.n_per_block + 1) * lists.block_size
            codes = faiss.rev_swig_ptr(lists.get_codes(number), code_bytes)
            last_block = codes.reshape(-1, lists.block_size)[-1:]
            for place in range(used_places, lists.n_per_block):
                lists.packer.pack_1(empty_code, place, last_block)


def write_table(ivf: Any, write: Callable[[bytes], object]) -> None:
    """Write the table of the lists of an IVF index."""
    faiss: Any = import_module("faiss")
    lists = faiss.downcast_InvertedLists(ivf.invlists)
    sizes = [lists.list_size(number) for number in range(ivf.nlist)]
    write(np.array(sizes, "<i8").tobytes())
    write(FOOTER.pack(ivf.nlist, lists.n_per_block, lists.block_size, MAGIC_BYTES))


def read_mapped(opened: BinaryIO, path: str) -> Any | None:
    """Return the FAISS index in an open file, with mapped lists; None: the file has no such lists.

    path: of the same file. Raises RuntimeError if FAISS cannot read the file.
    """
    table = _read_table(opened)
    if table is None:
        return None
    sizes, starts = table
    faiss: Any = import_module("faiss")
    opened.seek(0)
    # Instead of its lists, FAISS reads empty ones: zeros as the numbers of ids and codes.
    parts: list[tuple[Callable[[int], bytes], int]] = [
        (opened.read, int(starts[0])),
        (bytes, 2 * COUNT_BYTES * len(sizes)),
    ]
    index = faiss.read_index(faiss.PyCallbackIOReader(_join_parts(parts)))
    ivf = choose_index.find_ivf(index)
    if not has_packed_lists(ivf) or ivf.nlist != len(sizes):
        return None
    _map_lists(ivf, path, opened.seek(0, os.SEEK_END), sizes, starts)
    return index


def _read_table(opened: BinaryIO) -> tuple[Ids, Ids] | None:
    """Return the number of ids of each list, and where it begins; None: no table, or a wrong one.

    The table is right if the header of the lists is where the lists begin.
    """
    table_end = find_content_end(opened)
    if table_end < FOOTER.size:
        return None
    opened.seek(table_end - FOOTER.size)
    count, block_ids, block_bytes, magic_bytes = FOOTER.unpack(opened.read(FOOTER.size))
    lists_end = table_end - FOOTER.size - ID_BYTES * count
    if magic_bytes != MAGIC_BYTES or lists_end < 0 or not 0 < block_ids * block_bytes < table_end:
        return None
    opened.seek(lists_end)
    sizes = np.frombuffer(opened.read(ID_BYTES * count), "<i8").astype(np.int64)
    if not count or sizes.min() < 0 or sizes.max() > table_end:
        return None
    code_bytes = -(-sizes // block_ids) * block_bytes
    starts = lists_end - np.cumsum((2 * COUNT_BYTES + ID_BYTES * sizes + code_bytes)[::-1])[::-1]
    header_start = int(starts[0]) - LISTS_HEADER.size
    if header_start < 0:
        return None
    opened.seek(header_start)
    tag, *numbers = LISTS_HEADER.unpack(opened.read(LISTS_HEADER.size))
    del numbers[1]
    is_right = (tag, numbers) == (LISTS_TAG, [count, block_ids, block_bytes])
    return (sizes, starts) if is_right else None


def _join_parts(parts: list[tuple[Callable[[int], bytes], int]]) -> Callable[[int], bytes]:
    """Return a function that reads parts one after another; a part is (read, size in bytes)."""

    def read(size_bytes: int) -> bytes:
        while parts:
            read_part, left_bytes = parts.pop(0)
            if data := read_part(min(size_bytes, left_bytes)):
                parts.insert(0, (read_part, left_bytes - len(data)))
                return data
        return b""

    return read


def _map_lists(ivf: Any, path: str, file_bytes: int, sizes: Ids, starts: Ids) -> None:
    """Replace the lists of an IVF index by lists in a file, which is mapped into memory.

    OnDiskInvertedLists expects the ids of a list behind its codes, at a distance of the capacity
    times the size of a code. In this file the ids are in front of the codes, so the distance is
    negative: the capacity wraps around at 64 bits, and the size of a code is 1. FAISS uses neither
    of them to search packed lists.
    """
    faiss: Any = import_module("faiss")
    lists = faiss.OnDiskInvertedLists()
    lists.nlist, lists.code_size = ivf.nlist, ivf.code_size  # replace_invlists compares them.
    lists.filename, lists.totsize, lists.read_only = path, file_bytes, True
    lists.lists.resize(ivf.nlist)
    places = np.empty((ivf.nlist, 3), np.int64)  # size, capacity, offset
    places[:, 0], places[:, 1] = sizes, -(ID_BYTES * sizes + COUNT_BYTES)
    places[:, 2] = starts + 2 * COUNT_BYTES + ID_BYTES * sizes
    ctypes.memmove(int(lists.lists.data().this), places.ctypes.data, places.nbytes)
    lists.do_mmap()
    ivf.replace_invlists(lists, True)
    lists.this.disown()
    lists.code_size = 1
