"""`searchapp models`."""

from __future__ import annotations

import click

from searchapp import models
from searchapp.cli.log_output import print_line
from searchapp.cli.shared_options import AppCommand, json_option, print_json
from searchapp.models import ModelSpec, hub


@click.command(cls=AppCommand)
@json_option
def command(as_json: bool) -> None:
    """List the models that searchapp knows by name; --model also takes a folder or a TOML file.

    \b
    searchapp models
    """
    specs = models.list_available_models()
    if as_json:
        print_json([_spec_to_dict(spec) for spec in specs])
        return
    print_line(f"{'name':<24}{'dimensions':>10}  {'takes':<26}{'size':>8}  {'license':<14}on disk")
    for spec in specs:
        print_line(
            f"{spec.name:<24}{spec.dimensions:>10}  {', '.join(spec.modalities):<26}"
            f"{spec.weights_mb:>5} MB  {spec.licence:<14}{'yes' if hub.is_on_disk(spec) else 'no'}"
        )
    print_line()
    print_line(f"the default model is {models.choose_default_model()}")


def _spec_to_dict(spec: ModelSpec) -> dict[str, object]:
    return {
        "name": spec.name,
        "dimensions": spec.dimensions,
        "modalities": list(spec.modalities),
        "weights_mb": spec.weights_mb,
        "licence": spec.licence,
        "on_disk": hub.is_on_disk(spec),
        "source": spec.source,
        "revision": spec.revision,
    }
