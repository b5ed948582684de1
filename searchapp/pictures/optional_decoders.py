"""Formats whose decoder is not always installed, and which extra of searchapp brings it."""

from __future__ import annotations

from importlib.util import find_spec

from searchapp.errors import PictureError
from searchapp.files.extras import install_hint

MODULE_BY_EXTRA = {"jxl": "pillow_jxl", "raw": "rawpy", "video": "av"}


def is_installed(extra: str) -> bool:
    """Tell whether what an extra brings is installed."""
    return find_spec(MODULE_BY_EXTRA[extra]) is not None


def get_failure_stage(extra: str) -> str:
    """Return the stage of failures that end when an extra is installed."""
    return f"needs {extra}"


def list_retryable_stages() -> list[str]:
    """Return the stages of failures that index may try again by itself."""
    return [get_failure_stage(extra) for extra in MODULE_BY_EXTRA if is_installed(extra)]


def make_missing_extra_error(extra: str, what: str) -> PictureError:
    """Return the error of a file that cannot be read without an extra."""
    return PictureError(
        f"{what} needs an extra: {install_hint(extra)}; then the next index reads it",
        get_failure_stage(extra),
    )
