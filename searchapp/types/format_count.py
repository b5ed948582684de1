"""Format a count with its noun, for messages."""

from __future__ import annotations


def format_count(count: int, noun: str) -> str:
    """Return a count with its noun in the right form: "1 picture", "1,200 pictures"."""
    return f"{count:,} {noun}{'s' * (count != 1)}"
