"""Run `index` once: scan folders, embed new pictures, and save the results batch by batch."""

from __future__ import annotations

import logging
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice

from searchapp.catalog import Catalog, ScanDiff, ScanPlan
from searchapp.errors import FolderError
from searchapp.files import storage
from searchapp.files.companions import find_related_paths
from searchapp.files.scan import JPEG_SUFFIXES, RAW_SUFFIXES
from searchapp.indexing import refresh_metadata
from searchapp.indexing.embedding.batches import choose_batch_size
from searchapp.indexing.embedding.choose_engines import EmbeddingSource
from searchapp.indexing.embedding.outcomes import Outcome
from searchapp.indexing.name_places import name_places
from searchapp.indexing.recent_rate import RecentRate
from searchapp.indexing.save_outcomes import OutcomeWriter
from searchapp.indexing.scan_folders import make_plan, scan_folders
from searchapp.indexing.vanished_files import find_vanished_files, list_scopes
from searchapp.models import ModelSpec
from searchapp.pictures import metadata
from searchapp.types import (
    Collection,
    DecodeDevice,
    DecodingOnCpu,
    EngineStarting,
    Failure,
    FileFailed,
    IndexEvent,
    IndexOptions,
    LinkedFoldersSkipped,
    MetadataRefreshing,
    Progress,
    RunSummary,
    ScanFinished,
    VanishedFilesKept,
)

logger = logging.getLogger(__name__)

MAX_NAMED_LINKS = 100  # linked folders that a summary names
# A GPU decodes JPEGs of a megapixel and more (engines/batched_jpeg.py), which have about this size;
# RAW files contain such a JPEG. With "auto", it decodes some if so many files may be large JPEGs.
LARGE_JPEG_BYTES, MIN_LARGE_JPEGS = 300_000, 0.1
MAX_UNREACHED_FILES = 50  # files in a row that an object store fails to deliver, before giving up


