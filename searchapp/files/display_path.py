"""Show text that may contain a path, on a terminal, in a log and on a page.

The places that print text call display_path, so that no message can forget to escape a name: the
functions of cli/log_output.py, and the formatter of logging_setup.py.
"""

from __future__ import annotations

import re

# Surrogates that stand for no byte of a file name: https://peps.python.org/pep-0383/
HALF_CHARACTERS = re.compile("[\ud800-\udc7f\udd00-\udfff]")


def is_utf8(text: str) -> bool:
    """Return whether a text or path can be encoded as UTF-8."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def display_path(path: str) -> str:
    """Return a path or a text that contains paths on one line, with valid characters only.

    Bytes that are not valid UTF-8 become U+FFFD. Unprintable characters, such as control characters
    and marks that reverse the direction of text, become escapes such as \\n.
    """
    text = HALF_CHARACTERS.sub("\ufffd", path)
    text = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
