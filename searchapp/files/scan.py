"""Scan folders on disk or in object storage for files, and report unreadable paths."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from searchapp.files import storage
from searchapp.files.ignore_rules import IGNORE_FILE_NAME, IgnoreRules
from searchapp.files.local import read_bounded_file
from searchapp.files.presence import is_gone_error
from searchapp.files.seen_folders import LinkedFolder, SeenFolders
from searchapp.files.sidecars import is_sidecar

# The formats of cameras, phones and image programs. Files with other suffixes are read once, and
# recognized by their content.
JPEG_SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"})
PICTURE_SUFFIXES = JPEG_SUFFIXES | frozenset(
    {".png", ".webp", ".gif", ".tif", ".tiff", ".bmp", ".heic", ".heif", ".hif", ".avif", ".jp2",
     ".j2k", ".j2c", ".jpf", ".jpx", ".apng", ".jxl"}
)  # fmt: skip
RAW_SUFFIXES = frozenset(
    {".dng", ".cr2", ".cr3", ".nef", ".nrw", ".arw", ".sr2", ".srf", ".orf", ".rw2", ".raf",
     ".pef", ".srw", ".3fr", ".fff", ".iiq", ".rwl", ".mrw", ".erf", ".mef", ".dcr", ".kdc"}
)  # fmt: skip
VIDEO_SUFFIXES = frozenset(
    {".mp4", ".mov", ".m4v", ".mkv", ".avi", ".webm", ".mts", ".m2ts", ".m2t", ".3gp", ".3g2",
     ".mpg", ".mpeg", ".vob", ".wmv", ".asf", ".flv", ".ogv", ".dv"}
)  # fmt: skip
ADJUSTMENTS_SUFFIX = ".aae"  # Apple's adjustments of a picture
KNOWN_SUFFIXES = PICTURE_SUFFIXES | RAW_SUFFIXES | VIDEO_SUFFIXES
LISTED_SUFFIXES = KNOWN_SUFFIXES | {ADJUSTMENTS_SUFFIX}  # in object storage, besides sidecars
# System files of operating systems and network drives. Names that begin with a dot are hidden too.
IGNORED_FOLDERS = frozenset(
    {"@eadir", "#recycle", "#snapshot", "@recycle", "$recycle.bin", "recycler", "lost+found",
     "system volume information", "__macosx"}
)  # fmt: skip
IGNORED_FILES = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini"})
IGNORED_NAMES = IGNORED_FOLDERS | IGNORED_FILES
MAX_CACHED_FOLDERS = 10_000
MAX_HASHED_BYTES = 1 << 20  # A sidecar has some KiB.
HIDDEN_REASON = "its name is that of a hidden or system file"
NOT_REGULAR_REASON = "it is not a regular file"
NO_FILE_REASON = "it is a link to no file, or was deleted during the scan"
IGNORED_REASON = "--include, --exclude or .searchappignore excludes it"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ScannedFile:
    """A file: its absolute path or URL, size in bytes and times.

    sha256: of a small sidecar on a file system without change times.
    """

    path: str
    size: int
    mtime_ns: int
    ctime_ns: int | None = None  # None: unknown
    sha256: str | None = None

    @classmethod
    def from_state(cls, path: str, state: storage.FileState) -> Self:
        """Return a file with the size and times of a state; hash it if only that tells edits."""
        is_hashed = state.ctime_ns is None and is_sidecar(path) and not storage.is_url(path)
        sha256 = _hash_small_file(path) if is_hashed else None
        return cls(path, state.size, state.mtime_ns, state.ctime_ns, sha256)

    @property
    def has_known_suffix(self) -> bool:
        """Return whether the file has the suffix of a picture or video format."""
        return get_suffix(self.path) in KNOWN_SUFFIXES

    @property
    def is_sidecar(self) -> bool:
        """Return whether the file is a sidecar, which contains metadata of a picture."""
        return is_sidecar(self.path)


def _hash_small_file(path: str) -> str | None:
    """Return the SHA-256 of a file; None if it is large or cannot be read."""
    try:
        return hashlib.sha256(read_bounded_file(path, MAX_HASHED_BYTES)).hexdigest()
    except OSError:
        return None


def get_suffix(path: str) -> str:
    """Return the last suffix of a path in lower case, such as .jpg."""
    return os.path.splitext(path)[1].lower()  # noqa: PTH122 (speed)


def is_video(path: str) -> bool:
    """Return whether a file name has the suffix of a video format."""
    return get_suffix(path) in VIDEO_SUFFIXES


@dataclass(frozen=True, slots=True)
class UnreadablePath:
    """A folder or file that could not be read, and the reason."""

    path: str
    reason: str


def scan_paths(
    root: str, paths: Iterable[str], rules: IgnoreRules = IgnoreRules()
) -> Iterator[ScannedFile | UnreadablePath]:
    """Yield the files at or below some paths, as walk_folder() does for a whole root.

    Paths that do not exist are left out. Raises FolderError for a bad ignore pattern.
    """
    for path in paths:
        try:
            status = os.stat(path)  # noqa: PTH116 (speed)
            is_folder = stat.S_ISDIR(status.st_mode)
            path_rules = _find_rules(root, path, is_folder, rules)
        except OSError as error:
            if not is_gone_error(error):
                yield UnreadablePath(path, error.strerror or str(error))
            continue
        if path_rules is None:
            continue
        if is_folder:
            yield from walk_folder(path, path_rules)
        elif stat.S_ISREG(status.st_mode):
            yield ScannedFile.from_state(path, storage.FileState.from_stat(status))


def _find_rules(root: str, path: str, is_folder: bool, rules: IgnoreRules) -> IgnoreRules | None:
    """Return the ignore rules for a path below root; None if walk_folder() would skip the path.

    is_folder: whether the path is that of a folder.
    """
    folder = root
    for name in Path(path).relative_to(root).parts:
        current = os.path.join(folder, name)  # noqa: PTH118 (speed)
        if is_hidden(name):
            return None
        rules = rules.add_folder_rules(folder)
        is_current_folder = current != path or is_folder
        if is_current_folder and os.path.islink(current):  # noqa: PTH114 (speed)
            return None
        if not is_sidecar(current) and rules.is_ignored(current, is_folder=is_current_folder):
            return None
        folder = current
    return rules


def is_hidden(name: str) -> bool:
    """Return whether a scan skips files and folders with this name: hidden or system files."""
    return name.startswith(".") or name.lower() in IGNORED_NAMES


def walk_folder(
    root: str, rules: IgnoreRules = IgnoreRules(), seen: SeenFolders | None = None
) -> Iterator[ScannedFile | UnreadablePath]:
    """Yield every regular file below root, folder by folder, sorted by name.

    Skips hidden files and folders, and paths that rules or .searchappignore files exclude. Follows
    links to files. Leaves out links to folders, and folders that `seen` has under another name, and
    adds them to seen.linked. Raises FolderError for a bad ignore pattern.
    """
    seen = SeenFolders() if seen is None else seen
    if storage.is_url(root):
        yield from _list_object_store(root, rules)
        return
    pending = [(root, rules)]
    while pending:
        folder, rules = pending.pop()
        try:
            if (other_name := seen.find_other_name(folder)) is not None:
                seen.linked.append(LinkedFolder(folder, other_name, is_link=False))
                continue
            with os.scandir(folder) as entries:
                listed = sorted(entries, key=lambda entry: entry.name)
            if any(entry.name == IGNORE_FILE_NAME for entry in listed):
                rules = rules.add_folder_rules(folder)
        except OSError as error:
            if folder == root or not _is_without_file(error, is_link=False):
                yield UnreadablePath(folder, error.strerror or str(error))
            continue
        subfolders = []
        for entry in listed:
            if is_hidden(entry.name):
                _log_skipped(logging.DEBUG, entry.path, HIDDEN_REASON)
                continue
            try:
                if entry.is_dir(follow_symlinks=False):
                    if rules.is_ignored(entry.path, is_folder=True):
                        _log_skipped(logging.INFO, entry.path, IGNORED_REASON)
                    else:
                        subfolders.append((entry.path, rules))
                elif not entry.is_file():
                    if not entry.is_dir():
                        _log_skipped(logging.DEBUG, entry.path, NOT_REGULAR_REASON)
                    elif rules.is_ignored(entry.path, is_folder=True):
                        _log_skipped(logging.INFO, entry.path, IGNORED_REASON)
                    else:
                        target = os.path.realpath(entry.path)
                        seen.linked.append(LinkedFolder(entry.path, target))
                elif not is_sidecar(entry.name) and rules.is_ignored(entry.path, is_folder=False):
                    _log_skipped(logging.INFO, entry.path, IGNORED_REASON)
                else:
                    state = storage.FileState.from_stat(entry.stat())
                    yield ScannedFile.from_state(entry.path, state)
            except OSError as error:
                if _is_without_file(error, is_link=entry.is_symlink()):
                    _log_skipped(logging.DEBUG, entry.path, NO_FILE_REASON)
                else:
                    yield UnreadablePath(entry.path, error.strerror or str(error))
        pending.extend(reversed(subfolders))


def _is_without_file(error: OSError, *, is_link: bool) -> bool:
    """Return whether a path in a listing has no file: it was deleted, or is a broken link.

    A path that is too long has a file, unless it is a link. This file cannot be opened.
    """
    return is_gone_error(error) and (is_link or error.errno != errno.ENAMETOOLONG)


def _list_object_store(root: str, rules: IgnoreRules) -> Iterator[ScannedFile | UnreadablePath]:
    """Yield the files below a root in object storage whose suffixes can be those of pictures.

    Files with unknown suffixes are left out, because reading each of them is a request.
    .searchappignore files have no effect in object storage.
    """
    for entry in storage.list_files(root, _RootUrlFilter(root, rules)):
        if isinstance(entry, storage.ListingFailure):
            yield UnreadablePath(entry.path, entry.reason)
        else:
            yield ScannedFile.from_state(entry.path, entry.state)


def is_wanted(url: str, root: str, rules: IgnoreRules) -> bool:
    """Return whether a scan of a root in object storage would include a file."""
    return _RootUrlFilter(root, rules, logs_skipped=False)(url)


class _RootUrlFilter:
    """Decide from its URL whether a scan includes a file or folder below a root."""

    def __init__(self, root: str, rules: IgnoreRules, *, logs_skipped: bool = True) -> None:
        self._root, self._rules, self._logs_skipped = root, rules, logs_skipped
        self._entered_folders: dict[str, bool] = {}

    def __call__(self, url: str) -> bool:
        folder, _, name = url.rpartition("/")
        if not name:
            return self._is_entered(folder)
        if not self._is_entered(folder):
            return False
        if is_hidden(name):
            self._log(logging.DEBUG, url, HIDDEN_REASON)
            return False
        if is_sidecar(name):
            return True
        if get_suffix(name) and get_suffix(name) not in LISTED_SUFFIXES:
            self._log(logging.DEBUG, url, "its suffix is not that of a picture or video")
            return False
        if self._rules.is_ignored(url, is_folder=False):
            self._log(logging.INFO, url, IGNORED_REASON)
            return False
        return True

    def _is_entered(self, folder: str) -> bool:
        if len(folder) <= len(self._root):
            return True
        if folder not in self._entered_folders:
            parent, _, name = folder.rpartition("/")
            is_entered = self._is_entered(parent)
            if is_entered and is_hidden(name):
                self._log(logging.DEBUG, folder, HIDDEN_REASON)
                is_entered = False
            elif is_entered and self._rules.is_ignored(folder, is_folder=True):
                self._log(logging.INFO, folder, IGNORED_REASON)
                is_entered = False
            if len(self._entered_folders) >= MAX_CACHED_FOLDERS:
                self._entered_folders.clear()
            self._entered_folders[folder] = is_entered
        return self._entered_folders[folder]

    def _log(self, level: int, url: str, reason: str) -> None:
        if self._logs_skipped:
            _log_skipped(level, url, reason)


def _log_skipped(level: int, path: str, reason: str) -> None:
    if logger.isEnabledFor(level):  # A scan skips many paths; format them only if needed.
        logger.log(level, "Skipped %s: %s", path, reason)
