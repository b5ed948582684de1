"""`searchapp embed`: what vLLM's vision-language-embedding example does, as a command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from searchapp.cli.shared_options import (
    AppCommand,
    model_options,
    pop_model_options,
    print_note,
    truncate_option,
    verbose_option,
)
from searchapp.errors import QueryError
from searchapp.types import Query

DEFAULT_MODEL = "vlm2vec"
# The example's own, which it embeds when nothing else is given.
WIKIMEDIA_URL = "https://upload.wikimedia.org/wikipedia/commons/thumb/"
SAMPLE_QUERIES = {
    "text": Query("A dog sitting in the grass"),
    "image": Query(
        image=f"{WIKIMEDIA_URL}4/47/American_Eskimo_Dog.jpg/360px-American_Eskimo_Dog.jpg"
    ),
    "text+image": Query(
        "A cat standing in the snow.",
        f"{WIKIMEDIA_URL}b/b6/Felis_catus-cat_on_snow.jpg/179px-Felis_catus-cat_on_snow.jpg",
    ),
}


@click.command(cls=AppCommand)
@click.option(
    "--modality",
    type=click.Choice(list(SAMPLE_QUERIES)),
    default="image",
    show_default=True,
    help="What to embed.",
)
@click.option("--text", metavar="TEXT", help="The text, for text and text+image.")
@click.option("--image", metavar="FILE|URL", help="The picture, for image and text+image.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the engine.")
@click.option(
    "--npy",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the embedding to FILE, as NumPy does, instead.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list, which is the default.")
@model_options
@truncate_option
@verbose_option
def command(
    model: str | None,
    modality: str,
    text: str | None,
    image: str | None,
    seed: int,
    npy: Path | None,
    as_json: bool,
    truncate: bool,
    verbose: bool,
    **arguments: Any,
) -> None:
    """Print the embedding of a text, a picture, or both, as one JSON list of numbers.

    With neither --text nor --image a sample is embedded: a sentence, or a picture from the network.
    The model is vlm2vec where none is named.

    \b
    searchapp embed --model starter --image boat.jpg
    searchapp embed --model starter --modality text --text "a red boat"
    """
    from searchapp import models
    from searchapp.cli.start_engine import start_until_exit
    from searchapp.indexing.embedding.choose_engines import EngineChoice
    from searchapp.search import query_vector

    query = _build_query(modality, text, image)
    spec = models.resolve_model(model or DEFAULT_MODEL, pop_model_options(arguments))
    start = start_until_exit(EngineChoice(verbose=verbose, seed=seed))
    vector = query_vector.embed_query(spec, query, start, truncate=truncate)
    if npy is not None:
        import numpy as np

        from searchapp.files.atomic import write_output

        with write_output(npy) as temporary, temporary.open("wb") as file:
            np.save(file, vector)
        print_note(f"{len(vector)} numbers in {npy}")
    if npy is None or as_json:
        click.echo(json.dumps([float(number) for number in vector]))


def _build_query(modality: str, text: str | None, image: str | None) -> Query:
    """Return what is to be embedded: what was given, or the sample where nothing was."""
    if text is None and image is None:
        return SAMPLE_QUERIES[modality]
    if "text" in modality and not text:
        raise QueryError(f"--modality {modality} needs --text")
    if "image" in modality and not image:
        raise QueryError(f"--modality {modality} needs --image FILE or URL")
    for name, value in (("text", text), ("image", image)):
        if value is not None and name not in modality:
            raise QueryError(f"--modality {modality} takes no --{name}")
    return Query(text, image)
