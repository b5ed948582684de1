"""One run of index: how it is to be done, what happens in it, and what it did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from searchapp.types.picture import Failure

MAX_MEGAPIXELS = 179.0  # Pillow's own bound against decompression bombs


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
class ScanFinished:
    """Event: the folders were walked; work files are new, changed or not embedded yet."""

    files: int
    pending_files: int
    failed_before: int  # unchanged since they failed, and so left alone
    model: str
    collection: str
    skipped_videos: int = 0  # left out, since what reads videos is not installed


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
class IndexBuilding:
    """Event: an index is made anew from the stored vectors, which takes minutes for millions."""

    vectors: int
    kind: str  # exact, or a FAISS factory string


@dataclass(frozen=True, slots=True)
class MilvusUploading:
    """Event: done of total vectors have been sent to Milvus, or taken out of it."""

    done: int
    total: int
    place: str  # where, without secrets


@dataclass(frozen=True, slots=True)
class VanishedFilesKept:
    """Event: so many files below a root are gone that it may be a drive that is not mounted."""

    root: str
    vanished_files: int  # files; they are kept
    known_files: int  # files below the root, those included


@dataclass(frozen=True, slots=True)
class MetadataRefreshing:
    """Event: what so many pictures say of themselves is read again; nothing is embedded."""

    done: int
    total: int
    has_changed_sidecars: bool = (
        False  # as sidecars have changed; otherwise as this version reads more
    )


@dataclass(frozen=True, slots=True)
class FileFailed:
    """Event: a file was left out."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class RunFinished:
    """Event: the run is over, everything is saved."""

    summary: RunSummary


IndexEvent = (
    ScanFinished
    | EngineStarting
    | Progress
    | IndexBuilding
    | MilvusUploading
    | VanishedFilesKept
    | MetadataRefreshing
    | FileFailed
    | RunFinished
)
