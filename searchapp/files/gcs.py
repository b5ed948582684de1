"""Google Cloud Storage."""

from __future__ import annotations

from typing import Any

from searchapp.files.bucket import Asked, Keyed, Page
from searchapp.files.remote import stated_state, stating


class Google(Keyed):
    """Objects of Google's storage, through gcsfs."""

    SCHEME = "gs://"

    def _page(self, asked: Asked) -> Page:
        more = {
            "delimiter": "/" if asked.folded else None,
            "startOffset": asked.after,
            "pageToken": asked.token,
        }
        answer: dict[str, Any] = stating(
            self._fs.call,
            "GET",
            "b/{}/o",
            asked.bucket,
            prefix=asked.prefix,
            maxResults=asked.most,
            json_out=True,
            **{name: value for name, value in more.items() if value is not None},
        )
        return Page(
            [(it["name"], stated_state(it)) for it in answer.get("items", ())],
            list(answer.get("prefixes", ())),
            answer.get("nextPageToken"),
        )
