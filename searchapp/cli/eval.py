"""`searchapp eval`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from searchapp.cli.log_output import is_engine_output_shown, print_line
from searchapp.cli.shared_options import (
    AppCommand,
    json_option,
    model_options,
    pop_model_options,
    print_json,
)
from searchapp.types import format_count


@click.command(cls=AppCommand)
@click.option(
    "--captions",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    required=True,
    metavar="FILE",
    help="Read captions from FILE.",
)
@click.option(
    "--images",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    required=True,
    metavar="FOLDER",
    help="Read pictures from FOLDER.",
)
@click.option(
    "--split",
    default="test",
    show_default=True,
    metavar="NAME",
    help="Use only pictures of this split, such as val, if FILE is Karpathy's JSON.",
)
@model_options
@json_option
def command(
    captions: Path,
    images: Path,
    split: str,
    model: str | None,
    as_json: bool,
    **arguments: Any,
) -> None:
    """Measure how well a model finds pictures by their captions, and captions by pictures.

    FILE is Karpathy's JSON (dataset_coco.json), COCO's captions JSON, Flickr8k's token file (or
    its CSV), or a JSON list of {"file": ..., "captions": [...]}. R@1, R@5 and R@10 are the shares
    of queries, in %, with a right answer among the best 1, 5 and 10. The last column is the median
    rank of the best right answer.

    \b
    searchapp eval --model clip-vit-b-32 --captions captions_val2017.json --images val2017
    """
    from searchapp import models
    from searchapp.bench.captions import read_captions
    from searchapp.bench.evaluation import Evaluation, evaluate_model
    from searchapp.cli.progress import draw_and_yield
    from searchapp.cli.start_engine import start_until_exit
    from searchapp.indexing.embedding.choose_engines import EngineChoice

    pictures = read_captions(captions, split)
    spec = models.resolve_model(
        model or models.choose_default_model(), pop_model_options(arguments)
    )
    engine = start_until_exit(EngineChoice(verbose=is_engine_output_shown()))(spec)
    for event in draw_and_yield(evaluate_model(engine, pictures, images), "embedding"):
        if isinstance(event, Evaluation):
            result = event
    if as_json:
        print_json(asdict(result))
        return
    counts = (format_count(result.images, "image"), format_count(result.captions, "caption"))
    print_line(", ".join(counts))
    print_line(f"{'':<16}{'R@1':>7}{'R@5':>7}{'R@10':>7}{'median rank':>13}")
    for name, ranks in (
        ("text to image", result.text_to_image),
        ("image to text", result.image_to_text),
    ):
        shares = "".join(f"{share:7.1f}" for share in (ranks.r1, ranks.r5, ranks.r10))
        print_line(f"{name:<16}{shares}{ranks.median_rank:13.1f}")
