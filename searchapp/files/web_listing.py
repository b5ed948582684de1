"""An HTTP server whose pages of folders link to what is in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from html import unescape

from searchapp.files.file_state import ListedFile, ListingFailure, UrlFilter
from searchapp.files.remote import FsspecStore, call_store, describe_error

STATE_THREADS = 16  # files, for their size and date, which pages do not tell
MAX_DEPTH = 40  # folders in each other: a server may answer whatever it is asked for


class HttpStore(FsspecStore):
    """Files of a server, through fsspec, which reads the pages."""

    def list_files(
        self, folder: str, url_filter: UrlFilter
    ) -> Iterator[ListedFile | ListingFailure]:
        """Yield the files below a folder, folder by folder: each is held in memory as a whole."""
        waiting, max_slashes = [f"{folder}/"], folder.count("/") + MAX_DEPTH
        while waiting:
            folder = waiting.pop()
            try:
                links = self._list_links(folder)
            except FileNotFoundError:
                continue  # gone meanwhile; a root is asked for before
            except OSError as error:
                yield ListingFailure(folder.rstrip("/"), describe_error(error))
                continue
            links = list(filter(url_filter, links))
            yield from self._read_states(url for url in links if not url.endswith("/"))
            if folder.count("/") < max_slashes:
                waiting += [url for url in reversed(links) if url.endswith("/")]

    def has_files(self, url: str) -> bool:
        """Tell whether a page links to anything below it; OSError if out of reach."""
        try:
            return bool(self._list_links(f"{url}/"))
        except FileNotFoundError:
            return False

    def _list_links(self, folder: str) -> list[str]:
        """Return what a page links to below its folder, in order; not other orders of it."""
        found = {unescape(url) for url in call_store(self._fs.ls, folder, detail=False)}
        return sorted(
            url
            for url in found
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
