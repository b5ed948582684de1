"""Codes of texts for arrays in memory, and patterns that match texts."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import translate

import numpy as np
from numpy.typing import NDArray

from searchapp.files.text_form import fold_text


@dataclass
class TextCodes:
    """Map texts to integer codes, in the order of first use; code 0 stands for None."""

    codes: dict[str | None, int] = field(default_factory=lambda: {None: 0})

    def get_code(self, name: str | None) -> int:
        """Get or create the code of a text."""
        return self.codes.setdefault(name, len(self.codes))

    def match_pattern(self, pattern: str, *, whole_text: bool = False) -> NDArray[np.bool_]:
        """Return a mask over codes: true if the text matches a pattern (see compile_pattern)."""
        is_match = compile_pattern(pattern, whole_text=whole_text)
        return np.array([name is not None and is_match(name) for name in self.codes])


def compile_pattern(pattern: str, *, whole_text: bool = False) -> Callable[[str], bool]:
    """Return a function that tests whether a text matches a pattern with * and ?.

    Case and Unicode normal form are ignored.
    The pattern must match up to the end of the text, but may start at any word. If whole_text is
    true, the pattern must match from the beginning.
    """
    matches = re.compile(translate(fold_text(pattern).replace("[", "[[]"))).match

    def is_match(name: str) -> bool:
        name = fold_text(name)
        if whole_text:
            return matches(name) is not None
        words = name.split(" ")
        return any(matches(" ".join(words[n:])) for n in range(len(words)))

    return is_match
