"""Write the generated parts of the documentation: tables of options and models, lists of topics.

python tests/docs/generate.py            write them
python tests/docs/generate.py --check    exit with 1 if one is out of date
"""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Callable
from pathlib import Path

import click

from searchapp import models
from searchapp.cli import COMMANDS, TOPICS, cli, documentation
from searchapp.cli.filter_options import FILTER_OPTIONS
from searchapp.cli.log_options import LOG_OPTION_NAMES
from searchapp.models import e5_v, qwen2_vl, vlm2vec
from searchapp.models.model_facts import get_facts
from searchapp.models.qwen3_vl_reranker import RERANKERS

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "searchapp" / "docs"
# The README is short: it lists the models for a first choice.
ONLY_IN_DOCS = {family.ARCHITECTURE for family in (e5_v, qwen2_vl, vlm2vec)}
MARKS = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end of generated -->)", re.DOTALL)


def make_models(file: Path) -> str:
    """Return the table of the models that have a name."""
    card = "../../data/starter/README.md" if file.parent == DOCS else "data/starter/README.md"
    lines = [
        "| name | takes | dimensions | download | languages | score | license |",
        "|---|---|---|---|---|---|---|",
    ]
    for spec in models.list_available_models():
        if file.parent != DOCS and spec.architecture in ONLY_IN_DOCS:
            continue
        ships = spec.name == models.starter.STARTER_NAME
        facts = get_facts(spec.name)
        dimensions = f"{spec.dimensions}, or fewer" if spec.matryoshka else str(spec.dimensions)
        cells = (
            f"`{spec.name}`",
            ", ".join(spec.modalities),
            dimensions,
            "none: comes with searchapp" if ships else format_gb(spec.weights_mb),
            facts.languages,
            "" if facts.score is None else f"{facts.score.value:.1f}",
            f"[see its card]({card})" if ships else spec.licence,
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def make_rerankers(file: Path) -> str:
    """Return the table of the rerankers."""
    lines = ["| name | download | languages | license |", "|---|---|---|---|"]
    for spec in RERANKERS.values():
        cells = (f"`{spec.name}`", format_gb(spec.weights_mb), get_facts(spec.name).languages,
                 spec.licence)  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def format_gb(megabytes: int) -> str:
    """Return a size with two digits: 0.6 GB, 16 GB."""
    return f"{megabytes / 1000:.{0 if megabytes >= 9950 else 1}f} GB"


def make_topics(file: Path) -> str:
    """Return the list of topics, with links."""
    lines = ["| topic | what it says |", "|---|---|"]
    for topic, summary in documentation.list_topics().items():
        link = (DOCS / f"{topic}.md").relative_to(file.parent)
        lines.append(f"| [{topic}]({link}) | {summary} |")
    return "\n".join(lines)


def make_filters(file: Path) -> str:
    """Return the table of the options that filter pictures."""

    @click.command()
    def command() -> None:
        """Hold the options."""

    for option in FILTER_OPTIONS:
        option(command)
    return make_options(
        command, [each for each in command.params if isinstance(each, click.Option)]
    )


def make_commands(file: Path) -> str:
    """Return a section for each command, with its arguments and options."""
    return "\n\n".join(
        section for name in COMMANDS for section in make_command_sections(name, cli, TOPICS[name])
    )


def make_command_sections(name: str, group: click.Group, topic: str, prefix: str = "") -> list[str]:
    """Return the section of a command, and of its commands if it is a group.

    prefix: name of the group, if it is a command itself.
    """
    context = click.Context(group, info_name="searchapp")
    command = group.get_command(context, name)
    assert command is not None
    summary = (command.help or "").partition("\n\n")[0]
    parts = [
        f"## searchapp {prefix}{name}",
        f"{' '.join(summary.split())} See [{topic}]({topic}.md).",
    ]
    if isinstance(command, click.Group):
        nested = command.list_commands(context)
        return ["\n\n".join(parts)] + [
            section
            for each in nested
            for section in make_command_sections(each, command, topic, f"{name} ")
        ]
    usage = " ".join(["searchapp", f"{prefix}{name}", *command.collect_usage_pieces(context)])
    parts.append(f"Usage: `{usage}`")
    options = [
        each
        for each in command.params
        if isinstance(each, click.Option) and each.name not in LOG_OPTION_NAMES
    ]
    if options:
        parts.append(make_options(command, options))
    return ["\n\n".join(parts)]


def make_options(command: click.Command, options: list[click.Option]) -> str:
    """Return a table of options."""
    context = click.Context(command)
    lines = ["| option | meaning |", "|---|---|"]
    for option in options:
        names, meaning = option.get_help_record(context) or ("", "")
        # click puts "[default: 10; x>=1]" at the end. The range of a number is left out.
        meaning = re.sub(r"\s*\[(?:default: ([^;\]]*))?[^\]]*\]$", _format_default, meaning)
        cells = [f"`{names}`".replace("|", r"\|"), re.sub(r"([|*])", r"\\\1", meaning)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _format_default(match: re.Match[str]) -> str:
    return f" Default: {match[1]}." if match[1] else ""


SECTIONS: dict[str, Callable[[Path], str]] = {
    "models": make_models,
    "rerankers": make_rerankers,
    "topics": make_topics,
    "filters": make_filters,
    "commands": make_commands,
}


def fill(file: Path) -> str:
    """Return a document with its generated parts filled in."""

    def replace(match: re.Match[str]) -> str:
        return f"{match[1]}{SECTIONS[match[2]](file)}\n{match[3]}"

    return MARKS.sub(replace, file.read_text(encoding="utf-8"))


def main() -> None:
    """Write or check all documents."""
    check = sys.argv[1:] == ["--check"]
    outdated = False
    for file in (ROOT / "README.md", *sorted(DOCS.glob("*.md"))):
        old, new = file.read_text(encoding="utf-8"), fill(file)
        if old == new:
            continue
        name = str(file.relative_to(ROOT))
        if check:
            outdated = True
            sys.stdout.writelines(
                difflib.unified_diff(
                    old.splitlines(True), new.splitlines(True), name, f"{name}, generated", n=0
                )
            )
        else:
            file.write_text(new, encoding="utf-8")
            print(f"wrote {name}")
    if outdated:
        raise SystemExit("the documentation is out of date; run python tests/docs/generate.py")


if __name__ == "__main__":
    main()
