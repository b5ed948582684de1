"""Test `make setup`: checks of the machine, locked versions, and how pip finds torch."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import shutil
import socket
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from support.machines import Driver, libraries
from support.paths import ROOT
from support.torch_index import add_stand_in, normalize, serve_index

__all__ = ["libraries"]  # a fixture

PREFLIGHT = ROOT / "data" / "preflight.py"
LOCKS = ROOT / "data" / "constraints"
PYTHONS = ("3.11", "3.12", "3.13")
THIS = "{}.{}".format(*sys.version_info)
TORCH = "2.13.0+cpu"
CLOSED = "http://127.0.0.1:9"


@pytest.fixture
def preflight() -> ModuleType:
    """data/preflight.py as a module."""
    spec = importlib.util.spec_from_file_location("preflight", PREFLIGHT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_an_old_python_can_read_the_preflight() -> None:
    """An old Python has to print a message, so the file has only syntax of Python 3.6."""
    ast.parse(PREFLIGHT.read_text(encoding="utf-8"), feature_version=(3, 6))


@pytest.mark.parametrize("version", [(3, 8, 1), (3, 10, 13), (3, 14, 0)])
def test_another_python_is_refused(
    preflight: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: tuple[int, ...]
) -> None:
    """The line names the supported Pythons, and the command with one that is installed."""
    monkeypatch.setattr(sys, "version_info", version)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(preflight, "VENV", tmp_path)
    problem = f"this is Python 3.{version[1]}, but searchapp needs Python 3.11, 3.12 or 3.13."
    install = "Install one, for example python3.11."
    command = "make setup PYTHON=python3.11"
    assert preflight.check_python() == f"{problem} {install} Run: {command}"
    (tmp_path / "python3.12").symlink_to(sys.executable)
    assert preflight.check_python() == f"{problem} Run: make setup PYTHON=python3.12"
    assert preflight.check_python() in preflight.list_missing("cpu")


def test_a_missing_venv_module_is_reported(
    preflight: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On Debian and Ubuntu, venv is in a separate package."""
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    assert preflight.check_venv() == (
        "Python cannot create a virtual environment (no module ensurepip). "
        f"Run: apt-get install python{THIS}-venv"
    )


