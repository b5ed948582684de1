"""Show text that may contain a path, on a terminal, in a log and on a page.

The places that print text call display_path, so that no message can forget to escape a name: the
functions of cli/log_output.py, and the formatter of logging_setup.py.
"""

from __future__ import annotations


def display_path(path: str) -> str:
    """Return a path or a text that contains paths on one line, with valid characters only.

    Bytes that are not valid UTF-8 become U+FFFD. Unprintable characters, such as control characters
    and marks that reverse the direction of text, become escapes such as \\n.
    """
    text = path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
