"""Write the files of the desktop, and remove them; a file that the user changed stays."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from searchapp.cli.desktop_files import thunar
from searchapp.cli.desktop_files.entries import (
    Entry,
    Setup,
    find_config_folder,
    find_page,
    make_entries,
)
from searchapp.cli.desktop_files.manifest import (
    Manifest,
    find_manifest,
    hash_content,
    load_manifest,
    save_manifest,
)
from searchapp.errors import SearchAppError
from searchapp.files.atomic import write_output


@dataclass(slots=True)
class Report:
    """Paths that were written and removed, and those that were kept for the user."""

    written: list[Path] = field(default_factory=list)
    removed: list[Path] = field(default_factory=list)
    kept: list[Path] = field(default_factory=list)


def install(setup: Setup) -> Report:
    """Write all files, and replace those of an earlier installation that differ.

    The manifest is written first, so that an interrupted installation can be removed, too.
    Raises SearchAppError if a file cannot be written.
    """
    manifest, report = load_manifest() or Manifest(), Report()
    entries = make_entries(setup)
    writable = [entry for entry in entries if _is_ours(entry, manifest)]
    report.kept = [entry.path for entry in entries if entry not in writable]
    outdated = set(map(Path, manifest.files)) - {entry.path for entry in entries}
    settings, action = thunar.find_settings(), thunar.make_action(setup)
    files = [find_manifest(), *(entry.path for entry in writable)]
    _make_folders(files if settings is None else [*files, settings], manifest)
    before = dict(manifest.files)
    manifest.files |= {str(entry.path): hash_content(entry.content) for entry in writable}
    save_manifest(manifest)
    for entry in writable:
        if not _is_written(entry):
            _write_file(entry.path, entry.content, entry.mode)
            report.written.append(entry.path)
    for path in outdated:  # of an earlier installation that watched folders
        _remove_file(path, before[str(path)], report)
        del manifest.files[str(path)]
    if settings is not None:
        _add_thunar_action(settings, action, manifest, report)
    save_manifest(manifest)
    return report


def uninstall() -> Report | None:
    """Remove all installed files, and the folders that became empty; None: nothing is installed.

    Raises SearchAppError if a file cannot be removed.
    """
    manifest, report = load_manifest(), Report()
    if manifest is None:
        return None
    try:
        for path, content_hash in manifest.files.items():
            _remove_file(Path(path), content_hash, report)
        _remove_thunar_action(manifest, report)
        _remove_unit_links(manifest)
        find_page().unlink(missing_ok=True)
        find_manifest().unlink()
    except OSError as error:
        raise SearchAppError(
            f"{error.filename} cannot be removed: {error.strerror}. Check the permissions, and run "
            "`searchapp desktop uninstall` again."
        ) from error
    for folder in [str(find_page().parent), *reversed(manifest.folders)]:
        with suppress(OSError):  # The folder contains other files, or is gone.
            Path(folder).rmdir()
    return report


def _is_ours(entry: Entry, manifest: Manifest) -> bool:
    """Return whether an entry can be written: no file is there, or an unchanged one of ours."""
    found = _read_plain_file(entry.path)
    if found is None:
        return not os.path.lexists(entry.path)
    known = manifest.files.get(str(entry.path))
    return hash_content(found) in (known, hash_content(entry.content))


def _is_written(entry: Entry) -> bool:
    """Return whether the file of an entry is there already, with its content and permissions."""
    if _read_plain_file(entry.path) != entry.content:
        return False
    return stat.S_IMODE(entry.path.stat().st_mode) == entry.mode


def _write_file(path: Path, content: bytes, mode: int) -> None:
    with write_output(path) as temporary:
        temporary.write_bytes(content)
        temporary.chmod(mode)


def _read_plain_file(path: Path) -> bytes | None:
    """Return the content of a regular file; None for a link, another thing or nothing."""
    try:
        if stat.S_ISREG(path.lstat().st_mode):
            return path.read_bytes()
    except OSError:
        pass
    return None


def _make_folders(files: list[Path], manifest: Manifest) -> None:
    """Make the folders of files, and note those that did not exist."""
    for file in files:
        missing = [folder for folder in file.parents if not os.path.lexists(folder)]
        for folder in reversed(missing):
            try:
                folder.mkdir(mode=0o700)
            except OSError as error:
                raise SearchAppError(
                    f"the folder {folder} cannot be made: {error.strerror}. Check the permissions."
                ) from error
            if str(folder) not in manifest.folders:
                manifest.folders.append(str(folder))


def _remove_file(path: Path, content_hash: str, report: Report) -> None:
    """Remove a file if it still has the content that was installed, else report it as kept."""
    found = _read_plain_file(path)
    if found is not None and hash_content(found) == content_hash:
        path.unlink()
        report.removed.append(path)
    elif os.path.lexists(path):
        report.kept.append(path)


def _add_thunar_action(file: Path, action: bytes, manifest: Manifest, report: Report) -> None:
    """Add the action to the settings of Thunar; keep an action that the user changed."""
    settings = thunar.read_settings(file)
    present, installed = thunar.find_action(settings), manifest.thunar_action.encode()
    if present is None:
        added = thunar.add_action(settings, action)
    elif thunar.has_same_values(present, action):
        if manifest.thunar_file is None:  # The manifest was lost.
            manifest.thunar_file, manifest.thunar_action = str(file), action.decode()
        return
    elif installed and thunar.has_same_values(present, installed):
        without = thunar.remove_action(settings, present, installed)
        added = None if without is None else thunar.add_action(without, action)
    else:
        added = None
    if added is None:
        report.kept.append(file)
        return
    # A file with changes of the user is not removed as a whole.
    is_made = not file.exists() or hash_content(settings) == manifest.thunar_sha256
    manifest.thunar_file, manifest.thunar_action = str(file), action.decode()
    manifest.thunar_sha256 = hash_content(added) if is_made else None
    save_manifest(manifest)
    _write_settings(file, added)
    report.written.append(file)


def _remove_thunar_action(manifest: Manifest, report: Report) -> None:
    """Remove the action; a file that contains nothing else of the user is removed, too."""
    if manifest.thunar_file is None or not (file := Path(manifest.thunar_file)).exists():
        return
    settings = file.read_bytes()
    if hash_content(settings) == manifest.thunar_sha256:
        file.unlink()
        report.removed.append(file)
        return
    present = thunar.find_action(settings)
    if present is None:
        return
    installed = manifest.thunar_action.encode()
    is_unchanged = thunar.has_same_values(present, installed)
    without = thunar.remove_action(settings, present, installed) if is_unchanged else None
    if without is None:
        report.kept.append(file)
        return
    _write_settings(file, without)
    report.written.append(file)


def _write_settings(file: Path, content: bytes) -> None:
    mode = stat.S_IMODE(file.stat().st_mode) if file.exists() else 0o644
    _write_file(file, content, mode)


def _remove_unit_links(manifest: Manifest) -> None:
    """Remove the links with which `systemctl --user enable` starts removed units at login."""
    units = find_config_folder() / "systemd" / "user"
    for link in units.glob("*.wants/searchapp-*.service"):
        target = link.parent / link.readlink() if link.is_symlink() else link
        if str(target) in manifest.files and not target.exists():
            link.unlink()
            with suppress(OSError):  # It contains the links of other units.
                link.parent.rmdir()
