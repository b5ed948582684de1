"""Options, events and summary of an index run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from searchapp.types.picture import Failure
from searchapp.types.valid_text import check_text

# Pillow raises DecompressionBombError above twice MAX_IMAGE_PIXELS (89,478,485 pixels).
# https://pillow.readthedocs.io/en/stable/reference/Image.html#PIL.Image.MAX_IMAGE_PIXELS
MAX_MEGAPIXELS = 179.0

DecodeDevice = Literal["auto", "cpu", "gpu"]
Precision = Literal["fp8"]


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """Settings of a model that a user may change; None keeps the model's default."""

    instruction: str | None = None
    dimensions: int | None = None  # truncate vectors to this length
    max_pixels: int | None = None  # per picture, after resizing for the model
    num_crops: int | None = None  # maximum number of crops per picture
    precision: Precision | None = None  # of the numbers that the model computes with
    trust_remote_code: bool = False  # run Python code from the model's repository

    def __post_init__(self) -> None:
        """Check the instruction, which becomes a part of prompts."""
        check_text("the instruction", self.instruction)


@dataclass(frozen=True, slots=True)
class IndexOptions:
    """Options of an index run."""

    model: str | None = None  # None: the collection's model, or DEFAULT_MODEL if it is new
    model_options: ModelOptions = field(default_factory=ModelOptions)
    collection: str | None = None  # None: named after the model
    limit: int | None = None  # maximum number of files to embed
    dry_run: bool = False
    retry_failed: bool = False
    batch_size: int | None = None  # pictures; None: chosen for the machine
    replicas: int | None = None  # engines per GPU, or on the CPU; None: chosen for the machine
    max_megapixels: float = MAX_MEGAPIXELS
    decode: DecodeDevice = "auto"  # where JPEGs are decoded
    index: str | None = None  # exact, auto or a FAISS factory string; None: unchanged
    vectors: str | None = field(default=None, repr=False)  # faiss or milvus:...; may hold secrets
    include: tuple[str, ...] = ()  # .gitignore patterns of files; empty: all files
    exclude: tuple[str, ...] = ()  # .gitignore patterns of files and folders
    update_colors: bool = False  # embed images again that have other colors now
    prune: bool = False  # forget vanished files even if there are many
    video: bool = True
    pairs: bool = True  # treat the RAW file of a JPEG and a Live Photo's video as companions
    only: tuple[str, ...] | None = None  # scan only these absolute paths in the folders
    ocr: bool | None = None  # recognize text in pictures, in later runs too; None: unchanged
    writer: str = "searchapp index"  # the command that holds the lock, for other processes

    def __post_init__(self) -> None:
        """Check the texts that SQLite stores."""
        check_text("the name of the collection", self.collection)
        check_text("the kind of index", self.index)
        if self.decode not in get_args(DecodeDevice):
            raise ValueError(f"decode must be one of {', '.join(get_args(DecodeDevice))}")


@dataclass(frozen=True, slots=True)
class RunSummary:
    """Counts and times of an index run. Unless noted, counts are numbers of files."""

    added: int = 0  # new to the collection, or changed
    unchanged: int = 0
    moved: int = 0  # known content at a new path
    removed: int = 0  # vanished; their embeddings stay until prune
    kept: int = 0  # vanished, but not forgotten: the drive may be unmounted
    failed: int = 0
    described: int = 0  # known images whose metadata was read again
    recognized: int = 0  # images and video frames in which text was looked for
    left_out: tuple[str, ...] = ()  # paths of linked folders, which are not followed
    seconds: float = 0.0
    images_per_second: float = 0.0  # embedded images, since the first engine was ready
    # Seconds per stage, summed over all threads and processes. Stages: read, decode, prepare, wait
    # (engines wait for input), start and embed (engines), write.
    stages: Mapping[str, float] = field(default_factory=dict)
    unlisted: int = 0  # of the failed: folders, and files of no picture; `failures` lacks them

    @property
    def has_changes(self) -> bool:
        """Return whether the run has changed the library, or could not use a file."""
        return any((self.added, self.moved, self.removed, self.kept, self.failed, self.described))


@dataclass(frozen=True, slots=True)
class WorkStep:
    """Event: progress of one step of work without embedding, such as writing a map."""

    description: str
    done: int = 0
    total: int = 0  # 0: the step cannot be counted


@dataclass(frozen=True, slots=True)
class ScanFinished:
    """Event: the scan is complete; pending files are new, changed or not embedded yet."""

    files: int
    pending_files: int
    failed_before: int  # skipped: unchanged since they failed
    model: str
    collection: str
    skipped_videos: int = 0  # skipped: the package that reads videos is not installed


@dataclass(frozen=True, slots=True)
class LinkedFoldersSkipped:
    """Event: the scan left out linked folders; targets: where each is, by its path."""

    targets: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class EngineStarting:
    """Event: the engine loads the model, which takes from 1 second to 1 minute."""

    model: str
    is_restart: bool = False  # All engines have ended unexpectedly.


@dataclass(frozen=True, slots=True)
class DecodingOnCpu:
    """Event: an engine cannot decode JPEGs on the GPU, or not any more, so the CPU decodes them.

    A run with several engines yields it once.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class Progress:
    """Event: the run has processed `done` of `total` files."""

    done: int
    total: int
    images_per_second: float  # at present; 0: it is unknown, or `done` counts no images
    nodes: Mapping[str, float] = field(default_factory=dict)  # images per second by cluster node


@dataclass(frozen=True, slots=True)
class TextProgress:
    """Event: text was looked for in `done` of `total` images and video frames."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class IndexBuilding:
    """Event: a rebuild of the vector index starts; for millions of vectors, it takes minutes."""

    vectors: int
    kind: str  # exact, or a FAISS factory string


@dataclass(frozen=True, slots=True)
class MilvusUploading:
    """Event: `done` of `total` vectors are uploaded to Milvus, or deleted from Milvus."""

    done: int
    total: int
    place: str  # address of the Milvus server or file, without secrets


@dataclass(frozen=True, slots=True)
class VanishedFilesKept:
    """Event: too many files vanished; the library forgets none, as the drive may be unmounted."""

    root: str
    vanished_files: int
    known_files: int  # in the root folder, vanished files included


@dataclass(frozen=True, slots=True)
class MetadataRefreshing:
    """Event: the metadata of `done` of `total` images is read again, without embedding."""

    done: int
    total: int
    # True: sidecars have changed. False: this version of searchapp reads more metadata.
    has_changed_sidecars: bool = False


@dataclass(frozen=True, slots=True)
class FileFailed:
    """Event: a file was skipped because of an error."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class RunFinished:
    """Event: the run is complete and saved; no event follows."""

    summary: RunSummary


IndexEvent = (
    ScanFinished
    | LinkedFoldersSkipped
    | EngineStarting
    | DecodingOnCpu
    | Progress
    | TextProgress
    | IndexBuilding
    | MilvusUploading
    | VanishedFilesKept
    | MetadataRefreshing
    | WorkStep
    | FileFailed
    | RunFinished
)
