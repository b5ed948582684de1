"""Nothing leaves the machine: every connection to anything but itself is refused, and noted."""

import importlib.util
from pathlib import Path

import pytest
from conftest import in_library
from preload import built, needs_preload, preloaded
from test_process import python

PHOTOS = Path(__file__).parent.parent / "data" / "photos"
ABROAD = """
import socket, urllib.request
for ask in (
    lambda: urllib.request.urlopen("https://stats.vllm.ai", timeout=5),
    lambda: socket.create_connection(("192.0.2.1", 80), timeout=5),
    lambda: socket.create_connection(("2001:db8::1", 80), timeout=5),
    lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", ("192.0.2.2", 53)),
):
    try:
        ask()
    except OSError:
        continue
    raise SystemExit("let through")
here = socket.create_server(("127.0.0.1", 0))
socket.create_connection(here.getsockname(), timeout=5)
socket.create_connection(("localhost", here.getsockname()[1]), timeout=5)
"""


@pytest.fixture(scope="module")
def watch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("watch"))


@needs_preload
def test_the_watch_sees_what_leaves(watch: Path, tmp_path: Path) -> None:
    """Names, addresses of both kinds, and packets are refused and noted; this machine is not."""
    calls = tmp_path / "calls"
    ran = preloaded(watch, "-c", ABROAD, FAULTS_CALLS=str(calls))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert calls.read_text().splitlines() == [
        "getaddrinfo stats.vllm.ai",
        "connect 192.0.2.1",
        "connect 2001:db8::1",
        "sendto 192.0.2.2",
    ]


def test_the_hub_hears_nothing_about_us() -> None:
    """huggingface_hub's telemetry is off, whichever of our functions imports it first."""
    for first in ("hub.is_on_disk(spec)", "hub.fetch(spec)"):
        code = f"""
            import contextlib, os
            os.environ["HF_HUB_OFFLINE"] = "1"
            from searchapp.errors import ModelError
            from searchapp.models import hub, resolve
            spec = resolve("clip-vit-b-32")
            with contextlib.suppress(ModelError):
                {first}
            from huggingface_hub import constants
            print(constants.HF_HUB_DISABLE_TELEMETRY)
        """
        assert python(code).stdout == "True\n"


@needs_preload
@pytest.mark.vllm
@pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed")
def test_index_and_query_reach_nobody(
    watch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real vLLM, as a user starts it: in a command, and in the process that it leaves."""
    for name in ("VLLM_NO_USAGE_STATS", "DO_NOT_TRACK", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    calls = tmp_path / "calls"
    variables = in_library(tmp_path) | {"FAULTS_CALLS": str(calls), "HOME": str(tmp_path / "home")}
    del variables["SEARCHAPP_NO_DAEMON"]
    (tmp_path / "home").mkdir()
    try:
        for arguments in (
            ["index", PHOTOS, "--model", "starter", "--limit", "6"],
            ["query", "a dog", "--paths", "--keep-alive", "1"],
        ):
            ran = preloaded(watch, "-m", "searchapp", *arguments, **variables)
            assert ran.returncode == 0, ran.stderr
        assert len(ran.stdout.splitlines()) == 6
    finally:
        preloaded(watch, "-m", "searchapp", "stop", **variables)
    assert not calls.exists(), calls.read_text()
    print("index and query with vLLM: 0 connections left the machine")
