"""Build the SQL condition that a file has not changed since its state was stored."""

from __future__ import annotations


def build_same_state_condition(stored: str, seen: str) -> str:
    """Return an SQL condition: two rows with the same path have the same size and times.

    stored, seen: aliases of tables with the columns size, mtime_ns and ctime_ns. A change time that
    is unknown in one of them counts as unchanged.
    """
    return (
        f"{stored}.size = {seen}.size and {stored}.mtime_ns = {seen}.mtime_ns"
        f" and coalesce({stored}.ctime_ns = {seen}.ctime_ns, 1)"
    )
