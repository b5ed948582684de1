"""Fetch a model's files from the hub, once, into the user's own cache."""

from __future__ import annotations

import errno
import hashlib
import os
import re
from contextlib import suppress
from pathlib import Path

from searchapp.errors import ModelError
from searchapp.models.spec import ModelSpec

ALTERNATIVE_HINT = "or use a model that is on disk: --model ./folder, or --model starter"


def is_on_disk(spec: ModelSpec) -> bool:
    """Tell whether the model can be loaded with no network."""
    if spec.is_folder:
        return Path(spec.source).is_dir()
    _disable_telemetry()
    try:
        from huggingface_hub import try_to_load_from_cache
    except ImportError:
        return False
    cached = try_to_load_from_cache(spec.source, "config.json", revision=spec.revision)
    return isinstance(cached, str)


def fetch_model(spec: ModelSpec) -> Path:
    """Return the folder with the model's files, downloaded where they are not there yet."""
    if spec.is_folder:
        return Path(spec.source)
    _disable_telemetry()
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, LocalEntryNotFoundError

    def download(*, offline: bool) -> Path:
        folder = snapshot_download(
            spec.source,
            revision=spec.revision,
            allow_patterns=list(spec.download),
            local_files_only=offline,
        )
        return Path(folder)

    marker = _get_completion_marker(spec)
    if marker is not None and marker.exists():
        with suppress(LocalEntryNotFoundError):  # the user has emptied the cache
            return download(offline=True)
    try:
        offline = not _is_hub_reachable()
        folder = download(offline=offline)
        if marker is not None and not offline:
            with suppress(OSError):
                marker.parent.mkdir(parents=True, exist_ok=True)
                marker.touch()
        return folder
    except GatedRepoError as error:
        raise ModelError(
            f"{spec.name}: {spec.source} asks you to accept its terms at the hub first, and then "
            f"to log in (hf auth login); {ALTERNATIVE_HINT}"
        ) from error
    except LocalEntryNotFoundError as error:
        raise ModelError(
            f"{spec.name}: not on this machine, and the model hub cannot be reached; check the "
            f"network and HF_HUB_OFFLINE, {ALTERNATIVE_HINT}"
        ) from error
    except OSError as error:
        if error.errno == errno.ENOSPC:
            reason = f"the disk is full (it needs {spec.weights_mb} MB)"
        else:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        raise ModelError(
            f"{spec.name}: cannot be fetched from {spec.source}: {reason}; {ALTERNATIVE_HINT}"
        ) from error


def _get_completion_marker(spec: ModelSpec) -> Path | None:
    """Return the file that says that all of a pinned revision was downloaded; None: not pinned.

    What lies in the hub's cache may be half a download: without the mark, the hub is asked.
    """
    import platformdirs

    if not re.fullmatch("[0-9a-f]{40}", spec.revision):
        return None
    digest = hashlib.sha256("\n".join((spec.source, spec.revision, *spec.download)).encode())
    return platformdirs.user_cache_path("searchapp") / "complete" / digest.hexdigest()[:32]


def _disable_telemetry() -> None:
    """Have it off before huggingface_hub is imported, which looks at it then and never again."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")


def _is_hub_reachable() -> bool:
    """Ask once: snapshot_download would try for half a minute before it looks at the disk."""
    import httpx
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    try:
        httpx.head(constants.ENDPOINT, timeout=5, follow_redirects=True)
    except httpx.HTTPError:
        return False
    return True
