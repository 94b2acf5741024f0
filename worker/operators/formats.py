"""Raises the formats of what stands in Redis: the one step after which there is no way back to the release before."""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bulk_cancel.worker.operators.decisions import Asked
from bulk_cancel.worker.operators.point import Point
from bulk_cancel.worker.state.board import WORKER_GONE_S
from bulk_cancel.worker.state.fleet import Worker, read_marks, read_workers
from bulk_cancel.worker.state.formats import KINDS, Formats, Kind, Marks, mark_of, readable, unreadable
from bulk_cancel.worker.state.store import Store
from bulk_cancel.worker.state.window import Timing


@dataclass(frozen=True, slots=True)
class Raised:
    """What became of one kind's format: `changed` from `before`, or held back by the `blockers`, who do not read it."""

    kind: Kind
    before: int
    format: int
    changed: bool
    blockers: tuple[str, ...]


def raise_formats(store: Store, asked: Asked) -> list[Raised]:
    """Marks the newest format that this release reads, of each kind whose mark is older; nothing if none is.

    Raises UnreadableFormatError, or redis-py's errors.
    """
    marks, formats = read_marks(store.redis, store.keys), store.scripts.formats
    return [_raise(store, asked, kind, marks[kind], formats[kind].newest) for kind in higher(formats, marks)]


def foreseen(store: Store) -> list[Raised]:
    """What would hold a raise back, as far as this runner's workers tell; the verb looks again, and at other runners'.

    Raises redis-py's errors.
    """
    marks, formats = read_marks(store.redis, store.keys), store.scripts.formats
    listed = [worker for worker in read_workers(store.redis, store.keys) if worker.late_s <= WORKER_GONE_S]
    return [
        Raised(kind, marks[kind], marks[kind], changed=False, blockers=behind(listed, kind, formats[kind].newest))
        for kind in higher(formats, marks)
    ]


def behind(workers: Iterable[Worker], kind: Kind, newest: int) -> tuple[str, ...]:
    """Pure: the workers that do not read the format."""
    return tuple(sorted({worker.name for worker in workers if worker.formats[kind].newest < newest}))


def higher(formats: Formats, marks: Marks) -> list[Kind]:
    """Pure: the kinds of which this release reads a newer format than the marked one."""
    return [kind for kind in KINDS if formats[kind].newest > marks[kind]]


def _raise(store: Store, asked: Asked, kind: Kind, before: int, to: int) -> Raised:
    settings = store.settings
    argument = {
        "decision": uuid.uuid4().hex,
        "step": 0,
        "by": asked.by,
        "reason": asked.reason,
        "kind": kind,
        "mark": mark_of(kind, store.keys.prefix),
        "to": to,
        "gone_s": WORKER_GONE_S,
        "blackout_us": Timing(settings.window_s, settings.http_timeout_s).blackout_us,
        "retention_s": settings.retention_s,
    }
    said = store.scripts.run("format_raise", argument)
    return Raised(kind, before, said["format"], said["changed"], tuple(sorted(set(said["blockers"]))))


def legible(store: Store) -> Store:
    """The store, for who reads what no batch and no snapshot tells; raises UnreadableFormatError, redis-py's errors."""
    readable(store.scripts.formats, read_marks(store.redis, store.keys))
    return store


def format_points(store: Store) -> list[Point]:
    """What `check` says of formats and releases; raises redis-py's errors."""
    alive = [worker for worker in read_workers(store.redis, store.keys) if worker.alive]
    return [formats_point(store.scripts.formats, read_marks(store.redis, store.keys)), *releases_points(alive)]


def formats_point(formats: Formats, marks: Marks) -> Point:
    """Pure: the marked formats, and whether there is a newer one."""
    marked = ", ".join(f"{kind} {marks[kind]} (this release reads {formats[kind]})" for kind in KINDS)
    if unreadable(formats, marks):
        return Point("formats", "FAIL", marked, "use a release that reads them; this one does nothing")
    if higher(formats, marks):
        mend = "bulk-cancel formats --raise, once no worker of the release before is needed any more"
        return Point("formats", "warn", marked, mend)
    return Point("formats", "ok", marked)


def releases_points(alive: Sequence[Worker]) -> list[Point]:
    """Pure: every release that is at work."""
    if not alive:
        return []
    at_work = ", ".join(f"{release}: {count}" for release, count in counted(worker.release for worker in alive))
    if len({worker.release for worker in alive}) == 1:
        return [Point("releases", "ok", at_work)]
    return [Point("releases", "warn", at_work, "finish the upgrade, or go back: OPERATING.md")]


def counted(names: Iterable[str]) -> list[tuple[str, int]]:
    """Pure: each name and how often it came."""
    every = list(names)
    return [(name, every.count(name)) for name in sorted(set(every))]
