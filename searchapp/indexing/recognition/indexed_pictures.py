"""Recognize the text of pictures that are indexed already, as `searchapp ocr` asks for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from searchapp.catalog import Catalog, UnreadScope
from searchapp.files.lock import hold_writer_lock
from searchapp.indexing.recognition.recognize_texts import start_recognition
from searchapp.models import select_collection
from searchapp.pictures.recognition import text_reader
from searchapp.search.ranking import resolve_filter_folder
from searchapp.types import FileFailed, RecognitionOptions, TextProgress, TextsRecognized


def recognize_indexed_pictures(
    folder: Path, catalog: Catalog, options: RecognitionOptions
) -> Iterator[TextProgress | FileFailed | TextsRecognized]:
    """Recognize the text of images, and yield events: see Library.recognize_text."""
    text_reader.check_reader_installed()
    with hold_writer_lock(folder, "searchapp ocr"):
        scope = UnreadScope(
            image_ids=_select_images(catalog, options),
            reader=text_reader.load_reader(text_reader.DEFAULT_READER).name
            if options.update
            else None,
            retry_failed=options.retry_failed,
        )
        with start_recognition(
            catalog, scope, is_engine_running=False, limit=options.limit
        ) as texts:
            yield from texts.finish()
            summary = texts.summarize()
    yield TextsRecognized(summary)


def _select_images(catalog: Catalog, options: RecognitionOptions) -> tuple[int, ...] | None:
    """Return the images that match the filter; None: all images of the library."""
    image_filter = resolve_filter_folder(options.base_filter)
    if options.collection is None and not image_filter.has_conditions:
        return None
    collection = select_collection.get_collection(catalog, options.collection)
    ids = catalog.filters.find_embedding_ids(collection.id, image_filter)
    return catalog.recognized_texts.find_images(ids.tolist())
