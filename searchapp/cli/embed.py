"""`searchapp embed`: vLLM's example vision_language_embedding as a command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from searchapp.cli.log_output import is_engine_output_shown, print_note
from searchapp.cli.shared_options import (
    AppCommand,
    model_options,
    pop_model_options,
    truncate_option,
)
from searchapp.errors import QueryError
from searchapp.types import Query

DEFAULT_MODEL = "vlm2vec"
# The samples of vLLM's example, embedded if no text and no picture is given.
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
    help="Embed inputs of this kind.",
)
@click.option("--text", metavar="TEXT", help="Embed TEXT, with the modality text or text+image.")
@click.option(
    "--image", metavar="FILE|URL", help="Embed this picture, with the modality image or text+image."
)
@click.option(
    "--seed", type=int, default=0, show_default=True, help="Use this seed for the engine."
)
@click.option(
    "--npy",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the embedding to FILE as a NumPy array, instead of printing it.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list (the default).")
@model_options
@truncate_option
def command(
    model: str | None,
    modality: str,
    text: str | None,
    image: str | None,
    seed: int,
    npy: Path | None,
    as_json: bool,
    truncate: bool,
    **arguments: Any,
) -> None:
    """Print the embedding of a text, a picture, or both, as a JSON list of numbers.

    Without --text and --image, the command embeds a sample: a sentence, or a picture that it
    downloads. The default model is vlm2vec.

    \b
    searchapp embed --model starter --image boat.jpg
    searchapp embed --model starter --modality text --text "a red boat"
    """
    from searchapp import models
    from searchapp.cli.start_engine import start_until_exit
    from searchapp.files.atomic import require_writable, write_output
    from searchapp.indexing.embedding.choose_engines import EngineChoice
    from searchapp.search import query_vector

    require_writable(npy)
    query = _build_query(modality, text, image)
    spec = models.resolve_model(model or DEFAULT_MODEL, pop_model_options(arguments))
    start = start_until_exit(EngineChoice(verbose=is_engine_output_shown(), seed=seed))
    vector = query_vector.embed_query(spec, query, start, truncate=truncate)
    if npy is not None:
        import numpy as np

        with write_output(npy) as temporary, temporary.open("wb") as file:
            np.save(file, vector)
        print_note(f"wrote {len(vector)} numbers to {npy}")
    if npy is None or as_json:
        click.echo(json.dumps([float(number) for number in vector]))


def _build_query(modality: str, text: str | None, image: str | None) -> Query:
    """Return the query to embed: the given text and image, or a sample if neither is given."""
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
