"""Nothing leaves the machine: connections to other hosts are refused and logged."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.effort import needs_effort
from support.fault_preload import build_faults, needs_preload, run_preloaded
from support.library import library_environment
from support.paths import ROOT
from support.processes import run_python
from support.real_vllm import needs_vllm, start_starter

from searchapp.engines.unclosed import UnclosedEngine
from searchapp.errors import ModelError
from searchapp.library import Library
from searchapp.models import hub, resolve_model
from searchapp.types import IndexOptions

PHOTOS = ROOT / "data" / "photos"
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
    return build_faults(tmp_path_factory.mktemp("watch"))


@needs_preload
def test_outgoing_connections_are_detected(watch: Path, tmp_path: Path) -> None:
    """Look-ups, IPv4, IPv6 and packets are refused and logged; loopback is allowed."""
    calls = tmp_path / "calls"
    ran = run_preloaded(watch, "-c", ABROAD, FAULTS_CALLS=str(calls))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert calls.read_text().splitlines() == [
        "getaddrinfo stats.vllm.ai",
        "connect 192.0.2.1",
        "connect 2001:db8::1",
        "sendto 192.0.2.2",
    ]


def test_the_telemetry_of_the_hub_is_off() -> None:
    """huggingface_hub's telemetry is off, whichever function imports it first."""
    for first in ("hub.is_on_disk(spec)", "hub.fetch_model(spec)"):
        code = f"""
            import contextlib, os
            os.environ["HF_HUB_OFFLINE"] = "1"
            from searchapp.errors import ModelError
            from searchapp.models import hub, resolve_model
            spec = resolve_model("clip-vit-b-32")
            with contextlib.suppress(ModelError):
                {first}
            from huggingface_hub import constants
            print(constants.HF_HUB_DISABLE_TELEMETRY)
        """
        assert run_python(code).stdout == "True\n"


@needs_preload
@needs_vllm
@pytest.mark.parametrize("in_command", [False, pytest.param(True, marks=needs_effort)])
def test_commands_with_vllm_connect_to_nobody_and_print_only_data(
    watch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_command: bool
) -> None:
    """In the resident process (and in a command), vLLM connects to nobody; its output is hidden."""
    for name in ("VLLM_NO_USAGE_STATS", "DO_NOT_TRACK", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    calls = tmp_path / "calls"
    variables = library_environment(tmp_path) | {
        "FAULTS_CALLS": str(calls),
        "HOME": str(tmp_path / "home"),
    }
    del variables["SEARCHAPP_NO_DAEMON"]
    folder = Path(variables["SEARCHAPP_LIBRARY"])
    (tmp_path / "home").mkdir()
    try:

        def searchapp(*arguments: object) -> tuple[Any, list[str]]:
            ran = run_preloaded(watch, "-m", "searchapp", *arguments, "--json", **variables)
            assert ran.returncode == 0, ran.stderr
            return json.loads(ran.stdout), ran.stderr.splitlines()

        if in_command:
            summary, lines = searchapp("index", PHOTOS, "--model", "starter", "--limit", "6")
            assert summary["added"] == 6
            assert "starting vLLM with starter ..." in lines
            others = [line for line in lines if not re.search("done|naming places", line)]
            assert others == lines[:2]
        else:
            lent = UnclosedEngine(start_starter())
            with Library.open(folder, create=True, start=lambda spec: lent) as library:
                list(library.index([PHOTOS], IndexOptions("starter", limit=6)))
        hits, lines = searchapp("query", "a dog", "--keep-alive", "1")
        assert len(hits) == 6
        assert lines == ["starting the resident process ...", "starting vLLM with starter ..."]
        (path,) = [hit["path"] for hit in hits[3:4]]
        (first, *_), _ = searchapp("query", "--image", path)
        assert first["path"] == path
        assert first["score"] > 0.999
    finally:
        run_preloaded(watch, "-m", "searchapp", "stop", **variables)
    assert not calls.exists(), calls.read_text()
    print("index and query with vLLM: 0 connections left the machine")


def test_a_downloaded_model_needs_no_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A complete download of a pinned revision is not checked again; a partial one is."""
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    asked: list[str] = []
    cache = tmp_path / "hub"

    def snapshot_download(source: str, *, local_files_only: bool, **_: object) -> str:
        asked.append("disk" if local_files_only else "hub")
        if local_files_only and not cache.exists():
            raise LocalEntryNotFoundError("not there")
        cache.mkdir(exist_ok=True)
        return str(cache)

    def broken(*_: object, **__: object) -> str:
        cache.mkdir()  # half of it
        raise OSError("the network is gone")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(hub, "_is_hub_reachable", lambda: asked.append("answers?") or True)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", broken)
    spec = resolve_model("clip-vit-b-32")
    with pytest.raises(ModelError, match="the network is gone"):
        hub.fetch_model(spec)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    for expected in (["answers?", "answers?", "hub"], ["disk"], ["disk"]):
        assert hub.fetch_model(spec) == cache
        assert asked == expected
        asked.clear()
    cache.rmdir()
    hub.fetch_model(spec)
    assert asked == ["disk", "answers?", "hub"]
    asked.clear()
    hub.fetch_model(replace(spec, revision="main"))
    assert asked == ["answers?", "hub"]
