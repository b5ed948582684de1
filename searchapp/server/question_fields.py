"""A question as a JSON object of a file: the fields of a search request, with files as pictures."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ValidationError

from searchapp.errors import QueryError
from searchapp.server.problems import explain_fields, summarize_fields
from searchapp.server.request_fields import IS_LOCAL, PathText
from searchapp.server.request_models import (
    SearchRequest,
    TermRequest,
    given_options,
    list_examples,
)
from searchapp.types import Example, Query, Term

UNKNOWN_KEY_MESSAGE = "there is no such key; correct its name, see `searchapp docs asking`"
# Only the command line allows code of a model to run; the others mean nothing here.
REFUSED_KEYS = {"saved", "one_prompt", "trust_remote_code"}


class QuestionFields(SearchRequest):
    """Search request in which `image`, also that of a term, is a file or a URL."""

    image: Annotated[str, PathText()] | None = None


def parse_question_fields(
    values: Any,
) -> tuple[Query | list[Term], dict[str, Any], list[Example]]:
    """Return the query, the options and the examples that a JSON object states.

    Raises QueryError, which names the keys that are not valid.
    """
    try:
        fields = QuestionFields.model_validate(values, context={IS_LOCAL: True})
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        raise QueryError(summarize_fields(explain_fields(found, UNKNOWN_KEY_MESSAGE))) from error
    if refused := REFUSED_KEYS & fields.model_fields_set:
        raise QueryError(
            f"{', '.join(sorted(refused))}: a question cannot have this key; remove it"
        )
    examples = list_examples(fields)
    first = Query(fields.text, fields.image or fields.image_url, fields.region)
    terms = [_make_term(term) for term in fields.terms or []]
    if first.modality is None and (terms or examples):
        return terms, given_options(fields), examples
    return [Term(first), *terms] if terms else first, given_options(fields), examples


def _make_term(term: TermRequest) -> Term:
    image = term.image or term.image_url or term.image_id
    return Term(Query(term.text, image, term.region), term.weight)
