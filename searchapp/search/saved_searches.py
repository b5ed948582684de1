"""Save searches under names, and prepare their questions for a run."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from searchapp.catalog import Catalog, raise_library_errors
from searchapp.errors import FolderError, ModelError, PictureError, QueryError
from searchapp.files import storage
from searchapp.files.enter_path import enter_path, resolve_if_exists, shorten_path
from searchapp.files.link_folder import LinkChanges, LinkFolder
from searchapp.files.path_forms import is_url
from searchapp.models import select_collection
from searchapp.search.query_part import PreparedSearch, QueryPart
from searchapp.search.ranking import resolve_filter_folder
from searchapp.types import (
    Example,
    Filter,
    Hit,
    PictureName,
    Query,
    SavedSearch,
    SavedTerm,
    SearchOptions,
    Term,
)
from searchapp.types.saved_search import normalize_name
from searchapp.types.valid_text import check_text

logger = logging.getLogger(__name__)
PICTURE_OF_LIBRARY = "the picture of the library"  # its file is not read


class SavedSearches:
    """The saved searches of an open library. Not thread-safe.

    All methods raise LibraryError if the catalog cannot be read or written.
    """

    def __init__(self, folder: Path, catalog: Catalog) -> None:
        """Use the catalog of an open library; the caller closes it."""
        self.folder = folder
        self._catalog = catalog
        self._table = catalog.get_saved_searches()

    @raise_library_errors
    def list_searches(self) -> list[SavedSearch]:
        """Return all saved searches, sorted by name."""
        return self._table.list_searches()

    @raise_library_errors
    def get(self, name: str) -> SavedSearch:
        """Return the saved search with a name; raise QueryError if there is none."""
        found = self._table.find(normalize_name(name))
        if found is None:
            names = [search.name for search in self._table.list_searches()]
            similar = get_close_matches(name, names, n=1)
            remedy = f"Did you mean {similar[0]!r}?" if similar else "List the saved searches."
            raise QueryError(f"there is no saved search {shorten_path(name)!r}. {remedy}")
        return found

    @raise_library_errors
    def find_by_id(self, id: int) -> SavedSearch | None:
        """Return the saved search with an id; None if there is none."""
        return self._table.find_by_id(id)

    @raise_library_errors
    def add(
        self,
        name: str,
        question: Query | Sequence[Term] | Sequence[SavedTerm] = (),
        options: SearchOptions = SearchOptions(),
        examples: Sequence[Example] = (),
        *,
        replace_existing: bool = False,
    ) -> SavedSearch:
        """Save a question and its filters under a name, and return the saved search.

        question, examples: their pictures are read again at each run, so their files must stay.
        Without both, a run lists the pictures that match the filters.
        replace_existing: replace a saved search with this name; its folder of links stays.
        Raises QueryError if the name is used or not valid, or if a part of the search is not
        valid, and PictureError if a picture does not exist.
        """
        terms = [Term(question)] if isinstance(question, Query) else question
        new_terms = [*map(self._save_term, terms), *map(self._save_example, examples)]
        saved_terms = tuple(map(self._check_term, new_terms))
        if not saved_terms and not options.has_conditions:
            raise QueryError("nothing to save; give a text, a picture, or a filter")
        search = SavedSearch(normalize_name(name), saved_terms, self._check_options(options))
        existing = self._table.find(search.name) if replace_existing else None
        if existing is None:
            saved = self._table.add(search)
        else:
            changed = replace(search, id=existing.id, link_folder=existing.link_folder)
            saved = self._table.replace(changed)
        logger.info("Saved a search with %d terms.", len(saved_terms))
        return saved

    @raise_library_errors
    def rename(self, search: SavedSearch, name: str) -> SavedSearch:
        """Give a saved search another name; raise QueryError if it is used or not valid."""
        return self._table.replace(replace(search, name=normalize_name(name)))

    @raise_library_errors
    def set_link_folder(self, search: SavedSearch, folder: str | Path) -> SavedSearch:
        """Keep links to the hits of a saved search in a folder from the next sync on.

        The folder is created if it is missing. Links in an earlier folder are removed.
        Raises FolderError if the folder is not empty, is below an indexed folder or the library,
        or cannot be written.
        """
        path = enter_path(folder, FolderError)
        roots = [root for root in self._catalog.get_known_roots().list_roots() if not is_url(root)]
        _make_link_folder(search, path).create([*roots, str(self.folder)])
        if search.link_folder not in (None, str(path)):
            _make_link_folder(search, Path(search.link_folder)).remove()
        return self._table.replace(replace(search, link_folder=str(path)))

    def sync_links(self, search: SavedSearch, hits: Sequence[Hit]) -> LinkChanges:
        """Make the folder of links hold links to these hits only; raise FolderError if it cannot.

        Links and files that another program or a person has made stay.
        """
        assert search.link_folder is not None
        return _make_link_folder(search, Path(search.link_folder)).sync(hits)

    @raise_library_errors
    def remove(self, search: SavedSearch, *, keep_links: bool = False) -> None:
        """Remove a saved search, and the links to its hits unless keep_links is true.

        Raises FolderError if the links cannot be removed; then the saved search stays, too.
        """
        if search.link_folder is not None and not keep_links:
            _make_link_folder(search, Path(search.link_folder)).remove()
        self._table.remove(search.id)

    @raise_library_errors
    def find_image_key(self, image_id: int) -> str | None:
        """Return the key of an image for a SavedTerm; None if the library has no such image."""
        return self._table.find_image_key(image_id)

    @raise_library_errors
    def find_image_ids(self, search: SavedSearch) -> dict[str, int]:
        """Return the ids of the images that a saved search names, by their keys."""
        keys = [term.image_key for term in search.terms if term.image_key is not None]
        found = {key: self._table.find_image_id(key) for key in keys}
        return {key: id for key, id in found.items() if id is not None}

    @raise_library_errors
    def prepare(self, name: str, changes: Mapping[str, Any] | None = None) -> PreparedSearch:
        """Return the question of a saved search for search.search(), and its options.

        changes: options that replace those of the saved search, by their names.
        Raises QueryError if there is no such saved search, or if a picture of it is not in the
        library any more, and PictureError if the file of a picture does not exist any more.
        """
        search = self.get(name)
        return PreparedSearch(
            [self._make_part(search, term) for term in search.terms if term.is_liked is None],
            [
                Example(self._find_picture(search, term), term.is_liked)
                for term in search.terms
                if term.is_liked is not None
            ],
            replace(search.options, **(changes or {})),
        )

    def _make_part(self, search: SavedSearch, term: SavedTerm) -> QueryPart:
        if term.image is None and term.image_key is None:
            return QueryPart(Query(term.text), weight=term.weight)
        picture = self._find_picture(search, term)
        if isinstance(picture, int):
            query = Query(term.text, PICTURE_OF_LIBRARY, term.region)
            return QueryPart(query, None, picture, term.weight)
        return QueryPart(Query(term.text, picture, term.region), weight=term.weight)

    def _find_picture(self, search: SavedSearch, term: SavedTerm) -> str | int:
        """Return the id, the path or the URL of the picture of a term.

        Raises QueryError or PictureError if there is no such picture any more.
        """
        if term.image_key is not None:
            image_id = self._table.find_image_id(term.image_key)
            if image_id is None:
                raise QueryError(
                    f"the library does not hold the picture of the saved search {search.name!r} "
                    "any more. Index its folder again, or save the search with another picture."
                )
            return image_id
        assert term.image is not None
        if not storage.can_exist(term.image):
            raise PictureError(
                f"{term.image}: the picture of the saved search {search.name!r} does not exist any "
                "more. Put it back, or save the search with another picture.",
                "read",
            )
        return term.image

    def _save_term(self, term: Term | SavedTerm) -> SavedTerm:
        """Return a term in the form in which it is saved."""
        if isinstance(term, SavedTerm):
            return term
        query = term.query
        image, key = self._save_picture(query.image)
        return SavedTerm(query.text, image, key, term.weight, query.region)

    def _save_example(self, example: Example) -> SavedTerm:
        image, key = self._save_picture(example.image)
        return SavedTerm(image=image, image_key=key, is_liked=example.is_liked)

    def _save_picture(self, picture: PictureName | None) -> tuple[str | None, str | None]:
        """Return the absolute path or URL of a picture, or the key of an image of the library."""
        if isinstance(picture, int):
            key = self._table.find_image_key(picture)
            if key is None:
                raise QueryError(f"the library has no image {picture}; search again for its id")
            return None, key
        if picture is None or storage.is_url(picture):
            return None if picture is None else str(picture), None
        return str(enter_path(picture, lambda message: PictureError(message, "read"))), None

    def _check_term(self, term: SavedTerm) -> SavedTerm:
        """Return a term; raise an error if it could never be run."""
        is_empty = not (term.text and term.text.strip()) and not (term.image or term.image_key)
        if is_empty or (term.image_key and term.image):
            raise QueryError("a term of the search needs a text or a picture; give one of them")
        _check_number("a weight", term.weight)
        if term.image is not None and not storage.is_there(term.image):
            raise PictureError(f"{term.image}: there is no such file. Correct the path.", "read")
        return term

    def _check_options(self, options: SearchOptions) -> SearchOptions:
        """Return options with absolute paths; raise QueryError if the SQL is not valid."""
        resolved = resolve_filter_folder(options.base_filter)
        if options.where is not None and self._catalog.list_collections():
            collection = select_collection.get_collection(self._catalog, options.collection)
            self._catalog.filters.find_embedding_ids(collection.id, Filter(where=options.where))
        check_text("the name of the collection", options.collection)
        for field in ("min_size", "max_size", "min_score"):
            _check_number(field, getattr(options, field))
        return replace(
            options,
            folder=resolved.folder,
            model=_resolve_model(options.model),
            reranker=_resolve_model(options.reranker),
            offset=0,
            trust_remote_code=False,
        )


def _resolve_model(name: str | None) -> str | None:
    """Return the absolute path of a model folder or file; another name is unchanged."""
    return None if name is None else resolve_if_exists(name, ModelError)


def _make_link_folder(search: SavedSearch, folder: Path) -> LinkFolder:
    """Return the folder of links of a saved search.

    Its owner is not the name, which can change, nor the library, which can be moved.
    """
    return LinkFolder(folder, f"saved search {search.id} of {search.created_at}")


def _check_number(name: str, value: object) -> None:
    """Raise QueryError if a value is an infinite number, which JSON cannot hold."""
    if isinstance(value, float) and not math.isfinite(value):
        raise QueryError(f"{name} is {value}, which cannot be saved; give a finite number")
