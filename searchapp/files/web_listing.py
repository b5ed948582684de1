"""List and read files of an HTTP server whose folders are pages with links."""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from html import unescape

from searchapp.files.file_state import FileState, ListedFile, ListingFailure, UrlFilter
from searchapp.files.remote import FsspecStore, call_store, describe_error

STATE_THREADS = 16  # one request per file, since pages lack exact sizes and dates
GONE_STATUSES = (404, 410)
MAX_DEPTH = 40  # nested folders: a server may generate endless ones

logger = logging.getLogger(__name__)


class HttpStore(FsspecStore):
    """Files of an HTTP server. fsspec finds them by the links on the pages of folders."""

    def list_files(
        self, folder: str, url_filter: UrlFilter
    ) -> Iterator[ListedFile | ListingFailure]:
        """Yield the files below a folder; keep only one folder at a time in memory."""
        waiting, max_slashes = [f"{folder}/"], folder.count("/") + MAX_DEPTH
        while waiting:
            folder = waiting.pop()
            try:
                links = self._list_links(folder)
            except FileNotFoundError:
                continue  # The folder was deleted after its parent was listed.
            except OSError as error:
                yield ListingFailure(folder.rstrip("/"), describe_error(error))
                continue
            links = list(filter(url_filter, links))
            yield from self._read_states(url for url in links if not url.endswith("/"))
            subfolders = [url for url in reversed(links) if url.endswith("/")]
            if folder.count("/") < max_slashes:
                waiting += subfolders
            elif subfolders:
                logger.info(
                    "Skipped %d folders below %s: they are more than %d levels deep",
                    len(subfolders), folder, MAX_DEPTH,
                )  # fmt: skip

    def read_state(self, url: str) -> FileState:
        """Return the state of a file; raise FileNotFoundError only if the server says it is gone.

        fsspec raises FileNotFoundError for every failure, such as a server that does not answer.
        """
        try:
            return super().read_state(url)
        except FileNotFoundError as error:
            cause = error.__cause__
            if cause is None or getattr(cause, "status", None) in GONE_STATUSES:
                raise
            raise OSError(errno.EIO, describe_error(cause)) from cause

    def has_files(self, url: str) -> bool:
        """Return whether the page of a folder has links to files or folders below the folder.

        Raises OSError if the server cannot be reached.
        """
        try:
            return bool(self._list_links(f"{url}/"))
        except FileNotFoundError:
            return False

    def _list_links(self, folder: str) -> list[str]:
        """Return the sorted links on a folder's page to URLs below this folder.

        Links with ? or # are left out, because they show the same folder in another order.
        """
        links = {unescape(url) for url in call_store(self._fs.ls, folder, detail=False)}
        return sorted(
            url
            for url in links
            if url.startswith(folder) and url != folder and not {*"?#"} & {*url}
        )

    def _read_states(self, urls: Iterable[str]) -> Iterator[ListedFile | ListingFailure]:
        def read_state(url: str) -> ListedFile | ListingFailure:
            try:
                return ListedFile(url, self.read_state(url))
            except OSError as error:
                return ListingFailure(url, describe_error(error))

        with ThreadPoolExecutor(STATE_THREADS, "listing") as threads:
            yield from threads.map(read_state, urls)
