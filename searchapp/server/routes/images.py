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
    """Return the picture, in a format that browsers show."""
    found = await service.load_image(image_id)
    if found is None:
        raise HTTPException(404, "there is no such image")
    return Response(found[0], media_type=found[1], headers={"Cache-Control": "private"})


@router.get("/api/thumbnails/{image_id}", name="thumbnail", response_class=Response)
async def get_thumbnail(
    image_id: ImageId, service: ServiceDep, size: int = THUMBNAIL_SIDES_PX[0]
) -> Response:
    """Return a small picture: WebP, upright, its long side 320 or 640 pixels."""
    if size not in THUMBNAIL_SIDES_PX:
        raise HTTPException(400, f"size is one of {THUMBNAIL_SIDES_PX}")
    found = await service.load_thumbnail(image_id, size)
    if found is None:
        raise HTTPException(404, "there is no such image")
    headers = {"Cache-Control": "private, max-age=86400", "ETag": f'"{found[1][:16]}-{size}"'}
    return Response(found[0], media_type="image/webp", headers=headers)


@router.get("/api/videos/{image_id}", name="film", response_class=Response)
async def get_video(request: Request, image_id: ImageId, service: ServiceDep) -> Response:
    """Return the video that an image is a frame of, as it is; parts of it by Range."""
    found = await service.find_video(image_id)
    if found is None:
        raise HTTPException(404, "there is no such image")
    return video_ranges.range_response(*found, request.headers.get("range"))
