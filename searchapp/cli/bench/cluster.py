"""`searchapp bench cluster`."""

from __future__ import annotations

from dataclasses import asdict

import click

from searchapp.cli.bench.options import (
    dummy_option,
    model_name_option,
    parse_counts,
    pictures_option,
    size_option,
)
from searchapp.cli.log_output import print_line, print_note
from searchapp.cli.shared_options import AppCommand, json_option, print_json
from searchapp.types import format_count


@click.command(cls=AppCommand)
@click.option(
    "--cluster",
    "address",
    default="local",
    show_default=True,
    metavar="ADDRESS",
    help="Use this Ray cluster: HOST:PORT, auto (the cluster of this machine) or local.",
)
@click.option(
    "--engines",
    default="1,2",
    show_default=True,
    metavar="N,N,...",
    callback=parse_counts,
    help="Measure with these numbers of engines, one row for each.",
)
@click.option(
    "--replicas",
    type=click.IntRange(min=1),
    metavar="N",
    help="Allow N engines on each GPU, or on each node without a GPU.",
)
@pictures_option("Make and embed N JPEG files for each engine.")
@size_option
@model_name_option
@click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    default=32,
    show_default=True,
    metavar="N",
    help="Embed N pictures at once in each engine.",
)
@click.option(
    "--fixed-ms",
    type=click.FloatRange(min=0),
    metavar="MS",
    help="Wait MS milliseconds for each picture instead of running a model.",
)
@dummy_option
@json_option
def command(
    address: str,
    engines: tuple[int, ...],
    replicas: int | None,
    pictures: int,
    size: tuple[int, int],
    model: str | None,
    batch_size: int,
    fixed_ms: float | None,
    dummy_weights: bool,
    as_json: bool,
) -> None:
    """Measure how the embedding rate grows with the engines of a Ray cluster.

    The command makes JPEG files in the temporary folder of this machine. All nodes must be able to
    read this folder; TMPDIR can name a shared one. The command embeds the files with each number of
    engines. It measures the rates from the moment when all engines run.

    \b
    searchapp bench cluster --cluster auto --engines 1,2,4,8
    """
    from searchapp.bench.cluster import ClusterBenchOptions, measure_cluster
    from searchapp.models import choose_default_model

    width, height = size
    options = ClusterBenchOptions(
        model or choose_default_model(), pictures, width, height, address, engines, replicas,
        batch_size, dummy_weights, fixed_ms,
    )  # fmt: skip
    print_note(f"making {format_count(pictures * engines[-1], 'picture')} ...")
    rows = []
    for row in measure_cluster(options):
        rows.append(row)
        if not as_json:
            if len(rows) == 1:
                print_line("engines   nodes   images/s   efficiency")
            print_line(
                f"{row.engines:>7}{row.nodes:>8}{row.images_per_s:>11,.1f}{row.efficiency:>13.2f}"
            )
    if as_json:
        print_json([asdict(row) for row in rows])
