"""Files of the web page, under addresses that name their content."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

WEB_FOLDER = Path(__file__).parent / "web"
TEMPLATES_FOLDER = Path(__file__).parents[1] / "pages" / "templates"
# What the page shares with the pages that people keep as files. The login has the look, too.
LOOK_FILE = TEMPLATES_FOLDER / "look.css"
SHARED_FILES = (
    LOOK_FILE,
    *(
        TEMPLATES_FOLDER / name
        for name in ("picture_map.css", "review_cards.css", "gestures.js", "picture_map.js")
    ),
)
INDEX_FILE = "index.html"
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}
# Addresses of files in the page. The page and its scripts use relative addresses, because a proxy
# may serve the page below a path.
REFERENCE_PATTERN = re.compile(r' (href|src)="([^"/:?#]+)(#[^"]*)?"')


def load_page_files() -> WebFiles:
    """Return the files of searchapp's own page."""
    return WebFiles([*WEB_FOLDER.iterdir(), *SHARED_FILES])


@dataclass(frozen=True, slots=True)
class WebFile:
    """File of the web page."""

    content: bytes
    media_type: str

    @property
    def entity_tag(self) -> str:
        """Return a weak entity tag: the file can be compressed on its way."""
        return f'W/"{sha256(self.content).hexdigest()[:32]}"'


class WebFiles:
    """Files of a web page, read when the server starts.

    One version names the content of all files, so that the scripts can import each other by
    relative addresses, and always get files of one version.
    """

    def __init__(self, files: Iterable[Path]) -> None:
        """Read the files that browsers know, and compute their version."""
        self._files = {
            file.name: WebFile(file.read_bytes(), MEDIA_TYPES[file.suffix])
            for file in sorted(files)
            if file.suffix in MEDIA_TYPES
        }
        digest = sha256()
        for name, file in self._files.items():
            digest.update(f"{name} {len(file.content)}\n".encode())
            digest.update(file.content)
        self.version = digest.hexdigest()[:16]
        if index := self._files.get(INDEX_FILE):
            text = REFERENCE_PATTERN.sub(self._add_version, index.content.decode())
            self._files[INDEX_FILE] = WebFile(text.encode(), index.media_type)

    def get_file(self, name: str) -> WebFile | None:
        """Return the file with this name; None if there is no such file."""
        return self._files.get(name)

    def _add_version(self, reference: re.Match[str]) -> str:
        attribute, name, fragment = reference.groups(default="")
        if name not in self._files:
            return reference[0]
        return f' {attribute}="assets/{self.version}/{name}{fragment}"'
