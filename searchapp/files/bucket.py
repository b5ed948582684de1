"""Object storage: listed as one long list of keys, in several parts at once.

A folder is nothing there; to ask for each of a million folders would take longer than for all keys.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from searchapp.files.file_state import FileState, ListedFile, ListingFailure, UrlFilter
from searchapp.files.merge_iterators import merge_iterators
from searchapp.files.remote import FsspecStore, describe_error

LISTING_THREADS = 8  # that ask at once, 1,000 keys each
MAX_LIST_PARTS = 64  # that a list is divided into, at most
MAX_FOLDER_PAGES = 100  # pages of folders that are read to divide a list; those beyond are one part
MAX_SINGLE_FOLDER_DEPTH = (
    8  # folders that hold nothing but one other, on the way to where it can be divided
)


@dataclass(frozen=True, slots=True)
class PageRequest:
    """A page that a store is asked for."""

    bucket: str
    prefix: str  # of all keys that are meant
    after_key: str | None = None  # only keys after this one, which may come, too
    token: str | None = None  # of the page before
    is_folded: bool = False  # tell of what has another slash up to that only
    max_keys: int = 1000


@dataclass(frozen=True, slots=True)
class ListingPage:
    """A page of a list, in the order of the keys' bytes."""

    objects: list[tuple[str, FileState]]  # by their keys
    folders: list[str]  # what was folded, each once and with its slash
    token: str | None  # of the page that follows


class BucketStore(FsspecStore):
    """All buckets that the user's credentials open. A store says how a page is asked for."""

    SCHEME = ""  # with its slashes

    def _fetch_page(self, request: PageRequest) -> ListingPage:
        """Return a page; raise OSError."""
        raise NotImplementedError

    def list_files(
        self, folder: str, url_filter: UrlFilter
    ) -> Iterator[ListedFile | ListingFailure]:
        """Yield the files below a folder, page by page, whatever their number."""
        bucket, _, key = folder.removeprefix(self.SCHEME).partition("/")
        prefix = f"{key}/" if key else ""
        try:
            bounds = self._find_boundaries(bucket, prefix)
        except OSError as error:
            yield ListingFailure(folder, describe_error(error))
            return
        parts = [
            partial(self._list_part, folder, PageRequest(bucket, prefix, after), until)
            for after, until in zip([None, *bounds], [*bounds, None], strict=True)
        ]
        for page in merge_iterators(parts, LISTING_THREADS):
            yield from (it for it in page if isinstance(it, ListingFailure) or url_filter(it.path))

    def _find_boundaries(self, bucket: str, prefix: str) -> list[str]:
        """Return folders between which there may be about as many keys, in order."""
        folders: list[str] = []
        for _ in range(MAX_SINGLE_FOLDER_DEPTH):
            page = self._fetch_page(PageRequest(bucket, prefix, is_folded=True))
            folders = page.folders
            for _ in range(MAX_FOLDER_PAGES - 1):
                if page.token is None or len(page.objects) > len(page.folders):
                    break
                page = self._fetch_page(
                    PageRequest(bucket, prefix, token=page.token, is_folded=True)
                )
                folders += page.folders
            if len(folders) != 1:
                break
            (prefix,) = folders
        step = max(1, len(folders) // MAX_LIST_PARTS)
        return folders[step::step]

    def _list_part(
        self, folder: str, request: PageRequest, last_key: str | None
    ) -> Iterator[list[ListedFile | ListingFailure]]:
        """Yield pages of what lies after a key and, at most, at another."""
        end, start = (
            last_key.encode() if last_key is not None else None,
            f"{self.SCHEME}{request.bucket}/",
        )
        while True:
            try:
                page = self._fetch_page(request)
            except OSError as error:  # nothing below the folder counts as gone then
                yield [ListingFailure(folder, describe_error(error))]
                return
            inside = [it for it in page.objects if end is None or it[0].encode() <= end]
            # What ends at a slash stands for a folder.
            yield [ListedFile(start + key, state) for key, state in inside if key[-1:] != "/"]
            if len(inside) < len(page.objects) or page.token is None:
                return
            request = PageRequest(request.bucket, request.prefix, request.after_key, page.token)

    def has_files(self, url: str) -> bool:
        """Tell whether there is a file of this name, or any below it; OSError if out of reach."""
        bucket, _, key = url.removeprefix(self.SCHEME).partition("/")
        below = self._fetch_page(PageRequest(bucket, f"{key}/" if key else "", max_keys=1)).objects
        if below or not key:
            return bool(below)
        return [
            found for found, _ in self._fetch_page(PageRequest(bucket, key, max_keys=1)).objects
        ] == [key]
