"""Read the topics of the documentation: Markdown files in `searchapp/docs`."""

from __future__ import annotations

import re
from importlib.resources import files

SUFFIX = ".md"
COMMENT = re.compile(r"^<!--.*?-->\n", re.DOTALL | re.MULTILINE)


def list_topics() -> dict[str, str]:
    """Return the first paragraph of each documentation topic, by topic in alphabetical order."""
    names = (file.name for file in (files("searchapp") / "docs").iterdir())
    topics = sorted(name.removesuffix(SUFFIX) for name in names if name.endswith(SUFFIX))
    return {topic: " ".join(read_topic(topic).split("\n\n")[1].split()) for topic in topics}


def read_topic(topic: str) -> str:
    """Return a documentation topic as Markdown, without the comments around generated tables."""
    text = (files("searchapp") / "docs" / f"{topic}{SUFFIX}").read_text(encoding="utf-8")
    return COMMENT.sub("", text)
