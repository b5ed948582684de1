"""Parse and validate the address of a vector store: FAISS files, or Milvus with its options."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from searchapp.errors import VectorStoreError
from searchapp.files.display_path import is_utf8
from searchapp.files.enter_path import enter_path
from searchapp.files.http_url import HTTP_SCHEMES, has_broken_password, parse_http_url

FAISS = "faiss"
MILVUS_SCHEME = "milvus:"
TOKEN_VARIABLE = "SEARCHAPP_MILVUS_TOKEN"
ADDRESS_FORMS = (
    "faiss, milvus:http://HOST:19530, milvus:https://HOST/DATABASE, or milvus:FILE.db (Milvus Lite)"
)
DATABASE_PATTERN = re.compile(r"[\w.-]{0,255}")  # wider than the rule of Milvus: letters, digits, _
CONSISTENCY_LEVELS = ("Strong", "Bounded", "Session", "Eventually")
LITE_INDEX_KINDS = ("FLAT", "HNSW", "HNSW_SQ", "IVF_FLAT", "IVF_SQ8", "AUTOINDEX")
# Milvus builds an index with these; the other options apply to a collection or to a search.
INDEX_PARAMETERS = ("M", "efConstruction", "nlist", "m", "nbits", "sq_type")
INTEGER_OPTIONS = (
    "M", "efConstruction", "nlist", "m", "nbits", "shards", "replicas", "ef", "nprobe",
)  # fmt: skip
OPTIONS = (
    "index", *INDEX_PARAMETERS, "shards", "replicas", "consistency", "ef", "nprobe", "rerank",
    "timeout",
)  # fmt: skip
# These keep vectors uncompressed, so their scores are exact cosines and need no reranking.
UNCOMPRESSED_INDEX_KINDS = ("FLAT", "HNSW", "IVF_FLAT")


@dataclass(frozen=True, slots=True)
class MilvusAddress:
    """A Milvus server or Milvus Lite file, with the options of the collections stored there."""

    server: str  # http://host:port, or the absolute path of a Milvus Lite file; no secrets
    database: str = ""
    options: tuple[tuple[str, str], ...] = ()  # sorted by name
    token: str = field(default="", repr=False, compare=False)

    @property
    def is_lite(self) -> bool:
        """Return whether the address is a Milvus Lite file, not a server."""
        return not self.server.startswith(("http://", "https://"))

    def _get_option(self, name: str, default: str) -> str:
        return dict(self.options).get(name, default)

    @property
    def index_kind(self) -> str:
        """Return the Milvus index type, such as HNSW."""
        return self._get_option("index", "FLAT" if self.is_lite else "HNSW")

    @property
    def index_parameters(self) -> dict[str, int | str]:
        """Return the index parameters with which Milvus builds its index, such as M."""
        requested = {name: value for name, value in self.options if name in INDEX_PARAMETERS}
        defaults = {"HNSW": {"M": "32", "efConstruction": "200"}, "IVF_FLAT": {"nlist": "1024"}}
        merged = {**defaults.get(self.index_kind, {}), **requested}
        return {
            name: int(text) if name in INTEGER_OPTIONS else text for name, text in merged.items()
        }

    def build_search_parameters(self, count: int) -> dict[str, int]:
        """Return the Milvus parameters of a search for the count nearest vectors."""
        if self.index_kind.startswith("HNSW"):
            return {"ef": max(int(self._get_option("ef", "256")), 2 * count)}
        if self.index_kind.startswith("IVF"):
            return {"nprobe": int(self._get_option("nprobe", "64"))}
        return {}

    @property
    def shard_count(self) -> int | None:
        """Return the number of shards of a Milvus collection; None: the default of Milvus."""
        return int(self._get_option("shards", "0")) or None

    @property
    def replica_count(self) -> int:
        """Return the number of replicas of a collection that Milvus loads into memory."""
        return int(self._get_option("replicas", "1"))

    @property
    def consistency_level(self) -> str:
        """Return the consistency level, which decides whether a search sees the latest writes.

        https://milvus.io/docs/consistency.md
        """
        return self._get_option("consistency", "Strong")

    @property
    def timeout_s(self) -> float:
        """Return the timeout of a request in seconds, retries by pymilvus included."""
        return float(self._get_option("timeout", "30"))

    @property
    def is_reranked(self) -> bool:
        """Return whether hits from Milvus are ranked again with the vectors in the catalog."""
        return (
            self._get_option(
                "rerank", "no" if self.index_kind in UNCOMPRESSED_INDEX_KINDS else "yes"
            )
            == "yes"
        )

    @property
    def is_exact(self) -> bool:
        """Return whether a search always finds the nearest vectors."""
        return self.index_kind == "FLAT"

    @property
    def place(self) -> str:
        """Return the URL without secrets and search options; it identifies a Milvus collection."""
        return self._format_url(("index", *INDEX_PARAMETERS, "shards"))

    @property
    def url(self) -> str:
        """Return the complete URL without secrets, in the form that parse_address reads."""
        return self._format_url(OPTIONS)

    @property
    def display_name(self) -> str:
        """Return the name of the Milvus server or file without options, for messages."""
        return self._format_url(()).removeprefix(MILVUS_SCHEME)

    def _format_url(self, names: tuple[str, ...]) -> str:
        database = f"/{quote(self.database)}" if self.database else ""
        chosen = urlencode([(name, value) for name, value in self.options if name in names])
        return f"{MILVUS_SCHEME}{self.server}{database}" + (f"?{chosen}" if chosen else "")


def parse_address(text: str) -> MilvusAddress | None:
    """Parse the address of a vector store; return None for FAISS files.

    Raises VectorStoreError if the address or one of its options is not valid.
    """
    if text == FAISS:
        return None
    if not text.startswith(MILVUS_SCHEME) or text == MILVUS_SCHEME:
        raise _make_address_error(text)
    location = text.removeprefix(MILVUS_SCHEME)
    if re.match(r"[a-z]+://", location):
        server, database, token, query = _parse_server(location)
    else:
        server, _, query = location.partition("?")
        server = os.path.abspath(enter_path(server, VectorStoreError))  # noqa: PTH100
        database = token = ""
        if not is_utf8(server):
            raise VectorStoreError(
                f"{server} cannot be a file of Milvus Lite: its path is not valid UTF-8. "
                "Use a file in another folder."
            )
        if not server.endswith(".db"):
            raise VectorStoreError(
                f"{server} is not a file of Milvus Lite: its name must end in .db. "
                "Use milvus:FILE.db."
            )
    options = dict(parse_qsl(query, keep_blank_values=True))
    token = options.pop("token", token)
    return validate_address(MilvusAddress(server, database, tuple(sorted(options.items())), token))


def _parse_server(url: str) -> tuple[str, str, str, str]:
    """Return the server, database, token and query of a Milvus URL."""
    try:
        parts = urlsplit(url)
        if parts.scheme not in HTTP_SCHEMES or not parts.hostname:
            raise _make_address_error(url)
        if has_broken_password(url):
            raise VectorStoreError(
                "the address of Milvus has an @ or # after its host. In a user or password, write "
                "/ as %2F, ? as %3F, # as %23 and @ as %40."
            )
        checked = parse_http_url(url)
    except ValueError as error:
        raise VectorStoreError(
            f"the host or port of {_hide_secrets(url)} is not valid. Use {ADDRESS_FORMS}."
        ) from error
    database = unquote(parts.path.strip("/"))
    if not DATABASE_PATTERN.fullmatch(database):
        raise VectorStoreError(
            f"the Milvus database {database} is not valid. Use letters, digits and _ in its name."
        )
    token = unquote(parts.username or "")
    if parts.password is not None:
        token = f"{token}:{unquote(parts.password)}"
    name = checked.raw_host.decode("ascii")
    host = f"[{name}]" if ":" in name else name
    port = checked.port or (443 if parts.scheme == "https" else 19530)
    return f"{parts.scheme}://{host}:{port}", database, token, parts.query


def validate_address(address: MilvusAddress) -> MilvusAddress:
    """Return the address if all its options are valid; raise VectorStoreError otherwise."""
    for name, value in address.options:
        if name not in OPTIONS:
            raise VectorStoreError(
                f"a Milvus address has no option {name}. The options are {', '.join(OPTIONS)}."
            )
        if name in INTEGER_OPTIONS and not re.fullmatch(r"[1-9]\d{0,6}", value):
            raise VectorStoreError(
                f"{name}={value} is not valid: use a whole number from 1 to 9999999"
            )
    if address.consistency_level not in CONSISTENCY_LEVELS:
        raise VectorStoreError(
            f"consistency={address.consistency_level} is not valid: "
            f"use one of {', '.join(CONSISTENCY_LEVELS)}"
        )
    if not re.fullmatch(r"[A-Z0-9_]{1,30}", address.index_kind):
        raise VectorStoreError(
            f"index={address.index_kind} is not valid: "
            "use a Milvus index type such as HNSW, IVF_FLAT or FLAT"
        )
    if address.is_lite and address.index_kind not in LITE_INDEX_KINDS:
        raise VectorStoreError(
            f"Milvus Lite cannot build the index type {address.index_kind}. "
            f"Use one of {', '.join(LITE_INDEX_KINDS)}."
        )
    rerank, timeout = dict(address.options).get("rerank"), dict(address.options).get("timeout")
    if rerank not in (None, "yes", "no"):
        raise VectorStoreError(f"rerank={rerank} is not valid: use yes or no")
    if timeout is not None and not re.fullmatch(r"\d{1,5}(\.\d+)?", timeout):
        raise VectorStoreError(
            f"timeout={timeout} is not valid: use a number of seconds, such as 30"
        )
    return address


def _make_address_error(text: str) -> VectorStoreError:
    return VectorStoreError(
        f"{_hide_secrets(text)} is not the address of a vector store. Use {ADDRESS_FORMS}."
    )


def _hide_secrets(text: str) -> str:
    """Return an address without its user, password and options, for messages."""
    place, _, rest = text.partition("?")
    # With an @ after the question mark, the place may be the first part of a password.
    return re.sub("//.*", "//...", place) if "@" in rest else re.sub("//.*@", "//...@", place)
