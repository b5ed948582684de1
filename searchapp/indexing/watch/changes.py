"""What changes on disk: who tells, and when a changed file has been quiet for long enough."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from searchapp.errors import SearchAppError
from searchapp.files import scan
from searchapp.files.extras import install_hint
from searchapp.files.ignore_rules import IGNORE_FILE_NAME as RULES

TICK_S = 0.5  # seconds between looks at what was noted
# File systems that other machines write to without this one being told.
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
LOCAL_FUSE_DISK = "fuseblk"  # a disk of this machine, such as an external one with NTFS


class ChangeNotifier:
    """Tells what changes below a folder, on a thread of its own."""

    def __init__(
        self, root: Path, changed_paths: queue.SimpleQueue[str], poll_interval_s: float | None
    ) -> None:
        """Begin; told: gets the paths. poll: look at every file again in so many seconds."""
        self.root, self.poll = root, poll_interval_s
        self.error: Exception | None = None  # what has ended it
        self._changed_paths = changed_paths
        self._stop = threading.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(
            target=self._report_changes, name=f"watch {root}", daemon=True
        )
        self._thread.start()

    def wait_until_ready(self) -> None:
        """Return when changes are told from now on, or it has failed."""
        self._ready.wait()

    def stop(self) -> None:
        """End it."""
        self._stop.set()
        self._thread.join(5)

    def _report_changes(self) -> None:
        from watchfiles import Change, watch

        real = os.path.realpath(self.root)
        try:
            for changes in watch(
                self.root, watch_filter=None, debounce=200, rust_timeout=int(1000 * TICK_S),
                yield_on_timeout=True, stop_event=self._stop, ignore_permission_denied=True,
                force_polling=self.poll is not None, poll_delay_ms=int(1000 * (self.poll or 1)),
            ):  # fmt: skip
                self._ready.set()
                for change, path in changes:
                    if path.startswith(real + os.sep):  # some systems tell what links lead to
                        path = os.path.join(self.root, path[len(real) + 1 :])  # noqa: PTH118
                    if _is_relevant(change is Change.modified, path, self.root):
                        self._changed_paths.put(path)
        except Exception as error:  # of the system, in the words of whatever tells it
            self.error = error
        finally:
            self._ready.set()


def _is_relevant(is_modified: bool, path: str, root: Path) -> bool:
    """Tell whether a change can be one of pictures; a folder's own is told by what is in it."""
    names = Path(path).relative_to(root).parts
    if not names or any(map(scan.is_hidden, names[:-1])):
        return False
    if names[-1] == RULES:
        return True
    return not scan.is_hidden(names[-1]) and not (is_modified and Path(path).is_dir())


def check_watchfiles_installed() -> None:
    """Raise SearchAppError where the package that tells of changes is missing."""
    try:
        import watchfiles  # noqa: F401
    except ImportError as error:
        raise SearchAppError(
            f"watch needs watchfiles: {install_hint('watch')} ({error})"
        ) from error


def is_network_folder(folder: Path, mounts: str = "/proc/self/mounts") -> bool:
    """Tell whether a folder is on a file system that others may change unnoticed (Linux)."""
    try:
        lines = Path(mounts).read_text(encoding="utf-8", errors="surrogateescape").splitlines()
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
    state: tuple[int, int] | None  # size and time of change when looked at last; None: gone
    unchanged_since: float  # that state, by the clock


@dataclass
class PendingChanges:
    """Paths that have changed, each until it has been quiet for a while."""

    quiet_s: float  # seconds
    clock: Callable[[], float] = time.monotonic
    _change_by_path: dict[str, _PendingChange] = field(default_factory=dict)

    def note_changes(self, paths: Iterable[str], delay_s: float = 0.0) -> None:
        """Note that paths have changed just now; delay: and are to wait so many seconds more."""
        now = self.clock()
        for path in paths:
            self._change_by_path[path] = _PendingChange(read_file_state(path), now + delay_s)

    def take_due_paths(self) -> list[str]:
        """Return and forget the paths that have not changed for a while, in order."""
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
        """Forget what was noted below a folder."""
        for path in [path for path in self._change_by_path if Path(path).is_relative_to(root)]:
            del self._change_by_path[path]

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._change_by_path)


def read_file_state(path: str) -> tuple[int, int] | None:
    """Return a file's size and time of change; None where there is none."""
    try:
        stat = os.stat(path)  # noqa: PTH116 (speed)
    except OSError:
        return None
    return stat.st_size, stat.st_mtime_ns
