"""Read a user's model file: TOML with the fields of a ModelSpec, validated.

The line `like = NAME` takes all fields that the file lacks from a known model.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, Field, asdict, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

from searchapp.errors import ModelError
from searchapp.files.enter_path import enter_path, has_entered_folder
from searchapp.files.local import read_bounded_file
from searchapp.models.spec import ModelSpec, Prompts
from searchapp.pictures.model_size import ImageInput

MAX_MODEL_FILE_BYTES = 1 << 20
TYPES_BY_ANNOTATION: dict[str, tuple[type, ...]] = {
    "str": (str,), "str | None": (str,), "int": (int,), "int | None": (int,), "bool": (bool,),
    "Prompts": (dict,), "ImageInput": (dict,), "Mapping[str, Any]": (dict,),
    "tuple[str, ...]": (list,), "tuple[int, int, int]": (list,), "Fit": (str,),
}  # fmt: skip
# The command line sets trust, dimensions and precision. Only specs of searchapp name an adapter.
RESERVED_FIELDS = {"trusted", "cut_from", "precision", "is_adapter"}
REQUIRED_FIELDS = "source, architecture, dimensions, text_limit, [prompts] and [image]"
# What a file must say itself, also if it says `like = NAME`.
OWN_FIELDS = {"name", "source", "revision", "download", *RESERVED_FIELDS}
DEFAULT_VALUES = {"licence": "see the model card", "weights_mb": 0, "revision": "main"}


def read_model_file(
    file: Path, known_specs: Mapping[str, ModelSpec] = MappingProxyType({})
) -> ModelSpec:
    """Return the spec in a model file.

    known_specs: the models that the file can name with `like`. Raises ModelError, which names the
    invalid field and what it should be.
    """
    try:
        content = tomllib.loads(read_bounded_file(file, MAX_MODEL_FILE_BYTES).decode("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ModelError(f"{file}: cannot be read: {reason}; correct the file") from error
    if "like" in content:
        content = _fill_from_known_spec(file, content, known_specs)
    values = DEFAULT_VALUES | content
    values.setdefault("name", str(file.resolve()))
    values["prompts"] = _build_dataclass(file, Prompts, values.get("prompts"), "prompts.")
    values["image"] = _build_dataclass(file, ImageInput, values.get("image"), "image.")
    spec: ModelSpec = _build_dataclass(file, ModelSpec, values, "")
    if spec.source.startswith((".", "/", "~")):
        is_home = spec.source.startswith("~")
        folder = enter_path(spec.source if is_home else file.parent / spec.source, ModelError)
        if not has_entered_folder(folder, ModelError):
            raise ModelError(
                f"{file}: the folder {spec.source} (source) does not exist; correct the path"
            )
        values["source"] = str(folder.resolve())
    # The collection stores the name; the path of the file finds the model again.
    return ModelSpec(**{**_convert_lists_to_tuples(values), "name": str(file.resolve())})


def _fill_from_known_spec(
    file: Path, content: dict[str, Any], known_specs: Mapping[str, ModelSpec]
) -> dict[str, Any]:
    """Return the fields of a file, and the missing ones from the model that it names with `like`.

    The fields of a table, such as [prompts], are filled one by one.
    """
    own = dict(content)
    name = own.pop("like")
    spec = known_specs.get(name) if isinstance(name, str) else None
    if spec is None:
        raise ModelError(
            f"{file}: the field like has the value {name!r}; use one of {', '.join(known_specs)}"
        )
    values = _to_toml_values(spec)
    for key in OWN_FIELDS:
        values.pop(key, None)
    for key, value in own.items():
        known = values.get(key)
        both_are_tables = isinstance(known, dict) and isinstance(value, dict)
        values[key] = known | value if both_are_tables else value
    return values


def _to_toml_values(spec: ModelSpec) -> dict[str, Any]:
    """Return the fields of a spec as TOML would hold them: lists, and nothing for None."""

    def drop_none(table: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in table.items() if value is not None}

    values: dict[str, Any] = json.loads(json.dumps(asdict(spec)), object_hook=drop_none)
    return values


def _build_dataclass(file: Path, kind: type, values: Any, prefix: str) -> Any:
    if not isinstance(values, dict):
        raise ModelError(f"{file}: the table [{prefix.rstrip('.')}] is missing; add it")
    known = {field.name: field for field in fields(kind) if field.name not in RESERVED_FIELDS}
    for name, value in values.items():
        if name not in known:
            raise ModelError(
                f"{file}: the field {prefix}{name} is unknown; the known fields "
                f"are {', '.join(known)}"
            )
        _check_field(file, known[name], value, prefix)
    for name, field in known.items():
        required = field.default is MISSING and field.default_factory is MISSING
        if required and name not in values:
            raise ModelError(f"{file}: the field {prefix}{name} is missing; add it")
    try:
        return kind(**_convert_lists_to_tuples(values))
    except ValueError as error:
        raise ModelError(f"{file}: {prefix.rstrip('.') or 'the model'}: {error}") from error


def _check_field(file: Path, field: Field[Any], value: Any, prefix: str) -> None:
    allowed = TYPES_BY_ANNOTATION[str(field.type)]
    if isinstance(value, (Prompts, ImageInput)):
        return
    if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
        raise ModelError(
            f"{file}: the field {prefix}{field.name} has the value {value!r}; use a value of the "
            f"type {field.type}"
        )


def _convert_lists_to_tuples(values: dict[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
