"""Find the vectors of liked and unliked pictures: those of the library are stored already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from searchapp.engines import Vector
from searchapp.errors import PictureError, QueryError
from searchapp.files import fetch_url
from searchapp.files.scan import is_video
from searchapp.pictures.decode import hash_bytes
from searchapp.search.query_vector import sum_weighted_vectors
from searchapp.search.search_calls import SearchCalls
from searchapp.types import Collection, Example
from searchapp.vectors import unpack_vectors


@dataclass(frozen=True, slots=True)
class FoundExample:
    """Example with its stored vector, or with the bytes of a picture that must be embedded.

    embedding_ids: the embeddings of the picture, which the search leaves out of the hits.
    """

    example: Example
    vector: Vector | None = None
    data: bytes | None = None
    embedding_ids: frozenset[int] = frozenset()


async def find_examples(
    calls: SearchCalls, collection: Collection, examples: Sequence[Example]
) -> list[FoundExample]:
    """Return the examples of a search, in their order.

    A file whose path or content the collection has is an image of the collection.
    Raises QueryError if the collection lacks the image of an id, or if the same picture is liked
    and unliked, and PictureError if another file cannot be read.
    """
    found = [await _find_example(calls, collection, example) for example in examples]
    # Two frames of one video have the same embedding ids, and other vectors.
    liked, unliked = (
        {
            (each.embedding_ids, each.vector.tobytes())
            for each in found
            if each.vector is not None and each.example.is_liked is is_liked
        }
        for is_liked in (True, False)
    )
    if liked & unliked:
        raise QueryError("the same picture is liked and unliked. Leave out one of the two.")
    return found


async def _find_example(
    calls: SearchCalls, collection: Collection, example: Example
) -> FoundExample:
    image = example.image
    stored = await calls.read_library(lambda reader: reader.find_example(collection, image))
    data = None
    if stored is None and isinstance(image, int):
        raise QueryError(
            f"no image {image} in the collection {collection.name}; search again for its id"
        )
    if stored is None:
        data = await calls.run_blocking(lambda: _read_example(str(image)))
        sha256 = hash_bytes(data)
        stored = await calls.read_library(
            lambda reader: reader.find_example_by_content(collection, sha256)
        )
    if stored is None:
        return FoundExample(example, data=data)
    vectors = unpack_vectors(list(stored.vectors), collection.dimensions)
    vector = sum_weighted_vectors(list(vectors), [1.0] * len(vectors))
    return FoundExample(example, vector, embedding_ids=stored.embedding_ids)


def _read_example(image: str) -> bytes:
    if is_video(image):
        raise PictureError(
            f"{image}: the video is not in this collection. Index it, or use a picture", "read"
        )
    return fetch_url.read_query_image(image)
