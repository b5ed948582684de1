"""Optional decoders for JPEG XL, camera RAW and video; an extra of searchapp installs each."""

from __future__ import annotations

from importlib.util import find_spec

from searchapp.errors import PictureError
from searchapp.files.extras import install_hint

MODULE_BY_EXTRA = {"jxl": "pillow_jxl", "raw": "rawpy", "video": "av"}


def is_installed(extra: str) -> bool:
    """Return whether the decoder of an extra is installed."""
    return find_spec(MODULE_BY_EXTRA[extra]) is not None


def get_failure_stage(extra: str) -> str:
    """Return the failure stage of files that cannot be read without this extra of searchapp."""
    return f"needs {extra}"


def list_retryable_stages() -> list[str]:
    """Return the failure stages of files that installed extras can read: `index` retries them."""
    return [get_failure_stage(extra) for extra in MODULE_BY_EXTRA if is_installed(extra)]


def make_missing_extra_error(extra: str, file_kind: str) -> PictureError:
    """Return the error for a file that cannot be read without this extra of searchapp."""
    return PictureError(
        f"reading {file_kind} needs the extra {extra}: {install_hint(extra)}; "
        "then run `searchapp index` again",
        get_failure_stage(extra),
    )
