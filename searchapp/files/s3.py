"""Amazon S3, and what speaks as it does."""

from __future__ import annotations

from typing import Any

from searchapp.files.bucket import Asked, Keyed, Page
from searchapp.files.file_state import state_of
from searchapp.files.remote import stating


class S3(Keyed):
    """Objects of S3, through s3fs."""

    SCHEME = "s3://"

    def _page(self, asked: Asked) -> Page:
        more = {
            "Delimiter": "/" if asked.folded else None,
            "StartAfter": asked.after,
            "ContinuationToken": asked.token,
        }
        answer: dict[str, Any] = stating(
            self._fs.call_s3,
            "list_objects_v2",
            Bucket=asked.bucket,
            Prefix=asked.prefix,
            MaxKeys=asked.most,
            **{name: value for name, value in more.items() if value is not None},
        )
        return Page(
            [
                (it["Key"], state_of(it["Size"], it["LastModified"], it.get("ETag")))
                for it in answer.get("Contents", ())
            ],
            [it["Prefix"] for it in answer.get("CommonPrefixes", ())],
            answer.get("NextContinuationToken") if answer.get("IsTruncated") else None,
        )
