"""The list of packages in pyproject.toml."""

from __future__ import annotations

import tomllib

from support.paths import ROOT


def test_every_package_of_the_tree_is_installed() -> None:
    """A package that is not listed would be missing in the wheel. The starter model is in data/."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    folders = {file.parent.relative_to(ROOT) for file in ROOT.glob("searchapp/**/__init__.py")}
    expected = {".".join(folder.parts) for folder in folders} | {"searchapp.starter"}
    assert set(project["tool"]["setuptools"]["packages"]) == expected
