"""Routes that return pictures, thumbnails and videos of the library."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request, Response

from searchapp.catalog import LocatedImage
from searchapp.server import video_ranges
from searchapp.server.api_examples import IMAGE_RESPONSE, THUMBNAIL_RESPONSE, VIDEO_RESPONSE
from searchapp.server.app_state import ServiceDep
from searchapp.server.conditional_answers import is_current
from searchapp.server.request_forms import HEAD_MARK
from searchapp.server.request_models import ImageId
from searchapp.server.service import THUMBNAIL_SIDES_PX, Service
from searchapp.server.unix_http import API_PREFIX

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
    data, media_type = await service.load_image(located)
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
    data = await service.load_thumbnail(located, size)
    return Response(data, media_type="image/webp", headers=headers)


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
    video = await service.find_video(located)
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
