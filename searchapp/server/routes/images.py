"""Routes that return pictures, thumbnails and videos of the library."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Request, Response

from searchapp.server import video_ranges
from searchapp.server.app_state import ServiceDep
from searchapp.server.request_models import ImageId
from searchapp.server.service import THUMBNAIL_SIDES_PX

router = APIRouter()


@router.get("/api/images/{image_id}", name="image", response_class=Response)
async def get_image(image_id: ImageId, service: ServiceDep) -> Response:
    """Return a picture in a format that browsers show."""
    image = await service.load_image(image_id)
    if image is None:
        raise HTTPException(404, f"the library has no image {image_id}")
    data, media_type = image
    return Response(data, media_type=media_type, headers={"Cache-Control": "private"})


@router.get("/api/thumbnails/{image_id}", name="thumbnail", response_class=Response)
async def get_thumbnail(
    image_id: ImageId, service: ServiceDep, size: int = THUMBNAIL_SIDES_PX[0]
) -> Response:
    """Return a thumbnail: WebP, upright, with a long side of 320 or 640 pixels."""
    if size not in THUMBNAIL_SIDES_PX:
        raise HTTPException(400, f"size must be one of {THUMBNAIL_SIDES_PX}, not {size}")
    thumbnail = await service.load_thumbnail(image_id, size)
    if thumbnail is None:
        raise HTTPException(404, f"the library has no image {image_id}")
    data, key = thumbnail
    headers = {"Cache-Control": "private, max-age=86400", "ETag": f'"{key[:16]}-{size}"'}
    return Response(data, media_type="image/webp", headers=headers)


# The name is part of the operation id in /openapi.json, so it stays.
@router.get("/api/videos/{image_id}", name="film", response_class=Response)
async def get_video(request: Request, image_id: ImageId, service: ServiceDep) -> Response:
    """Return the video that an image is a frame of; the header Range selects a part."""
    video = await service.find_video(image_id)
    if video is None:
        raise HTTPException(404, f"the library has no image {image_id}")
    return video_ranges.range_response(*video, request.headers.get("range"))
