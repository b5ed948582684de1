"""The values that cross layers: frozen, and without behaviour beyond what they hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Literal

Modality = Literal["text", "image", "text+image"]
Order = Literal["score", "date"]
AUTO: Literal["auto"] = "auto"
MAX_MEGAPIXELS = 179.0  # Pillow's own bound against decompression bombs


def clock(seconds: float) -> str:
    """Return a time in a video as people write it: 1:23, 1:02:03."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@dataclass(frozen=True, slots=True)
class Query:
    """What to look for: a text, a picture (file or http(s) URL), or both as one question."""

    text: str | None = None
    image: str | Path | None = None

    @property
    def modality(self) -> Modality | None:
        """Return what the query consists of; None when there is nothing in it."""
        words = bool(self.text and self.text.strip())
        if self.image is not None:
            return "text+image" if words else "image"
        return "text" if words else None


@dataclass(frozen=True, slots=True)
class Term:
    """A query as one term of a sum; a negative weight asks for less of it."""

    query: Query
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Filter:
    """What a picture must fulfil to be searched at all; None asks for nothing."""

    folder: Path | None = None  # a file below it
    after: str | None = None  # of then or later: ISO 8601, or the beginning of one
    before: str | None = None  # of then or earlier: 2023-06 includes all of June
    camera: str | None = None  # a pattern with * and ?, in any case, from any word of the name on
    format: str | None = None  # jpeg, png ..., in any case
    min_size: float | None = None  # megapixels
    max_size: float | None = None
    near: str | None = None  # taken there: LATITUDE,LONGITUDE,KM in degrees and kilometres
    where: str | None = None  # an SQL condition over the view photos
    lens: str | None = None  # a pattern, as camera is
    rating: str | None = None  # 4, 4+, 2-4, rejected or unrated
    keyword: tuple[str, ...] = ()  # patterns with * and ?, in any case; it has one for each
    taken: bool = False  # the picture itself says when: its file's date does not count

    @property
    def asks(self) -> bool:
        """Tell whether anything is asked for."""
        return any(getattr(self, field.name) not in (None, (), False) for field in fields(Filter))

    @property
    def filter(self) -> Filter:
        """Return what the pictures must fulfil, alone."""
        return Filter(**{field.name: getattr(self, field.name) for field in fields(Filter)})


@dataclass(frozen=True, slots=True)
class Between:
    """A condition: a field's number lies from low to high, both included."""

    field: str
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class OneOf:
    """A condition: a field's text is one of some."""

    field: str
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SearchOptions(Filter):
    """How to search: which collection, how many hits, and what they must fulfil."""

    count: int = 10
    offset: int = 0  # leave out so many of the best, which an earlier page showed
    min_score: float | Literal["auto"] | None = None  # cosine; auto: only good matches
    sort: Order = "score"  # date: those found by date, the newest first, undated ones last
    collection: str | None = None  # by default the one that was indexed last
    model: str | None = None  # or the collection of this model
    trust_remote_code: bool = False  # as ModelOptions has it, where the collection does not say so
    truncate: bool = False  # cut a text that is too long for the model


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """What a user may choose about a model; None leaves it as it comes."""

    instruction: str | None = None
    dimensions: int | None = None  # fewer than the model gives
    max_pixels: int | None = None  # of a picture, as the model sees it
    num_crops: int | None = None  # of a picture, as the model sees it
    trust_remote_code: bool = False  # let the code of the model's repository run


@dataclass(frozen=True, slots=True)
class IndexOptions:
    """How to index: which collection and model, and how much."""

    model: str | None = None  # by default the collection's, else DEFAULT_MODEL's
    model_options: ModelOptions = field(default_factory=ModelOptions)
    collection: str | None = None  # by default named after the model
    limit: int | None = None  # read at most so many new files
    dry_run: bool = False
    retry_failed: bool = False
    batch_size: int | None = None  # pictures; by default what suits the machine
    replicas: int | None = None  # engines on each GPU, or on the CPU; by default what suits
    max_megapixels: float = MAX_MEGAPIXELS
    index: str | None = None  # exact, auto or a FAISS factory string; None: as it was
    vectors: str | None = field(default=None, repr=False)  # faiss or milvus:..., maybe with secrets
    include: tuple[str, ...] = ()  # patterns as in .gitignore; of files, none: all
    exclude: tuple[str, ...] = ()  # of files and folders
    prune: bool = False  # forget vanished files however many they are
    video: bool = True
    pairs: bool = True  # a RAW file beside a JPEG, and a Live Photo's film, are no pictures
    only: tuple[str, ...] | None = None  # of the folders, look at these absolute paths alone


