"""Fill the HTML templates of this package, with every value escaped."""

from __future__ import annotations

import io
import re
from base64 import b64encode
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from searchapp.files.atomic import write_output

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup
    from PIL.Image import Image as Picture

IMPORT_PATTERN = re.compile(r"^import .*\n", re.MULTILINE)


def render_html(template: str, **values: object) -> str:
    """Return a template of pages/templates filled with values."""
    return _load_environment().get_template(template).render(values)


def write_html(file: Path, template: str, **values: object) -> None:
    """Write a filled template to a file, part by part; iterators in values are read while writing.

    Characters that UTF-8 cannot encode are written as "?".
    Errors: SearchAppError if the file cannot be written.
    """
    parts = _load_environment().get_template(template).generate(values)
    with (
        write_output(file) as temporary,
        temporary.open("w", encoding="utf-8", errors="replace") as opened,
    ):
        opened.writelines(parts)


def encode_jpeg_url(picture: Picture, quality: int) -> str:
    """Return a picture as a data: URL of a JPEG, so that a page needs no other file."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return f"data:image/jpeg;base64,{b64encode(buffer.getvalue()).decode()}"


@cache
def _load_environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("searchapp.pages"),
        autoescape=True,
        undefined=StrictUndefined,  # a missing value is an error, not an empty string
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # The tojson filter escapes <, > and & for script elements, and writes ASCII. So the bytes of
    # a file name that is not valid UTF-8 survive, as lone surrogates.
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    environment.globals["inline_file"] = _inline_file
    environment.globals["inline_module"] = _inline_module
    return environment


def _inline_file(name: str) -> Markup:
    """Return a CSS or JavaScript file unescaped; braces in the file are not template syntax."""
    from markupsafe import Markup

    return Markup(_read_template(name))


def _inline_module(name: str) -> Markup:
    """Return a JavaScript module without its imports, unescaped.

    A script of type module in the page contains the modules that it imports, each before its use.
    """
    from markupsafe import Markup

    return Markup(IMPORT_PATTERN.sub("", _read_template(name)))


def _read_template(name: str) -> str:
    from importlib import resources

    return resources.files("searchapp.pages").joinpath("templates", name).read_text("utf-8")
