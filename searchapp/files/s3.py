"""List and read objects in Amazon S3 and compatible stores."""

from __future__ import annotations

from typing import Any

from searchapp.files.bucket import BucketStore, ListingPage, PageRequest
from searchapp.files.file_state import make_state
from searchapp.files.remote import call_store


class S3Store(BucketStore):
    """Objects in Amazon S3 and compatible stores, through s3fs."""

    SCHEME = "s3://"

    def _fetch_page(self, request: PageRequest) -> ListingPage:
        options = {
            "Delimiter": "/" if request.is_folded else None,
            "StartAfter": request.after_key,
            "ContinuationToken": request.token,
        }
        answer: dict[str, Any] = call_store(
            self._fs.call_s3,
            "list_objects_v2",
            Bucket=request.bucket,
            Prefix=request.prefix,
            MaxKeys=request.max_keys,
            **{name: value for name, value in options.items() if value is not None},
        )
        return ListingPage(
            [
                (entry["Key"], make_state(entry["Size"], entry["LastModified"], entry.get("ETag")))
                for entry in answer.get("Contents", ())
            ],
            [entry["Prefix"] for entry in answer.get("CommonPrefixes", ())],
            answer.get("NextContinuationToken") if answer.get("IsTruncated") else None,
        )
