"""Which files a walk leaves out: by patterns as in .gitignore, in files and from the user."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from searchapp.errors import FolderError

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

IGNORE_FILE_NAME = ".searchappignore"


@dataclass(frozen=True, slots=True)
class IgnoreRules:
    """The rules that hold in a folder; each is of a folder, and of paths below that."""

    ignored: tuple[tuple[str, GitIgnoreSpec], ...] = ()
    included: GitIgnoreSpec | None = None  # of files; None: all
    root: str = ""

    @classmethod
    def from_options(cls, root: str, include: tuple[str, ...], exclude: tuple[str, ...]) -> Self:
        """Return what the user says of a root; raise FolderError for what is no pattern."""
        ignored = ((root, _compile_patterns(exclude, "--exclude")),) if exclude else ()
        included = _compile_patterns(include, "--include") if include else None
        return cls(ignored, included, root)

    def add_folder_rules(self, folder: str) -> IgnoreRules:
        """Return the rules that hold in a folder that has a file of rules: those above it, too.

        Errors: FolderError; OSError where the file cannot be read.
        """
        file = os.path.join(folder, IGNORE_FILE_NAME)  # noqa: PTH118 (speed)
        with open(file, encoding="utf-8", errors="surrogateescape") as opened:  # noqa: PTH123
            lines = opened.read().splitlines()
        return IgnoreRules(
            (*self.ignored, (folder, _compile_patterns(lines, file))), self.included, self.root
        )

    def is_ignored(self, path: str, *, is_folder: bool) -> bool:
        """Tell whether a file, or a folder with all below it, is left out."""
        end = "/" if is_folder else ""
        for base, spec in reversed(self.ignored):  # what is nearer decides
            decided = spec.check_file(_make_relative(path, base) + end).include
            if decided is not None:
                return decided
        if is_folder or self.included is None:
            return False
        return not self.included.match_file(_make_relative(path, self.root))


def _make_relative(path: str, base: str) -> str:
    return path[len(base.rstrip(os.sep)) + 1 :]


def _compile_patterns(lines: tuple[str, ...] | list[str], where: str) -> GitIgnoreSpec:
    from pathspec import GitIgnoreSpec

    try:
        return GitIgnoreSpec.from_lines(lines)
    except ValueError as error:
        raise FolderError(f"{where}: {error}") from error
