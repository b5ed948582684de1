"""Serve a folder of wheels as a package index on loopback while a command runs.

python tests/support/torch_index.py [--stand-in VERSION]... FOLDER COMMAND [ARGUMENT ...]

The variable TORCH_INDEX gives the command the URL of the index (PEP 503), for machines that cannot
reach the index of PyTorch. --stand-in adds copies of torch's wheel for another Python with metadata
only: enough to resolve versions (`make lock`), but not to install.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote


class _Index(SimpleHTTPRequestHandler):
    """Answers /PROJECT/ with links to the project's wheels, and /WHEEL with the file."""

    def do_GET(self) -> None:
        if not self.path.endswith("/"):
            super().do_GET()
            return
        folder, project = Path(self.directory), self.path.strip("/")
        names = sorted(path.name for path in folder.glob("*.whl"))
        wanted = [name for name in names if normalize(name.split("-")[0]) == project]
        if not wanted:
            self.send_error(404)
            return
        page = "".join(f'<a href="/{quote(name)}">{name}</a>\n' for name in wanted).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


def normalize(name: str) -> str:
    """Return the normalized name of a project (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


@contextmanager
def serve_index(folder: Path) -> Iterator[str]:
    """Serve the wheels of a folder on loopback; yield the URL of the index."""
    handler = partial(_Index, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def add_stand_in(wheel: Path, version: str, folder: Path) -> None:
    """Write a copy of a wheel for another Python (such as 3.12), with metadata only."""
    name, release, _, _, platform = wheel.stem.split("-")
    tag = "cp" + version.replace(".", "")
    info = f"{name}-{release}.dist-info"
    with zipfile.ZipFile(wheel) as source:
        metadata = source.read(f"{info}/METADATA")
    with zipfile.ZipFile(folder / f"{name}-{release}-{tag}-{tag}-{platform}.whl", "w") as made:
        made.writestr(f"{info}/METADATA", metadata)
        made.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\n")
        made.writestr(f"{info}/RECORD", "")


def main(arguments: Sequence[str]) -> int:
    """Run the command, and return its exit status."""
    parser = argparse.ArgumentParser(description="Serve wheels on loopback for a command.")
    parser.add_argument("--stand-in", action="append", default=[], metavar="VERSION")
    parser.add_argument("folder", type=Path)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        for wheel in options.folder.glob("*.whl"):
            (folder / wheel.name).symlink_to(wheel.resolve())
        for version in options.stand_in:
            for wheel in options.folder.glob("torch-*.whl"):
                add_stand_in(wheel, version, folder)
        with serve_index(folder) as url:
            return subprocess.call(options.command, env={**os.environ, "TORCH_INDEX": url})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
