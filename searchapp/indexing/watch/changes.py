"""Notice changes on disk, and wait until a changed file is complete."""

from __future__ import annotations

import errno
import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from searchapp.errors import FolderError, SearchAppError
from searchapp.files import scan
from searchapp.files.extras import install_hint
from searchapp.files.ignore_rules import IGNORE_FILE_NAME
from searchapp.files.presence import is_gone_error

logger = logging.getLogger(__name__)

TICK_S = 0.5  # between two checks of the noted changes
# File systems on which other machines can write without a notification on this machine.
NETWORK_FILE_SYSTEMS = (
    "nfs",
    "cifs",
    "smb",
    "9p",
    "afs",
    "ceph",
    "gluster",
    "lustre",
    "fuse",
    "davfs",
    "virtio",
)
LOCAL_FUSE_DISK = "fuseblk"  # a local disk, for example an external one with NTFS


class ChangeNotifier:
    """A thread that puts the paths of changes below a folder, or of one file, into a queue."""

    def __init__(
        self, root: Path, changed_paths: queue.SimpleQueue[str], poll_interval_s: float | None
    ) -> None:
        """Start the thread that watches the folder or file `root`.

        Of a file, the folder is watched: programs replace a file when they save it, and its
        sidecars lie beside it. changed_paths: queue that receives the changed paths.
        poll_interval_s: seconds between two checks of all files; None: use the system's
        notifications.
        """
        self.root, self.poll_interval_s = root, poll_interval_s
        self._is_file = root.is_file()
        self._folder = root.parent if self._is_file else root
        self.error: Exception | None = None  # that ended the thread
        self._changed_paths = changed_paths
        self._stop = threading.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(
            target=self._report_changes, name=f"watch {root}", daemon=True
        )
        self._thread.start()

    def wait_until_ready(self) -> None:
        """Wait until the thread can notice changes, or until it has failed."""
        self._ready.wait()

    def stop(self) -> None:
        """Stop the thread that watches the folder."""
        self._stop.set()
        self._thread.join(5)

    def _report_changes(self) -> None:
        try:
            if self.poll_interval_s is None:
                self._report_notifications()
            else:
                self._report_differences(self.poll_interval_s)
        except Exception as error:  # watchfiles raises several types.
            logger.info("Watching the folder %s failed: %s", self.root, error)
            self.error = error
        finally:
            self._ready.set()

    def _report_notifications(self) -> None:
        from watchfiles import Change, watch

        real_folder = os.path.realpath(self._folder)
        for changes in watch(
            self._folder, watch_filter=None, debounce=200, rust_timeout=int(1000 * TICK_S),
            yield_on_timeout=True, stop_event=self._stop, ignore_permission_denied=True,
            force_polling=False, recursive=not self._is_file,
        ):  # fmt: skip
            self._ready.set()
            for change, path in changes:
                if path.startswith(real_folder + os.sep):  # Some systems resolve links.
                    path = os.path.join(self._folder, path[len(real_folder) + 1 :])  # noqa: PTH118
                if self._is_file:
                    if _is_related(path, self.root):
                        self._changed_paths.put(str(self.root))
                elif _is_relevant(change is Change.modified, path, self.root):
                    self._changed_paths.put(path)

    def _report_differences(self, interval_s: float) -> None:
        """Compare the files at intervals; watchfiles compares only whole seconds of their times."""
        known = self._list_states()
        self._ready.set()
        while not self._stop.wait(interval_s):
            try:
                found = self._list_states()
            except FolderError:  # A bad ignore pattern: indexing the folder reports it.
                self._changed_paths.put(str(self.root))
                continue
            for path in known.keys() | found.keys():
                if known.get(path) != found.get(path):
                    self._changed_paths.put(str(self.root) if self._is_file else path)
            known = found

    def _list_states(self) -> dict[str, int]:
        """Return a hash of the state of each watched file, by path."""
        states = dict[str, int]()
        if self._is_file:
            with suppress(OSError), os.scandir(self._folder) as entries:
                paths = [entry.path for entry in entries if _is_related(entry.path, self.root)]
                states = {path: hash(read_file_state(path)) for path in paths}
            return states
        for file in scan.walk_folder(str(self.root)):
            if self._stop.is_set():
                break
            if isinstance(file, scan.ScannedFile):
                states[file.path] = hash((file.size, file.mtime_ns, file.ctime_ns, file.sha256))
        return states


