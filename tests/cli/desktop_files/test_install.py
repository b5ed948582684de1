"""`searchapp desktop install` and `uninstall`: valid files, nothing of the user lost."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.library import FakeEngines, RunCommand, index_folder

from searchapp.cli.desktop import install as install_command
from searchapp.cli.desktop import similar as similar_command
from searchapp.cli.desktop_files import watched_folders
from searchapp.cli.desktop_files.entries import ACTION_NAME
from searchapp.library import Library

FILES = {
    ".local/share/icons/hicolor/scalable/apps/searchapp.svg",
    ".local/share/applications/searchapp.desktop",
    f".local/share/nautilus/scripts/{ACTION_NAME}",
    ".local/share/kio/servicemenus/searchapp-similar.desktop",
    ".config/systemd/user/searchapp-serve.service",
    ".config/systemd/user/searchapp-watch.service",
    ".local/state/searchapp/desktop.json",
}
MENU_ENTRY = ".local/share/applications/searchapp.desktop"
SETTINGS = ".config/Thunar/uca.xml"


@pytest.fixture
def home(
    tmp_path: Path,
    photos: Path,
    model: Path,
    fake_engines: FakeEngines,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """Empty home folder of a user who has a library; its name needs quotes in each format."""
    home = tmp_path / "a b%f \"c\" $d 'e'"
    home.mkdir()
    for variable in ("DATA", "CONFIG", "STATE", "CACHE"):
        monkeypatch.delenv(f"XDG_{variable}_HOME", raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "xdg"))
    with Library.open(tmp_path / "library", create=True, start=fake_engines) as library:
        index_folder(library, photos, model)
    return home


def read_tree(folder: Path) -> dict[str, bytes]:
    """Return the content of each file below a folder, and folders with an empty content."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for path in folder.rglob("*")
    }


def list_times(folder: Path) -> dict[Path, int]:
    """Return the time of change of each installed file; the list of files is always written."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*.*") if path.suffix != ".json"}


def list_files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


def test_an_installation_is_undone_whole(run: RunCommand, home: Path) -> None:
    """A second installation writes the same; after the removal, no file and no folder is left."""
    assert run("desktop", "uninstall").stderr == "nothing is installed\n"
    first = run("desktop", "install")
    assert first.exit_code == 0
    assert "systemctl --user enable --now searchapp-serve.service" in first.stderr
    assert list_files(home) == FILES
    before, times = read_tree(home), list_times(home)
    second = run("desktop", "install")
    assert (second.stdout, second.stderr) == ("", "nothing to change: everything is installed\n")
    assert (read_tree(home), list_times(home)) == (before, times)
    removed = run("desktop", "uninstall")
    assert len(removed.stdout.splitlines()) == len(FILES) - 1
    assert read_tree(home) == {}


def test_installed_files_are_valid(run: RunCommand, home: Path, tmp_path: Path) -> None:
    """The tools of freedesktop.org and systemd find no fault."""
    library = tmp_path / "l 100% \"x\" 'y' $z"
    (tmp_path / "library").rename(library)
    assert run("desktop", "install", "--library", library).exit_code == 0
    if shutil.which("desktop-file-validate"):
        entry = home / MENU_ENTRY
        done = subprocess.run(
            ["desktop-file-validate", entry], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout + done.stderr) == (0, "")
    if shutil.which("systemd-analyze"):
        units = sorted((home / ".config/systemd/user").iterdir())
        done = subprocess.run(
            ["systemd-analyze", "--user", "verify", *units],
            capture_output=True, text=True, check=False,
            env={"XDG_RUNTIME_DIR": str(tmp_path), "PATH": "/usr/bin:/bin", "HOME": str(home)},
        )  # fmt: skip
        assert (len(units), done.returncode, done.stderr) == (2, 0, "")
    script = home / ".local/share/nautilus/scripts" / ACTION_NAME
    subprocess.run(["sh", "-n", script], check=True)


def test_a_menu_entry_starts_the_command(
    run: RunCommand, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The script of Nautilus passes the library and the selected picture unchanged."""
    program = tmp_path / "bin 50% $x" / "searchapp"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program.with_name("python")))
    run("desktop", "install")
    script = home / ".local/share/nautilus/scripts" / ACTION_NAME
    done = subprocess.run([script, '-it\'s 5% "x".jpg'], capture_output=True, text=True, check=True)
    words = ["desktop", "similar", "--library", str(tmp_path / "library"), "--"]
    assert done.stdout.splitlines() == [*words, '-it\'s 5% "x".jpg']


def test_what_the_user_changed_is_kept_and_named(run: RunCommand, home: Path) -> None:
    """Neither a second installation nor the removal touches a changed or foreign file."""
    foreign = home / ".config/systemd/user/searchapp-watch.service"
    foreign.parent.mkdir(parents=True)
    foreign.write_text("[Service]\nExecStart=/my/own\n")
    result = run("desktop", "install")
    assert f"kept {foreign}: " in result.stderr
    entry = home / MENU_ENTRY
    entry.write_text(entry.read_text() + "NoDisplay=true\n")
    assert f"kept {entry}: " in run("desktop", "install").stderr
    assert f"kept {entry}: " in run("desktop", "uninstall").stderr
    assert list_files(home) == {MENU_ENTRY, ".config/systemd/user/searchapp-watch.service"}
    assert "NoDisplay" in entry.read_text() and "/my/own" in foreign.read_text()


