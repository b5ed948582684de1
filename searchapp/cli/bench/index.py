"""`searchapp bench index`."""

from __future__ import annotations

from dataclasses import asdict

import click

from searchapp.cli.bench.options import (
    dummy_option,
    model_name_option,
    parse_decodes,
    parse_engine_counts,
    pictures_option,
    size_option,
)
from searchapp.cli.log_output import print_line, print_note
from searchapp.cli.shared_options import AppCommand, json_option, precision_option, print_json
from searchapp.types import DecodeDevice, Precision, format_count


@click.command(cls=AppCommand)
@pictures_option("Make and index N JPEG files.")
@size_option
@click.option(
    "--mix",
    type=click.Choice(["phone"]),
    help="Make pictures of several sizes and formats: those of a phone's camera roll.",
)
@model_name_option
@click.option(
    "--replicas", type=click.IntRange(min=1), metavar="N", help="Run N engines on each GPU."
)
@click.option(
    "--engines",
    metavar="N,N,...",
    callback=parse_engine_counts,
    help="Measure with these numbers of engines on each GPU, one row for each; auto finds the "
    "best number.",
)
@click.option(
    "--decode",
    default="auto",
    show_default=True,
    metavar="DEVICE,...",
    callback=parse_decodes,
    help="Decode JPEGs there, as `searchapp index` does: auto, cpu or gpu. One row for each.",
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
@precision_option
@dummy_option
@json_option
def command(
    pictures: int,
    size: tuple[int, int],
    mix: str | None,
    model: str | None,
    replicas: int | None,
    engines: tuple[int | None, ...] | None,
    decode: tuple[DecodeDevice, ...],
    batch_size: int | None,
    only_pipeline: bool,
    precision: Precision | None,
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
    searchapp bench index --size 4000x3000 --decode cpu,auto --engines 4,8 --only-pipeline
    """
    from searchapp.bench.index import IndexBenchOptions, measure_indexing
    from searchapp.models import choose_default_model

    width, height = size
    options = IndexBenchOptions(
        model or choose_default_model(), pictures, width, height, dummy_weights,
        engines or (replicas,), batch_size, only_pipeline, decode, mix,
        precision,
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
    print_line(f"{report.gpu or 'no GPU'}, {report.cores} cores")
    for name, rate in (
        ("plain LLM.embed, one process", report.plain_images_per_s),
        ("index, from files to saved vectors", report.pipeline_images_per_s),
        ("plain PyTorch, prepared tensors", report.ceiling_images_per_s),
    ):
        print_line(f"{name:<36}{'-' if rate is None else f'{rate:,.1f}':>10} images/s")
    print_line("engines  at end  decode   images/s  by the GPU  GPU busy  CPU busy")
    for row in report.rows:
        gpu, cpu = (
            "-" if percent is None else f"{percent:.0f} %"
            for percent in (row.gpu_busy_percent, row.cpu_busy_percent)
        )
        print_line(
            f"{row.engines:>7}{row.engines_at_end:>8}{row.decode:>8}{row.images_per_s:>11,.1f}"
            f"{row.gpu_decoded:>12,}{gpu:>10}{cpu:>10}"
        )
    total = sum(report.stages.values()) or 1.0
    for stage, seconds in report.stages.items():
        print_line(f"  {stage:<10}{seconds:12.1f} s{100 * seconds / total:8.1f} %")
