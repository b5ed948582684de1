"""Walk folders: which files there are, on disk or in object storage, and what could not be read."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from searchapp.errors import FolderError
from searchapp.files import storage
from searchapp.files.ignore_rules import IGNORE_FILE_NAME as RULES
from searchapp.files.ignore_rules import IgnoreRules

# What cameras, phones and image programs write. Other files are looked into once, by content.
PICTURE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".webp", ".gif", ".tif", ".tiff", ".bmp",
     ".heic", ".heif", ".hif", ".avif", ".jp2", ".j2k", ".j2c", ".jpf", ".jpx", ".apng", ".jxl"}
)  # fmt: skip
SIDECAR_SUFFIX = ".xmp"  # of a file beside a picture, with what people have written about it
RAW_SUFFIXES = frozenset(
    {".dng", ".cr2", ".cr3", ".nef", ".nrw", ".arw", ".sr2", ".srf", ".orf", ".rw2", ".raf",
     ".pef", ".srw", ".3fr", ".fff", ".iiq", ".rwl", ".mrw", ".erf", ".mef", ".dcr", ".kdc"}
)  # fmt: skip
VIDEO_SUFFIXES = frozenset(
    {".mp4", ".mov", ".m4v", ".mkv", ".avi", ".webm", ".mts", ".m2ts", ".m2t", ".3gp", ".3g2",
     ".mpg", ".mpeg", ".vob", ".wmv", ".asf", ".flv", ".ogv", ".dv"}
)  # fmt: skip
KNOWN_SUFFIXES = PICTURE_SUFFIXES | RAW_SUFFIXES | VIDEO_SUFFIXES
# What systems and network drives keep beside pictures; names that begin with a dot are left out.
IGNORED_FOLDERS = frozenset(
    {"@eadir", "#recycle", "#snapshot", "@recycle", "$recycle.bin", "recycler", "lost+found",
     "system volume information", "__macosx"}
)  # fmt: skip
IGNORED_FILES = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini"})
IGNORED_NAMES = IGNORED_FOLDERS | IGNORED_FILES
MAX_CACHED_FOLDERS = 10_000  # of object storage, of which is known whether they are left out


@dataclass(frozen=True, slots=True)
class ScannedFile:
    """A file: its absolute path or URL, size in bytes and time of change."""

    path: str
    size: int
    mtime_ns: int

    @property
    def has_known_suffix(self) -> bool:
        """Tell whether the suffix is a picture's, or a video's."""
        return get_suffix(self.path) in KNOWN_SUFFIXES

    @property
    def is_sidecar(self) -> bool:
        """Tell whether it is of metadata, and not of a picture."""
        return is_sidecar(self.path)


def get_suffix(path: str) -> str:
    """Return a path's last suffix, in small letters."""
    return os.path.splitext(path)[1].lower()  # noqa: PTH122 (speed)


def is_video(path: str) -> bool:
    """Tell from its name whether a file is a video."""
    return get_suffix(path) in VIDEO_SUFFIXES


@dataclass(frozen=True, slots=True)
class UnreadablePath:
    """A folder, or a file in it, that the system would not show."""

    path: str
    reason: str


def is_sidecar(name: str) -> bool:
    """Tell whether a name is that of a sidecar."""
    return name.lower().endswith(SIDECAR_SUFFIX)


def resolve_roots(folders: Iterable[str | Path], *, allow_missing: bool = False) -> list[str]:
    """Return the folders as the paths of what is in them begin; FolderError for one that is none.

    gone: one that is not there is no error.
    """
    roots = []
    for folder in folders:
        root = storage.normalize_folder(folder)
        if storage.has_password(root):
            raise FolderError(
                "a URL with a name or password in it is kept with each picture; leave them out, "
                'and let FSSPEC_HTTPS=\'{"headers": {"Authorization": ...}}\' say them'
            )
        is_there = storage.has_folder(root)
        if not is_there and not allow_missing:
            raise FolderError(f"{folder}: {_explain_missing(folder)}")
        if is_there and not storage.is_url(root):
            if not os.path.isdir(root):  # noqa: PTH112
                raise FolderError(f"{folder}: is a file; name the folder it is in")
            if not os.access(root, os.R_OK | os.X_OK):
                raise FolderError(f"{folder}: cannot be read; check its permissions")
        roots.append(root)
    return roots


def _explain_missing(folder: str | Path) -> str:
    if storage.is_url(folder):
        return "nothing there that can be listed; check the name"
    if "://" in str(folder):
        return f"no such folder; URLs are {', '.join(f'{scheme}://' for scheme in storage.SCHEME_EXTRAS)}"
    return "no such folder; check the name, or mount the drive it is on"


def scan_paths(
    root: str, paths: Iterable[str], rules: IgnoreRules = IgnoreRules()
) -> Iterator[ScannedFile | UnreadablePath]:
    """Yield what walk would, of that which is at some paths below root, or below these.

    A path that is not there is nothing. Errors: FolderError, for a rule.
    """
    for path in paths:
        try:
            path_rules = _find_rules(root, path, rules)
            if path_rules is None:
                continue
            if os.path.isdir(path):  # noqa: PTH112 (speed)
                yield from walk_folder(path, path_rules)
            elif os.path.isfile(path):  # noqa: PTH113 (speed)
                stat = os.stat(path)  # noqa: PTH116 (speed)
                yield ScannedFile(path, stat.st_size, stat.st_mtime_ns)
        except FileNotFoundError:
            continue
        except OSError as error:
            yield UnreadablePath(path, error.strerror or str(error))


