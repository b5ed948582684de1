"""The files of a run, in a file on the driver's node, that Ray Data reads as it needs them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

from searchapp.catalog import FileTask


class Spool:
    """Numbered files, on disk; in memory is a byte of each, which tells whether it is left."""

    def __init__(self, works: Iterable[FileTask], folder: Path | None = None) -> None:
        """Write the files down in a folder, or where temporary files go; OSError if it fails.

        In a library's folder, `check --repair` removes what a killed process has left.
        """
        self._page_offsets: list[int] = []  # of every PAGE-th line
        count = 0
        with NamedTemporaryFile(
            "w", suffix=".tmp", prefix="files-", dir=folder, delete=False
        ) as file:
            self.path = Path(file.name)
            try:
                for work in works:
                    if count % PAGE_FILES == 0:
                        self._page_offsets.append(file.tell())
                    values = (count, work.path, work.size, work.mtime_ns, work.image_id)
                    file.write(json.dumps(values) + "\n")
                    count += 1
                self._page_offsets.append(file.tell())
            except BaseException:  # Ctrl-C, too
                self.close()
                raise
        self._remaining = bytearray(b"\1" * count)

    def __len__(self) -> int:
        """Count the files that are left."""
        return self.count_remaining()

    def count_remaining(self, end: int | None = None) -> int:
        """Count the files that are left, or those of them that are numbered below the end."""
        return self._remaining.count(1, 0, end)

    def find_end_number(self, count: int) -> int:
        """Return the end of the first so many that are left, or of all."""
        position = 0
        while count and (found := self._remaining.find(1, position)) >= 0:
            position, count = found + 1, count - 1
        return position

    def touch(self) -> None:
        """Let the file be young: `check` takes old ones for those of a killed process."""
        with suppress(OSError):
            os.utime(self.path)

    def mark_done(self, number: int) -> bool:
        """Note that a file is done; False where it was already."""
        was_remaining = self._remaining[number] == 1
        self._remaining[number] = 0
        return was_remaining

    def iter_pages(self) -> Iterator[SpoolPage]:
        """Yield where the files that are left are, in pages."""
        for page, start in enumerate(self._page_offsets[:-1]):
            first = page * PAGE_FILES
            remaining = bytes(self._remaining[first : first + PAGE_FILES])
            if 1 in remaining:
                yield self.path, start, remaining

    def iter_single_file_pages(self, end: int) -> Iterator[SpoolPage]:
        """Yield where the files that are left and numbered below the end are, each by itself."""
        for number, is_left in enumerate(self._remaining[:end]):
            if is_left:
                yield (
                    self.path,
                    self._page_offsets[number // PAGE_FILES],
                    bytes(number % PAGE_FILES) + b"\1",
                )

    def iter_remaining(self, end: int) -> Iterator[tuple[int, FileTask]]:
        """Yield the files that are left and numbered below the end, with their numbers."""
        for page in self.iter_single_file_pages(end):
            yield from map(parse_line, read_lines(page))

    def close(self) -> None:
        """Remove the file."""
        with suppress(OSError):
            self.path.unlink()


PAGE_FILES = 4096  # files
SpoolPage = tuple[
    Path, int, bytes
]  # the file, where the page begins in it, and which of it are left


def read_lines(page: SpoolPage) -> list[bytes]:
    """Read the files of a page that are left, each as encoded by Spool."""
    path, start, remaining = page
    with path.open("rb") as file:
        file.seek(start)
        return [line for is_left, line in zip(remaining, file, strict=False) if is_left]


def parse_line(line: bytes) -> tuple[int, FileTask]:
    """Return a file and its number."""
    number, *values = json.loads(line)
    return number, FileTask(*values)
