"""Show a path as text, even if its bytes are not valid UTF-8."""

from __future__ import annotations


def display_path(path: str) -> str:
    """Return a path on one line, with valid characters only.

    Bytes that are not valid UTF-8 become U+FFFD; unprintable characters become escapes such as \\n.
    """
    text = path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
