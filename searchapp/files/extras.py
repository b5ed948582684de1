"""Tell the user how to install an extra: the packages that one optional feature needs."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

DISTRIBUTION = "searchapp"
# The name on PyPI; None: not published. Anyone can register an unpublished name, so no message
# may tell users to install searchapp from PyPI while this is None.
PUBLISHED_NAME: str | None = None
# The CPU build of vLLM needs a torch build that is not on PyPI.
TORCH_INDEX = "https://download.pytorch.org/whl/cpu"


def install_hint(extra: str) -> str:
    """Return the command, or the advice, to install an extra of this copy of searchapp."""
    index = f" --extra-index-url {TORCH_INDEX}" if extra == "cpu" else ""
    if (clone := find_clone()) is not None:
        return f"pip install -e '.[{extra}]'{index} (in the clone, {clone})"
    if PUBLISHED_NAME is not None:
        return f"pip install '{PUBLISHED_NAME}[{extra}]'{index}"
    if requirements := read_requirements(extra):
        return f"pip install {shlex.join(requirements)}{index}"
    return f"install what pyproject.toml lists under the extra {extra}"


def upgrade_hint() -> str:
    """Return the command, or the advice, to upgrade this copy of searchapp."""
    if (clone := find_clone()) is not None:
        return f"git pull (in the clone, {clone})"
    if PUBLISHED_NAME is not None:
        return f"pip install -U {PUBLISHED_NAME}"
    return f"install the newest version of {DISTRIBUTION} in the same way as this one"


def find_clone() -> Path | None:
    """Return the Git clone that this package runs from; None if it is an installed copy."""
    import tomllib

    root = Path(__file__).resolve().parents[2]
    try:
        project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return root if project.get("project", {}).get("name") == DISTRIBUTION else None


def read_requirements(extra: str) -> list[str]:
    """Return the requirements of an extra from the installed metadata, such as "rawpy>=0.24".

    The marker `extra == ...` is removed from each requirement; pip evaluates the other markers.
    https://packaging.python.org/en/latest/specifications/dependency-specifiers/
    """
    from importlib import metadata

    try:
        listed = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        return []
    own_marker = re.compile(rf"(?:\s+and)?\s*extra\s*==\s*(['\"]){re.escape(extra)}\1\s*$")
    return [own_marker.sub("", line).rstrip("; ") for line in listed if own_marker.search(line)]
