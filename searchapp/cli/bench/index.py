"""`searchapp bench index`."""

from __future__ import annotations

from dataclasses import asdict

import click

from searchapp.cli.bench.options import (
    dummy_option,
    model_name_option,
    pictures_option,
    size_option,
)
from searchapp.cli.log_output import print_line, print_note
from searchapp.cli.shared_options import AppCommand, json_option, print_json
from searchapp.types import format_count


@click.command(cls=AppCommand)
@pictures_option("Make and index N JPEG files.")
@size_option
@model_name_option
@click.option(
    "--replicas", type=click.IntRange(min=1), metavar="N", help="Run N engines on each GPU."
)
@click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    metavar="N",
    help="Embed N pictures at once in each engine.",
)
@click.option(
    "--only-pipeline",
    is_flag=True,
    help="Measure only the index run, not plain LLM.embed and plain PyTorch.",
)
@dummy_option
@json_option
def command(
    pictures: int,
    size: tuple[int, int],
    model: str | None,
    replicas: int | None,
    batch_size: int | None,
    only_pipeline: bool,
    dummy_weights: bool,
    as_json: bool,
) -> None:
    """Measure how fast picture files become saved vectors.

    The command makes JPEG files and measures three rates. The first is one plain call of vLLM's
    LLM.embed on decoded pictures (on a CPU: from the files). The second is an index run from files
    to saved vectors, once all engines are ready. The third is the model in plain PyTorch, on
    prepared tensors.

    \b
    searchapp bench index --model clip-vit-l-14 --pictures 20000
    """
    from searchapp.bench.index import IndexBenchOptions, measure_indexing
    from searchapp.models import choose_default_model

    width, height = size
    options = IndexBenchOptions(
        model or choose_default_model(), pictures, width, height, dummy_weights, replicas,
        batch_size, only_pipeline,
    )  # fmt: skip
    for step, state in measure_indexing(options):
        report = state
        if step:
            print_note(step)
    if as_json:
        print_json(asdict(report))
        return
    print_line(f"{report.model}, {format_count(report.pictures, 'picture')} of {report.size}, "
               f"{report.replicas} engines")  # fmt: skip
    for name, rate in (
        ("plain LLM.embed, one process", report.plain_images_per_s),
        ("index, from files to saved vectors", report.pipeline_images_per_s),
        ("plain PyTorch, prepared tensors", report.ceiling_images_per_s),
    ):
        print_line(f"{name:<36}{'-' if rate is None else f'{rate:,.1f}':>10} images/s")
    for name, percent in (("GPU", report.gpu_busy_percent), ("CPU", report.cpu_busy_percent)):
        if percent is not None:
            print_line(f"{name} busy{percent:36.0f} %")
    total = sum(report.stages.values()) or 1.0
    for stage, seconds in report.stages.items():
        print_line(f"  {stage:<10}{seconds:12.1f} s{100 * seconds / total:8.1f} %")
