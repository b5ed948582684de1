"""sqlite-utils without pandas: where that is installed it is imported too, for a type of its own.

We store none of its types, and its import is a third of the time in which a command starts.
"""

from __future__ import annotations

import sys

# A module that is None cannot be imported, which sqlite-utils takes for one that is not there.
_hidden = "pandas" not in sys.modules
if _hidden:
    sys.modules["pandas"] = None  # type: ignore[assignment]
try:
    from sqlite_utils import Database
finally:
    if _hidden:
        del sys.modules["pandas"]

__all__ = ["Database"]
