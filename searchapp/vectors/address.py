"""Where vectors are to be: a FAISS file, or Milvus, as a user writes it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from searchapp.errors import VectorStoreError

FAISS = "faiss"
MILVUS_SCHEME = "milvus:"
TOKEN_VARIABLE = "SEARCHAPP_MILVUS_TOKEN"
ADDRESS_FORMS = (
    "faiss, milvus:http://HOST:19530, milvus:https://HOST/DATABASE, or a file of Milvus Lite: "
    "milvus:FILE.db"
)
CONSISTENCY_LEVELS = ("Strong", "Bounded", "Session", "Eventually")
LITE_INDEX_KINDS = ("FLAT", "HNSW", "HNSW_SQ", "IVF_FLAT", "IVF_SQ8", "AUTOINDEX")
INDEX_PARAMETERS = (
    "M",
    "efConstruction",
    "nlist",
    "m",
    "nbits",
    "sq_type",
)  # what an index is made with
INTEGER_OPTIONS = (
    "M",
    "efConstruction",
    "nlist",
    "m",
    "nbits",
    "shards",
    "replicas",
    "ef",
    "nprobe",
)
OPTIONS = (
    "index", *INDEX_PARAMETERS, "shards", "replicas", "consistency", "ef", "nprobe", "rerank", "timeout",
)  # fmt: skip
UNCOMPRESSED_INDEX_KINDS = (
    "FLAT",
    "HNSW",
    "IVF_FLAT",
)  # kinds that keep vectors as they are, so that scores are true


@dataclass(frozen=True, slots=True)
class MilvusAddress:
    """A server of Milvus, or a file of Milvus Lite, and how a collection is kept there."""

    server: str  # http://host:port, or the absolute path of a file; without secrets
    database: str = ""
    options: tuple[tuple[str, str], ...] = ()  # sorted by name
    token: str = field(default="", repr=False, compare=False)

    @property
    def is_lite(self) -> bool:
        """Tell whether it is a file."""
        return not self.server.startswith(("http://", "https://"))

    def _get_option(self, name: str, default: str) -> str:
        return dict(self.options).get(name, default)

    @property
    def index_kind(self) -> str:
        """Return the type of index."""
        return self._get_option("index", "FLAT" if self.is_lite else "HNSW")

    @property
    def index_parameters(self) -> dict[str, int | str]:
        """Return the parameters that the index is made with."""
        given = {name: value for name, value in self.options if name in INDEX_PARAMETERS}
        defaults = {"HNSW": {"M": "32", "efConstruction": "200"}, "IVF_FLAT": {"nlist": "1024"}}
        merged = {**defaults.get(self.index_kind, {}), **given}
        return {
            name: int(text) if name in INTEGER_OPTIONS else text for name, text in merged.items()
        }

    def build_search_parameters(self, count: int) -> dict[str, int]:
        """Return the parameters that so many nearest are searched with."""
        if self.index_kind.startswith("HNSW"):
            return {"ef": max(int(self._get_option("ef", "256")), 2 * count)}
        if self.index_kind.startswith("IVF"):
            return {"nprobe": int(self._get_option("nprobe", "64"))}
        return {}

    @property
    def shard_count(self) -> int | None:
        """Return how many shards the collection has; None: as Milvus has it."""
        return int(self._get_option("shards", "0")) or None

    @property
    def replica_count(self) -> int:
        """Return how many copies are loaded."""
        return int(self._get_option("replicas", "1"))

    @property
    def consistency_level(self) -> str:
        """Return what a search is to see of what was just written."""
        return self._get_option("consistency", "Strong")

    @property
    def timeout_s(self) -> float:
        """Return seconds that a request may take, tried again meanwhile."""
        return float(self._get_option("timeout", "30"))

    @property
    def is_reranked(self) -> bool:
        """Tell whether what is found is ranked by the stored vectors."""
        return (
            self._get_option(
                "rerank", "no" if self.index_kind in UNCOMPRESSED_INDEX_KINDS else "yes"
            )
            == "yes"
        )

    @property
    def is_exact(self) -> bool:
        """Tell whether a search finds all that is nearest."""
        return self.index_kind == "FLAT"

    @property
    def place(self) -> str:
        """Return where it is and how it is made; without secrets, and what only a search needs."""
        return self._format_url(("index", *INDEX_PARAMETERS, "shards"))

    @property
    def url(self) -> str:
        """Return all of it but secrets, as parse() reads it."""
        return self._format_url(OPTIONS)

    @property
    def display_name(self) -> str:
        """Return the server or file alone, for messages."""
        return self._format_url(()).removeprefix(MILVUS_SCHEME)

    def _format_url(self, names: tuple[str, ...]) -> str:
        database = f"/{quote(self.database)}" if self.database else ""
        chosen = urlencode([(name, value) for name, value in self.options if name in names])
        return f"{MILVUS_SCHEME}{self.server}{database}" + (f"?{chosen}" if chosen else "")


def parse_address(text: str) -> MilvusAddress | None:
    """Read where vectors are to be; None: in a FAISS file. Errors: VectorsError."""
    if text == FAISS:
        return None
    if not text.startswith(MILVUS_SCHEME) or text == MILVUS_SCHEME:
        raise VectorStoreError(f"vectors are kept in {ADDRESS_FORMS}; not {_hide_secrets(text)}")
    place = text.removeprefix(MILVUS_SCHEME)
    if re.match(r"[a-z]+://", place):
        server, database, token, query = _parse_server(place)
    else:
        server, _, query = place.partition("?")
        server, database, token = os.path.abspath(Path(server).expanduser()), "", ""  # noqa: PTH100
        if not server.endswith(".db"):
            raise VectorStoreError(
                f"a file of Milvus Lite has a name that ends in .db: milvus:FILE.db; not {server}"
            )
    options = dict(parse_qsl(query, keep_blank_values=True))
    token = options.pop("token", token)
    return validate_address(MilvusAddress(server, database, tuple(sorted(options.items())), token))


def _parse_server(place: str) -> tuple[str, str, str, str]:
    try:
        parts = urlsplit(place)
        port = parts.port or (443 if parts.scheme == "https" else 19530)
    except ValueError as error:
        raise VectorStoreError(
            f"{_hide_secrets(place)} is no address: {error}; {ADDRESS_FORMS}"
        ) from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise VectorStoreError(f"vectors are kept in {ADDRESS_FORMS}; not {_hide_secrets(place)}")
    token = unquote(parts.username or "")
    if parts.password is not None:
        token = f"{token}:{unquote(parts.password)}"
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}:{port}", unquote(parts.path.strip("/")), token, parts.query


def validate_address(address: MilvusAddress) -> MilvusAddress:
    """Return an address whose options can be; raise VectorsError."""
    for name, value in address.options:
        if name not in OPTIONS:
            raise VectorStoreError(
                f"there is no option {name} of Milvus; there are {', '.join(OPTIONS)}"
            )
        if name in INTEGER_OPTIONS and not re.fullmatch(r"[1-9]\d{0,6}", value):
            raise VectorStoreError(f"{name}={value}: a whole number is wanted, 1 or more")
    if address.consistency_level not in CONSISTENCY_LEVELS:
        raise VectorStoreError(
            f"consistency={address.consistency_level}: there are {', '.join(CONSISTENCY_LEVELS)}"
        )
    if not re.fullmatch(r"[A-Z0-9_]{1,30}", address.index_kind):
        raise VectorStoreError(
            f"index={address.index_kind}: a type such as HNSW, IVF_FLAT or FLAT is wanted"
        )
    if address.is_lite and address.index_kind not in LITE_INDEX_KINDS:
        raise VectorStoreError(
            f"Milvus Lite makes no index {address.index_kind}; there are {', '.join(LITE_INDEX_KINDS)}"
        )
    rerank, timeout = dict(address.options).get("rerank"), dict(address.options).get("timeout")
    if rerank not in (None, "yes", "no"):
        raise VectorStoreError(f"rerank={rerank}: yes or no is wanted")
    if timeout is not None and not re.fullmatch(r"\d{1,5}(\.\d+)?", timeout):
        raise VectorStoreError(f"timeout={timeout}: a number of seconds is wanted")
    return address


def _hide_secrets(text: str) -> str:
    """Return what a user wrote, without what may be a secret."""
    return re.sub(r"//[^/@]*@", "//...@", text.partition("?")[0])
