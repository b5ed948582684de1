"""`searchapp embed`."""

from __future__ import annotations

import json

import click

from searchapp.cli.options import Command, model_option, verbose_option
from searchapp.errors import QueryError
from searchapp.types import Query


@click.command(cls=Command)
@model_option
@click.option(
    "--modality",
    type=click.Choice(["text", "image", "text+image"]),
    default="image",
    show_default=True,
    help="What to embed.",
)
@click.option("--text", metavar="TEXT", help="The text, for text and text+image.")
@click.option("--image", metavar="FILE|URL", help="The picture, for image and text+image.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the engine.")
@verbose_option
def command(
    model: str | None,
    modality: str,
    text: str | None,
    image: str | None,
    seed: int,
    verbose: bool,
) -> None:
    """Print the embedding of a text, a picture, or both, as one JSON list of numbers.

    \b
    searchapp embed --image boat.jpg
    searchapp embed --modality text --text "a red boat"
    """
    from searchapp import models, querying
    from searchapp.cli.engine import starter

    if "text" in modality and not text:
        raise QueryError(f"--modality {modality} needs --text")
    if "image" in modality and not image:
        raise QueryError(f"--modality {modality} needs --image FILE or URL")
    spec = models.resolve(model or models.default_model())
    query = Query(text if "text" in modality else None, image if "image" in modality else None)
    item = querying.engine_input(spec, query)
    (vector,) = querying.embed(starter(verbose, seed=seed)(spec), [item])
    click.echo(json.dumps([float(number) for number in vector]))
