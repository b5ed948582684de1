"""`searchapp bench`: one module for each measurement, imported when it runs."""

from __future__ import annotations

import click

from searchapp.cli.lazy_group import LazyGroup

COMMANDS = {
    "cluster": "Measure how the embedding rate grows with the engines of a Ray cluster.",
    "index": "Measure how fast picture files become saved vectors.",
    "models": "Measure start time, speed and memory of models.",
    "search": "Measure speed, recall and memory of each kind of index.",
}


@click.group(cls=LazyGroup, package="searchapp.cli.bench", commands=COMMANDS)
def command() -> None:
    """Measure how fast this machine embeds, indexes and searches."""
