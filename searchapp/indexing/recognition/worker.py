"""Recognize text in a worker process: receive images from the parent, and send their lines.

The parent (worker_pool.py) starts the process with a socket. All messages are JSON.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from typing import Any

from searchapp.catalog import UnreadImage
from searchapp.errors import PictureError, SearchAppError
from searchapp.files.extras import install_hint
from searchapp.pictures.recognition.read_text import read_original
from searchapp.pictures.recognition.text_reader import EXTRA, TextReader, load_reader
from searchapp.types import TEXT_FAILURE_STAGE, Failure, Original, TextLine

logger = logging.getLogger(__name__)

# The engine, the decoders and the programs of the user come first. On busy cores, this leaves about
# a tenth of the time to the worker.
NICENESS = 10


@dataclass(frozen=True, slots=True)
class RecognizedImage:
    """An image, and the lines of text in it, or the reason why they are not known."""

    image_id: int
    result: tuple[TextLine, ...] | Failure


def main() -> None:
    """Run a worker; the first command line argument is the number of its socket to the parent."""
    connection = Connection(int(sys.argv[1]))
    with suppress(OSError):
        os.nice(NICENESS)
    with suppress(EOFError, OSError):  # The parent has ended.
        path = json.loads(connection.recv_bytes())
        try:
            reader = load_reader(path)
            reader.start()
        except Exception as error:
            connection.send_bytes(json.dumps({"error": _describe_error(error)}).encode())
            raise
        connection.send_bytes(json.dumps({"up": True}).encode())
        while True:
            image = _decode_image(json.loads(connection.recv_bytes()))
            connection.send_bytes(json.dumps(_encode_outcome(recognize(image, reader))).encode())
    # A regular exit can wait for threads of the libraries.
    os._exit(0)


def recognize(image: UnreadImage, reader: TextReader) -> RecognizedImage:
    """Return the text in the first file of an image that is readable and unchanged.

    If there is no such file, return the failure of the first file.
    """
    failures: list[Failure] = []
    for original in image.originals:
        try:
            lines = read_original(original, reader, image.max_megapixels)
            return RecognizedImage(image.image_id, tuple(lines))
        except PictureError as error:
            failures.append(Failure(original.path, error.stage, str(error)))
        except Exception as error:  # ONNX Runtime and OpenCV raise many kinds of errors.
            failures.append(Failure(original.path, TEXT_FAILURE_STAGE, _describe_error(error)))
    return RecognizedImage(image.image_id, failures[0])


def _describe_error(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


def send_image(connection: Connection, image: UnreadImage) -> None:
    """Send an image to a worker."""
    connection.send_bytes(json.dumps(asdict(image)).encode())


def _decode_image(values: Mapping[str, Any]) -> UnreadImage:
    originals = tuple(Original(**original) for original in values["originals"])
    return UnreadImage(values["image_id"], originals, values["max_megapixels"])


def _encode_outcome(outcome: RecognizedImage) -> dict[str, Any]:
    result = outcome.result
    if isinstance(result, Failure):
        return {"image_id": outcome.image_id, "failure": asdict(result)}
    return {"image_id": outcome.image_id, "lines": [line.to_dict() for line in result]}


def receive_outcome(connection: Connection) -> RecognizedImage | None:
    """Return the next outcome of a worker; None: it has started, and reads the first picture.

    Raises EOFError or OSError if the worker has ended, SearchAppError if its reader does not start.
    """
    values = json.loads(connection.recv_bytes())
    if "error" in values:
        raise SearchAppError(
            f"The reader of text does not start ({values['error']}). Install its packages again: "
            f"{install_hint(EXTRA)}; or turn it off with `searchapp index --no-ocr`."
        )
    if "up" in values:
        return None
    result = (
        Failure(**values["failure"])
        if "failure" in values
        else tuple(map(TextLine.from_dict, values["lines"]))
    )
    return RecognizedImage(values["image_id"], result)