def test_all_problems_are_reported_at_once(
    preflight: ModuleType,
    libraries: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Each missing requirement has a line with its remedy, before anything is installed."""
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    monkeypatch.setattr(preflight, "VENV", tmp_path / ".venv")
    for extra, library in (
        ("cpu", "vLLM's CPU extension needs libnuma: apt-get install libnuma1"),
        ("gpu", "vLLM's GPU build needs an NVIDIA driver, and there is none: install driver 580"),
    ):
        monkeypatch.setattr(sys, "argv", ["preflight.py", extra])
        with monkeypatch.context() as full, pytest.raises(SystemExit) as ended:
            full.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=3 * 10**8))
            preflight.main()
        assert ended.value.code == 1
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) >= 3
        assert all(line.startswith("setup: ") for line in lines)
        for part in (f"apt-get install python{THIS}-venv", "0.3 GB free, but the install", library):
            assert len([line for line in lines if part in line]) == 1


def test_a_complete_machine_has_no_problems(
    preflight: ModuleType,
    libraries: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The exit code is 0, and packages that .venv already contains need no further space."""
    libraries |= {"libnuma.so.1": object(), "libcuda.so.1": Driver(13000)}
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    monkeypatch.setattr(preflight, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=4 * 10**9))
    assert any("the install needs" in line for line in preflight.list_missing("cpu"))
    (tmp_path / ".venv").mkdir()
    with (tmp_path / ".venv" / "large").open("wb") as file:
        file.truncate(5 * 10**9)
    monkeypatch.setattr(sys, "argv", ["preflight.py", "cpu"])
    with pytest.raises(SystemExit) as ended:
        preflight.main()
    assert (ended.value.code, capsys.readouterr().err) == (0, "")


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the Python of a virtual environment that contains only pip."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, with_pip=True)
    return folder / "bin" / "python"


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    """Return a folder with a wheel of torch for this Python that contains only metadata."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    tag = re.sub("[-.]", "_", sysconfig.get_platform())
    wheel = tmp_path / f"torch-{TORCH}-cp39-cp39-{tag}.whl"
    with zipfile.ZipFile(wheel, "w") as made:
        metadata = f"Metadata-Version: 2.1\nName: torch\nVersion: {TORCH}\n"
        made.writestr(f"torch-{TORCH}.dist-info/METADATA", metadata)
    add_stand_in(wheel, THIS, folder)
    return folder


def find_torch(python: Path, index: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run the check for torch with a pip that has no settings and cannot reach PyPI."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    variables |= {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": CLOSED, "PIP_RETRIES": "0"}
    return subprocess.run(
        [python, PREFLIGHT, "torch", index],
        env=variables | more, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_torch_comes_from_an_index_that_answers(bare_python: Path, wheels: Path) -> None:
    """The index is passed to pip with its credentials; the probe does not send them."""
    with serve_index(wheels) as url:
        for index in (url, url.replace("//", "//me:secret@")):
            found = find_torch(bare_python, index)
            assert (found.returncode, found.stderr) == (0, "")
            assert found.stdout == f"--extra-index-url {index}\n"


def test_without_the_index_a_local_wheel_is_used(bare_python: Path, wheels: Path) -> None:
    """Pip finds the wheel by PIP_FIND_LINKS, and a line says that the index does not answer."""
    found = find_torch(bare_python, CLOSED, PIP_FIND_LINKS=str(wheels))
    assert (found.returncode, found.stdout) == (0, "\n")
    assert found.stderr == (
        f"setup: the package index {CLOSED} does not answer ([Errno 111] Connection refused); "
        "continuing without this index\n"
    )
    assert find_torch(bare_python, "", PIP_FIND_LINKS=str(wheels)).stderr == ""


def test_without_a_wheel_two_remedies_are_named(bare_python: Path, tmp_path: Path) -> None:
    """The error names version, Python and both remedies, and contains no password."""
    with serve_index(tmp_path) as url:  # it answers, but has no torch
        found = find_torch(bare_python, url.replace("//", "//me:secret@"))
    assert (found.returncode, found.stdout) == (1, "")
    assert f"setup: pip finds no wheel of torch {TORCH} for Python {THIS} on " in found.stderr
    assert "make setup TORCH_INDEX=URL" in found.stderr
    assert "PIP_FIND_LINKS=FOLDER make setup" in found.stderr
    assert "HTTP status 404" in found.stderr
    assert "secret" not in found.stderr


def test_an_index_that_hangs_is_given_up(
    preflight: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The index accepts a connection and never answers; here the timeout is 1 s, not 5 s."""
    assert preflight.PROBE_S == 5
    monkeypatch.setattr(preflight, "PROBE_S", 1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        problem = preflight.probe_index("http://{}:{}".format(*server.getsockname()))
    assert problem in ("timed out", "no answer within 1 s")


def list_requirements(extra: str) -> set[str]:
    """Return the projects that searchapp requires with an extra, by pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    other = {"cpu": "gpu", "gpu": "cpu"}[extra]
    lists = [extras[name] for name in extras if name != other]
    names = [re.split(r"[\[<>=; ]", line)[0] for line in sum(lists, project["dependencies"])]
    return {normalize(name) for name in names} - {"searchapp"}


@pytest.mark.parametrize("extra", ["cpu", "gpu"])
@pytest.mark.parametrize("python", PYTHONS)
def test_every_dependency_is_locked(preflight: ModuleType, extra: str, python: str) -> None:
    """Each dependency has one version, and only torch a local one: PyPI has no +cpu versions."""
    lines = (LOCKS / f"{extra}-{python}.txt").read_text(encoding="utf-8").splitlines()
    locked = dict(line.split("==") for line in lines)
    assert len(locked) == len(lines)
    assert list_requirements(extra) <= locked.keys()
    local = {name: version for name, version in locked.items() if "+" in version}
    assert local == ({"torch": TORCH} if extra == "cpu" else {})
    if extra == "gpu":
        assert locked["nvidia-cuda-runtime"].split(".")[0] == str(preflight.CUDA)
    assert tuple(map(int, python.split("."))) in preflight.SUPPORTED


def dry_run(*arguments: str, folder: Path = ROOT) -> str:
    """Return the commands that make would run."""
    command = ["make", "--dry-run", "--always-make", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


def test_setup_installs_the_locked_versions_or_the_newest() -> None:
    """The lock also applies to the environment in which pip builds the package."""
    lock = f"data/constraints/cpu-{THIS}.txt"
    for target in ("setup", "tools"):
        installs = [line for line in dry_run(target, "EXTRA=cpu").splitlines() if "pip" in line]
        assert any(f"PIP_CONSTRAINT={lock} PIP_BUILD_CONSTRAINT={lock}" in x for x in installs)
        newest = dry_run(target, "EXTRA=cpu", "LOCK=")
        assert "--upgrade --upgrade-strategy eager" in newest
        assert "CONSTRAINT" not in newest


def test_an_incomplete_environment_is_created_again(tmp_path: Path) -> None:
    """It may be of an unsupported Python; a complete environment keeps its Python."""
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").symlink_to(sys.executable)
    create = "python3.12 -m venv --clear .venv"
    assert create in dry_run("setup", "EXTRA=cpu", "PYTHON=python3.12", folder=tmp_path)
    (tmp_path / ".venv" / "ready-cpu").touch()
    complete = dry_run("setup", "EXTRA=cpu", "PYTHON=python3.12", folder=tmp_path)
    assert "-m venv" not in complete
    assert ".venv/bin/python data/preflight.py cpu" in complete


def test_the_last_line_names_skipped_tests(tmp_path: Path) -> None:
    """Without a browser and a compiler, tests are skipped with the reason, and none fails."""
    (tmp_path / "test_none.py").write_text(
        "from support.browser import needs_chromium\n"
        "from support.fault_preload import needs_preload\n"
        "@needs_chromium\ndef test_a(): pass\n"
        "@needs_preload\ndef test_b(): pass\n"
        "@needs_preload\ndef test_c(): pass\n"
    )
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path)
    variables = {"PATH": str(tmp_path), "PYTHONPATH": str(ROOT / "tests")}
    process = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", tmp_path],
        env=os.environ | variables, cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert process.returncode == 0, process.stdout
    assert re.fullmatch(
        r"The tests took \d+\.\d min\. "
        r"Skipped 2 tests: no C compiler is installed \(apt-get install gcc libc6-dev\); "
        r"1 test: Chromium is not installed \(apt-get install chromium\)\.",
        process.stdout.splitlines()[-1],
    )
