"""Names of files in HTTP headers."""

from __future__ import annotations

import os
from urllib.parse import quote


def make_disposition(path: str) -> str:
    """Return the header Content-Disposition that saves an answer under the name of a file.

    The name is encoded as RFC 5987 requires, so it can contain any bytes.
    """
    name = os.fsencode(path.rsplit("/", 1)[-1])
    return f"attachment; filename*=UTF-8''{quote(name, safe='')}"
