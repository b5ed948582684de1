"""Parse the body of a request: JSON, or a form with pictures."""

from __future__ import annotations

import math
import sys
from typing import Any, TypeVar

from fastapi import HTTPException, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.datastructures import UploadFile

from searchapp.server.request_fields import IS_LOCAL, LocalOnly
from searchapp.server.request_models import MAX_QUERY_PARTS, parse_json
from searchapp.server.unix_http import FIELDS_PART

RequestModel = TypeVar("RequestModel", bound=BaseModel)
WEB_FORM: dict[str, Any] = {"max_files": MAX_QUERY_PARTS, "max_fields": 50}
UNLIMITED_FORM: dict[str, Any] = {
    "max_files": math.inf, "max_fields": math.inf, "max_part_size": sys.maxsize,
}  # fmt: skip


async def parse_request(
    request: Request, model: type[RequestModel]
) -> tuple[RequestModel, dict[str, bytes]]:
    """Return the fields of a JSON or form body, and the pictures by the names of their form parts.

    A command of the user sends its fields as JSON in the form part FIELDS_PART: other parts of a
    form cannot hold a path that is not UTF-8. From other clients, fields that are LocalOnly are
    ignored.
    Raises HTTPException if the body is not JSON or no form, and RequestValidationError if it does
    not fit the model. All become status 4xx.
    """
    is_local = request.scope["searchapp.local"]
    media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    files: dict[str, bytes] = {}
    body: str | bytes
    fields: Any
    if media_type == "multipart/form-data":
        limits = UNLIMITED_FORM if is_local else WEB_FORM
        try:
            async with request.form(**limits) as form:
                for name, value in form.items():
                    if isinstance(value, UploadFile):
                        files[name] = await value.read()
                fields = {
                    name: value for name, value in form.items() if isinstance(value, str) and value
                }
        except UnicodeError as error:  # the charset of the header Content-Type decides
            raise HTTPException(400, "the texts of the form are not UTF-8; send UTF-8") from error
        body = fields.get(FIELDS_PART, "") if is_local else ""
    else:
        body, fields = await request.body(), None
    if body or fields is None:
        try:
            fields = parse_json(body)
        except ValueError as error:
            raise HTTPException(
                422,
                "the body of the request is not JSON; send application/json or multipart/form-data",
            ) from error
    try:
        parsed = model.model_validate(fields, context={IS_LOCAL: is_local})
    except ValidationError as error:
        raise RequestValidationError(
            error.errors(include_url=False, include_context=False, include_input=False)
        ) from error
    if not is_local:
        _ignore_local_fields(parsed)
    return parsed, files


def _ignore_local_fields(parsed: BaseModel) -> None:
    """Reset the fields that are LocalOnly, as if the client had not sent them."""
    fields = type(parsed).model_fields
    for name in list(parsed.model_fields_set):
        if any(isinstance(annotation, LocalOnly) for annotation in fields[name].metadata):
            setattr(parsed, name, fields[name].default)
            parsed.model_fields_set.discard(name)