def test_a_link_at_the_place_of_a_file_is_kept(run: RunCommand, home: Path) -> None:
    entry, target = home / MENU_ENTRY, home / "mine"
    entry.parent.mkdir(parents=True)
    entry.symlink_to(target)
    assert f"kept {entry}: " in run("desktop", "install").stderr
    run("desktop", "uninstall")
    assert entry.is_symlink() and not target.exists()


def test_only_outer_folders_are_watched(
    run: RunCommand, home: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By default the folders that were indexed; a unit without folders is removed again."""
    unit = home / ".config/systemd/user/searchapp-watch.service"
    run("desktop", "install")
    assert f'"--" "{photos}"\n' in unit.read_text()
    run("desktop", "install", photos / "below")
    assert f'"--" "{photos / "below"}"\n' in unit.read_text()
    monkeypatch.setattr(watched_folders, "list_indexed_folders", lambda library: [])
    assert run("desktop", "install").stdout == f"removed {unit}\n"
    run("desktop", "install", photos)
    unit.write_text("[Service]\nExecStart=/my/own\n")
    assert f"kept {unit}: " in run("desktop", "install").stderr
    assert "/my/own" in unit.read_text()


def test_links_of_enabled_units_are_removed(run: RunCommand, home: Path) -> None:
    """`systemctl --user enable` makes a link, which would start nothing after the removal."""
    run("desktop", "install")
    wants = home / ".config/systemd/user/default.target.wants"
    wants.mkdir()
    for name in ("searchapp-serve.service", "other.service"):
        (wants / name).symlink_to(wants.parent / name)
    run("desktop", "uninstall")
    assert [link.name for link in wants.iterdir()] == ["other.service"]


def test_actions_of_thunar_are_merged(run: RunCommand, home: Path, tmp_path: Path) -> None:
    """The user's actions stay byte by byte; without any, those of the system are taken along."""
    settings = home / SETTINGS
    settings.parent.mkdir(parents=True)
    text = '<?xml version="1.0"?>\n<actions>\n  <action><name>x</name></action>\n  </actions>\n'
    settings.write_text(text)
    settings.chmod(0o600)
    run("desktop", "install")
    run("desktop", "install")
    assert settings.read_text().count("<unique-id>searchapp-find-similar<") == 1
    assert settings.stat().st_mode & 0o777 == 0o600
    assert f"restored {settings}" in run("desktop", "uninstall").stdout
    assert settings.read_text() == text
    shutil.rmtree(home / ".config")
    system = tmp_path / "xdg" / "Thunar" / "uca.xml"
    system.parent.mkdir(parents=True)
    system.write_text(text)
    run("desktop", "install")
    assert "<name>x</name>" in settings.read_text()
    run("desktop", "uninstall")
    assert read_tree(home) == {} and system.read_text() == text


def test_actions_that_the_user_adds_later_stay(run: RunCommand, home: Path, tmp_path: Path) -> None:
    """Neither a second installation nor the removal loses them, and their order stays."""
    settings = home / SETTINGS
    system = tmp_path / "xdg" / "Thunar" / "uca.xml"
    system.parent.mkdir(parents=True)
    system.write_text("<actions>\n</actions>\n")
    run("desktop", "install")
    mine = b"<action><name>mine</name></action>\n</actions>"
    settings.write_bytes(settings.read_bytes().replace(b"</actions>", mine))
    before = settings.read_bytes()
    run("desktop", "install")
    assert settings.read_bytes() == before
    (tmp_path / "library").rename(tmp_path / "moved")
    changed = run("desktop", "install", "--library", tmp_path / "moved")
    assert f"wrote {settings}" in changed.stdout
    assert f"restored {settings}" in run("desktop", "uninstall").stdout
    assert settings.read_text() == f"<actions>\n{mine.decode()}\n"


def test_a_changed_action_of_thunar_is_kept(run: RunCommand, home: Path) -> None:
    settings = home / SETTINGS
    settings.parent.mkdir(parents=True)
    settings.write_text("<actions>\n</actions>\n")
    run("desktop", "install")
    changed = settings.read_text().replace("-- %f", "-- %f --mine")
    settings.write_text(changed)
    assert f"kept {settings}: " in run("desktop", "install").stderr
    assert f"kept {settings}: " in run("desktop", "uninstall").stderr
    assert settings.read_text() == changed


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_other_systems_are_named(
    run: RunCommand, home: Path, monkeypatch: pytest.MonkeyPatch, platform: str
) -> None:
    monkeypatch.setattr(install_command.sys, "platform", platform)
    result = run("desktop", "install")
    assert result.exit_code == 1 and "works on Linux only" in str(result.exception)
    assert read_tree(home) == {}


def test_similar_pictures_are_shown_on_a_page(
    run: RunCommand, home: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The picture itself comes first; the page is removed with the rest."""
    opened: list[str] = []
    monkeypatch.setattr(similar_command, "open_in_viewer", opened.append)
    monkeypatch.setattr(similar_command, "answer_query", answer_here)
    run("desktop", "install")
    assert run("desktop", "similar", photos / "red.jpg").exit_code == 0
    page = home / ".cache/searchapp/similar.html"
    assert opened == [str(page)]
    text = page.read_text()
    assert "Similar to red.jpg" in text and text.index("/red.jpg") < text.index("/blue.jpg")
    missing = run("desktop", "similar", photos / "gone.jpg")
    assert missing.exit_code == 1 and "gone.jpg" in str(missing.exception)
    run("desktop", "uninstall")
    assert not page.exists()


def answer_here(*arguments: object, **options: object) -> object:
    """Answer a query in this process, which has the fake engine."""
    from searchapp.server.answer_query import answer_query

    return answer_query(*arguments, **{**options, "use_resident": False})  # type: ignore[arg-type]