@dataclass(frozen=True, slots=True)
class Hit:
    """One image that answers a query: its best file, and the others that hold the same bytes."""

    path: str
    score: float  # cosine, higher is better
    sha256: str  # of the file
    width: int  # pixels, upright
    height: int
    also: tuple[str, ...] = ()
    image_id: int = 0
    taken_at: str | None = None  # ISO 8601, on the camera's clock
    camera: str | None = None
    date: str | None = None  # taken_at, or where that is not known the file's
    date_from: str | None = None  # exif, xmp, iptc or file
    lens: str | None = None
    rating: int | None = None  # 1 to 5; -1: rejected
    keywords: tuple[str, ...] = ()
    title: str | None = None
    latitude: float | None = None  # degrees, north positive
    longitude: float | None = None  # degrees, east positive
    seconds: float | None = None  # of a video: when the frame is shown; None: a picture
    moments: tuple[float, ...] = ()  # seconds of its other frames that would have been hits
    companions: tuple[str, ...] = ()  # a RAW file, a Live Photo's film, that belong to path


@dataclass(frozen=True, slots=True)
class Answer:
    """What was found, and whether the best of it is a good match."""

    hits: tuple[Hit, ...]
    good: bool | None  # None: not known for such a question, or in such a collection


@dataclass(frozen=True, slots=True)
class Failure:
    """One file that could not be used, and why.

    stage is scan, read, decode or embed, or "needs" and the extra that reads such files.
    """

    path: str
    stage: str
    message: str


@dataclass(frozen=True, slots=True)
class PictureInfo:
    """What a picture's file says about it; None where it says nothing."""

    format: str
    width: int  # pixels, upright
    height: int
    taken_at: str | None = None  # ISO 8601, with the offset where the camera knew it
    camera: str | None = None
    latitude: float | None = None  # degrees, north positive
    longitude: float | None = None  # degrees, east positive
    lens: str | None = None
    rating: int | None = None  # 1 to 5; -1: rejected
    keywords: tuple[str, ...] = ()  # each once, in whatever case
    title: str | None = None
    description: str | None = None
    date: str | None = None  # taken_at, or where that is not known the file's
    date_from: str | None = None  # exif, xmp, iptc or file
    reader: int = 0  # the version of what read all this: metadata.READER then


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What one run of index did; files, except for the rate, which counts embedded pictures."""

    added: int = 0  # new to the collection, or changed
    unchanged: int = 0
    moved: int = 0  # a new path for what another path held before
    removed: int = 0  # vanished; what they held stays embedded until prune
    kept: int = 0  # vanished, but so many at once that it may be an unmounted drive
    failed: int = 0
    described: int = 0  # images known before whose metadata were read again
    seconds: float = 0.0
    images_per_second: float = 0.0  # since the first engine ran
    # Seconds of work by stage, of all threads and processes together: read, decode, prepare, wait
    # (for these), start and embed (of the engines), write.
    stages: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scanned:
    """Event: the folders were walked; work files are new, changed or not embedded yet."""

    files: int
    work: int
    failed_before: int  # unchanged since they failed, and so left alone
    model: str
    collection: str
    videos_left: int = 0  # left out, since what reads videos is not installed


@dataclass(frozen=True, slots=True)
class EngineStarting:
    """Event: the model is being loaded, which takes from seconds to a minute."""

    model: str


@dataclass(frozen=True, slots=True)
class Progress:
    """Event: done of total files are dealt with."""

    done: int
    total: int
    images_per_second: float
    nodes: Mapping[str, float] = field(default_factory=dict)  # the same, of each node of a cluster


@dataclass(frozen=True, slots=True)
class IndexMaking:
    """Event: an index is made anew from the stored vectors, which takes minutes for millions."""

    vectors: int
    kind: str  # exact, or a FAISS factory string


@dataclass(frozen=True, slots=True)
class Uploading:
    """Event: done of total vectors have been sent to Milvus, or taken out of it."""

    done: int
    total: int
    place: str  # where, without secrets


@dataclass(frozen=True, slots=True)
class Kept:
    """Event: so many files below a root are gone that it may be a drive that is not mounted."""

    root: str
    lost: int  # files; they are kept
    known: int  # files below the root, those included


@dataclass(frozen=True, slots=True)
class Describing:
    """Event: what so many pictures say of themselves is read again; nothing is embedded."""

    done: int
    total: int
    beside: bool = False  # as sidecars have changed; otherwise as this version reads more


@dataclass(frozen=True, slots=True)
class Failed:
    """Event: a file was left out."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class Finished:
    """Event: the run is over, everything is saved."""

    summary: RunSummary


