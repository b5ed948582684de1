"""The files of a run, in a file on the driver's node, that Ray Data reads as it needs them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

from searchapp.catalog import Work


class Spool:
    """Numbered files, on disk; in memory is a byte of each, which tells whether it is left."""

    def __init__(self, works: Iterable[Work], folder: Path | None = None) -> None:
        """Write the files down in a folder, or where temporary files go; OSError if it fails.

        In a library's folder, `check --repair` removes what a killed process has left.
        """
        self._starts: list[int] = []  # of every PAGE-th line
        count = 0
        with NamedTemporaryFile(
            "w", suffix=".tmp", prefix="files-", dir=folder, delete=False
        ) as file:
            self.path = Path(file.name)
            try:
                for work in works:
                    if count % PAGE == 0:
                        self._starts.append(file.tell())
                    values = (count, work.path, work.size, work.mtime_ns, work.image_id)
                    file.write(json.dumps(values) + "\n")
                    count += 1
                self._starts.append(file.tell())
            except BaseException:  # Ctrl-C, too
                self.close()
                raise
        self._left = bytearray(b"\1" * count)

    def __len__(self) -> int:
        """Count the files that are left."""
        return self.count()

    def count(self, end: int | None = None) -> int:
        """Count the files that are left, or those of them that are numbered below the end."""
        return self._left.count(1, 0, end)

    def after(self, count: int) -> int:
        """Return the end of the first so many that are left, or of all."""
        at = 0
        while count and (found := self._left.find(1, at)) >= 0:
            at, count = found + 1, count - 1
        return at

    def keep(self) -> None:
        """Let the file be young: `check` takes old ones for those of a killed process."""
        with suppress(OSError):
            os.utime(self.path)

    def done(self, number: int) -> bool:
        """Note that a file is done; False where it was already."""
        was_left = self._left[number] == 1
        self._left[number] = 0
        return was_left

    def pages(self) -> Iterator[Page]:
        """Yield where the files that are left are, in pages."""
        for page, start in enumerate(self._starts[:-1]):
            first = page * PAGE
            left = bytes(self._left[first : first + PAGE])
            if 1 in left:
                yield self.path, start, left

    def apart(self, end: int) -> Iterator[Page]:
        """Yield where the files that are left and numbered below the end are, each by itself."""
        for number, is_left in enumerate(self._left[:end]):
            if is_left:
                yield self.path, self._starts[number // PAGE], bytes(number % PAGE) + b"\1"

    def left(self, end: int) -> Iterator[tuple[int, Work]]:
        """Yield the files that are left and numbered below the end, with their numbers."""
        for page in self.apart(end):
            yield from map(numbered, lines(page))

    def close(self) -> None:
        """Remove the file."""
        with suppress(OSError):
            self.path.unlink()


PAGE = 4096  # files
Page = tuple[Path, int, bytes]  # the file, where the page begins in it, and which of it are left


def lines(page: Page) -> list[bytes]:
    """Read the files of a page that are left, each as encoded by Spool."""
    path, start, left = page
    with path.open("rb") as file:
        file.seek(start)
        return [line for is_left, line in zip(left, file, strict=False) if is_left]


def numbered(line: bytes) -> tuple[int, Work]:
    """Return a file and its number."""
    number, *values = json.loads(line)
    return number, Work(*values)
