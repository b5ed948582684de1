"""Route that shows the folder of a picture on the desktop of this computer."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, HTTPException, Request, Response
from pydantic import Field

from searchapp.server.app_state import StateDep
from searchapp.server.desktop import can_open_folders, open_parent_folder
from searchapp.server.request_models import RequestFields
from searchapp.server.unix_http import API_PREFIX

# It is not in the schema: programs that try each route of an API must not open windows.
router = APIRouter(include_in_schema=False)


class OpenFolderRequest(RequestFields):
    """Picture whose folder to show. A client names no path, so it can open no other folder."""

    image_id: Annotated[int, Field(ge=1, le=2**63 - 1)]


@router.post(f"{API_PREFIX}/open-folder", status_code=204)
async def open_folder(request: Request, body: OpenFolderRequest, state: StateDep) -> Response:
    """Show the folder of a picture in the file manager, for a client on this computer only."""
    if not can_open_folders(request, state):
        raise HTTPException(
            403,
            "folders can be opened only on the computer that serves the library, without a token, "
            "and with a desktop.",
        )
    located = await state.service.locate_image(body.image_id)
    if located is None:
        raise HTTPException(404, f"the library has no image {body.image_id}")
    await asyncio.to_thread(open_parent_folder, located.paths)
    return Response(status_code=204)
