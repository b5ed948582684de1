"""README and documentation: links, generated tables, length, language, and the wheel."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.documents import DOCUMENTS, README, TOPICS, read_prose
from support.paths import ROOT

from searchapp import Library

OTHER_TEXTS = [
    ROOT / name
    for name in (
        "CHANGELOG.md",
        "data/constraints/README.md",
        "data/photos/README.md",
        "data/starter/README.md",
        "data/starter/card-template.md",
    )
]
TEXTS = [*DOCUMENTS, *OTHER_TEXTS]
MAX_WORDS = 25
BRITISH = re.compile(
    r"\b(catalogue|colour|licence|recognis|normalis|neighbour|centre|grey)", re.IGNORECASE
)


def make_anchor(heading: str) -> str:
    """Return the anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower().strip()).replace(" ", "-")


def read_anchors(file: Path) -> set[str]:
    """Return the anchors of all headings of a document."""
    headings = re.findall(r"^#+ (.*)$", read_prose(file), re.MULTILINE)
    return {make_anchor(heading) for heading in headings}


@pytest.mark.parametrize("file", TEXTS, ids=lambda file: str(file.relative_to(ROOT)))
def test_links_resolve(file: Path) -> None:
    """Files exist, and so do the headings that anchors name."""
    for target in re.findall(r"\]\(([^)\s]+)\)", read_prose(file)):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        linked = (file.parent / path).resolve() if path else file
        assert linked.exists(), target
        assert not anchor or anchor in read_anchors(linked), target


@pytest.mark.parametrize("file", TEXTS, ids=lambda file: str(file.relative_to(ROOT)))
def test_named_files_exist(file: Path) -> None:
    """Paths in inline code, from the root of the repository or of the package."""
    for code in re.findall(r"`([^`\n]+)`", read_prose(file)):
        for path in re.findall(
            r"(?<![\w/.-])(?:[\w-]+/)+(?!NAME)[\w-]+\.(?:py|md|json|jpg)\b", code
        ):
            places = (ROOT, ROOT / "searchapp", file.parent)
            assert any((place / path).exists() for place in places), path


def test_the_architecture_names_what_exists() -> None:
    """All packages, and only constants and methods that the code defines."""
    text = (TOPICS / "architecture.md").read_text(encoding="utf-8")
    packages = {f"searchapp/{path.parent.name}" for path in ROOT.glob("searchapp/*/__init__.py")}
    assert set(re.findall(r"`(searchapp/\w+)(?:/[\w/]+)?`", text)) >= packages
    code = "\n".join(path.read_text() for path in ROOT.glob("searchapp/**/*.py"))
    for name in re.findall(r"`([A-Z_]{3,})`", text):
        assert re.search(rf"^{name}\b[^=\n]*=", code, re.MULTILINE), name
    for name in re.findall(r"`Library\.(\w+)`", text):
        assert hasattr(Library, name), name


def test_generated_parts_are_current() -> None:
    """As `make check` asks: the tables of options, models and topics."""
    script = ROOT / "tests" / "docs" / "generate.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{script.relative_to(ROOT)} --check" in (ROOT / "Makefile").read_text()


def test_the_readme_is_short() -> None:
    """It has at most 200 lines; the screenshot has at most 200 KB."""
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 200
    assert (ROOT / "data" / "screenshot.jpg").stat().st_size <= 200_000


@pytest.mark.parametrize("file", TEXTS, ids=lambda file: str(file.relative_to(ROOT)))
def test_sentences_are_short(file: Path) -> None:
    """A sentence has at most 25 words; spelling is American."""
    for sentence in read_sentences(file):
        assert len(sentence.split()) <= MAX_WORDS, sentence
        assert not BRITISH.search(re.sub(r"`[^`]*`", "", sentence)), sentence


def read_sentences(file: Path) -> list[str]:
    """Return the sentences of the prose: no code, no tables, no headings, no license text."""
    text = read_prose(file).partition("## MIT license")[0]
    text = re.sub(r"<!-- generated.*?<!-- end of generated -->", "", text, flags=re.DOTALL)
    paragraphs: list[str] = [""]
    for line in text.splitlines():
        if re.match(r"\s*$|#|\||<!--|!\[|    ", line):
            paragraphs.append("")
        elif re.match(r"\s*(-|\d+\.) ", line):
            paragraphs.append(re.sub(r"^\s*(-|\d+\.) +", "", line))
        else:
            paragraphs[-1] += " " + line.strip()
    sentences: list[str] = []
    for paragraph in paragraphs:
        plain = re.sub(r"\]\([^)]*\)", "]", paragraph)
        plain = re.sub(r"`[^`]*`", "`code`", plain)
        sentences += re.split(r"(?<=[.!?])\s+", plain)
    return sentences


def test_the_wheel_carries_the_topics(monkeypatch: pytest.MonkeyPatch) -> None:
    """Setuptools lists every Markdown file among the data of the package."""
    from setuptools import Distribution

    monkeypatch.chdir(ROOT)
    distribution = Distribution()
    distribution.parse_config_files([str(ROOT / "pyproject.toml")])
    build = distribution.get_command_obj("build_py")
    build.ensure_finalized()
    listed = build.get_data_files_without_manifest()
    (names,) = [names for package, *_, names in listed if package == "searchapp"]
    assert {f"docs/{file.name}" for file in TOPICS.glob("*.md")} <= set(names)
