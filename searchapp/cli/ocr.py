"""`searchapp ocr`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from searchapp.cli.filter_options import filter_options
from searchapp.cli.log_output import print_note
from searchapp.cli.shared_options import (
    AppCommand,
    collection_option,
    json_option,
    library_option,
    print_json,
)
from searchapp.errors import Interrupted
from searchapp.types import RecognitionOptions, TextsRecognized, TextSummary, format_count


@click.command(cls=AppCommand)
@filter_options
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Read at most N pictures.")
@click.option(
    "--update",
    is_flag=True,
    help="Read pictures again that another version of the reader has read.",
)
@click.option("--retry-failed", is_flag=True, help="Read pictures again that failed before.")
@json_option
@collection_option
@library_option
def command(as_json: bool, library: Path | None, **arguments: Any) -> None:
    """Recognize text in pictures that are indexed already, so that its words find them.

    Each picture and each frame of a video is read once, with the extra `ocr`. To read new pictures
    as they are indexed, use `searchapp index --ocr`. After Ctrl-C, the next run continues.

    \b
    searchapp ocr
    searchapp ocr --in ~/Pictures/Scans
    searchapp ocr --update --limit 1000
    """
    from searchapp.cli.progress import draw_and_yield
    from searchapp.library import Library

    summary: TextSummary | None = None
    options = RecognitionOptions(**arguments)
    with Library.open(library, tell=print_note) as opened:
        for warning in opened.reader.list_warnings(options.base_filter):
            print_note(warning)
        try:
            for event in draw_and_yield(opened.recognize_text(options), ""):
                if isinstance(event, TextsRecognized):
                    summary = event.summary
        except KeyboardInterrupt:
            raise Interrupted from None
    assert summary is not None
    if as_json:
        print_json(asdict(summary))
    print_note(_format_summary(summary))


def _format_summary(summary: TextSummary) -> str:
    parts = [f"{format_count(summary.read, 'picture')} read, {summary.with_text:,} with text"]
    if summary.failed:
        parts.append(f"{summary.failed:,} failed (see `searchapp failures`)")
    if summary.unread:
        parts.append(f"{summary.unread:,} still unread")
    return f"{'; '.join(parts)}; {summary.seconds:.1f} s"
