"""`searchapp models`."""

from __future__ import annotations

from typing import Any

import click

from searchapp import models
from searchapp.cli.log_output import print_line
from searchapp.cli.shared_options import AppCommand, json_option, print_json
from searchapp.models import ModelSpec, hub
from searchapp.models.model_facts import BENCHMARK_NAME, get_facts


@click.command(cls=AppCommand)
@json_option
def command(as_json: bool) -> None:
    """List the models that searchapp knows by name; --model also takes a folder or a TOML file.

    \b
    searchapp models

    The score is the mean of the benchmark MMEB-V2 for pictures, as published; --json names its
    source and its date. Models without a score are not in these sources.
    """
    specs = models.list_available_models()
    if as_json:
        print_json([_spec_to_dict(spec) for spec in specs])
        return
    print_line(
        f"{'name':<22}{'dimensions':>10}  {'takes':<25}{'languages':<18}{BENCHMARK_NAME:>13}"
        f"{'size':>10}  {'license':<20}on disk"
    )
    for spec in specs:
        facts = get_facts(spec.name)
        score = "-" if facts.score is None else f"{facts.score.value:.1f}"
        print_line(
            f"{spec.name:<22}{spec.dimensions:>10}  {', '.join(spec.modalities):<25}"
            f"{facts.languages:<18}{score:>13}{spec.weights_mb:>7} MB  {spec.licence:<20}"
            f"{_format_availability(spec)}"
        )
    print_line()
    print_line(f"the default model is {models.choose_default_model()}")


def _format_availability(spec: ModelSpec) -> str:
    if spec.is_adapter:
        return "no: merge it first"
    return "yes" if hub.is_on_disk(spec) else "no"


def _spec_to_dict(spec: ModelSpec) -> dict[str, Any]:
    return {
        "name": spec.name,
        "dimensions": spec.dimensions,
        "shorter_vectors": spec.matryoshka,
        "modalities": list(spec.modalities),
        "weights_mb": spec.weights_mb,
        "licence": spec.licence,
        "on_disk": not spec.is_adapter and hub.is_on_disk(spec),
        "merge_first": spec.is_adapter,
        "source": spec.source,
        "revision": spec.revision,
        **get_facts(spec.name).to_dict(),
    }
