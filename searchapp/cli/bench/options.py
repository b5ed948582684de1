"""Options that several measurements share."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import click

from searchapp.types import DecodeDevice


def _parse_size(context: click.Context, option: click.Parameter, value: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{2,5})[xX](\d{2,5})", value)
    if found is None:
        raise click.BadParameter("a size looks like 640x480")
    return int(found[1]), int(found[2])


def parse_counts(context: click.Context, option: click.Parameter, value: str) -> tuple[int, ...]:
    """Parse numbers of at least 1, separated by commas; return them sorted, each once."""
    try:
        counts = sorted({int(part) for part in value.split(",")})
    except ValueError:
        counts = []
    if not counts or counts[0] < 1:
        raise click.BadParameter("give numbers such as 1,2,4")
    return tuple(counts)


def parse_engine_counts(
    context: click.Context, option: click.Parameter, value: str | None
) -> tuple[int | None, ...] | None:
    """Parse numbers of at least 1 and `auto`, which becomes None; None if nothing is given."""
    if value is None:
        return None
    try:
        counts = [None if part == "auto" else int(part) for part in value.split(",")]
    except ValueError:
        counts = [0]
    if any(count is not None and count < 1 for count in counts):
        raise click.BadParameter("give numbers such as 4,8 or auto")
    return tuple(counts)


def parse_decodes(
    context: click.Context, option: click.Parameter, value: str
) -> tuple[DecodeDevice, ...]:
    """Parse devices that decode, separated by commas."""
    known: dict[str, DecodeDevice] = {"auto": "auto", "cpu": "cpu", "gpu": "gpu"}
    try:
        return tuple(known[part] for part in value.split(","))
    except KeyError:
        raise click.BadParameter("give auto, cpu or gpu, such as cpu,auto") from None


size_option = click.option(
    "--size", default="640x480", show_default=True, metavar="WxH", callback=_parse_size,
    help="Make pictures of this size, in pixels.",
)  # fmt: skip
model_name_option = click.option(
    "--model",
    metavar="NAME|FOLDER|FILE",
    help="Use this model, as `searchapp index` does; its Python code may run.",
)
dummy_option = click.option(
    "--dummy-weights",
    is_flag=True,
    help="Use random weights, which need no download and have the same speed.",
)


def pictures_option(help_text: str, minimum: int = 64, default: int = 2000) -> Callable[..., Any]:
    """Return the option --pictures with a help text, a minimum and a default."""
    return click.option(
        "--pictures", type=click.IntRange(min=minimum), default=default, show_default=True,
        metavar="N", help=help_text,
    )  # fmt: skip
