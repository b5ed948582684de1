"""`searchapp models`."""

from __future__ import annotations

from typing import Any, get_args

import click

from searchapp import models
from searchapp.cli.log_output import print_line
from searchapp.cli.shared_options import AppCommand, json_option, print_json
from searchapp.models import ModelSpec, hub
from searchapp.models.model_facts import BENCHMARK_NAME, get_facts
from searchapp.models.qwen3_vl_reranker import DEFAULT_RERANKER, RERANKERS
from searchapp.types import Modality


@click.command(cls=AppCommand)
@json_option
def command(as_json: bool) -> None:
    """List the models that searchapp knows by name; --model also takes a folder or a TOML file.

    \b
    searchapp models

    The score is the mean of the benchmark MMEB-V2 for pictures, as published; --json names its
    source and its date. Models without a score are not in these sources.

    The rerankers are for `searchapp query --rerank`. In --json, their kind is "reranker".
    """
    specs = models.list_available_models()
    if as_json:
        embedders = [_embedder_to_dict(spec) for spec in specs]
        print_json([*embedders, *map(_reranker_to_dict, RERANKERS.values())])
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
            f"{facts.languages:<18}{score:>13}{_format_size(spec)}"
        )
    print_line()
    print_line(f"the default model is {models.choose_default_model()}")
    print_line()
    print_line(f"{'reranker':<22}{'languages':<18}{'size':>10}  {'license':<20}on disk")
    for spec in RERANKERS.values():
        print_line(f"{spec.name:<22}{get_facts(spec.name).languages:<18}{_format_size(spec)}")
    print_line()
    print_line(f"the default reranker is {DEFAULT_RERANKER}")


def _format_size(spec: ModelSpec) -> str:
    """Return the columns of size, license, and whether the model is on disk."""
    on_disk = "no: merge it first" if spec.is_adapter else "yes" if hub.is_on_disk(spec) else "no"
    return f"{spec.weights_mb:>7} MB  {spec.licence:<20}{on_disk}"


def _embedder_to_dict(spec: ModelSpec) -> dict[str, Any]:
    return _spec_to_dict(
        spec,
        kind="embedder",
        dimensions=spec.dimensions,
        shorter_vectors=spec.matryoshka,
        modalities=list(spec.modalities),
    )


def _reranker_to_dict(spec: ModelSpec) -> dict[str, Any]:
    """Return the values of an embedding model; a reranker takes every kind of question."""
    return _spec_to_dict(
        spec,
        kind="reranker",
        dimensions=None,
        shorter_vectors=False,
        modalities=list(get_args(Modality)),
    )


def _spec_to_dict(spec: ModelSpec, **values: Any) -> dict[str, Any]:
    return {
        "name": spec.name,
        **values,
        "weights_mb": spec.weights_mb,
        "licence": spec.licence,
        "on_disk": not spec.is_adapter and hub.is_on_disk(spec),
        "merge_first": spec.is_adapter,
        "source": spec.source,
        "revision": spec.revision,
        **get_facts(spec.name).to_dict(),
    }
