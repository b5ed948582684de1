"""List the files in a bucket of object storage, in several parts at the same time.

A bucket has no folders, only keys. One list of all keys is faster than a request per folder.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from searchapp.files.file_state import FileState, ListedFile, ListingFailure, UrlFilter
from searchapp.files.merge_iterators import merge_iterators
from searchapp.files.remote import FsspecStore, describe_error

LISTING_THREADS = 8  # one request each, for 1,000 keys
MAX_LIST_PARTS = 64
MAX_FOLDER_PAGES = 100  # pages of folders read to divide a list; later folders form one part
# A folder that contains only one folder cannot divide a list: descend at most this many levels.
MAX_SINGLE_FOLDER_DEPTH = 8

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PageRequest:
    """A request for one page of the keys in a bucket."""

    bucket: str
    prefix: str  # of all requested keys
    after_key: str | None = None  # only keys after this one; the store may also return this key
    token: str | None = None  # of the previous page
    is_folded: bool = False  # return keys up to their next slash, as folders
    max_keys: int = 1000


@dataclass(frozen=True, slots=True)
class ListingPage:
    """One page of keys, in the order of their UTF-8 bytes."""

    objects: list[tuple[str, FileState]]  # (key, state)
    folders: list[str]  # each once, with its final slash
    token: str | None  # for the next page; None: this is the last one


class BucketStore(FsspecStore):
    """List the files in buckets of one store. A subclass fetches single pages."""

    SCHEME = ""  # such as s3://

    def _fetch_page(self, request: PageRequest) -> ListingPage:
        """Return one page of keys; raise OSError if the request fails."""
        raise NotImplementedError

    def list_files(
        self, folder: str, url_filter: UrlFilter
    ) -> Iterator[ListedFile | ListingFailure]:
        """Yield the files below a folder, and a ListingFailure if listing fails."""
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
        logger.debug("Listing the folder %s in %d parts at the same time", folder, len(parts))
        for page in merge_iterators(parts, LISTING_THREADS):
            yield from (
                entry
                for entry in page
                if isinstance(entry, ListingFailure) or url_filter(entry.path)
            )

    def _find_boundaries(self, bucket: str, prefix: str) -> list[str]:
        """Return sorted folder keys that divide a list of keys into parts of similar size."""
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
        """Yield pages of files with keys after request.after_key, up to and including last_key."""
        end = last_key.encode() if last_key is not None else None
        bucket_url = f"{self.SCHEME}{request.bucket}/"
        while True:
            try:
                page = self._fetch_page(request)
            except OSError as error:  # The failure protects all known files below the folder.
                yield [ListingFailure(folder, describe_error(error))]
                return
            objects = [entry for entry in page.objects if end is None or entry[0].encode() <= end]
            # A key that ends with a slash is a placeholder for a folder.
            yield [ListedFile(bucket_url + key, state) for key, state in objects if key[-1:] != "/"]
            if len(objects) < len(page.objects) or page.token is None:
                return
            request = PageRequest(request.bucket, request.prefix, request.after_key, page.token)

    def has_files(self, url: str) -> bool:
        """Return whether a file with this URL, or any file below it, exists.

        Raises OSError if the store cannot be reached.
        """
        bucket, _, key = url.removeprefix(self.SCHEME).partition("/")
        prefix = f"{key}/" if key else ""
        files_below = self._fetch_page(PageRequest(bucket, prefix, max_keys=1)).objects
        if files_below or not key:
            return bool(files_below)
        objects = self._fetch_page(PageRequest(bucket, key, max_keys=1)).objects
        return [name for name, _ in objects] == [key]
