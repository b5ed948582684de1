"""Tell whether a scan has seen a folder under another name: through a link or a bind mount."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from searchapp.files.path_forms import is_url


@dataclass(frozen=True, slots=True)
class LinkedFolder:
    """A folder that a scan leaves out: a link to a folder, or a second name of a scanned folder.

    target: the path of the folder itself.
    """

    path: str
    target: str
    is_link: bool = True  # False: a bind mount or junction, which looks like a folder


class SeenFolders:
    """Folders of one scan by device and inode, so that each is scanned under one name only.

    linked: the folders that the scan left out.
    """

    def __init__(self, roots: Iterable[str] = ()) -> None:
        """Reserve the roots: a scan of another root leaves them out under other names."""
        self._path_by_identity: dict[tuple[int, int], str] = {}
        self.linked: list[LinkedFolder] = []
        for root in roots:
            if not is_url(root):
                with suppress(OSError):
                    self.find_other_name(root)

    def find_other_name(self, folder: str) -> str | None:
        """Return another path under which the scan has seen a folder; remember a new folder.

        Raises OSError if the folder does not exist.
        """
        status = os.stat(folder)  # noqa: PTH116 (speed)
        if not status.st_ino:  # Some network drives have no inodes.
            return None
        first = self._path_by_identity.setdefault((status.st_dev, status.st_ino), folder)
        return first if first != folder else None
