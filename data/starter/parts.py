"""Split a file into parts of a limited size, and join them again.

    python parts.py split FILE FOLDER [--mib 15]
    python parts.py join FOLDER NAME FILE

`split` writes FOLDER/NAME.part-00 and so on, and FOLDER/NAME.sha256. `join` checks this SHA-256.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path


def split_file(file: Path, folder: Path, part_bytes: int) -> list[Path]:
    """Write the parts of a file and its checksum to a folder; return the parts."""
    folder.mkdir(parents=True, exist_ok=True)
    content = file.read_bytes()
    parts = []
    for number, start in enumerate(range(0, max(1, len(content)), part_bytes)):
        part = folder / f"{file.name}.part-{number:02}"
        part.write_bytes(content[start : start + part_bytes])
        parts.append(part)
    (folder / f"{file.name}.sha256").write_text(hashlib.sha256(content).hexdigest() + "\n")
    return parts


def join_file(folder: Path, name: str, file: Path) -> None:
    """Join the parts of a file; raise ValueError if a part is missing or damaged."""
    content = b"".join(part.read_bytes() for part in sorted(folder.glob(f"{name}.part-*")))
    expected = (folder / f"{name}.sha256").read_text().strip()
    if hashlib.sha256(content).hexdigest() != expected:
        raise ValueError(
            f"the parts of {name} in {folder} do not make the file that was split: a part is "
            "missing or damaged. Copy them again."
        )
    file.write_bytes(content)


def main() -> None:
    """Parse the arguments, and split or join."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    split = commands.add_parser("split")
    split.add_argument("file", type=Path)
    split.add_argument("folder", type=Path)
    split.add_argument("--mib", type=float, default=15)
    join = commands.add_parser("join")
    join.add_argument("folder", type=Path)
    join.add_argument("name")
    join.add_argument("file", type=Path)
    arguments = parser.parse_args()
    if arguments.command == "split":
        split_file(arguments.file, arguments.folder, int(arguments.mib * 1024 * 1024))
    else:
        join_file(arguments.folder, arguments.name, arguments.file)


if __name__ == "__main__":
    main()
