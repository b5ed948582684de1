"""Formats whose decoder is not always installed, and which extra of searchapp brings it."""

from __future__ import annotations

from importlib.util import find_spec

from searchapp.errors import PictureError
from searchapp.files.extras import install_hint

MODULES = {"jxl": "pillow_jxl", "raw": "rawpy", "video": "av"}


def has(extra: str) -> bool:
    """Tell whether what an extra brings is installed."""
    return find_spec(MODULES[extra]) is not None


def stage(extra: str) -> str:
    """Return the stage of failures that end when an extra is installed."""
    return f"needs {extra}"


def installed_stages() -> list[str]:
    """Return the stages of failures that index may try again by itself."""
    return [stage(extra) for extra in MODULES if has(extra)]


def missing(extra: str, what: str) -> PictureError:
    """Return the error of a file that cannot be read without an extra."""
    return PictureError(
        f"{what} needs an extra: {install_hint(extra)}; then the next index reads it",
        stage(extra),
    )
