"""`searchapp bench models`."""

from __future__ import annotations

import click

from searchapp.cli.bench.options import dummy_option, pictures_option, size_option
from searchapp.cli.log_output import print_line, print_note
from searchapp.cli.shared_options import AppCommand, json_option, print_json


@click.command(cls=AppCommand)
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@pictures_option("Embed N pictures, N texts and N pairs of both with each model.", 1, 256)
@size_option
@dummy_option
@json_option
def command(
    models: tuple[str, ...],
    pictures: int,
    size: tuple[int, int],
    dummy_weights: bool,
    as_json: bool,
) -> None:
    """Measure start time, speed and memory of models on this machine.

    Each MODEL is a name, a folder or a file, as for `searchapp index`. The command runs one
    model at a time, in a separate process. Python code from the model's repository may run. The
    times do not include decoding.

    \b
    searchapp bench models starter clip-vit-b-32
    """
    from searchapp.bench.models import measure_models

    rows = []
    for event in measure_models(models, pictures, *size, dummy=dummy_weights):
        if isinstance(event, str):
            print_note(f"measuring {event} ...")
        else:
            rows.append(event)
    if as_json:
        print_json(rows)
        return
    head = ("start", "images/s", "texts/s", "both/s", "tokens", "memory")
    print_line(f"{'model':<24}" + "".join(f"{name:>10}" for name in head))
    for row in rows:
        if "error" in row:
            print_line(f"{row['model']:<24}  {row['error']}")
            continue
        both = "-" if row["text_images_per_s"] is None else f"{row['text_images_per_s']:.1f}"
        cells = (f"{row['start_s']:.1f} s", f"{row['images_per_s']:.1f}",
                 f"{row['texts_per_s']:.1f}", both, f"{row['tokens_an_image']}",
                 f"{row['memory_mb'] / 1000:.1f} GB")  # fmt: skip
        print_line(f"{row['model']:<24}" + "".join(f"{cell:>10}" for cell in cells))