@dataclass
class IndexRun:
    """One index run over folders; its counts of files and images grow during the run."""

    catalog: Catalog
    spec: ModelSpec
    roots: list[str]  # from resolve_roots
    options: IndexOptions
    # Starts the engines. Arguments: collection, number of files, and where JPEGs are decoded.
    start_source: Callable[[Collection, int, DecodeDevice], EmbeddingSource]
    collection: Collection | None
    refreshed_count: int = 0  # images whose metadata was read again
    summary: RunSummary = field(default_factory=RunSummary)
    _unreached_count: int = 0  # files in a row that an object store failed to deliver
    _source: EmbeddingSource | None = None
    _link_targets: dict[str, str] = field(default_factory=dict)  # of linked folders, by path
    _rate: RecentRate = field(default_factory=RecentRate)  # of saved vectors
    _rate_by_node: dict[str, RecentRate] = field(default_factory=lambda: defaultdict(RecentRate))

    def __post_init__(self) -> None:
        """Add related files, such as sidecars, to the paths in `options.only`."""
        self.writer = OutcomeWriter(self.catalog)
        if self.options.only is not None:
            self.options = replace(self.options, only=find_related_paths(self.options.only))

    @property
    def embedded_count(self) -> int:
        """Return the number of vectors that this run has saved."""
        return self.writer.embedded_count

    def preview_run(self) -> Iterator[IndexEvent]:
        """Yield the events of a dry run: what `execute` would do, without reading any picture."""
        seen, plan, unreadable = self._scan_folders()
        yield from self._make_scan_events(plan)
        for failure in unreadable:
            yield FileFailed(failure)
        forgotten, kept = self._find_vanished(seen)
        yield from kept
        self.summary = RunSummary(
            plan.pending_files,
            plan.unchanged_files,
            removed=len(forgotten),
            kept=sum(each.vanished_files for each in kept),
            failed=len(unreadable),
            unlisted=len(unreadable),
            left_out=tuple(self._link_targets),
        )

    def execute(self, collection: Collection) -> Iterator[IndexEvent]:
        """Index the folders and yield events; if the run is interrupted, saved batches are kept."""
        started = time.monotonic()
        seen, plan, unreadable = self._scan_folders()
        seen.save_new_change_times()
        if self._has_nothing_to_do(seen, plan, unreadable):
            self.summary = RunSummary(unchanged=plan.unchanged_files)
            return
        run_id = self.catalog.writer.start_run(collection, self.roots)
        if self.options.update_colors:  # The metadata of old images shows whether colors changed.
            yield from self._refresh_old_metadata()
            plan = make_plan(seen, self.options, self.collection)
        yield from self._make_scan_events(plan)
        for failure in unreadable:
            self.writer.failed_count += 1
            yield FileFailed(failure)
        yield from self._refresh_old_metadata()
        yield from self._embed_files(seen, plan, collection, run_id)
        if plan.pending_files:
            # the sidecars of the new pictures
            yield from self._refresh_metadata(run_id)
        yield from name_places(self.catalog)
        forgotten, kept = self._find_vanished(seen)
        yield from kept
        # The drive of a root that keeps files may be unmounted, with all its other files.
        kept_roots = {each.root for each in kept}
        checked_scopes = self._list_scopes(root for root in self.roots if root not in kept_roots)
        seen.forget_files(forgotten, checked_scopes)
        seen.companions.save_companions(checked_scopes)
        seen.known_roots.adopt_seen_files(self.roots, run_id)
        path_counts = self.writer.path_count_by_known_image
        moved = sum((Counter(forgotten.values()) & path_counts).values())
        self.summary = RunSummary(
            added=self.writer.added_count - moved,
            unchanged=plan.unchanged_files + self.writer.unchanged_count,
            moved=moved,
            removed=len(forgotten) - moved,
            kept=sum(each.vanished_files for each in kept),
            failed=self.writer.failed_count,
            unlisted=len(unreadable),
            described=self.refreshed_count,
            left_out=tuple(self._link_targets),
            seconds=round(time.monotonic() - started, 3),
            images_per_second=round(self._compute_mean_rate(), 2),
            stages=self._collect_stage_seconds(),
        )
        self.catalog.writer.finish_run(run_id, self.summary)
        logger.info("Finished the index run: %s", self.summary)

    def _refresh_old_metadata(self) -> Iterator[MetadataRefreshing]:
        for event in self._refresh_metadata():
            self.refreshed_count = event.done
            yield event

    def _scan_folders(self) -> tuple[ScanDiff, ScanPlan, list[Failure]]:
        found = scan_folders(self.catalog, self.roots, self.options, self.collection)
        named = islice(found.linked, MAX_NAMED_LINKS)
        self._link_targets = {folder.path: folder.target for folder in named}
        return found.seen, found.plan, found.unreadable

    def _has_nothing_to_do(self, seen: ScanDiff, plan: ScanPlan, unreadable: list[Failure]) -> bool:
        """Return whether a run over the paths in `options.only` has nothing to do.

        The catalog does not record such a run.
        """
        if self.options.only is None or plan.pending_files or unreadable:
            return False
        seen.companions.save_companions(self._list_scopes())
        outdated_counts = self.catalog.get_metadata_refresh().find_outdated(
            metadata.METADATA_READER_VERSION, self._list_scopes()
        )
        if any(outdated_counts) or any(map(seen.find_vanished_files, self._list_scopes())):
            return False
        seen.forget_files([], self._list_scopes())
        return True

    def _refresh_metadata(self, run_id: int | None = None) -> Iterator[MetadataRefreshing]:
        return refresh_metadata.refresh_metadata(self.catalog, self._list_scopes(), run_id)

    def _collect_stage_seconds(self) -> dict[str, float]:
        seconds_by_stage = self._source.seconds_by_stage if self._source else {}
        stages = {stage: round(seconds, 3) for stage, seconds in sorted(seconds_by_stage.items())}
        return stages | {"write": round(self.writer.writing_s, 3)} if stages else {}

    def _make_scan_events(self, plan: ScanPlan) -> Iterator[IndexEvent]:
        name = self.collection.name if self.collection else ""
        yield ScanFinished(
            plan.seen_files,
            plan.pending_files,
            plan.failed_before,
            self.spec.name,
            name,
            plan.skipped_videos if self.options.video else 0,
        )
        if self._link_targets:
            yield LinkedFoldersSkipped(self._link_targets)

    def _compute_mean_rate(self) -> float:
        """Return the number of saved vectors per second since the first engine was ready."""
        ready_at = self._source.ready_at if self._source else None
        return (
            self.embedded_count / (time.monotonic() - ready_at)
            if ready_at and self.embedded_count
            else 0.0
        )

    def _measure_rate(self) -> float:
        """Return the number of saved vectors per second at present; at first, the mean."""
        self._rate.add_sample(self.embedded_count)
        rate = self._rate.per_second
        return self._compute_mean_rate() if rate is None else rate

    def _measure_node_rates(self) -> dict[str, float]:
        """Return the embedded files per second on each node at present; at first, the mean."""
        ready_at = self._source.ready_at if self._source else None
        if self._source is None or ready_at is None:
            return {}
        seconds = time.monotonic() - ready_at
        rates = {}
        for node, count in sorted(self._source.file_count_by_node.items()):
            self._rate_by_node[node].add_sample(count)
            rate = self._rate_by_node[node].per_second
            rates[node] = count / seconds if rate is None else rate
        return rates

    def _embed_files(
        self, seen: ScanDiff, plan: ScanPlan, collection: Collection, run_id: int
    ) -> Iterator[IndexEvent]:
        if not plan.pending_files:
            return
        done_count = 0
        size = self.options.batch_size or choose_batch_size(self.spec)
        logger.info("Embedding %d files in batches of %d", plan.pending_files, size)
        decode = self._choose_decode_device(seen)
        self._source = source = self.start_source(collection, plan.pending_files, decode)
        batch: list[Outcome] = []
        try:
            for event in source.run(seen.read_tasks(), size):
                if isinstance(event, EngineStarting | DecodingOnCpu):
                    if isinstance(event, EngineStarting):
                        self._rate.restart()
                    yield event
                    continue
                batch = event
                failures = self.writer.save_batch(batch, collection, run_id)
                batch = []
                for failure in failures:
                    yield FileFailed(failure)
                done_count += len(event)
                yield Progress(
                    done_count, plan.pending_files, self._measure_rate(), self._measure_node_rates()
                )
                self._check_store_answers(event)
        except BaseException:  # Ctrl-C included: what is embedded must be saved.
            for rest in (batch, *source.stop_and_drain()):
                self.writer.save_batch(rest, collection, run_id)
            raise
        source.close()

    def _choose_decode_device(self, seen: ScanDiff) -> DecodeDevice:
        """Return "cpu" in place of "auto" if hardly any file can contain a large JPEG.

        Then all engines can share a GPU, which nvJPEG would slow down: see engines/mps.py.
        """
        share = seen.compute_share(JPEG_SUFFIXES | RAW_SUFFIXES, LARGE_JPEG_BYTES)
        if self.options.decode == "auto" and share < MIN_LARGE_JPEGS:
            logger.info("Decoding all pictures on the CPU: %.0f %% are large JPEGs", 100 * share)
            return "cpu"
        return self.options.decode

    def _check_store_answers(self, batch: list[Outcome]) -> None:
        """Raise FolderError if fetching MAX_UNREACHED_FILES files in a row from a store failed."""
        for outcome in batch:
            failed = (
                isinstance(result := outcome.result, Failure)
                and result.stage == storage.FETCH_STAGE
            )
            self._unreached_count = self._unreached_count + 1 if failed else 0
            if self._unreached_count >= MAX_UNREACHED_FILES:
                reason = result.message if isinstance(result, Failure) else ""
                raise FolderError(
                    f"{outcome.task.path}: {reason}. The {self._unreached_count - 1} files before "
                    "this file failed, too. All embedded pictures are saved. Run the same "
                    "command again to continue."
                )

    def _list_scopes(self, roots: Iterable[str] | None = None) -> list[str]:
        chosen_roots = self.roots if roots is None else roots
        return [path for root in chosen_roots for path in list_scopes(root, self.options)]

    def _find_vanished(self, seen: ScanDiff) -> tuple[dict[str, int], list[VanishedFilesKept]]:
        path_counts = self.writer.path_count_by_known_image
        return find_vanished_files(seen, self.roots, self.options, path_counts)
