"""Keep a folder with links to files in step with a list of hits.

A manifest in the folder names the links that this program made. Only these are ever removed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from searchapp.errors import FolderError
from searchapp.files import storage
from searchapp.files.atomic import WRITE_REMEDY, write_atomically
from searchapp.files.companions import make_companion_name
from searchapp.files.copy_hits import number_stems
from searchapp.files.ignore_rules import IGNORE_FILE_NAME
from searchapp.files.path_forms import is_exactly_below
from searchapp.types import Hit

MANIFEST_NAME = ".searchapp-links.json"
# `searchapp index` follows links to files, and would find each picture a second time.
IGNORE_TEXT = "# searchapp keeps links to the hits of a saved search here.\n*\n"


@dataclass(frozen=True, slots=True)
class LinkChanges:
    """What a sync changed in a folder of links."""

    added: int = 0
    removed: int = 0
    skipped: int = 0  # files in object storage, to which no link is possible


@dataclass(frozen=True, slots=True)
class LinkFolder:
    """A folder with links to the hits of one saved search.

    owner: says whose links the folder holds; another owner's folder is refused.
    """

    folder: Path
    owner: str

    def create(self, forbidden: Iterable[str]) -> None:
        """Create the folder, or take an empty one, and write an empty manifest.

        forbidden: folders in which no links may be, such as indexed ones. Raises FolderError.
        """
        real = os.path.realpath(self.folder)
        for other in forbidden:
            for path, base in ((str(self.folder), other), (real, os.path.realpath(other))):
                if path == base or is_exactly_below(path, base):
                    raise FolderError(
                        f"{self.folder} is in {other}, whose pictures the library holds or uses: "
                        "links there would be pictures, too. Choose a folder outside."
                    )
        with self._explain_errors():
            self.folder.mkdir(parents=True, exist_ok=True)
            if (self.folder / MANIFEST_NAME).exists():
                self._read_manifest()
                return
            if any(not file.name.startswith(".") for file in self.folder.iterdir()):
                raise FolderError(
                    f"{self.folder} is not empty. Choose a new or an empty folder for the links."
                )
            self._write_manifest({})

    def sync(self, hits: Sequence[Hit]) -> LinkChanges:
        """Make the folder hold a link to each hit and its companions, and no other own link.

        A link keeps its name as long as its file is a hit. Raises FolderError if the folder does
        not exist, is not the owner's, or cannot be written.
        """
        local_hits = [hit for hit in hits if not storage.is_url(hit.path)]
        with self._explain_errors(), self._lock():
            links = self._read_manifest()
            own = {name: path for name, path in links.items() if self._is_own(name, path)}
            planned = self._plan(local_hits, own)
            stale = [name for name, path in own.items() if planned.get(name) != path]
            new = [name for name in planned if name not in own or name in stale]
            for name in stale:
                (self.folder / name).unlink()
            if links != planned:
                # Before the links are made: after a crash, the manifest knows all of them.
                self._write_manifest(planned)
            for name in new:
                (self.folder / name).symlink_to(planned[name])
        return LinkChanges(len(new), len(stale), len(hits) - len(local_hits))

    def remove(self) -> int:
        """Remove the own links, the manifest, and the folder if it is empty then.

        Return the number of removed links. A folder that does not exist has none. Raises
        FolderError if a link cannot be removed.
        """
        if not (self.folder / MANIFEST_NAME).exists():
            return 0
        with self._explain_errors(), self._lock():
            links = self._read_manifest()
            own = [name for name, path in links.items() if self._is_own(name, path)]
            for name in own:
                (self.folder / name).unlink()
            ignore_file = self.folder / IGNORE_FILE_NAME
            if _read_text(ignore_file) == IGNORE_TEXT:
                ignore_file.unlink()
            (self.folder / MANIFEST_NAME).unlink()
        with suppress(OSError):  # The user has put something into it.
            self.folder.rmdir()
        return len(own)

    def _plan(self, hits: Iterable[Hit], own: Mapping[str, str]) -> dict[str, str]:
        """Return the path of each wanted link by its name; links that exist keep their names."""
        name_by_path = {path: name for name, path in own.items()}
        planned: dict[str, str] = {}
        planned_paths = set(name_by_path)
        names_in_folder = {file.name for file in self.folder.iterdir()}
        used = {name.casefold() for name in names_in_folder - own.keys()}
        # The names of kept links first, so that no new link takes one of them.
        for hit in hits:
            for path in (hit.path, *hit.companions):
                if (name := name_by_path.get(path)) is not None:
                    planned[name] = path
                    used.add(name.casefold())
        for hit in hits:
            known = name_by_path.get(hit.path)
            known_stems = [Path(known).stem] if known else []
            for stem in chain(known_stems, number_stems(Path(hit.path).stem)):
                names = [f"{stem}{Path(hit.path).suffix}"]
                names += [make_companion_name(each, stem) for each in hit.companions]
                if known is not None or not used & {name.casefold() for name in names}:
                    break
            for path, name in zip((hit.path, *hit.companions), names, strict=True):
                if path in planned_paths:
                    continue
                numbered = (f"{each}{Path(name).suffix}" for each in number_stems(Path(name).stem))
                chosen = next(each for each in numbered if each.casefold() not in used)
                planned[chosen] = path
                planned_paths.add(path)
                used.add(chosen.casefold())
        return planned

    def _is_own(self, name: str, path: str) -> bool:
        """Return whether a name is still the link to a path that this program made."""
        try:
            return str((self.folder / name).readlink()) == path
        except OSError:
            return False

    def _read_manifest(self) -> dict[str, str]:
        """Return the path of each link by its name; raise FolderError if the owner is another."""
        file = self.folder / MANIFEST_NAME
        try:
            values = json.loads(file.read_bytes())
            owner, links = values["owner"], values["links"]
            if not all(isinstance(each, str) for each in (owner, *links, *links.values())):
                raise ValueError("a link is not a text")
        except FileNotFoundError:
            raise FolderError(
                f"{self.folder} does not exist, or it is not the folder of the links any more. "
                "Mount its drive, or choose another: `searchapp saved sync NAME --link-to DIR`."
            ) from None
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise FolderError(
                f"{file} is damaged ({error}). Empty the folder, and choose it again with "
                "`searchapp saved sync NAME --link-to DIR`."
            ) from error
        if owner != self.owner:
            raise FolderError(
                f"{self.folder} holds the links of another saved search. Choose another folder."
            )
        return {name: path for name, path in links.items() if Path(name).name == name}

    def _write_manifest(self, links: Mapping[str, str]) -> None:
        with write_atomically(self.folder / MANIFEST_NAME) as temporary:
            text = json.dumps({"owner": self.owner, "links": links}, indent=1)
            temporary.write_text(text, encoding="ascii")
        ignore_file = self.folder / IGNORE_FILE_NAME
        if not ignore_file.exists():
            ignore_file.write_text(IGNORE_TEXT, encoding="ascii")

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Let only one process at a time change the links; without locks, go on without."""
        try:
            import fcntl
        except ImportError:  # Windows
            yield
            return
        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            with suppress(OSError):  # A network file system may have no locks.
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def _explain_errors(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise FolderError(
                f"{self.folder} does not exist. Mount its drive, or choose another folder."
            ) from error
        except OSError as error:
            raise FolderError(
                f"the links in {self.folder} cannot be written: {error.strerror or error}. "
                f"{WRITE_REMEDY}."
            ) from error


def _read_text(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None
