"""One run of index: find what is new in the folders, have it embedded, write it batch by batch."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from searchapp.catalog import Catalog, Plan, Seen, Work, frame_key
from searchapp.engines import Refusal
from searchapp.errors import FolderError
from searchapp.files import scan, storage
from searchapp.files.ignore_rules import Rules
from searchapp.indexing import refresh_metadata
from searchapp.indexing.embedding.choose_engines import Source
from searchapp.indexing.embedding.pipeline import Fresh, Known, Outcome
from searchapp.models import ModelSpec, has_gpu
from searchapp.pictures import decode, metadata, optional_decoders
from searchapp.types import (
    Collection,
    Describing,
    EngineStarting,
    Event,
    Failed,
    Failure,
    IndexOptions,
    Kept,
    PictureInfo,
    Progress,
    RunSummary,
    Scanned,
)

SEE_AT_ONCE = 5000  # files
UNREACHED = 50  # files in a row, after which a store of objects is given up
# With more than this share of a root's files gone, and more than so many, they are kept.
LOST_SHARE, LOST_FILES = 0.2, 10


@dataclass
class Run:
    """One run over some folders; its counts grow as it goes."""

    catalog: Catalog
    spec: ModelSpec
    roots: list[str]  # as storage.whole() returns them
    options: IndexOptions
    start_source: Callable[[Collection, int], Source]  # for so many files
    collection: Collection | None
    added: int = 0
    failed: int = 0
    described: int = 0
    embedded: int = 0
    known: Counter[int] = field(default_factory=Counter)  # new paths of images known before
    summary: RunSummary = field(default_factory=RunSummary)
    unreached: int = 0  # files in a row that a store of objects did not give
    writing_seconds: float = 0.0
    _source: Source | None = None

    def __post_init__(self) -> None:
        """Look at what belongs to files that are to be looked at alone, too."""
        if self.options.only is not None:
            self.options = replace(self.options, only=scan.named_alike(self.options.only))

    def look(self) -> tuple[Seen, Plan, list[Failure]]:
        """Walk the folders and find the work; raise FolderError where a folder looks unmounted."""
        seen = self.catalog.begin_scan()
        unreadable: list[Failure] = []
        for root in filter(storage.there, self.roots):
            rules = Rules.of(root, self.options.include, self.options.exclude)
            walked = self._walk(root, rules)
            while batch := list(islice(walked, SEE_AT_ONCE)):
                seen.see(found for found in batch if isinstance(found, scan.Found))
                unreadable += [
                    Failure(found.path, "scan", found.reason)
                    for found in batch
                    if isinstance(found, scan.Unreadable)
                ]
        seen.unsee(_no_pictures(seen.undecided(self.collection)))
        if self.options.pairs:
            seen.companions.find(self.collection)
        for root in self.roots:
            known = seen.files_below(root)
            if not known and not storage.there(root):
                raise FolderError(f"{root}: no such folder, and nothing known below it")
            there = seen.seen_below(root) if self.options.only is None else _holds_any(root)
            if known and not there and not self.options.prune:
                cause = "" if storage.is_url(root) else "Is its drive mounted? "
                raise FolderError(
                    f"{root}: no picture there, but {known:,} were there before. {cause}"
                    "Nothing was changed; --prune forgets them"
                )
        plan = seen.plan(
            self.collection,
            retry_failed=self.options.retry_failed,
            limit=self.options.limit,
            again=[*optional_decoders.installed_stages(), storage.FETCH],
            video=self.options.video and optional_decoders.has("video"),
        )
        return seen, plan, unreadable

    def rehearse(self) -> Iterator[Event]:
        """Tell what execute would do, as far as that can be told without reading a picture."""
        seen, plan, unreadable = self.look()
        yield self._scanned(plan)
        for failure in unreadable:
            yield Failed(failure)
        gone, kept = self._told_apart(seen, unreadable)
        yield from kept
        self.summary = RunSummary(
            plan.work,
            plan.unchanged,
            removed=len(gone),
            kept=sum(each.lost for each in kept),
            failed=len(unreadable),
        )

    def execute(self, collection: Collection) -> Iterator[Event]:
        """Do the work, with events; whatever was saved stays saved when it is interrupted."""
        started = time.monotonic()
        seen, plan, unreadable = self.look()
        if self.options.only is not None and not plan.work and not unreadable:
            seen.companions.save(self._scopes())
            described = self.catalog.described().plan(metadata.READER, self._scopes())
            if not any(described) and not any(map(seen.vanished, self._scopes())):
                seen.forget([], self._scopes())
                self.summary = RunSummary(unchanged=plan.unchanged)
                return  # nothing to remember this run for
        run_id = self.catalog.writer.start_run(collection, self.roots)
        yield self._scanned(plan)
        for failure in unreadable:
            self.failed += 1
            yield Failed(failure)
        for event in self._describe(unreadable):
            self.described = event.done
            yield event
        yield from self._embed(seen, plan, collection, run_id)
        if plan.work:
            yield from self._describe(unreadable)  # the sidecars of what is new
        gone, kept = self._told_apart(seen, unreadable)
        yield from kept
        # Nothing below a folder that could not be read counts as vanished.
        seen.forget(gone, [] if unreadable or kept else self._scopes())
        seen.companions.save([] if unreadable or kept else self._scopes())
        moved = sum((Counter(gone.values()) & self.known).values())
        self.summary = RunSummary(
            added=self.added - moved,
            unchanged=plan.unchanged,
            moved=moved,
            removed=len(gone) - moved,
            kept=sum(each.lost for each in kept),
            failed=self.failed,
            described=self.described,
            seconds=round(time.monotonic() - started, 3),
            images_per_second=round(self._rate(), 2),
            stages=self._stages(),
        )
        self.catalog.writer.finish_run(run_id, self.summary)

    def _describe(self, unreadable: list[Failure]) -> Iterator[Describing]:
        # Nothing below a folder that could not be read counts as vanished.
        return refresh_metadata.refresh(self.catalog, [] if unreadable else self._scopes())

    def _stages(self) -> dict[str, float]:
        spent = self._source.seconds if self._source else {}
        stages = {stage: round(seconds, 3) for stage, seconds in sorted(spent.items())}
        return stages | {"write": round(self.writing_seconds, 3)} if stages else {}

    def _scanned(self, plan: Plan) -> Scanned:
        name = self.collection.name if self.collection else ""
        return Scanned(
            plan.seen,
            plan.work,
            plan.left_alone,
            self.spec.name,
            name,
            plan.videos if self.options.video else 0,
        )

    def _rate(self) -> float:
        """Return pictures a second since the engine runs."""
        since = self._source.ready_at if self._source else None
        return self.embedded / (time.monotonic() - since) if since and self.embedded else 0.0

    def _by_node(self) -> dict[str, float]:
        """Return files a second of each node since the first engine runs."""
        since = self._source.ready_at if self._source else None
        if self._source is None or since is None:
            return {}
        seconds = time.monotonic() - since
        return {node: count / seconds for node, count in sorted(self._source.nodes.items())}

    def _embed(
        self, seen: Seen, plan: Plan, collection: Collection, run_id: int
    ) -> Iterator[Event]:
        if not plan.work:
            return
        done = 0
        size = self.options.batch_size or _batch_size(self.spec)
        self._source = source = self.start_source(collection, plan.work)
        batch: list[Outcome] = []
        try:
            for event in source.run(seen.work(), size):
                if isinstance(event, EngineStarting):
                    yield event
                    continue
                batch = event
                failures = self._save(batch, collection, run_id)
                batch = []
                for failure in failures:
                    yield Failed(failure)
                done += len(event)
                yield Progress(done, plan.work, self._rate(), self._by_node())
                self._see_to_the_store(event)
        except BaseException:  # Ctrl-C above all: what is embedded is to be saved
            for rest in (batch, *source.leave()):
                self._save(rest, collection, run_id)
            raise
        source.close()

    def _see_to_the_store(self, batch: list[Outcome]) -> None:
        """Raise FolderError where a store gives nothing any more: going on would be for nothing."""
        for outcome in batch:
            failed = isinstance(it := outcome.result, Failure) and it.stage == storage.FETCH
            self.unreached = self.unreached + 1 if failed else 0
            if self.unreached >= UNREACHED:
                reason = it.message if isinstance(it, Failure) else ""
                raise FolderError(
                    f"{outcome.work.path}: {reason}; nor were the {self.unreached - 1} before it. "
                    "What was embedded is saved, the same command goes on from here"
                )

    def _save(self, batch: list[Outcome], collection: Collection, run_id: int) -> list[Failure]:
        """Write a batch in one transaction; return what could not be used."""
        if not batch:
            return []
        begun = time.monotonic()
        fresh = {o.result.sha256: o.result for o in batch if isinstance(o.result, Fresh)}
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
                its = frame_key(sha256, frame.seconds)
                infos[its], vectors[its] = result.info, frame.vector
                frames.append((its, sha256, frame.seconds))
        files: list[tuple[Work, int]] = []
        failures: list[tuple[Work, Failure]] = []
        writer = self.catalog.writer
        with self.catalog.atomic():
            ids = writer.save_images(infos)
            writer.save_frames((ids[its], ids[of], seconds) for its, of, seconds in frames)
            for outcome in batch:
                state = Work(outcome.work.path, outcome.size, outcome.mtime_ns, None)
                match outcome.result:
                    case Failure() as failure:
                        failures.append((state, failure))
                    case Known(image_id):
                        self.known[image_id] += 1
                        files.append((state, image_id))
                    case Fresh(sha256=sha256, vector=vector):
                        files.append((state, ids[sha256]))
                        if isinstance(vector, Refusal):
                            failure = Failure(state.path, "embed", vector.reason)
                            failures.append((state, failure))
            writer.save_files(run_id, files)
            writer.save_embeddings(
                collection, {ids[sha256]: vector for sha256, vector in vectors.items()}
            )
            failed = {state.path for state, _ in failures}
            writer.forget_failures(
                collection, [state.path for state, _ in files if state.path not in failed]
            )
            for state, failure in failures:
                writer.save_failure(collection, run_id, state, failure)
        self.embedded += len(vectors)
        self.failed += len(failures)
        self.added += len(batch) - len(failures)
        self.writing_seconds += time.monotonic() - begun
        return [failure for _, failure in failures]

    def _walk(self, root: str, rules: Rules) -> Iterator[scan.Found | scan.Unreadable]:
        if self.options.only is None:
            return scan.walk(root, rules)
        return scan.look(root, self._scope(root), rules)

    def _scopes(self) -> list[str]:
        return [path for root in self.roots for path in self._scope(root)]

    def _scope(self, root: str) -> list[str]:
        """Return what of a root this run looks at."""
        if self.options.only is None:
            return [root]
        return [path for path in self.options.only if Path(path).is_relative_to(root)]

    def _left_out(self, root: str, paths: Iterable[str]) -> int:
        """Count the files that are there all the same, and are only left out now."""
        if not storage.is_url(root):
            return sum(map(storage.may_be_there, paths))
        rules = Rules.of(root, self.options.include, self.options.exclude)
        return sum(not scan.is_wanted(path, root, rules) for path in paths)

    def _told_apart(
        self, seen: Seen, unreadable: list[Failure]
    ) -> tuple[dict[str, int], list[Kept]]:
        """Return the image ids of files to forget, by path, and of each root that keeps its lost.

        What is known from another path now has moved, and is not lost. Nothing below a folder that
        could not be read counts.
        """
        hidden = tuple(f"{failure.path}{os.sep}" for failure in unreadable)
        gone, kept = dict[str, int](), list[Kept]()
        for root in self.roots:
            vanished = {
                path: id
                for scope in self._scope(root)
                for path, id in seen.vanished(scope)
                if not f"{path}{os.sep}".startswith(hidden)
            }
            moved = Counter(vanished.values()) & self.known
            lost, known = len(vanished) - moved.total(), 0
            if lost > LOST_FILES:
                known = seen.files_below(root)
            many = max(LOST_FILES, LOST_SHARE * known)
            if not self.options.prune and lost > many:
                # Files that are left out now, by a rule, are there, and nothing of a drive.
                lost -= self._left_out(root, vanished)
            if not self.options.prune and lost > many:
                kept.append(Kept(root, lost, known))
                vanished = {path: id for path, id in vanished.items() if id in moved}
            gone |= vanished
        return gone, kept


def _holds_any(root: str) -> bool:
    try:
        with os.scandir(root) as entries:
            return any(True for _ in entries)
    except OSError:
        return False


def _no_pictures(paths: list[str]) -> Iterator[str]:
    """Yield those files that are none by their content."""
    for path, head in storage.heads(paths, decode.HEAD):
        if not decode.looks_like_picture(head):
            yield path


def _batch_size(spec: ModelSpec) -> int:
    """Return how many pictures an engine gets at once: enough to keep the machine busy."""
    if not has_gpu():
        return 16
    return 32 if spec.pooling else 128
