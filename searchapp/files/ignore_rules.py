"""Decide which files a scan skips, by patterns in .searchappignore files and in options."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from searchapp.errors import FolderError
from searchapp.files.local import read_bounded_file
from searchapp.files.presence import is_gone_error
from searchapp.files.text_form import normalize_text

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

IGNORE_FILE_NAME = ".searchappignore"
MAX_IGNORE_FILE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class IgnoreRules:
    """The patterns that decide which files of a folder a scan skips."""

    # (folder, patterns for the paths below it), from the root to the innermost folder
    ignored: tuple[tuple[str, GitIgnoreSpec], ...] = ()
    included: GitIgnoreSpec | None = None  # patterns for files below root; None: all files
    root: str = ""

    @classmethod
    def from_options(cls, root: str, include: tuple[str, ...], exclude: tuple[str, ...]) -> Self:
        """Return the rules of --include and --exclude; raise FolderError for a bad pattern."""
        ignored = ((root, _compile_patterns(exclude, "--exclude")),) if exclude else ()
        included = _compile_patterns(include, "--include") if include else None
        return cls(ignored, included, root)

    def add_folder_rules(self, folder: str) -> IgnoreRules:
        """Return these rules together with the rules of a folder's .searchappignore file, if any.

        Raises FolderError for a bad pattern, and OSError if the file cannot be read.
        """
        file = os.path.join(folder, IGNORE_FILE_NAME)  # noqa: PTH118 (speed)
        try:
            data = read_bounded_file(file, MAX_IGNORE_FILE_BYTES)
        except OSError as error:
            if is_gone_error(error):
                return self
            reason = f"{IGNORE_FILE_NAME} in it cannot be read: {error.strerror or error}"
            raise OSError(error.errno, reason, file) from error
        lines = data.decode("utf-8", "surrogateescape").splitlines()
        return IgnoreRules(
            (*self.ignored, (folder, _compile_patterns(lines, file))), self.included, self.root
        )

    def is_ignored(self, path: str, *, is_folder: bool) -> bool:
        """Return whether a scan skips a file, or a folder with everything below it."""
        end = "/" if is_folder else ""
        for base, spec in reversed(self.ignored):  # The rules of the innermost folder decide first.
            is_excluded = spec.check_file(_make_relative(path, base) + end).include
            if is_excluded is not None:
                return is_excluded
        if is_folder or self.included is None:
            return False
        return not self.included.match_file(_make_relative(path, self.root))


def _make_relative(path: str, base: str) -> str:
    return normalize_text(path[len(base.rstrip(os.sep)) + 1 :])


def _compile_patterns(lines: tuple[str, ...] | list[str], source: str) -> GitIgnoreSpec:
    from pathspec import GitIgnoreSpec

    try:
        # The name on the disk and the pattern can have different Unicode normal forms.
        return GitIgnoreSpec.from_lines([normalize_text(line) for line in lines])
    except ValueError as error:
        raise FolderError(f"{source}: {error}") from error