Event = (
    Scanned
    | EngineStarting
    | Progress
    | IndexMaking
    | Uploading
    | Kept
    | Describing
    | Failed
    | Finished
)


@dataclass(frozen=True, slots=True)
class Collection:
    """The images embedded in one space."""

    id: int
    name: str
    model: str  # a model's name, or the absolute path of its folder
    revision: str
    dimensions: int
    settings: str  # JSON: what else the vectors depend on


@dataclass(frozen=True, slots=True)
class Extent:
    """Which embeddings a collection has: equal extents are equal sets of ids.

    Ids only grow and are never used twice, and every deletion is counted.
    """

    count: int = 0
    last_id: int = 0  # the highest id there ever was
    deletions: int = 0  # of all times


@dataclass(frozen=True, slots=True)
class SavedIndex:
    """What the catalogue knows of a collection's index file, or of its collection in Milvus."""

    file: str | None = None  # below the library, or a name in Milvus; None until the first save
    size: int = 0  # bytes
    count: int = 0  # with last_id and deletions: the Extent that it holds
    last_id: int = 0
    deletions: int = 0
    kind: str = "exact"  # or a FAISS factory string
    made_for: str = "auto"  # the kind that the user wanted then
    trained: int = 0  # how many embeddings there were when it was made

    @property
    def extent(self) -> Extent:
        """Return which embeddings it holds."""
        return Extent(self.count, self.last_id, self.deletions)


@dataclass(frozen=True, slots=True)
class Store:
    """A collection in Milvus that holds a collection's vectors, or is to."""

    name: str  # in Milvus
    place: str  # the server or file, and how the index is made; without secrets
    fields: tuple[str, ...]  # of the images, that it knows beside the vectors


@dataclass(frozen=True, slots=True)
class CollectionInfo:
    """What info tells of a collection."""

    name: str
    model: str
    revision: str
    dimensions: int
    images: int
    failures: int
    last_run: str | None  # when its last complete run ended, ISO 8601, UTC
    index_bytes: int
    index: str = "exact"  # what the index file is: exact, or a FAISS factory string
    index_wanted: str = "auto"  # what the user wants: exact, auto or a factory string
    index_images: int = 0  # in the index file; the others are found all the same
    index_trained: int = 0  # images there were when it was made
    vectors: str = "faiss"  # what answers: a FAISS file, or where in Milvus
    vectors_wanted: str = "faiss"  # where the vectors are to be


@dataclass(frozen=True, slots=True)
class Month:
    """The pictures of a month."""

    month: str  # 2023-06
    images: int
    by_file: int  # of these: by their files' dates


@dataclass(frozen=True, slots=True)
class Facet:
    """The values that pictures have of one kind, and how many have each: the most first."""

    values: tuple[tuple[str, int], ...]
    more: int  # values that are left out


