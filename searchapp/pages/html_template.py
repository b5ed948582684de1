"""Fill the HTML templates of this package: one base layout, and every value is escaped."""

from __future__ import annotations

import io
from base64 import b64encode
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from searchapp.files.atomic import write_output

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup
    from PIL.Image import Image as Picture


def render_html(template: str, **values: object) -> str:
    """Return a template of pages/templates filled with values."""
    return _environment().get_template(template).render(values)


def write_html(file: Path, template: str, **values: object) -> None:
    """Write a filled template to a file, part by part: iterators in values are read as it goes.

    Characters that are not valid UTF-8 are written as "?".
    Errors: SearchAppError if the file cannot be written.
    """
    parts = _environment().get_template(template).generate(values)
    with (
        write_output(file) as temporary,
        temporary.open("w", encoding="utf-8", errors="replace") as opened,
    ):
        opened.writelines(parts)


def jpeg_data_url(picture: Picture, quality: int) -> str:
    """Return a picture as a data: URL, so that a page needs no other file."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return f"data:image/jpeg;base64,{b64encode(buffer.getvalue()).decode()}"


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("searchapp.pages"),
        autoescape=True,
        undefined=StrictUndefined,  # a name that is not given is an error, not an empty string
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # The filter tojson escapes <, > and & for script elements, and writes ASCII: a file name
    # that is not valid UTF-8 keeps its bytes, as lone surrogates.
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    environment.globals["inline_file"] = _inline_file
    return environment


def _inline_file(name: str) -> Markup:
    """Return a CSS or JavaScript file as it is: braces in it must not be read as a template."""
    from importlib import resources

    from markupsafe import Markup

    return Markup(resources.files("searchapp.pages").joinpath("templates", name).read_text("utf-8"))
