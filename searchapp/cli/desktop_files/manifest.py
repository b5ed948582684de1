"""Remember which files `searchapp desktop install` wrote, so that they can be removed again."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from searchapp.cli.desktop_files.entries import find_user_folder
from searchapp.errors import SearchAppError
from searchapp.files.atomic import write_output


@dataclass(slots=True)
class Manifest:
    """Files and folders of an installation."""

    files: dict[str, str] = field(default_factory=dict)  # path -> SHA-256 of the content
    folders: list[str] = field(default_factory=list)  # made by the installation, outermost first
    thunar_file: str | None = None  # settings of Thunar to which an action was added
    thunar_action: str = ""
    thunar_sha256: str | None = None  # of a file that was made with the action; None: it existed


def find_manifest() -> Path:
    """Return the path of the manifest, in the user's folder for state."""
    return find_user_folder("XDG_STATE_HOME", ".local/state") / "searchapp" / "desktop.json"


def load_manifest() -> Manifest | None:
    """Return the manifest; None if nothing is installed. Raises SearchAppError if it is damaged."""
    file = find_manifest()
    try:
        return Manifest(**json.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise SearchAppError(
            f"the list of installed files {file} cannot be read: {error}. Remove it, and the files "
            "that `searchapp docs integrations` names."
        ) from error


def save_manifest(manifest: Manifest) -> None:
    """Write the manifest atomically. Raises SearchAppError if this fails."""
    values = {name: getattr(manifest, name) for name in Manifest.__slots__}
    text = json.dumps(values, indent=2)
    with write_output(find_manifest()) as temporary:
        temporary.write_text(text, encoding="utf-8")


def hash_content(content: bytes) -> str:
    """Return the SHA-256 of a content in hexadecimal."""
    return sha256(content).hexdigest()
