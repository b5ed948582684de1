"""The command: its options, and what it says if it cannot start."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from support.library import RunCommand
from textual.app import App

import searchapp
from searchapp.cli import cli
from searchapp.cli.browse import picture_source, terminal_driver
from searchapp.cli.browse.app import BrowseApp
from searchapp.errors import SearchAppError
from searchapp.library import Library


@pytest.fixture
def apps(monkeypatch: pytest.MonkeyPatch) -> list[BrowseApp]:
    """Return the apps that are created; they do not run, and nothing is selected."""
    created: list[BrowseApp] = []

    def run(self: BrowseApp) -> list[str]:
        created.append(self)
        return []

    monkeypatch.setattr(BrowseApp, "run", run)
    monkeypatch.setattr(terminal_driver, "open_terminal", io.StringIO)
    for name in ("TMUX", "TERM_PROGRAM", "KITTY_WINDOW_ID", "LC_TERMINAL"):
        monkeypatch.delenv(name, raising=False)
    return created


@pytest.mark.parametrize(
    ("term", "arguments", "protocol"),
    [
        ("xterm-kitty", [], "kitty"),
        ("xterm-kitty", ["--draw", "auto"], "kitty"),
        ("xterm-kitty", ["--draw", "sixel"], "sixel"),
        ("xterm-kitty", ["--draw", "blocks"], "blocks"),
        ("xterm-256color", [], "blocks"),
        ("xterm-256color", ["--draw", "iterm"], "iterm"),
        ("tmux-256color", [], "blocks"),
    ],
)
def test_the_terminal_or_an_option_chooses_the_protocol(
    library: Library, run: RunCommand, apps: list[BrowseApp], monkeypatch: pytest.MonkeyPatch,
    term: str, arguments: list[str], protocol: str,
) -> None:  # fmt: skip
    """detect_terminal() decides, as for `query --preview`; --draw overrides it."""
    monkeypatch.setenv("TERM", term)
    assert run("browse", *arguments).exit_code == 0
    assert apps[0].painter.protocol == protocol


@pytest.mark.parametrize("arguments", [[], ["--no-daemon"]])
def test_a_search_uses_the_resident_process(
    library: Library, apps: list[BrowseApp], monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
) -> None:  # fmt: skip
    """As `query`, unless --no-daemon excludes it."""
    settings: list[dict[str, Any]] = []
    real_source = picture_source.PictureSource

    def make_source(config: Any, start: Any, **values: Any) -> picture_source.PictureSource:
        settings.append(values)
        return real_source(config, start, **values)

    monkeypatch.setattr(picture_source, "PictureSource", make_source)
    CliRunner().invoke(cli, ["browse", "--library", str(library.folder), *arguments])
    assert settings[0]["use_resident"] is not bool(arguments)


def test_without_the_extra_it_says_what_to_install(
    library: Library, run: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The base installation has no Textual."""
    monkeypatch.setitem(sys.modules, "textual", None)
    result = run("browse")
    assert isinstance(result.exception, SearchAppError) and result.exit_code == 1
    assert "Install it: pip install -e '.[tui]'" in str(result.exception)


def test_an_unexpected_exception_is_no_interruption(
    library: Library, run: RunCommand, apps: list[BrowseApp], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Textual prints the traceback; the exit status is 1, not 130 as after Ctrl-C."""
    monkeypatch.setattr(App, "return_code", 1)
    assert run("browse").exit_code == 1


def test_help_shows_all_keys(run: RunCommand) -> None:
    """Each key of the app is in the help text and on the page."""
    names = {"slash": "/", "plus": "+", "minus": "-", "ctrl+c": "Ctrl-C", "ctrl+q": "q"}
    help_text = run("browse", "--help").stdout.partition("Keys:")[2].partition("Options:")[0]
    page = (
        (Path(searchapp.__file__).parent / "docs/browse.md")
        .read_text()
        .partition("## Keys")[2]
        .lower()
    )
    keys = [key for each in BrowseApp.BINDINGS for key in each.key.split(",")]  # type: ignore[union-attr]
    assert len(keys) > 12
    for name in (names.get(key, key) for key in keys):
        assert re.search(rf"(?im)(^| ){re.escape(name)}[ ,]", help_text), name
        assert re.search(rf"[`| ]{re.escape(name.lower())}[`, ]", page), name
