"""Check texts from the command line, which can hold bytes that are not UTF-8."""

from __future__ import annotations

from searchapp.errors import QueryError


def check_text(name: str, text: str | None) -> None:
    """Raise QueryError if a text has bytes that are not UTF-8, which Python keeps as surrogates.

    SQLite, FAISS and tokenizers refuse such a text. Paths may be such texts, and are not checked.
    name: what the text is, for the message.
    """
    try:
        (text or "").encode()
    except UnicodeEncodeError as error:
        raise QueryError(
            f"{name} is not valid UTF-8: {text!r}. Check the encoding of the terminal."
        ) from error
