"""List and read objects in Google Cloud Storage."""

from __future__ import annotations

from typing import Any

from searchapp.files.bucket import BucketStore, ListingPage, PageRequest
from searchapp.files.remote import call_store, entry_to_state


class GcsStore(BucketStore):
    """Objects in Google Cloud Storage, through gcsfs."""

    SCHEME = "gs://"

    def _fetch_page(self, request: PageRequest) -> ListingPage:
        options = {
            "delimiter": "/" if request.is_folded else None,
            "startOffset": request.after_key,
            "pageToken": request.token,
        }
        answer: dict[str, Any] = call_store(
            self._fs.call,
            "GET",
            "b/{}/o",
            request.bucket,
            prefix=request.prefix,
            maxResults=request.max_keys,
            json_out=True,
            **{name: value for name, value in options.items() if value is not None},
        )
        return ListingPage(
            [(entry["name"], entry_to_state(entry)) for entry in answer.get("items", ())],
            list(answer.get("prefixes", ())),
            answer.get("nextPageToken"),
        )
