"""Types of the fields of requests: parsed texts, paths, and limits for clients of the web."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    TypeAdapter,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from searchapp.errors import QueryError
from searchapp.types import Area, Circle, DateBound, RatingRange, Region
from searchapp.types.filter_values import FilterValue
from searchapp.types.saved_search import MAX_NAME_CHARACTERS

PLACE_PATTERN = r"^-?\d+(\.\d*)?,-?\d+(\.\d*)?,\d+(\.\d*)?(km)?$"
AREA_PATTERN = r"^-?\d+(\.\d*)?(,-?\d+(\.\d*)?){3}$"
RATING_PATTERN = r"^([0-5](\+|-[0-5])?|rejected|unrated)$"
IS_LOCAL = "is_local"  # key of the validation context: true for the commands of the user


class WebLimit:
    """Annotation of a field: bounds for clients of the web, not for commands of the user.

    The commands use the Unix socket, and must work as with --no-daemon.
    """

    def __init__(self, **bounds: Any) -> None:
        """Store the bounds: arguments of Field, such as max_length."""
        self._bounds = bounds

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Return the schema: https://docs.pydantic.dev/latest/concepts/types/#custom-types."""
        bounded: TypeAdapter[Any] = TypeAdapter(Annotated[source, Field(**self._bounds)])

        def validate(
            value: Any, validate_unbounded: ValidatorFunctionWrapHandler, info: ValidationInfo
        ) -> Any:
            if not (info.context or {}).get(IS_LOCAL):
                bounded.validate_python(value)
            return validate_unbounded(value)

        return core_schema.with_info_wrap_validator_function(validate, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Show the bounds in the OpenAPI schema."""
        shown = handler(schema)
        max_length = "maxItems" if shown.get("type") == "array" else "maxLength"
        names = {"ge": "minimum", "le": "maximum", "max_length": max_length}
        bounds = {names[name]: bound for name, bound in self._bounds.items() if name in names}
        return {**shown, **bounds}


class LocalOnly:
    """Annotation of a field that has an effect only in commands of the user: see parse_request.

    The commands use the Unix socket. Clients of the web may not name any folder of the machine.
    """

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Say so in the OpenAPI schema."""
        return {**handler(schema), "description": "only through the Unix socket"}


class PathText:
    """Annotation of a path: a text in which bytes that are not UTF-8 are lone surrogates.

    Other lone surrogates name no file, so they are refused.
    """

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Return a schema that accepts lone surrogates, which pydantic's str refuses."""

        def validate(value: Any, validate_text: ValidatorFunctionWrapHandler) -> Any:
            if isinstance(value, str):
                validate_text(value.encode("utf-8", "replace").decode())  # its length
                try:
                    os.fsencode(value)
                except UnicodeEncodeError as error:
                    raise PydanticCustomError("path", "no file can have this name") from error
                return value
            return validate_text(value)

        return core_schema.no_info_wrap_validator_function(validate, handler(source))


class ParsedText:
    """Annotation of a field whose text is parsed into a filter value, such as a date."""

    def __init__(self, parse: Callable[[str], object], *annotations: Any) -> None:
        """Store the parser of the text. annotations: checks before the text is parsed."""
        self._parse, self._annotations = parse, annotations

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Return the schema: https://docs.pydantic.dev/latest/concepts/types/#custom-types."""
        text = handler.generate_schema(Annotated[str, *self._annotations, Field()])
        return core_schema.no_info_after_validator_function(self._parse, text)


def _make_parser(
    kind: type[FilterValue], name: str, pattern: str | None = None
) -> Callable[[str], FilterValue]:
    """Return a parser that raises PydanticCustomError, so that status 422 names the field.

    pattern: what the schema allows, if that is less than the parser. The message does not show it.
    """

    def parse(text: str) -> FilterValue:
        try:
            value = kind.parse(text)
            if pattern is not None and not re.fullmatch(pattern, text):
                raise QueryError(f"{text!r} cannot be read. Write {kind.HELP}.")
        except QueryError as error:
            # The message is a template, in which braces have a meaning.
            raise PydanticCustomError(name, "{reason}", {"reason": str(error)}) from error
        return value

    return parse


Date = Annotated[
    DateBound,
    ParsedText(_make_parser(DateBound, "date")),
    Field(json_schema_extra={"pattern": f"^{DateBound.PATTERN}$"}),
]
RegionField = Annotated[
    Region,
    ParsedText(_make_parser(Region, "region"), WebLimit(max_length=100)),
    Field(description=f"part of the upright picture: {Region.HELP}"),
]
ImageIdField = Annotated[int, Field(ge=1, le=2**63 - 1)]
Score = Annotated[float, Field(allow_inf_nan=False)] | Literal["auto"]
Size = Annotated[float, Field(ge=0, description="megapixels"), WebLimit(allow_inf_nan=False)]
Text = Annotated[str, WebLimit(max_length=20_000)]
SavedName = Annotated[str, Field(min_length=1), WebLimit(max_length=MAX_NAME_CHARACTERS)]
Url = Annotated[str, WebLimit(max_length=4000)]
Pattern = Annotated[str, WebLimit(max_length=200)]
Place = Annotated[
    Circle,
    ParsedText(_make_parser(Circle, "place", PLACE_PATTERN), WebLimit(max_length=100)),
    Field(
        json_schema_extra={"pattern": PLACE_PATTERN},
        description="LATITUDE,LONGITUDE,KM: 48.85,2.35,5km",
    ),
]
Rectangle = Annotated[
    Area,
    ParsedText(_make_parser(Area, "area", AREA_PATTERN), WebLimit(max_length=100)),
    Field(json_schema_extra={"pattern": AREA_PATTERN}, description=Area.HELP),
]
Rating = Annotated[
    RatingRange,
    ParsedText(_make_parser(RatingRange, "rating", RATING_PATTERN)),
    Field(json_schema_extra={"pattern": RATING_PATTERN}, description=RatingRange.HELP),
]
