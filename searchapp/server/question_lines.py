"""Read questions from a file: one a line, as plain text or as a JSON object."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

from searchapp.errors import QueryError, SearchAppError
from searchapp.files.extras import install_hint
from searchapp.types import Query, SearchOptions, SearchQuestion

MAX_LINE_BYTES = 1 << 20  # A longer line is no question: the file is probably no text.
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class QuestionLine:
    """A line of the file with its question, or with the error that it has instead."""

    number: int  # from 1
    source: str | dict[str, Any]  # as the file says it: a text, or the values of a JSON object
    question: SearchQuestion | SearchAppError


def read_question_lines(stream: BinaryIO, options: SearchOptions) -> Iterator[QuestionLine]:
    """Yield the questions of a file, without empty lines; read the file as they are needed.

    options: of all questions; the options of a JSON object replace them.
    """
    number = 0
    while line := stream.readline(MAX_LINE_BYTES + 1):
        number += 1
        if number == 1:
            line = line.removeprefix(BYTE_ORDER_MARK)
        if len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
            while (rest := stream.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
                pass
            error = QueryError(f"it has more than {MAX_LINE_BYTES} bytes; give a shorter question")
            yield QuestionLine(number, "", error)
        elif line.strip():
            yield _parse_line(number, line, options)


def _parse_line(number: int, line: bytes, options: SearchOptions) -> QuestionLine:
    source: str | dict[str, Any] = line.decode(errors="replace").strip()
    try:
        try:
            text = line.decode().strip()
        except UnicodeDecodeError as error:
            raise QueryError("it is not UTF-8; convert the file to UTF-8") from error
        if not text.startswith("{"):
            return QuestionLine(number, text, SearchQuestion(Query(text), options))
        source = _parse_object(text)
        return QuestionLine(number, source, _make_question(source, options))
    except SearchAppError as error:
        return QuestionLine(number, source, error)


def _parse_object(text: str) -> dict[str, Any]:
    try:
        values: dict[str, Any] = json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = error if isinstance(error, ValueError) else "it is nested too deeply"
        raise QueryError(
            f"it begins with {{, but it is no JSON object ({reason}); correct it"
        ) from error
    return values


def _make_question(values: dict[str, Any], options: SearchOptions) -> SearchQuestion:
    try:
        from searchapp.server.question_fields import parse_question_fields
    except ImportError as error:
        raise SearchAppError(
            f"questions in JSON need pydantic and FastAPI ({error}). Install them: "
            f"{install_hint('server')}"
        ) from error
    query, changes, examples = parse_question_fields(values)
    return SearchQuestion(query, replace(options, **changes), examples)
