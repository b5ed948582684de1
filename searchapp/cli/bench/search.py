"""`searchapp bench search`."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from searchapp.cli.log_output import print_note
from searchapp.cli.shared_options import (
    AppCommand,
    collection_option,
    json_option,
    library_option,
    print_json,
)
from searchapp.types import format_count

if TYPE_CHECKING:
    from searchapp.bench.search import SearchBenchReport


@click.command(cls=AppCommand)
@click.option(
    "--vectors",
    type=click.IntRange(min=100),
    metavar="N",
    help="Make N vectors and measure them, instead of your own collection.",
)
@click.option(
    "--dim",
    type=click.IntRange(min=2),
    default=768,
    show_default=True,
    help="Give made vectors this number of dimensions.",
)
@click.option(
    "--data",
    type=click.Choice(["clustered", "hard"]),
    default="clustered",
    show_default=True,
    help="Make vectors in narrow clusters, or in broad clusters that overlap (hard).",
)
@click.option(
    "--index",
    "chosen",
    multiple=True,
    metavar="KIND",
    help="Measure an index of this kind, a FAISS factory string. Can be repeated.",
)
@click.option(
    "--queries",
    type=click.IntRange(min=1),
    default=200,
    show_default=True,
    metavar="N",
    help="Measure with N queries.",
)
@click.option(
    "--filters",
    is_flag=True,
    help="Also measure queries with filters that keep a part of the vectors.",
)
@click.option(
    "--upkeep", is_flag=True, help="Also measure adding 1,000 vectors; only with --vectors."
)
@click.option(
    "--peers", is_flag=True,
    help="Also compare the index with hnswlib, usearch and FAISS's HNSW, where they are installed.",
)  # fmt: skip
@click.option(
    "--svg",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Draw recall against latency into FILE.",
)
@click.option(
    "--scratch",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Keep made vectors and index files in FOLDER during the measurement.",
)
@collection_option
@json_option
@library_option
def command(
    vectors: int | None,
    dim: int,
    data: Any,
    chosen: tuple[str, ...],
    queries: int,
    filters: bool,
    upkeep: bool,
    peers: bool,
    svg: Path | None,
    scratch: Path | None,
    collection: str | None,
    as_json: bool,
    library: Path | None,
) -> None:
    """Measure recall@10, latency, queries per second and memory of each kind of index.

    The exact scan is measured first; recall compares the hits of the other kinds with its hits. If
    an exact index would not fit in memory, only its hits are computed. The library does not change.
    Without --index, the command measures the kinds that suit the number of vectors; the first is
    the kind that searchapp chooses by default.

    With --peers it measures this kind, or the first --index, in turn with indexes of other
    libraries. Each is searched on one thread, at its smallest effort with recall 0.98.

    \b
    searchapp bench search
    searchapp bench search --vectors 1000000 --data hard --svg curve.svg
    searchapp bench search --vectors 250000 --data hard --peers
    """
    from searchapp.bench import recall_plot
    from searchapp.bench.search import SearchBenchOptions, SearchBenchReport, measure_search
    from searchapp.files.atomic import require_writable

    require_writable(svg)
    options = SearchBenchOptions(
        library, collection, vectors, dim, data, chosen, queries, filters, upkeep, scratch, peers
    )
    for event in measure_search(options):
        if isinstance(event, SearchBenchReport):
            report = event
        elif sys.stderr.isatty():
            print_note(f"{event.description} ...")
    if svg is not None:
        title = f"{format_count(report.vectors, 'vector')}, {report.dim} dimensions"
        recall_plot.write_plot(svg, report.rows, title)
    if as_json:
        print_json(asdict(report))
    else:
        _print_report(report)


def _print_report(report: SearchBenchReport) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, width=None if sys.stdout.isatty() else 140)
    heads = ("index", "recall@10", "p50 ms", "p95 ms", "p99 ms", "first ms", "queries/s",
             "all threads", "memory MB", "disk MB", "build s", "open s")  # fmt: skip
    table = Table(*heads, box=None)
    for row in report.rows:
        table.add_row(
            row.index, f"{row.recall_at_10:.3f}", f"{row.p50_ms:.2f}", f"{row.p95_ms:.2f}",
            f"{row.p99_ms:.2f}", f"{row.first_ms:.2f}", f"{row.qps_1:,.0f}", f"{row.qps_all:,.0f}",
            f"{row.memory_mb:,.0f}", f"{row.disk_mb:,.0f}", f"{row.build_s:.1f}",
            f"{row.open_s:.3f}",
        )  # fmt: skip
    console.print(table)
    if report.filters:
        table = Table("index", "filter keeps", "recall@10", "p50 ms", "p95 ms", "fewest", box=None)
        for each in report.filters:
            table.add_row(
                each.index, f"{each.share:.1%}", f"{each.recall_at_10:.3f}", f"{each.p50_ms:.2f}",
                f"{each.p95_ms:.2f}", str(each.fewest),
            )  # fmt: skip
        console.print(table)
    for upkeep in report.upkeep:
        console.print(
            f"adding 1,000 vectors to {upkeep.index} and saving: {upkeep.add_1000_s:.2f} s"
        )
    if report.peers:
        table = Table(
            "index", "effort", "recall@10", "queries/s", "ratio", "p50 ms", "ratio", "build s",
            "ratio", "memory MB", "ratio", box=None,
        )  # fmt: skip
        for peer in report.peers:
            table.add_row(
                peer.index, f"{peer.effort:g}", f"{peer.recall_at_10:.3f}", f"{peer.qps:,.0f}",
                f"{peer.qps_ratio:.2f}", f"{peer.p50_ms:.2f}", f"{peer.p50_ratio:.2f}",
                f"{peer.build_s:.1f}", f"{peer.build_ratio:.2f}", f"{peer.memory_mb:,.0f}",
                f"{peer.memory_ratio:.2f}",
            )  # fmt: skip
        console.print(table)
    for missing in report.missing_peers:
        print_note(f"{missing.index} was not measured; install it: pip install {missing.package}")
