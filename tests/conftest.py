"""Define fixtures. SQLite, FAISS, Pillow and files are real; only the engine is a fake."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from support.browser import BrowserTabs, SharedChromium
from support.certificates import trust_one_certificate
from support.library import FakeEngines, RunCommand, library_environment, write_fake_clip
from support.sample_pictures import save_picture

from searchapp import engines
from searchapp.cli import COMMANDS, cli
from searchapp.errors import SearchAppError
from searchapp.files import library_folder
from searchapp.library import Library

SHARED_CHROMIUM = SharedChromium()
STARTED_AT = pytest.StashKey[float]()
# Their files start first, so that no process runs one of them alone at the end.
SLOW_FILES = (
    "test_cluster.py", "test_replicas.py", "test_web_browse.py", "test_crashes.py",
    "test_near_duplicates.py", "test_resident.py", "test_web_large_view.py", "test_web.py",
    "test_web_selection.py", "test_web_narrowing.py",
)  # fmt: skip
# One process runs these, so that only this process imports vLLM, which takes 15 s of a core.
VLLM_FILES = (
    "test_starter.py", "test_privacy.py", "test_vlm.py", "test_vllm.py", "test_vllm_reranker.py",
    "test_vllm_requests.py", "test_vllm_server.py", "test_models.py",
)  # fmt: skip


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give each process a file at a time, and VLLM_FILES to one process, if --dist is loadfile."""
    from xdist.scheduler import LoadFileScheduling

    class FileScheduling(LoadFileScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            return "vllm" if file.rpartition("/")[2] in VLLM_FILES else file

    return FileScheduling(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of slow files first; the others keep their order."""
    ranks = {name: rank for rank, name in enumerate(VLLM_FILES + SLOW_FILES)}
    items.sort(key=lambda item: ranks.get(item.path.name, len(ranks)))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Iterator[None]:
    """Print how long the tests took, and what was skipped and why, as the last line."""
    yield
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        seconds = time.monotonic() - session.config.stash[STARTED_AT]
        reports = reporter.stats.get("skipped", [])
        reporter.write_line(f"The tests took {seconds / 60:.1f} min. {skipped_line(reports)}")


def pytest_configure(config: pytest.Config) -> None:
    """Note when the tests start, and remove what subprocesses of tests must not inherit."""
    config.stash[STARTED_AT] = time.monotonic()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # They would compile searchapp at each start.
    if "PYTEST_XDIST_WORKER" not in os.environ:  # The workers get the variables of this process.
        folder = tempfile.TemporaryDirectory(prefix="searchapp-tests-")
        config.add_cleanup(folder.cleanup)
        trust_one_certificate(Path(folder.name))
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # A shell's background job ignores it.
        signal.signal(signal.SIGINT, signal.default_int_handler)


def skipped_line(reports: Sequence[pytest.TestReport | pytest.CollectReport]) -> str:
    """Return the number of skipped tests for each reason, as a sentence."""
    reasons: Counter[str] = Counter()
    for report in reports:
        if isinstance(report.longrepr, tuple):
            reason = report.longrepr[2].removeprefix("Skipped: ").splitlines()[0]
            reasons[reason] += 1
    parts = [f"{n} test{'s' * (n > 1)}: {reason}" for reason, n in reasons.most_common()]
    return f"Skipped {'; '.join(parts)}." if parts else "None was skipped."


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """End the shared Chromium if the next test does not use it."""
    result = yield
    if nextitem is None or "chromium" not in getattr(nextitem, "fixturenames", ()):
        SHARED_CHROMIUM.close()
    return result


@pytest.fixture(autouse=True)
def normal_scheduling() -> Iterator[None]:
    """Fail if a library makes this process a real-time one: it would starve all others."""
    yield
    if hasattr(os, "sched_getscheduler") and os.sched_getscheduler(0) != os.SCHED_OTHER:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        pytest.fail("the test made this process a real-time process")


@pytest.fixture(autouse=True)
def no_library_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail if a test uses the library of the user who runs it."""

    def refuse() -> Path:
        raise AssertionError("the test did not choose a library")

    monkeypatch.setattr(library_folder, "get_default_folder", refuse)
    for name in ("SEARCHAPP_LIBRARY", "SEARCHAPP_MODEL", "SEARCHAPP_COLLECTION"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Write a CLIP folder that looks complete until it is loaded."""
    return write_fake_clip(tmp_path / "models" / "fake-clip")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Write a red and a green picture, and a blue one in a folder below."""
    folder = tmp_path / "photos"
    (folder / "below").mkdir(parents=True)
    for name, color in (("red.jpg", "red"), ("green.png", "green"), ("below/blue.jpg", "blue")):
        save_picture(folder / name, color)
    return folder


@pytest.fixture(scope="session")
def patched_torchvision() -> None:
    """Let transformers import torchvision, as the start of vLLM does; this imports vLLM."""
    from searchapp.engines.torchvision_stub import patch_torchvision

    patch_torchvision()


@pytest.fixture
def chromium() -> Any:
    """Chromium, shared with the tests before and after that use it, too."""
    return SHARED_CHROMIUM.get()


@pytest.fixture
def tabs(chromium: Any) -> Iterator[BrowserTabs]:
    """Browser tabs; fails if a console has an error, such as a violation of the CSP."""
    tabs = BrowserTabs(chromium)
    yield tabs
    tabs.close()
    assert tabs.list_errors() == []


@pytest.fixture
def fake_engines() -> FakeEngines:
    """Return a starter of fake engines that keeps them."""
    return FakeEngines()


@pytest.fixture
def opened(tmp_path: Path, fake_engines: FakeEngines) -> Iterator[Library]:
    """Open a new library with a fake engine."""
    with Library.open(tmp_path / "library", create=True, start=fake_engines) as opened_library:
        yield opened_library


@pytest.fixture
def run(tmp_path: Path, fake_engines: FakeEngines, monkeypatch: pytest.MonkeyPatch) -> RunCommand:
    """Return a function that runs a command in a test library, with a fake engine."""
    monkeypatch.setattr(engines, "start_engine", fake_engines)
    runner = CliRunner()

    def run(*arguments: object) -> Result:
        strings = [str(argument) for argument in arguments]
        environment = library_environment(tmp_path)
        assert strings[0] in COMMANDS or strings[0].startswith("-")
        result = runner.invoke(cli, strings, env=environment)
        if isinstance(result.exception, SearchAppError):
            result.exit_code = result.exception.exit_code
        elif result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run
