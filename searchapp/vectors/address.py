"""Where vectors are to be: a FAISS file, or Milvus, as a user writes it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from searchapp.errors import VectorsError

FAISS = "faiss"
SCHEME = "milvus:"
TOKEN = "SEARCHAPP_MILVUS_TOKEN"
FORMS = (
    "faiss, milvus:http://HOST:19530, milvus:https://HOST/DATABASE, or a file of Milvus Lite: "
    "milvus:FILE.db"
)
CONSISTENCY = ("Strong", "Bounded", "Session", "Eventually")
LITE_KINDS = ("FLAT", "HNSW", "HNSW_SQ", "IVF_FLAT", "IVF_SQ8", "AUTOINDEX")
MADE_WITH = ("M", "efConstruction", "nlist", "m", "nbits", "sq_type")  # what an index is made with
WHOLE = ("M", "efConstruction", "nlist", "m", "nbits", "shards", "replicas", "ef", "nprobe")
OPTIONS = (
    "index", *MADE_WITH, "shards", "replicas", "consistency", "ef", "nprobe", "rerank", "timeout",
)  # fmt: skip
FULL = ("FLAT", "HNSW", "IVF_FLAT")  # kinds that keep vectors as they are, so that scores are true


@dataclass(frozen=True, slots=True)
class Address:
    """A server of Milvus, or a file of Milvus Lite, and how a collection is kept there."""

    server: str  # http://host:port, or the absolute path of a file; without secrets
    database: str = ""
    options: tuple[tuple[str, str], ...] = ()  # sorted by name
    token: str = field(default="", repr=False, compare=False)

    @property
    def is_lite(self) -> bool:
        """Tell whether it is a file."""
        return not self.server.startswith(("http://", "https://"))

    def _option(self, name: str, default: str) -> str:
        return dict(self.options).get(name, default)

    @property
    def kind(self) -> str:
        """Return the type of index."""
        return self._option("index", "FLAT" if self.is_lite else "HNSW")

    @property
    def made_with(self) -> dict[str, int | str]:
        """Return the parameters that the index is made with."""
        given = {name: value for name, value in self.options if name in MADE_WITH}
        plain = {"HNSW": {"M": "32", "efConstruction": "200"}, "IVF_FLAT": {"nlist": "1024"}}
        merged = {**plain.get(self.kind, {}), **given}
        return {name: int(text) if name in WHOLE else text for name, text in merged.items()}

    def asked_with(self, count: int) -> dict[str, int]:
        """Return the parameters that so many nearest are searched with."""
        if self.kind.startswith("HNSW"):
            return {"ef": max(int(self._option("ef", "256")), 2 * count)}
        if self.kind.startswith("IVF"):
            return {"nprobe": int(self._option("nprobe", "64"))}
        return {}

    @property
    def shards(self) -> int | None:
        """Return how many shards the collection has; None: as Milvus has it."""
        return int(self._option("shards", "0")) or None

    @property
    def replicas(self) -> int:
        """Return how many copies are loaded."""
        return int(self._option("replicas", "1"))

    @property
    def consistency(self) -> str:
        """Return what a search is to see of what was just written."""
        return self._option("consistency", "Strong")

    @property
    def timeout(self) -> float:
        """Return seconds that a request may take, tried again meanwhile."""
        return float(self._option("timeout", "30"))

    @property
    def reranks(self) -> bool:
        """Tell whether what is found is ranked by the stored vectors."""
        return self._option("rerank", "no" if self.kind in FULL else "yes") == "yes"

    @property
    def exact(self) -> bool:
        """Tell whether a search finds all that is nearest."""
        return self.kind == "FLAT"

    @property
    def place(self) -> str:
        """Return where it is and how it is made; without secrets, and what only a search needs."""
        return self._written(("index", *MADE_WITH, "shards"))

    @property
    def url(self) -> str:
        """Return all of it but secrets, as parse() reads it."""
        return self._written(OPTIONS)

    @property
    def shown(self) -> str:
        """Return the server or file alone, for messages."""
        return self._written(()).removeprefix(SCHEME)

    def _written(self, names: tuple[str, ...]) -> str:
        database = f"/{quote(self.database)}" if self.database else ""
        chosen = urlencode([(name, value) for name, value in self.options if name in names])
        return f"{SCHEME}{self.server}{database}" + (f"?{chosen}" if chosen else "")


def parse(text: str) -> Address | None:
    """Read where vectors are to be; None: in a FAISS file. Errors: VectorsError."""
    if text == FAISS:
        return None
    if not text.startswith(SCHEME) or text == SCHEME:
        raise VectorsError(f"vectors are kept in {FORMS}; not {_hidden(text)}")
    place = text.removeprefix(SCHEME)
    if re.match(r"[a-z]+://", place):
        server, database, token, query = _server(place)
    else:
        server, _, query = place.partition("?")
        server, database, token = os.path.abspath(Path(server).expanduser()), "", ""  # noqa: PTH100
        if not server.endswith(".db"):
            raise VectorsError(
                f"a file of Milvus Lite has a name that ends in .db: milvus:FILE.db; not {server}"
            )
    options = dict(parse_qsl(query, keep_blank_values=True))
    token = options.pop("token", token)
    return checked(Address(server, database, tuple(sorted(options.items())), token))


def _server(place: str) -> tuple[str, str, str, str]:
    try:
        parts = urlsplit(place)
        port = parts.port or (443 if parts.scheme == "https" else 19530)
    except ValueError as error:
        raise VectorsError(f"{_hidden(place)} is no address: {error}; {FORMS}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise VectorsError(f"vectors are kept in {FORMS}; not {_hidden(place)}")
    token = unquote(parts.username or "")
    if parts.password is not None:
        token = f"{token}:{unquote(parts.password)}"
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}:{port}", unquote(parts.path.strip("/")), token, parts.query


def checked(address: Address) -> Address:
    """Return an address whose options can be; raise VectorsError."""
    for name, value in address.options:
        if name not in OPTIONS:
            raise VectorsError(
                f"there is no option {name} of Milvus; there are {', '.join(OPTIONS)}"
            )
        if name in WHOLE and not re.fullmatch(r"[1-9]\d{0,6}", value):
            raise VectorsError(f"{name}={value}: a whole number is wanted, 1 or more")
    if address.consistency not in CONSISTENCY:
        raise VectorsError(f"consistency={address.consistency}: there are {', '.join(CONSISTENCY)}")
    if not re.fullmatch(r"[A-Z0-9_]{1,30}", address.kind):
        raise VectorsError(f"index={address.kind}: a type such as HNSW, IVF_FLAT or FLAT is wanted")
    if address.is_lite and address.kind not in LITE_KINDS:
        raise VectorsError(
            f"Milvus Lite makes no index {address.kind}; there are {', '.join(LITE_KINDS)}"
        )
    rerank, timeout = dict(address.options).get("rerank"), dict(address.options).get("timeout")
    if rerank not in (None, "yes", "no"):
        raise VectorsError(f"rerank={rerank}: yes or no is wanted")
    if timeout is not None and not re.fullmatch(r"\d{1,5}(\.\d+)?", timeout):
        raise VectorsError(f"timeout={timeout}: a number of seconds is wanted")
    return address


def _hidden(text: str) -> str:
    """Return what a user wrote, without what may be a secret."""
    return re.sub(r"//[^/@]*@", "//...@", text.partition("?")[0])