def _is_relevant(is_modified: bool, path: str, root: Path) -> bool:
    """Return whether the change of a path below the watched folder `root` can concern pictures.

    The modification of a folder is ignored, because each change of its files is reported, too.
    """
    names = Path(path).relative_to(root).parts
    if not names or any(map(scan.is_hidden, names[:-1])):
        return False
    if names[-1] == IGNORE_FILE_NAME:
        return True
    return not scan.is_hidden(names[-1]) and not (is_modified and os.path.isdir(path))  # noqa: PTH112 (no error)


def _is_related(path: str, picture: Path) -> bool:
    """Return whether a path is that of a picture, or may be its sidecar or companion."""
    return Path(path).name.startswith(picture.stem)


def check_watchfiles_installed() -> None:
    """Raise SearchAppError if the package watchfiles, which reports changes, is missing."""
    try:
        import watchfiles  # noqa: F401
    except ImportError as error:
        raise SearchAppError(
            f"watchfiles is not installed, and watch needs it ({error}): {install_hint('watch')}"
        ) from error


def is_network_folder(folder: Path, mounts_file: str = "/proc/self/mounts") -> bool:
    """Return whether a folder is on a network file system; False if that is unknown.

    Such a file system does not report changes by other machines. mounts_file: Linux's list of the
    mounted file systems.
    """
    try:
        lines = Path(mounts_file).read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return False
    longest_mount_point, kind = "", ""
    for _, mount_point, name, *_ in (line.split(" ") for line in lines):
        mount_point = mount_point.replace("\\040", " ")
        if folder.is_relative_to(mount_point) and len(mount_point) >= len(longest_mount_point):
            longest_mount_point, kind = mount_point, name
    return kind.startswith(NETWORK_FILE_SYSTEMS) and kind != LOCAL_FUSE_DISK


@dataclass(slots=True)
class _PendingChange:
    state: tuple[int, ...] | None  # see read_file_state
    unchanged_since: float  # when the state was first seen, by the clock


@dataclass
class PendingChanges:
    """Changed paths, each kept until its file has not changed for `quiet_s` seconds."""

    quiet_s: float
    clock: Callable[[], float] = time.monotonic
    _change_by_path: dict[str, _PendingChange] = field(default_factory=dict)

    def note_changes(self, paths: Iterable[str], delay_s: float = 0.0) -> None:
        """Add paths that changed just now. delay_s: seconds to wait in addition to `quiet_s`."""
        now = self.clock()
        for path in paths:
            self._change_by_path[path] = _PendingChange(read_file_state(path), now + delay_s)

    def take_due_paths(self) -> list[str]:
        """Remove and return the paths that have not changed for `quiet_s` seconds, sorted."""
        now = self.clock()
        for path, noted in self._change_by_path.items():
            state = read_file_state(path)
            if state != noted.state:
                noted.state, noted.unchanged_since = state, now
        due_paths = sorted(
            path
            for path, noted in self._change_by_path.items()
            if now - noted.unchanged_since >= self.quiet_s
        )
        for path in due_paths:
            del self._change_by_path[path]
        return due_paths

    def forget_below(self, root: Path) -> None:
        """Remove the changed paths below a folder."""
        for path in [path for path in self._change_by_path if Path(path).is_relative_to(root)]:
            del self._change_by_path[path]

    def __len__(self) -> int:
        """Return the number of changed paths that are kept."""
        return len(self._change_by_path)


def read_file_state(path: str) -> tuple[int, ...] | None:
    """Return a file's size in bytes, mtime_ns and ctime_ns; None if it does not exist."""
    try:
        stat = os.stat(path)  # noqa: PTH116 (speed)
    except OSError:
        return None
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


def read_root_identity(root: Path, *, is_file: bool = False) -> tuple[int, int] | None:
    """Return the device and inode of a folder; None if the folder cannot be listed.

    is_file: the root is a file. A program may replace it, so its folder is identified.
    """
    folder = root.parent if is_file else root
    try:
        stat = folder.stat()
        with os.scandir(folder):
            is_there = not is_file or root.is_file()
            return (stat.st_dev, stat.st_ino) if is_there else None
    except OSError:
        return None


def explain_unavailable(root: Path, *, is_file: bool = False) -> str:
    """Return why a folder cannot be listed, or why a file is missing."""
    if is_file and read_root_identity(root.parent) is not None:
        return "the file does not exist any more"
    try:
        with os.scandir(root):
            return "the folder was replaced"
    except OSError as error:
        if error.errno == errno.ENOTDIR:
            return "the folder is a file now"
        if is_gone_error(error):
            return "the folder does not exist any more"
        return f"the folder cannot be read ({error.strerror})"
