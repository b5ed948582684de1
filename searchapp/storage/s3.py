"""Amazon S3, and what speaks as it does: listed as one long list of keys, in several parts at once.

A folder is nothing there; to ask for each of a million folders would take longer than for all keys.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from searchapp.storage.base import Listed, Unlisted, Wanted, state_of
from searchapp.storage.merging import merged
from searchapp.storage.remote import Remote, reason_of, stating

LISTERS = 8  # that ask at once, 1,000 keys each
PARTS = 64  # that a list is divided into, at most
DEPTH = 8  # folders that hold nothing but one other, on the way to where it can be divided
SCHEME = "s3://"

Page = list[Listed | Unlisted]


class S3(Remote):
    """All buckets that the user's credentials open."""

    def files(self, folder: str, wanted: Wanted) -> Iterator[Listed | Unlisted]:
        """Yield the files below a folder, page by page, whatever their number."""
        bucket, _, key = folder.removeprefix(SCHEME).partition("/")
        prefix = f"{key}/" if key else ""
        try:
            bounds = self._bounds(bucket, prefix)
        except OSError as error:
            yield Unlisted(folder, reason_of(error))
            return
        parts = [
            partial(self._part, bucket, prefix, after, until)
            for after, until in zip([None, *bounds], [*bounds, None], strict=True)
        ]
        for page in merged(parts, LISTERS):
            yield from (it for it in page if isinstance(it, Unlisted) or wanted(it.path))

    def _bounds(self, bucket: str, prefix: str) -> list[str]:
        """Return keys between which there may be about as many, in order."""
        for _ in range(DEPTH):
            answer = self._ask(bucket, prefix, Delimiter="/")
            prefixes = [each["Prefix"] for each in answer.get("CommonPrefixes", ())]
            if len(prefixes) != 1 or answer.get("Contents"):
                break
            (prefix,) = prefixes
        step = max(1, len(prefixes) // PARTS)
        return prefixes[step::step]

    def _part(
        self, bucket: str, prefix: str, after: str | None, until: str | None
    ) -> Iterator[Page]:
        """Yield pages of what lies after a key and, at most, at another."""
        more: dict[str, Any] = {"StartAfter": after} if after is not None else {}
        while True:
            try:
                answer = self._ask(bucket, prefix, **more)
            except OSError as error:  # nothing below the folder counts as gone then
                yield [Unlisted(f"{SCHEME}{bucket}/{prefix}".rstrip("/"), reason_of(error))]
                return
            told = answer.get("Contents", ())
            inside = [each for each in told if until is None or _order(each) <= until.encode()]
            yield [
                Listed(
                    f"{SCHEME}{bucket}/{each['Key']}",
                    state_of(each["Size"], each["LastModified"], each.get("ETag")),
                )
                for each in inside
                if not each["Key"].endswith("/")  # what stands for a folder
            ]
            if len(inside) < len(told) or not answer.get("IsTruncated"):
                return
            more = {"ContinuationToken": answer["NextContinuationToken"]}

    def holds(self, url: str) -> bool:
        """Tell whether there is a file of this name, or any below it; OSError if out of reach."""
        bucket, _, key = url.removeprefix(SCHEME).partition("/")
        if not key:
            return bool(self._ask(bucket, "", MaxKeys=1).get("Contents"))
        names = (self._ask(bucket, prefix, MaxKeys=1) for prefix in (f"{key}/", key))
        below, itself = (name.get("Contents") for name in names)
        return bool(below) or (itself is not None and itself[0]["Key"] == key)

    def _ask(self, bucket: str, prefix: str, **more: Any) -> dict[str, Any]:
        answer: dict[str, Any] = stating(
            self._fs.call_s3, "list_objects_v2", Bucket=bucket, Prefix=prefix, **more
        )
        return answer


def _order(each: dict[str, Any]) -> bytes:
    """Return what keys are in order of."""
    return str(each["Key"]).encode()