def find_related_paths(paths: Iterable[str]) -> tuple[str, ...]:
    """Return some paths, and those in their folders that may belong to them: IMG_1.jpg, .xmp, .dng.

    A change of one can change what the others are.
    """
    found = dict.fromkeys(paths)
    stems: dict[str, set[str]] = {}  # by folder, each of which is listed once
    for path in found:
        folder, name = os.path.split(path)
        stem = _casefold_stem(name)
        of_folder = stems.setdefault(folder, set())
        of_folder.add(stem)
        if is_sidecar(name):
            of_folder.add(_casefold_stem(stem))
    for folder, of_folder in stems.items():
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                stem = _casefold_stem(entry.name)
                beside = is_sidecar(entry.name) and _casefold_stem(stem) in of_folder
                if (stem in of_folder or beside) and entry.is_file():
                    found[entry.path] = None
    return tuple(found)


def _casefold_stem(name: str) -> str:
    return os.path.splitext(name)[0].casefold()  # noqa: PTH122 (speed)


def _find_rules(root: str, path: str, rules: IgnoreRules) -> IgnoreRules | None:
    """Return the rules that hold at a path below root; None where walk would not come to it."""
    folder = root
    for name in Path(path).relative_to(root).parts:
        current = os.path.join(folder, name)  # noqa: PTH118 (speed)
        if is_hidden(name):
            return None
        with suppress(FileNotFoundError):
            rules = rules.add_folder_rules(folder)
        is_folder = current != path or os.path.isdir(path)  # noqa: PTH112 (speed)
        if is_folder and os.path.islink(current):  # noqa: PTH114 (speed)
            return None
        if not is_sidecar(current) and rules.is_ignored(current, is_folder=is_folder):
            return None
        folder = current
    return rules


def is_hidden(name: str) -> bool:
    """Tell whether a walk leaves out what goes by a name."""
    return name.startswith(".") or name.lower() in IGNORED_NAMES


def walk_folder(
    root: str, rules: IgnoreRules = IgnoreRules()
) -> Iterator[ScannedFile | UnreadablePath]:
    """Yield every regular file below root, in order of name, folder by folder.

    Hidden files and folders are left out, as are links to folders, and what the rules and files of
    rules in the folders say; links to files are followed. Errors: FolderError, for a rule.
    """
    if storage.is_url(root):
        yield from _list_object_store(root, rules)
        return
    pending = [(root, rules)]
    while pending:
        folder, rules = pending.pop()
        try:
            with os.scandir(folder) as entries:
                listed = sorted(entries, key=lambda entry: entry.name)
            if any(entry.name == RULES for entry in listed):
                rules = rules.add_folder_rules(folder)
        except OSError as error:
            yield UnreadablePath(folder, error.strerror or str(error))
            continue
        subfolders = []
        for entry in listed:
            if is_hidden(entry.name):
                continue
            try:
                if entry.is_dir(follow_symlinks=False):
                    left_out = rules.is_ignored(entry.path, is_folder=True)
                    if not left_out:
                        subfolders.append((entry.path, rules))
                elif entry.is_file() and (
                    is_sidecar(entry.name) or not rules.is_ignored(entry.path, is_folder=False)
                ):
                    stat = entry.stat()
                    yield ScannedFile(entry.path, stat.st_size, stat.st_mtime_ns)
            except OSError as error:
                yield UnreadablePath(entry.path, error.strerror or str(error))
        pending.extend(reversed(subfolders))


def _list_object_store(root: str, rules: IgnoreRules) -> Iterator[ScannedFile | UnreadablePath]:
    """Yield the files below a root in object storage that may be pictures by their names.

    What has another suffix is not looked into, as each look is a request; files of rules are not
    read there.
    """
    for entry in storage.list_files(root, _RootUrlFilter(root, rules)):
        if isinstance(entry, storage.ListingFailure):
            yield UnreadablePath(entry.path, entry.reason)
        else:
            yield ScannedFile(entry.path, entry.state.size, entry.state.mtime_ns)


def is_wanted(url: str, root: str, rules: IgnoreRules) -> bool:
    """Tell whether a walk below a root in object storage comes to a file, if it is there."""
    return _RootUrlFilter(root, rules)(url)


class _RootUrlFilter:
    """Tells from its URL whether a file below a root is wanted; of a folder, what is in it."""

    def __init__(self, root: str, rules: IgnoreRules) -> None:
        self._root, self._rules = root, rules
        self._entered_folders: dict[str, bool] = {}

    def __call__(self, url: str) -> bool:
        folder, _, name = url.rpartition("/")
        if not name:
            return self._is_entered(folder)
        if is_hidden(name) or not self._is_entered(folder):
            return False
        if is_sidecar(name):
            return True
        may_be_picture = get_suffix(name) in KNOWN_SUFFIXES or not get_suffix(name)
        return may_be_picture and not self._rules.is_ignored(url, is_folder=False)

    def _is_entered(self, folder: str) -> bool:
        if len(folder) <= len(self._root):
            return True
        if folder not in self._entered_folders:
            above, _, name = folder.rpartition("/")
            entered = (
                self._is_entered(above)
                and not is_hidden(name)
                and not self._rules.is_ignored(folder, is_folder=True)
            )
            if len(self._entered_folders) >= MAX_CACHED_FOLDERS:
                self._entered_folders.clear()
            self._entered_folders[folder] = entered
        return self._entered_folders[folder]
