"""Download a model's files from the Hugging Face hub once, into the user's cache."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import re
from contextlib import suppress
from pathlib import Path

from searchapp.errors import ModelError
from searchapp.models.local_folder import MERGE_HINT, check_weights_are_merged
from searchapp.models.qwen3_vl_reranker import ARCHITECTURE as RERANKER_ARCHITECTURE
from searchapp.models.spec import ModelSpec

logger = logging.getLogger(__name__)

ALTERNATIVE_HINT = "or use a model on disk: --model ./folder, or --model starter"
RERANKER_HINT = "or use a reranker on disk, or on a server: --reranker ./folder, --reranker URL"


def is_on_disk(spec: ModelSpec) -> bool:
    """Return whether the model can be loaded without the network."""
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
    """Return the folder with the model's files; download the files that are missing.

    Raises ModelError if the files cannot be downloaded, or if they hold LoRA weights only.
    """
    if spec.is_adapter:
        raise ModelError(
            f"the weights of the model {spec.name} ({spec.source}) are LoRA weights; {MERGE_HINT}"
        )
    folder = _find_or_download(spec)
    check_weights_are_merged(folder)
    return folder


def _find_or_download(spec: ModelSpec) -> Path:
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
        with suppress(LocalEntryNotFoundError):  # The user has emptied the cache.
            folder = download(offline=True)
            logger.info("Using the model %s from the cache at %s.", spec.name, folder)
            return folder
    try:
        offline = not _is_hub_reachable()
        if offline:
            logger.info(
                "The model hub is not reachable; looking for the model %s in the cache.", spec.name
            )
        else:
            logger.info(
                "Downloading the missing files of the model %s from %s (the model has %d MB).",
                spec.name,
                spec.source,
                spec.weights_mb,
            )
        folder = download(offline=offline)
        if marker is not None and not offline:
            with suppress(OSError):
                marker.parent.mkdir(parents=True, exist_ok=True)
                marker.touch()
        return folder
    except (GatedRepoError, LocalEntryNotFoundError, OSError) as error:
        raise ModelError(_explain_download_error(spec, error)) from error


def _explain_download_error(spec: ModelSpec, error: Exception) -> str:
    from huggingface_hub.errors import GatedRepoError, LocalEntryNotFoundError

    hint = RERANKER_HINT if spec.architecture == RERANKER_ARCHITECTURE else ALTERNATIVE_HINT

    if isinstance(error, GatedRepoError):
        return (
            f"the model {spec.name} is in the gated repository {spec.source}; accept the terms of "
            f"the repository on the model hub, then log in (hf auth login), {hint}"
        )
    if isinstance(error, LocalEntryNotFoundError):
        return (
            f"the model {spec.name} is not on this machine, and the model hub is not reachable; "
            f"check the network and HF_HUB_OFFLINE, {hint}"
        )
    text = str(error).strip()
    reason = text.splitlines()[0] if text else repr(error)
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        reason = f"the disk is full (the model needs {spec.weights_mb} MB)"
    return (
        f"the model {spec.name} cannot be downloaded from {spec.source}: {reason}; try again, "
        f"{hint}"
    )


def _get_completion_marker(spec: ModelSpec) -> Path | None:
    """Return the path of the file that marks a complete download of a model.

    None if the revision of the model is not a commit. The hub's cache can hold an incomplete
    download. Without the marker, searchapp asks the hub again.
    """
    import platformdirs

    if not re.fullmatch("[0-9a-f]{40}", spec.revision):
        return None
    digest = hashlib.sha256("\n".join((spec.source, spec.revision, *spec.download)).encode())
    return platformdirs.user_cache_path("searchapp") / "complete" / digest.hexdigest()[:32]


def _disable_telemetry() -> None:
    """Disable the telemetry of huggingface_hub.

    Call this before the import of huggingface_hub, which reads the environment variable.
    """
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")


def _is_hub_reachable() -> bool:
    """Return whether the hub answers within 5 s.

    Without this check, snapshot_download retries for about 30 s before it uses the cache.
    """
    import httpx
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    try:
        httpx.head(constants.ENDPOINT, timeout=5, follow_redirects=True)
    except httpx.HTTPError:
        return False
    return True
