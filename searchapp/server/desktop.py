"""Show folders in the file manager of the desktop, for a user who sits at this computer."""

from __future__ import annotations

import ipaddress
import logging
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

from fastapi import Request

from searchapp.errors import PictureError, SearchAppError
from searchapp.files import storage
from searchapp.server.app_state import AppState

logger = logging.getLogger(__name__)
# A proxy on this computer connects from a loopback address, whoever its client is.
PROXY_HEADERS = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
START_TIMEOUT_S = 2.0  # a file manager that runs longer has started


def can_open_folders(request: Request, state: AppState) -> bool:
    """Return whether a client can open folders: it runs on this computer, which has a desktop.

    With a token, or behind a proxy, a client on another computer could open windows here.
    """
    is_remote = state.has_token or not _is_loopback(request)
    return not is_remote and find_file_manager() is not None


def find_file_manager() -> list[str] | None:
    """Return the start of the command that shows a folder; None if there is no desktop."""
    if sys.platform == "win32":
        return ["explorer"]
    if sys.platform == "darwin":
        return ["open", "-R"]
    has_desktop = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    command = shutil.which("xdg-open") if has_desktop else None
    return None if command is None else [command]


def open_parent_folder(paths: tuple[str, ...]) -> None:
    """Show the folder of the first existing file in the file manager.

    Raises PictureError if there is none, and SearchAppError if the file manager does not start.
    """
    file = next((Path(path) for path in paths if _is_local_file(path)), None)
    command = find_file_manager()
    if file is None or command is None:
        raise PictureError("no file of this image is on this computer any more", stage="read")
    # On macOS, -R shows the file in its folder. Without it, a folder named x.app would be started.
    target = file if sys.platform == "darwin" else file.parent
    logger.info("Opening the folder %s", file.parent)
    try:
        process = subprocess.Popen(
            [*command, str(target)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C of the server must not close the file manager
        )  # fmt: skip
    except OSError as error:
        raise SearchAppError(f"the file manager does not start: {error}") from error
    try:
        status = process.wait(START_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        threading.Thread(target=process.wait, daemon=True).start()  # no zombie process remains
        return
    if status and sys.platform != "win32":  # explorer always ends with status 1
        raise SearchAppError(
            f"the file manager does not start: {command[0]} ended with status {status}. Set a "
            "default program for folders in the settings of the desktop."
        )


def _is_local_file(path: str) -> bool:
    return not storage.is_url(path) and os.path.isabs(path) and os.path.exists(path)  # noqa: PTH110, PTH117


def _is_loopback(request: Request) -> bool:
    """Return whether a program on this computer sent a request, and not for another computer."""
    if request.scope["searchapp.local"]:
        return True
    if any(name in request.headers for name in PROXY_HEADERS) or request.client is None:
        return False
    try:
        return ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False
