"""One run of index: find what is new in the folders, have it embedded, write it batch by batch."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from searchapp.catalog import Catalog, FileTask, ScanDiff, ScanPlan, make_frame_key
from searchapp.engines import Refusal
from searchapp.errors import FolderError
from searchapp.files import scan, storage
from searchapp.files.companions import find_related_paths
from searchapp.files.ignore_rules import IgnoreRules
from searchapp.indexing import refresh_metadata
from searchapp.indexing.embedding.choose_engines import EmbeddingSource
from searchapp.indexing.embedding.pipeline import EmbeddedPicture, KnownPicture, Outcome
from searchapp.models import ModelSpec, has_gpu
from searchapp.pictures import decode, metadata, optional_decoders
from searchapp.types import (
    Collection,
    EngineStarting,
    Failure,
    FileFailed,
    IndexEvent,
    IndexOptions,
    MetadataRefreshing,
    PictureInfo,
    Progress,
    RunSummary,
    ScanFinished,
    VanishedFilesKept,
)

SCAN_BATCH_FILES = 5000  # files
MAX_UNREACHED_FILES = 50  # files in a row, after which a store of objects is given up
# With more than this share of a root's files gone, and more than so many, they are kept.
MAX_LOST_SHARE, MAX_LOST_FILES = 0.2, 10


@dataclass
class IndexRun:
    """One run over some folders; its counts grow as it goes."""

    catalog: Catalog
    spec: ModelSpec
    roots: list[str]  # as storage.whole() returns them
    options: IndexOptions
    start_source: Callable[[Collection, int], EmbeddingSource]  # for so many files
    collection: Collection | None
    added_count: int = 0
    failed_count: int = 0
    described_count: int = 0
    embedded_count: int = 0
    path_count_by_known_image: Counter[int] = field(
        default_factory=Counter
    )  # new paths of images known before
    summary: RunSummary = field(default_factory=RunSummary)
    unreached_count: int = 0  # files in a row that a store of objects did not give
    writing_s: float = 0.0
    _source: EmbeddingSource | None = None

    def __post_init__(self) -> None:
        """Look at what belongs to files that are to be looked at alone, too."""
        if self.options.only is not None:
            self.options = replace(self.options, only=find_related_paths(self.options.only))

    def scan_folders(self) -> tuple[ScanDiff, ScanPlan, list[Failure]]:
        """Walk the folders and find the work; raise FolderError where a folder looks unmounted."""
        seen = self.catalog.begin_scan()
        unreadable: list[Failure] = []
        for root in filter(storage.has_folder, self.roots):
            rules = IgnoreRules.from_options(root, self.options.include, self.options.exclude)
            walked = self._scan_root(root, rules)
            while batch := list(islice(walked, SCAN_BATCH_FILES)):
                seen.add_files(found for found in batch if isinstance(found, scan.ScannedFile))
                unreadable += [
                    Failure(found.path, "scan", found.reason)
                    for found in batch
                    if isinstance(found, scan.UnreadablePath)
                ]
        seen.remove_files(_iter_non_pictures(seen.list_undecided_files(self.collection)))
        if self.options.pairs:
            seen.companions.find_companions(self.collection)
        for root in self.roots:
            known_count = seen.count_known_below(root)
            if not known_count and not storage.has_folder(root):
                raise FolderError(f"{root}: no such folder, and nothing known below it")
            has_pictures = (
                seen.count_seen_below(root) if self.options.only is None else _has_entries(root)
            )
            if known_count and not has_pictures and not self.options.prune:
                cause = "" if storage.is_url(root) else "Is its drive mounted? "
                raise FolderError(
                    f"{root}: no picture there, but {known_count:,} were there before. {cause}"
                    "Nothing was changed; --prune forgets them"
                )
        plan = seen.plan_work(
            self.collection,
            retry_failed=self.options.retry_failed,
            limit=self.options.limit,
            retry_stages=[*optional_decoders.list_retryable_stages(), storage.FETCH_STAGE],
            include_videos=self.options.video and optional_decoders.is_installed("video"),
        )
        return seen, plan, unreadable

    def preview_run(self) -> Iterator[IndexEvent]:
        """Tell what execute would do, as far as that can be told without reading a picture."""
        seen, plan, unreadable = self.scan_folders()
        yield self._make_scanned_event(plan)
        for failure in unreadable:
            yield FileFailed(failure)
        gone, kept = self._find_vanished(seen, unreadable)
        yield from kept
        self.summary = RunSummary(
            plan.pending_files,
            plan.unchanged_files,
            removed=len(gone),
            kept=sum(each.vanished_files for each in kept),
            failed=len(unreadable),
        )

    def execute(self, collection: Collection) -> Iterator[IndexEvent]:
        """Do the work, with events; whatever was saved stays saved when it is interrupted."""
        started = time.monotonic()
        seen, plan, unreadable = self.scan_folders()
        if self.options.only is not None and not plan.pending_files and not unreadable:
            seen.companions.save_companions(self._list_scopes())
            described = self.catalog.get_metadata_refresh().find_outdated(
                metadata.METADATA_READER_VERSION, self._list_scopes()
            )
            if not any(described) and not any(map(seen.find_vanished_files, self._list_scopes())):
                seen.forget_files([], self._list_scopes())
                self.summary = RunSummary(unchanged=plan.unchanged_files)
                return  # nothing to remember this run for
        run_id = self.catalog.writer.start_run(collection, self.roots)
        yield self._make_scanned_event(plan)
        for failure in unreadable:
            self.failed_count += 1
            yield FileFailed(failure)
        for event in self._refresh_metadata(unreadable):
            self.described_count = event.done
            yield event
        yield from self._embed_files(seen, plan, collection, run_id)
        if plan.pending_files:
            yield from self._refresh_metadata(unreadable)  # the sidecars of what is new
        gone, kept = self._find_vanished(seen, unreadable)
        yield from kept
        # Nothing below a folder that could not be read counts as vanished.
        seen.forget_files(gone, [] if unreadable or kept else self._list_scopes())
        seen.companions.save_companions([] if unreadable or kept else self._list_scopes())
        moved = sum((Counter(gone.values()) & self.path_count_by_known_image).values())
        self.summary = RunSummary(
            added=self.added_count - moved,
            unchanged=plan.unchanged_files,
            moved=moved,
            removed=len(gone) - moved,
            kept=sum(each.vanished_files for each in kept),
            failed=self.failed_count,
            described=self.described_count,
            seconds=round(time.monotonic() - started, 3),
            images_per_second=round(self._compute_rate(), 2),
            stages=self._collect_stage_seconds(),
        )
        self.catalog.writer.finish_run(run_id, self.summary)

    def _refresh_metadata(self, unreadable: list[Failure]) -> Iterator[MetadataRefreshing]:
        # Nothing below a folder that could not be read counts as vanished.
        return refresh_metadata.refresh_metadata(
            self.catalog, [] if unreadable else self._list_scopes()
        )

    def _collect_stage_seconds(self) -> dict[str, float]:
        seconds_by_stage = self._source.seconds_by_stage if self._source else {}
        stages = {stage: round(seconds, 3) for stage, seconds in sorted(seconds_by_stage.items())}
        return stages | {"write": round(self.writing_s, 3)} if stages else {}

    def _make_scanned_event(self, plan: ScanPlan) -> ScanFinished:
        name = self.collection.name if self.collection else ""
        return ScanFinished(
            plan.seen_files,
            plan.pending_files,
            plan.failed_before,
            self.spec.name,
            name,
            plan.skipped_videos if self.options.video else 0,
        )

    def _compute_rate(self) -> float:
        """Return pictures a second since the engine runs."""
        ready_at = self._source.ready_at if self._source else None
        return (
            self.embedded_count / (time.monotonic() - ready_at)
            if ready_at and self.embedded_count
            else 0.0
        )

    def _compute_node_rates(self) -> dict[str, float]:
        """Return files a second of each node since the first engine runs."""
        ready_at = self._source.ready_at if self._source else None
        if self._source is None or ready_at is None:
            return {}
        seconds = time.monotonic() - ready_at
        return {
            node: count / seconds for node, count in sorted(self._source.file_count_by_node.items())
        }

    def _embed_files(
        self, seen: ScanDiff, plan: ScanPlan, collection: Collection, run_id: int
    ) -> Iterator[IndexEvent]:
        if not plan.pending_files:
            return
        done_count = 0
        size = self.options.batch_size or _choose_batch_size(self.spec)
        self._source = source = self.start_source(collection, plan.pending_files)
        batch: list[Outcome] = []
        try:
            for event in source.run(seen.read_tasks(), size):
                if isinstance(event, EngineStarting):
                    yield event
                    continue
                batch = event
                failures = self._save_batch(batch, collection, run_id)
                batch = []
                for failure in failures:
                    yield FileFailed(failure)
                done_count += len(event)
                yield Progress(
                    done_count, plan.pending_files, self._compute_rate(), self._compute_node_rates()
                )
                self._check_store_answers(event)
        except BaseException:  # Ctrl-C above all: what is embedded is to be saved
            for rest in (batch, *source.stop_and_drain()):
                self._save_batch(rest, collection, run_id)
            raise
        source.close()

    def _check_store_answers(self, batch: list[Outcome]) -> None:
        """Raise FolderError where a store gives nothing any more: going on would be for nothing."""
        for outcome in batch:
            failed = (
                isinstance(result := outcome.result, Failure)
                and result.stage == storage.FETCH_STAGE
            )
            self.unreached_count = self.unreached_count + 1 if failed else 0
            if self.unreached_count >= MAX_UNREACHED_FILES:
                reason = result.message if isinstance(result, Failure) else ""
                raise FolderError(
                    f"{outcome.work.path}: {reason}; nor were the {self.unreached_count - 1} before it. "
                    "What was embedded is saved, the same command goes on from here"
                )

    def _save_batch(
        self, batch: list[Outcome], collection: Collection, run_id: int
    ) -> list[Failure]:
        """Write a batch in one transaction; return what could not be used."""
        if not batch:
            return []
        started_at = time.monotonic()
        fresh = {o.result.sha256: o.result for o in batch if isinstance(o.result, EmbeddedPicture)}
        vectors: dict[str, bytes] = {}
        infos: dict[str, PictureInfo] = {}
        frames: list[tuple[str, str, float]] = []  # each with its video
        for sha256, result in fresh.items():
            infos[sha256] = result.info
            if not isinstance(result.vector, Refusal):
                vectors[sha256] = result.vector
            if result.seconds is not None:
                frames.append((sha256, sha256, result.seconds))
            for frame in result.frames:
                frame_sha256 = make_frame_key(sha256, frame.seconds)
                infos[frame_sha256], vectors[frame_sha256] = result.info, frame.vector
                frames.append((frame_sha256, sha256, frame.seconds))
        files: list[tuple[FileTask, int]] = []
        failures: list[tuple[FileTask, Failure]] = []
        writer = self.catalog.writer
        with self.catalog.write_transaction():
            ids = writer.save_images(infos)
            writer.save_frames((ids[its], ids[of], seconds) for its, of, seconds in frames)
            for outcome in batch:
                state = FileTask(outcome.work.path, outcome.size, outcome.mtime_ns, None)
                match outcome.result:
                    case Failure() as failure:
                        failures.append((state, failure))
                    case KnownPicture(image_id):
                        self.path_count_by_known_image[image_id] += 1
                        files.append((state, image_id))
                    case EmbeddedPicture(sha256=sha256, vector=vector):
                        files.append((state, ids[sha256]))
                        if isinstance(vector, Refusal):
                            failure = Failure(state.path, "embed", vector.reason)
                            failures.append((state, failure))
            writer.save_files(run_id, files)
            writer.save_embeddings(
                collection, {ids[sha256]: vector for sha256, vector in vectors.items()}
            )
            failed_paths = {state.path for state, _ in failures}
            writer.delete_failures(
                collection, [state.path for state, _ in files if state.path not in failed_paths]
            )
            for state, failure in failures:
                writer.save_failure(collection, run_id, state, failure)
        self.embedded_count += len(vectors)
        self.failed_count += len(failures)
        self.added_count += len(batch) - len(failures)
        self.writing_s += time.monotonic() - started_at
        return [failure for _, failure in failures]

    def _scan_root(
        self, root: str, rules: IgnoreRules
    ) -> Iterator[scan.ScannedFile | scan.UnreadablePath]:
        if self.options.only is None:
            return scan.walk_folder(root, rules)
        return scan.scan_paths(root, self._list_root_scopes(root), rules)

    def _list_scopes(self) -> list[str]:
        return [path for root in self.roots for path in self._list_root_scopes(root)]

    def _list_root_scopes(self, root: str) -> list[str]:
        """Return what of a root this run looks at."""
        if self.options.only is None:
            return [root]
        return [path for path in self.options.only if Path(path).is_relative_to(root)]

    def _count_excluded(self, root: str, paths: Iterable[str]) -> int:
        """Count the files that are there all the same, and are only left out now."""
        if not storage.is_url(root):
            return sum(map(storage.can_exist, paths))
        rules = IgnoreRules.from_options(root, self.options.include, self.options.exclude)
        return sum(not scan.is_wanted(path, root, rules) for path in paths)

    def _find_vanished(
        self, seen: ScanDiff, unreadable: list[Failure]
    ) -> tuple[dict[str, int], list[VanishedFilesKept]]:
        """Return the image ids of files to forget, by path, and of each root that keeps its lost.

        What is known from another path now has moved, and is not lost. Nothing below a folder that
        could not be read counts.
        """
        unreadable_prefixes = tuple(f"{failure.path}{os.sep}" for failure in unreadable)
        gone, kept = dict[str, int](), list[VanishedFilesKept]()
        for root in self.roots:
            vanished = {
                path: id
                for scope in self._list_root_scopes(root)
                for path, id in seen.find_vanished_files(scope)
                if not f"{path}{os.sep}".startswith(unreadable_prefixes)
            }
            moved = Counter(vanished.values()) & self.path_count_by_known_image
            lost_count, known_count = len(vanished) - moved.total(), 0
            if lost_count > MAX_LOST_FILES:
                known_count = seen.count_known_below(root)
            loss_limit = max(MAX_LOST_FILES, MAX_LOST_SHARE * known_count)
            if not self.options.prune and lost_count > loss_limit:
                # Files that are left out now, by a rule, are there, and nothing of a drive.
                lost_count -= self._count_excluded(root, vanished)
            if not self.options.prune and lost_count > loss_limit:
                kept.append(VanishedFilesKept(root, lost_count, known_count))
                vanished = {path: id for path, id in vanished.items() if id in moved}
            gone |= vanished
        return gone, kept


def _has_entries(root: str) -> bool:
    try:
        with os.scandir(root) as entries:
            return any(True for _ in entries)
    except OSError:
        return False


def _iter_non_pictures(paths: list[str]) -> Iterator[str]:
    """Yield those files that are none by their content."""
    for path, head in storage.read_heads(paths, decode.SIGNATURE_BYTES):
        if not decode.looks_like_picture(head):
            yield path


def _choose_batch_size(spec: ModelSpec) -> int:
    """Return how many pictures an engine gets at once: enough to keep the machine busy."""
    if not has_gpu():
        return 16
    return 32 if spec.pooling else 128