@dataclass(frozen=True, slots=True)
class Facets:
    """What a collection's pictures can be filtered by, and how many there are of each."""

    images: int  # that fulfil the filter, as the counts do: each but for its own kind
    months: tuple[Month, ...]  # those there are, in their order
    folders: Facet  # path, and how many images have a file right in it
    cameras: Facet
    lenses: Facet
    keywords: Facet
    ratings: Facet
    formats: Facet


@dataclass(frozen=True, slots=True)
class Overview:
    """Where a library's pictures are, and of which days."""

    folders: tuple[tuple[str, int], ...]  # path, and how many images have a file right in it
    first_date: str | None  # ISO 8601, the day
    last_date: str | None


FORMAT = 1  # the version of what export writes


@dataclass(frozen=True, slots=True)
class Header:
    """What an exported collection's vectors were made with."""

    model: str
    revision: str
    dimensions: int
    settings: str
    searchapp: int = FORMAT


@dataclass(frozen=True, slots=True)
class KnownFile:
    """A file that holds an image, as it was when it was read."""

    path: str
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Known:
    """All that a collection knows of an image."""

    sha256: str
    info: PictureInfo
    files: tuple[KnownFile, ...]
    vector: bytes  # as it is stored: little-endian float16
    video: str | None = None  # of a video's frame: the SHA-256 of the video
    seconds: float | None = None  # and when it is shown


@dataclass(frozen=True, slots=True)
class DuplicateOptions(Filter):
    """Where to look for duplicates: in which collection, among which pictures."""

    collection: str | None = None  # by default the one that was indexed last
    similar: bool = False  # look-alikes, too, which are no duplicates


# Of two files: the same bytes; other bytes that hold the same pixels; the same picture resized,
# compressed, cut a little, turned or made brighter; another picture that looks like it.
Certainty = Literal["bytes", "pixels", "near", "similar"]


@dataclass(frozen=True, slots=True)
class Copy:
    """One file of a group, and how it differs from the one to keep."""

    path: str
    size: int  # bytes
    width: int  # pixels, upright
    height: int
    format: str
    taken_at: str | None  # ISO 8601
    changed_at: str  # when the file was changed, ISO 8601, UTC
    sha256: str
    image_id: int
    certainty: Certainty | None = None  # None: it is the one to keep
    difference: str = ""  # in words
    companions: tuple[str, ...] = ()  # what goes where it goes: RAW, a Live Photo's film, sidecars


@dataclass(frozen=True, slots=True)
class Group:
    """Files of one picture: the one to keep, why that one, and the others, surest first."""

    keeper: Copy
    reason: str
    others: tuple[Copy, ...]

    @property
    def bytes(self) -> int:
        """Return how many bytes the others take."""
        return sum(copy.size for copy in self.others)


@dataclass(frozen=True, slots=True)
class Duplicates:
    """What was found: groups of duplicates, and of look-alikes where they were asked for."""

    groups: tuple[Group, ...]
    similar: tuple[Group, ...]
    images: int  # that were compared
    failed: int  # images that could not be read


@dataclass(frozen=True, slots=True)
class Comparing:
    """Event: all pictures have been read, and are compared."""

    images: int


@dataclass(frozen=True, slots=True)
class Found:
    """Event: the last of a search for duplicates."""

    duplicates: Duplicates


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that check found wrong."""

    what: str
    remedy: str = ""  # what the user is to do, where something is left to do
    mended: bool = False


@dataclass(frozen=True, slots=True)
class Loaded:
    """What import added."""

    collection: str
    images: int  # that it had no embedding of
    files: int  # that are there


@dataclass(frozen=True, slots=True)
class Pruned:
    """What prune removed, or would."""

    files: int = 0  # that are not there any more
    images: int = 0  # that no file holds
    embeddings: int = 0  # of those
    thumbnails: int = 0
    compacted: bool = False  # the catalogue was written anew, without unused space


@dataclass(frozen=True, slots=True)
class LibraryInfo:
    """What info tells of a library."""

    path: Path
    images: int
    files: int
    catalog_bytes: int
    collections: tuple[CollectionInfo, ...] = field(default=())
