"""An HTTP server whose pages of folders link to what is in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from html import unescape

from searchapp.files.file_state import Listed, Unlisted, Wanted
from searchapp.files.remote import Remote, reason_of, stating

ASKED_AT_ONCE = 16  # files, for their size and date, which pages do not tell
DEEPEST = 40  # folders in each other: a server may answer whatever it is asked for


class Http(Remote):
    """Files of a server, through fsspec, which reads the pages."""

    def files(self, folder: str, wanted: Wanted) -> Iterator[Listed | Unlisted]:
        """Yield the files below a folder, folder by folder: each is held in memory as a whole."""
        waiting, deepest = [f"{folder}/"], folder.count("/") + DEEPEST
        while waiting:
            folder = waiting.pop()
            try:
                inside = self._links(folder)
            except FileNotFoundError:
                continue  # gone meanwhile; a root is asked for before
            except OSError as error:
                yield Unlisted(folder.rstrip("/"), reason_of(error))
                continue
            inside = list(filter(wanted, inside))
            yield from self._told(url for url in inside if not url.endswith("/"))
            if folder.count("/") < deepest:
                waiting += [url for url in reversed(inside) if url.endswith("/")]

    def holds(self, url: str) -> bool:
        """Tell whether a page links to anything below it; OSError if out of reach."""
        try:
            return bool(self._links(f"{url}/"))
        except FileNotFoundError:
            return False

    def _links(self, folder: str) -> list[str]:
        """Return what a page links to below its folder, in order; not other orders of it."""
        found = {unescape(url) for url in stating(self._fs.ls, folder, detail=False)}
        return sorted(
            url
            for url in found
            if url.startswith(folder) and url != folder and not {*"?#"} & {*url}
        )

    def _told(self, urls: Iterable[str]) -> Iterator[Listed | Unlisted]:
        def told(url: str) -> Listed | Unlisted:
            try:
                return Listed(url, self.state(url))
            except OSError as error:
                return Unlisted(url, reason_of(error))

        with ThreadPoolExecutor(ASKED_AT_ONCE, "listing") as threads:
            yield from threads.map(told, urls)
