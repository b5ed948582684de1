"""Test the shell script that moves duplicates away, with real shells."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from support.duplicates import make_near_copy

from searchapp.duplicates import move_script
from searchapp.types import DuplicateGroup

ODD_NAMES = (
    "plain.jpg", "it's.jpg", "a\nb.jpg", "$(touch pwned) `x`.jpg", "-rf.jpg", "ü \\ \".jpg",
    os.fsdecode(b"caf\xe9's\n.jpg"), "end\n",
)  # fmt: skip


def list_names(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir()]


@pytest.fixture
def moving(tmp_path: Path) -> tuple[Path, Path]:
    """Write a script that moves files with unusual names, and return it and their folder."""
    folder = tmp_path / "odd $HOME"
    folder.mkdir()
    for name in (*ODD_NAMES, "keep.jpg"):
        (folder / name).write_bytes(b"12345")
    keeper = make_near_copy(folder / "keep.jpg", 5)
    group = DuplicateGroup(
        keeper, "why\nnot", tuple(make_near_copy(folder / name, 5) for name in ODD_NAMES)
    )
    move_script.write_script(tmp_path / "move.sh", [group])
    return tmp_path / "move.sh", folder


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_the_script_moves_unusual_names(moving: tuple[Path, Path], shell: str) -> None:
    """Names may have quotes, line breaks and invalid UTF-8; a second run changes nothing."""
    file, folder = moving
    away = file.parent / "away"
    process = subprocess.run(
        [shell, file, away], capture_output=True, text=True, check=False, cwd=file.parent
    )
    assert (process.returncode, process.stderr) == (0, f"{len(ODD_NAMES)} files moved, 0 skipped\n")
    assert list_names(folder) == ["keep.jpg"]
    moved = away / str(folder).lstrip("/")
    assert sorted(list_names(moved)) == sorted(ODD_NAMES)
    assert not (file.parent / "pwned").exists()
    again = subprocess.run([shell, file, away], capture_output=True, check=False)
    assert again.returncode == 1
    assert (folder / "keep.jpg").exists()


def test_the_script_skips_changed_files(moving: tuple[Path, Path]) -> None:
    """Grown files and links are skipped, and all files if the file to keep has changed."""
    file, folder = moving
    (folder / "plain.jpg").write_bytes(b"123456")
    (folder / "it's.jpg").unlink()
    (folder / "it's.jpg").symlink_to(folder / "keep.jpg")
    (folder / "-rf.jpg").unlink()
    os.link(folder / "keep.jpg", folder / "-rf.jpg")
    process = subprocess.run(["sh", file, file.parent / "away"], capture_output=True, check=False)
    assert process.returncode == 1
    remaining = {"keep.jpg", "plain.jpg", "it's.jpg", "-rf.jpg"}
    assert set(list_names(folder)) == remaining
    assert process.stderr.count(b"skipped: ") == 3
    (folder / "keep.jpg").write_bytes(b"1234")
    (folder / "plain.jpg").write_bytes(b"12345")
    subprocess.run(["sh", file, file.parent / "away"], capture_output=True, check=False)
    assert set(list_names(folder)) == remaining


def test_the_script_needs_a_folder_or_a_trash_command(moving: tuple[Path, Path]) -> None:
    """Without a trash command, the script moves nothing and says what to do."""
    file, folder = moving
    tools = file.parent / "tools"
    tools.mkdir()
    for name in ("wc", "tr", "mv", "mkdir", "uname"):
        (tools / name).symlink_to(str(shutil.which(name)))
    shell = str(shutil.which("sh"))
    bare = {"PATH": str(tools)}
    process = subprocess.run([shell, file], capture_output=True, text=True, check=False, env=bare)
    assert process.returncode == 2
    assert "give a folder to move the files to" in process.stderr
    assert len(list_names(folder)) == len(ODD_NAMES) + 1
    trash = tools / "trash-put"
    trash.write_text(
        '#!/bin/sh\nwhile [ "$1" = -- ]; do shift; done\nrm "$1"\n'.replace(
            "rm", str(shutil.which("rm"))
        )
    )
    trash.chmod(0o755)
    process = subprocess.run([shell, file], capture_output=True, text=True, check=False, env=bare)
    assert process.returncode == 0, process.stderr
    assert list_names(folder) == ["keep.jpg"]
