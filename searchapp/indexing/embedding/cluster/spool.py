"""Keep the list of an index run's files on disk, where Ray Data reads it in pages."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import astuple
from pathlib import Path
from tempfile import NamedTemporaryFile

from searchapp.catalog import FileTask

PAGE_FILES = 4096  # files of a page
# The spool's path, the page's offset in bytes, and one byte for each file: 1 if it remains.
SpoolPage = tuple[Path, int, bytes]


class Spool:
    """A list of numbered files, kept in a temporary file on disk.

    Memory holds only one byte for each listed file: 1 until the listed file is done, then 0.
    """

    def __init__(self, tasks: Iterable[FileTask], folder: Path | None = None) -> None:
        """Write the list of files to a temporary file; raises OSError if writing fails.

        folder: a library's folder, in which `check --repair` removes the temporary files of
        killed processes; None: the system's folder for temporary files.
        """
        self._page_offsets: list[int] = []  # of each page, and the end of the file
        count = 0
        with NamedTemporaryFile(
            "w", suffix=".tmp", prefix="files-", dir=folder, delete=False
        ) as file:
            self.path = Path(file.name)
            try:
                for task in tasks:
                    if count % PAGE_FILES == 0:
                        self._page_offsets.append(file.tell())
                    values = (count, *astuple(task))
                    file.write(json.dumps(values) + "\n")
                    count += 1
                self._page_offsets.append(file.tell())
            except BaseException:  # including Ctrl-C
                self.close()
                raise
        self._remaining = bytearray(b"\1" * count)

    def __len__(self) -> int:
        """Return the number of files that remain."""
        return self.count_remaining()

    def count_remaining(self, end: int | None = None) -> int:
        """Return the number of files that remain. end: count only files with lower numbers."""
        return self._remaining.count(1, 0, end)

    def find_end_number(self, count: int) -> int:
        """Return the smallest `end` such that `count` remaining files have lower numbers.

        If fewer files remain, return the `end` that includes all remaining files.
        """
        position = 0
        while count and (found := self._remaining.find(1, position)) >= 0:
            position, count = found + 1, count - 1
        return position

    def touch(self) -> None:
        """Set the temporary file's time to now; `check` considers an old temporary file unused."""
        with suppress(OSError):
            os.utime(self.path)

    def mark_done(self, number: int) -> bool:
        """Mark a file as done; return False if it was done before."""
        was_remaining = self._remaining[number] == 1
        self._remaining[number] = 0
        return was_remaining

    def iter_pages(self) -> Iterator[SpoolPage]:
        """Yield the pages that contain remaining files."""
        for page, start in enumerate(self._page_offsets[:-1]):
            first = page * PAGE_FILES
            remaining = bytes(self._remaining[first : first + PAGE_FILES])
            if 1 in remaining:
                yield self.path, start, remaining

    def iter_single_file_pages(self, end: int) -> Iterator[SpoolPage]:
        """Yield a page for each remaining file with a number below `end`."""
        for number, is_remaining in enumerate(self._remaining[:end]):
            if is_remaining:
                yield (
                    self.path,
                    self._page_offsets[number // PAGE_FILES],
                    bytes(number % PAGE_FILES) + b"\1",
                )

    def iter_remaining(self, end: int) -> Iterator[tuple[int, FileTask]]:
        """Yield the number and the task of each remaining file with a number below `end`."""
        for page in self.iter_single_file_pages(end):
            yield from map(parse_line, read_lines(page))

    def close(self) -> None:
        """Delete the temporary file."""
        with suppress(OSError):
            self.path.unlink()


def read_lines(page: SpoolPage) -> list[bytes]:
    """Read a page of a spool; return the encoded line of each remaining file in the page."""
    path, start, remaining = page
    with path.open("rb") as file:
        file.seek(start)
        return [line for is_remaining, line in zip(remaining, file, strict=False) if is_remaining]


def parse_line(line: bytes) -> tuple[int, FileTask]:
    """Decode a line of a spool; return the number and the task of its file."""
    number, *values = json.loads(line)
    return number, FileTask(*values)
