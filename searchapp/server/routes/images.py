"""Routes that return pictures, thumbnails and videos of the library."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request, Response

from searchapp.catalog import LocatedImage
from searchapp.files import storage
from searchapp.server import video_ranges
from searchapp.server.api_examples import (
    IMAGE_RESPONSE,
    ORIGINAL_RESPONSE,
    THUMBNAIL_RESPONSE,
    VIDEO_RESPONSE,
    ZIP_RESPONSE,
)
from searchapp.server.app_state import ServiceDep
from searchapp.server.conditional_answers import is_current
from searchapp.server.file_names import make_disposition
from searchapp.server.file_stream import FileStream
from searchapp.server.picture_zip import stream_zip
from searchapp.server.request_forms import HEAD_MARK
from searchapp.server.request_models import ImageId
from searchapp.server.response_models import TextAnswer
from searchapp.server.service import Service
from searchapp.server.shown_files import (
    THUMBNAIL_SIDES_PX,
    encode_for_browser,
    find_video,
    load_original,
    load_thumbnail,
)
from searchapp.server.unix_http import API_PREFIX
from searchapp.server.zip_request import ZipRequest, choose_zip_images

ZIP_MEDIA_TYPE = "application/zip"

router = APIRouter(tags=["Pictures"])
Sha256Start = Annotated[
    str | None,
    Query(
        pattern="^[0-9a-f]{8,64}$",
        description="beginning of the file's SHA-256, from a hit; another content gets 404",
    ),
]


@router.get(
    f"{API_PREFIX}/images/{{image_id}}",
    name="image",
    response_class=Response,
    responses=IMAGE_RESPONSE,
)
async def get_image(
    request: Request, image_id: ImageId, service: ServiceDep, sha256: Sha256Start = None
) -> Response:
    """Return a picture in a format that browsers show."""
    located = await _locate_image(service, image_id, sha256)
    headers = _make_cache_headers(located, "full", sha256)
    if is_current(headers["ETag"], request.headers.get("if-none-match", "")):
        return Response(status_code=304, headers=headers)
    data, media_type = await service.run_blocking(lambda: encode_for_browser(located))
    return Response(data, media_type=media_type, headers=headers)


@router.get(
    f"{API_PREFIX}/thumbnails/{{image_id}}",
    name="thumbnail",
    response_class=Response,
    responses=THUMBNAIL_RESPONSE,
)
async def get_thumbnail(
    request: Request,
    image_id: ImageId,
    service: ServiceDep,
    size: int = THUMBNAIL_SIDES_PX[0],
    sha256: Sha256Start = None,
) -> Response:
    """Return a thumbnail: WebP, upright, with a long side of 320 or 640 pixels."""
    if size not in THUMBNAIL_SIDES_PX:
        raise HTTPException(400, f"size must be one of {THUMBNAIL_SIDES_PX}, not {size}")
    located = await _locate_image(service, image_id, sha256)
    headers = _make_cache_headers(located, str(size), sha256)
    if is_current(headers["ETag"], request.headers.get("if-none-match", "")):
        return Response(status_code=304, headers=headers)
    data = await service.run_blocking(lambda: load_thumbnail(service.folder, located, size))
    return Response(data, media_type="image/webp", headers=headers)


@router.get(
    f"{API_PREFIX}/originals/{{image_id}}",
    name="original",
    response_class=Response,
    responses=ORIGINAL_RESPONSE,
)
async def get_original(
    request: Request, image_id: ImageId, service: ServiceDep, sha256: Sha256Start = None
) -> Response:
    """Return the unchanged file of a picture or video, for a download under its own name."""
    located = await _locate_image(service, image_id, sha256)
    headers = {"Cache-Control": "private, no-cache", "ETag": f'"{located.sha256}"'}
    if is_current(headers["ETag"], request.headers.get("if-none-match", "")):
        return Response(status_code=304, headers=headers)
    if located.seconds is None:
        data, path = await service.run_blocking(lambda: load_original(located))
        headers["Content-Disposition"] = make_disposition(path)
        return Response(data, media_type="application/octet-stream", headers=headers)
    video = await service.run_blocking(lambda: find_video(located))
    headers["Content-Disposition"] = make_disposition(video.path)
    response = video_ranges.range_response(video, None, headers)
    # Without this, HEAD would read the complete video.
    return Response(headers=response.headers) if request.scope[HEAD_MARK] else response


@router.get(f"{API_PREFIX}/texts/{{image_id}}", name="text")
async def get_text(image_id: ImageId, service: ServiceDep) -> TextAnswer:
    """Return the lines of text in a picture, and where they are."""
    await _locate_image(service, image_id, None)
    return TextAnswer.from_lines(await service.read_text(image_id))


# The name is part of the operation id in /openapi.json, so it stays.
@router.get(
    f"{API_PREFIX}/videos/{{image_id}}",
    name="film",
    response_class=Response,
    responses=VIDEO_RESPONSE,
)
async def get_video(
    request: Request, image_id: ImageId, service: ServiceDep, sha256: Sha256Start = None
) -> Response:
    """Return the video that an image is a frame of; the header Range selects a part."""
    located = await _locate_image(service, image_id, sha256)
    video = await service.run_blocking(lambda: find_video(located))
    # Frames of one video have the same file.
    headers = {"Cache-Control": "private, no-cache", "ETag": f'"{video.sha256}"'}
    if is_current(headers["ETag"], request.headers.get("if-none-match", "")):
        return Response(status_code=304, headers=headers)
    if request.headers.get("if-range", headers["ETag"]) != headers["ETag"]:
        return video_ranges.range_response(video, None, headers)
    range_header = None if request.scope[HEAD_MARK] else request.headers.get("range")
    response = video_ranges.range_response(video, range_header, headers)
    # Without this, HEAD would read the complete video.
    return Response(headers=response.headers) if request.scope[HEAD_MARK] else response


@router.get(f"{API_PREFIX}/zip", name="zip", response_class=Response, responses=ZIP_RESPONSE)
async def get_zip(
    request: Request, parameters: Annotated[ZipRequest, Query()], service: ServiceDep
) -> Response:
    """Return a zip with the original files of images. A file that is gone is named in the zip."""
    found = await service.locate_images(parameters.ids)
    images, missing = choose_zip_images(parameters.ids, found)
    if not images:
        raise HTTPException(404, "the library has none of these images")
    paths = [path for image in images for path in image.paths]
    if not await service.run_blocking(lambda: any(map(storage.can_exist, paths))):
        raise HTTPException(404, "no file of these images exists any more; run `searchapp index`")
    headers = {
        "Cache-Control": "private, no-store",
        "Content-Disposition": f'attachment; filename="{len(images)}-pictures.zip"',
    }
    if request.scope[HEAD_MARK]:
        return Response(media_type=ZIP_MEDIA_TYPE, headers=headers)
    return FileStream(stream_zip(images, missing), headers=headers, media_type=ZIP_MEDIA_TYPE)


async def _locate_image(service: Service, image_id: int, sha256: str | None) -> LocatedImage:
    """Return an image; answer 404 if it does not exist, or has another content."""
    located = await service.locate_image(image_id)
    if located is None or not located.sha256.startswith(sha256 or ""):
        raise HTTPException(404, f"the library has no image {image_id}")
    return located


def _make_cache_headers(located: LocatedImage, form: str, sha256: str | None) -> dict[str, str]:
    """Return the headers that say how long a browser can use an answer.

    An id means another picture in another library, which can be served at the same address. So a
    browser asks again, unless the URL names the content. A frame is not named by its file alone.
    """
    is_named = sha256 is not None and located.seconds is None
    return {
        "Cache-Control": "private, max-age=86400" if is_named else "private, no-cache",
        "ETag": f'"{located.key}-{form}-{located.info.colors_since or 0}"',
    }
