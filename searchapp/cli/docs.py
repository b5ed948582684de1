"""`searchapp docs`."""

from __future__ import annotations

import re
import sys

import click
from click.shell_completion import CompletionItem

from searchapp.cli import documentation
from searchapp.cli.shared_options import AppCommand

MAX_WIDTH = 120  # Columns. Longer lines are hard to read; wide tables need this width.
TOPIC_LINK = re.compile(r"\[([^\]]+)\]\((\w[\w-]*)\.md(?:#[\w-]+)?\)")


def complete_topics(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the documentation topics that begin with a prefix, with their summaries."""
    return [
        CompletionItem(topic, help=summary)
        for topic, summary in documentation.list_topics().items()
        if topic.startswith(incomplete)
    ]


@click.command(cls=AppCommand)
@click.argument("topic", required=False, shell_complete=complete_topics)
def command(topic: str | None) -> None:
    """Show a topic of the documentation; without TOPIC, list the topics.

    On a terminal the text is formatted and shown in a pager. In a pipe it is plain Markdown.

    \b
    searchapp docs
    searchapp docs filters
    searchapp docs architecture > architecture.md
    """
    topics = documentation.list_topics()
    if topic is None:
        width = max(map(len, topics))
        for name, summary in topics.items():
            click.echo(f"{name:<{width}}  {summary}")
    elif topic not in topics:
        raise click.UsageError(f"There is no topic {topic!r}. The topics are {', '.join(topics)}.")
    elif sys.stdout.isatty():
        click.echo_via_pager(format_markdown(documentation.read_topic(topic)))
    else:
        click.echo(documentation.read_topic(topic), nl=False)


def format_markdown(text: str) -> str:
    """Return Markdown as text for this terminal; links to topics become commands."""
    from rich.console import Console
    from rich.markdown import Markdown

    console = Console()
    console.width = min(console.width, MAX_WIDTH)
    with console.capture() as captured:
        text = TOPIC_LINK.sub(r"\1 (`searchapp docs \2`)", text)
        console.print(Markdown(text, hyperlinks=False))
    return captured.get()
