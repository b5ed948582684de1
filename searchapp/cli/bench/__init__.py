"""searchapp bench: one module a measurement, imported when it is called."""

from __future__ import annotations

import click

from searchapp.cli.lazy_group import LazyGroup

COMMANDS = {
    "cluster": "How the rate grows with the engines of a Ray cluster.",
    "index": "How fast pictures are embedded, from files to saved vectors.",
    "models": "What each model costs on this machine: start, speed, memory.",
    "search": "How fast and how exact each kind of index is.",
}


@click.group(cls=LazyGroup, package="searchapp.cli.bench", commands=COMMANDS)
def command() -> None:
    """Measure this machine: how fast it embeds, indexes and searches."""
