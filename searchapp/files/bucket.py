"""Object storage: listed as one long list of keys, in several parts at once.

A folder is nothing there; to ask for each of a million folders would take longer than for all keys.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from searchapp.files.file_state import Listed, State, Unlisted, Wanted
from searchapp.files.merge_iterators import merged
from searchapp.files.remote import Remote, reason_of

LISTERS = 8  # that ask at once, 1,000 keys each
PARTS = 64  # that a list is divided into, at most
FOLDERS = 100  # pages of folders that are read to divide a list; those beyond are one part
DEPTH = 8  # folders that hold nothing but one other, on the way to where it can be divided


@dataclass(frozen=True, slots=True)
class Asked:
    """A page that a store is asked for."""

    bucket: str
    prefix: str  # of all keys that are meant
    after: str | None = None  # only keys after this one, which may come, too
    token: str | None = None  # of the page before
    folded: bool = False  # tell of what has another slash up to that only
    most: int = 1000


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a list, in the order of the keys' bytes."""

    objects: list[tuple[str, State]]  # by their keys
    folders: list[str]  # what was folded, each once and with its slash
    token: str | None  # of the page that follows


class Keyed(Remote):
    """All buckets that the user's credentials open. A store says how a page is asked for."""

    SCHEME = ""  # with its slashes

    def _page(self, asked: Asked) -> Page:
        """Return a page; raise OSError."""
        raise NotImplementedError

    def files(self, folder: str, wanted: Wanted) -> Iterator[Listed | Unlisted]:
        """Yield the files below a folder, page by page, whatever their number."""
        bucket, _, key = folder.removeprefix(self.SCHEME).partition("/")
        prefix = f"{key}/" if key else ""
        try:
            bounds = self._bounds(bucket, prefix)
        except OSError as error:
            yield Unlisted(folder, reason_of(error))
            return
        parts = [
            partial(self._part, folder, Asked(bucket, prefix, after), until)
            for after, until in zip([None, *bounds], [*bounds, None], strict=True)
        ]
        for page in merged(parts, LISTERS):
            yield from (it for it in page if isinstance(it, Unlisted) or wanted(it.path))

    def _bounds(self, bucket: str, prefix: str) -> list[str]:
        """Return folders between which there may be about as many keys, in order."""
        folders: list[str] = []
        for _ in range(DEPTH):
            page = self._page(Asked(bucket, prefix, folded=True))
            folders = page.folders
            for _ in range(FOLDERS - 1):
                if page.token is None or len(page.objects) > len(page.folders):
                    break
                page = self._page(Asked(bucket, prefix, token=page.token, folded=True))
                folders += page.folders
            if len(folders) != 1:
                break
            (prefix,) = folders
        step = max(1, len(folders) // PARTS)
        return folders[step::step]

    def _part(
        self, folder: str, asked: Asked, until: str | None
    ) -> Iterator[list[Listed | Unlisted]]:
        """Yield pages of what lies after a key and, at most, at another."""
        end, start = until.encode() if until is not None else None, f"{self.SCHEME}{asked.bucket}/"
        while True:
            try:
                page = self._page(asked)
            except OSError as error:  # nothing below the folder counts as gone then
                yield [Unlisted(folder, reason_of(error))]
                return
            inside = [it for it in page.objects if end is None or it[0].encode() <= end]
            # What ends at a slash stands for a folder.
            yield [Listed(start + key, state) for key, state in inside if key[-1:] != "/"]
            if len(inside) < len(page.objects) or page.token is None:
                return
            asked = Asked(asked.bucket, asked.prefix, asked.after, page.token)

    def holds(self, url: str) -> bool:
        """Tell whether there is a file of this name, or any below it; OSError if out of reach."""
        bucket, _, key = url.removeprefix(self.SCHEME).partition("/")
        below = self._page(Asked(bucket, f"{key}/" if key else "", most=1)).objects
        if below or not key:
            return bool(below)
        return [found for found, _ in self._page(Asked(bucket, key, most=1)).objects] == [key]
