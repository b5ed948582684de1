"""The names of the places of all images in memory, and the filter by the name of a place."""

from __future__ import annotations

from difflib import get_close_matches

import numpy as np
from numpy.typing import NDArray
from sqlite_utils import Database

from searchapp.catalog.filters.text_codes import TextCodes
from searchapp.errors import QueryError
from searchapp.files.text_form import make_search_form, normalize_text
from searchapp.types import PLACE_FIELDS

Codes = NDArray[np.int32]
MAX_SUGGESTIONS = 5


class PlaceColumns:
    """Cache the names of the places of all images; read them from SQLite on first use.

    The three columns share the codes of the names.
    """

    def __init__(self) -> None:
        """Create empty caches; no names are read yet."""
        self.text_codes = TextCodes()
        self._codes: Codes = np.zeros((len(PLACE_FIELDS), 1), np.int32)  # [field, image id]

    def read_different_codes(self, db: Database, last: int) -> tuple[NDArray[np.intp], Codes]:
        """Return image ids, and the codes of their names, each name once for an image."""
        self._read_up_to(db, last)
        city, region, country = self._codes
        different = [country != 0, region != country, (city != region) & (city != country)]
        image_ids = [np.flatnonzero(chosen) for chosen in different]
        codes = [names[ids] for names, ids in zip((country, region, city), image_ids, strict=True)]
        return np.concatenate(image_ids), np.concatenate(codes)

    def match_place(self, db: Database, text: str, last: int) -> NDArray[np.bool_]:
        """Return a mask over image ids: true if the place of the image has a name.

        text: the name of a city, a region or a country. Several names with commas, such as
        "Paris, Texas", must all be names of the place. Case, accents and punctuation are ignored.
        Raises QueryError if no image has the name.
        """
        self._read_up_to(db, last)
        forms = [make_search_form(name or "") for name in self.text_codes.codes]
        names = [text] if make_search_form(text) in forms else text.split(",")
        mask = np.ones(last + 1, np.bool_)
        for name in names:
            form = make_search_form(name)
            is_match = np.array([bool(form) and each == form for each in forms])
            if not is_match.any():
                raise QueryError(self._explain_unknown_name(name.strip(), forms))
            mask &= is_match[self._codes].any(axis=0)
        return mask

    def _explain_unknown_name(self, name: str, forms: list[str]) -> str:
        if len(forms) < 2:
            return (
                f"no picture in this library has a place that is called {name}, because no place "
                "has been looked up; see `searchapp docs filters`"
            )
        names = list(self.text_codes.codes)
        words = make_search_form(name).strip()
        # Names that contain the words come first, then similar names.
        found = [form for form in forms if words and words in form]
        found += get_close_matches(make_search_form(name), forms, MAX_SUGGESTIONS)
        shown = [str(names[forms.index(form)]) for form in dict.fromkeys(found)][:MAX_SUGGESTIONS]
        advice = f"similar names are {', '.join(shown)}" if shown else "no name is similar"
        return (
            f"no picture in this library was taken in {name}; {advice}. The name must be complete, "
            "and in English if the place has an English name"
        )

    def _read_up_to(self, db: Database, last: int) -> None:
        """Add the names of images with ids up to last to the cache."""
        last_read = self._codes.shape[1] - 1
        if last <= last_read:
            return
        self._codes = np.pad(self._codes, ((0, 0), (0, last - last_read)))
        code = self.text_codes.get_code
        for image_id, *names in db.execute(
            f"select id, {', '.join(PLACE_FIELDS)} from images"
            " where id > ? and id <= ? and country is not null",
            (last_read, last),
        ):
            self._codes[:, image_id] = [code(name and normalize_text(name)) for name in names]
