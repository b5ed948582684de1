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
from searchapp.files.ignore_rules import FILE as RULES

TICK = 0.5  # seconds between looks at what was noted
# File systems that other machines write to without this one being told.
REMOTE = ("nfs", "cifs", "smb", "9p", "afs", "ceph", "gluster", "lustre", "fuse", "davfs", "virtio")
LOCAL = "fuseblk"  # a disk of this machine, such as an external one with NTFS


class Watcher:
    """Tells what changes below a folder, on a thread of its own."""

    def __init__(self, root: Path, told: queue.SimpleQueue[str], poll: float | None) -> None:
        """Begin; told: gets the paths. poll: look at every file again in so many seconds."""
        self.root, self.poll = root, poll
        self.error: Exception | None = None  # what has ended it
        self._told = told
        self._stop = threading.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"watch {root}", daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Return when changes are told from now on, or it has failed."""
        self._ready.wait()

    def stop(self) -> None:
        """End it."""
        self._stop.set()
        self._thread.join(5)

    def _run(self) -> None:
        from watchfiles import Change, watch

        real = os.path.realpath(self.root)
        try:
            for changes in watch(
                self.root, watch_filter=None, debounce=200, rust_timeout=int(1000 * TICK),
                yield_on_timeout=True, stop_event=self._stop, ignore_permission_denied=True,
                force_polling=self.poll is not None, poll_delay_ms=int(1000 * (self.poll or 1)),
            ):  # fmt: skip
                self._ready.set()
                for change, path in changes:
                    if path.startswith(real + os.sep):  # some systems tell what links lead to
                        path = os.path.join(self.root, path[len(real) + 1 :])  # noqa: PTH118
                    if _matters(change is Change.modified, path, self.root):
                        self._told.put(path)
        except Exception as error:  # of the system, in the words of whatever tells it
            self.error = error
        finally:
            self._ready.set()


def _matters(modified: bool, path: str, root: Path) -> bool:
    """Tell whether a change can be one of pictures; a folder's own is told by what is in it."""
    names = Path(path).relative_to(root).parts
    if not names or any(map(scan.is_hidden, names[:-1])):
        return False
    if names[-1] == RULES:
        return True
    return not scan.is_hidden(names[-1]) and not (modified and Path(path).is_dir())


def check_installed() -> None:
    """Raise SearchAppError where the package that tells of changes is missing."""
    try:
        import watchfiles  # noqa: F401
    except ImportError as error:
        raise SearchAppError(
            f"watch needs watchfiles: {install_hint('watch')} ({error})"
        ) from error


def is_remote(folder: Path, mounts: str = "/proc/self/mounts") -> bool:
    """Tell whether a folder is on a file system that others may change unnoticed (Linux)."""
    try:
        lines = Path(mounts).read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return False
    best, kind = "", ""
    for _, place, name, *_ in (line.split(" ") for line in lines):
        place = place.replace("\\040", " ")
        if folder.is_relative_to(place) and len(place) >= len(best):
            best, kind = place, name
    return kind.startswith(REMOTE) and kind != LOCAL


@dataclass(slots=True)
class _Noted:
    state: tuple[int, int] | None  # size and time of change when looked at last; None: gone
    since: float  # that state, by the clock


@dataclass
class Pending:
    """Paths that have changed, each until it has been quiet for a while."""

    quiet: float  # seconds
    clock: Callable[[], float] = time.monotonic
    _noted: dict[str, _Noted] = field(default_factory=dict)

    def note(self, paths: Iterable[str], delay: float = 0.0) -> None:
        """Note that paths have changed just now; delay: and are to wait so many seconds more."""
        now = self.clock()
        for path in paths:
            self._noted[path] = _Noted(state_of(path), now + delay)

    def due(self) -> list[str]:
        """Return and forget the paths that have not changed for a while, in order."""
        now = self.clock()
        for path, noted in self._noted.items():
            state = state_of(path)
            if state != noted.state:
                noted.state, noted.since = state, now
        due = sorted(path for path, noted in self._noted.items() if now - noted.since >= self.quiet)
        for path in due:
            del self._noted[path]
        return due

    def forget(self, root: Path) -> None:
        """Forget what was noted below a folder."""
        for path in [path for path in self._noted if Path(path).is_relative_to(root)]:
            del self._noted[path]

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._noted)


def state_of(path: str) -> tuple[int, int] | None:
    """Return a file's size and time of change; None where there is none."""
    try:
        stat = os.stat(path)  # noqa: PTH116 (speed)
    except OSError:
        return None
    return stat.st_size, stat.st_mtime_ns
