"""`formats`: how what stands in Redis is marked, who reads it, and the one step up."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Annotated

import typer
from rich.console import RenderableType
from rich.text import Text

from bulk_cancel.worker.cli import context
from bulk_cancel.worker.cli.commands.decide import By, Why, asked_by
from bulk_cancel.worker.cli.context import Json
from bulk_cancel.worker.cli.errors import CommandError, Exit
from bulk_cancel.worker.cli.screen.output import clean, on_shard, print_json, show, table, unzipped
from bulk_cancel.worker.operators.decisions import Asked
from bulk_cancel.worker.operators.formats import Raised, foreseen, raise_formats
from bulk_cancel.worker.operators.shapes import document, placed
from bulk_cancel.worker.operators.whole import Whole
from bulk_cancel.worker.state.fleet import Worker, read_marks, read_workers
from bulk_cancel.worker.state.formats import KINDS, Formats, Marks
from bulk_cancel.worker.state.shards import Each
from bulk_cancel.worker.state.store import Store


def formats(
    *,
    up: Annotated[
        bool, typer.Option("--raise", help="Mark the newest formats that this release reads: there is no way back.")
    ] = False,
    by: By = None,
    reason: Why = "",
    as_json: Json = False,
) -> int:
    """The formats of what stands in Redis, and which each worker reads; raise them when an upgrade is done.

    The exit status is 1 if a worker that lives, and does not read the newer one, keeps a format from being raised. Of a
    runner with several Redis they are raised on all of them, or on none as far as that can be told beforehand.
    """
    asked = asked_by(by, reason)
    with context.whole() as whole:
        none: Each[list[Raised]] = Each({}, {})
        raised = _raise(whole, asked) if up else none
        told = whole.each(lambda shard: _read(shard.store, raised.answers.get(shard.name, [])))
        shown = {whole.label(name): each for name, each in context.answers(told).items()}
    failed = {**raised.failed, **told.failed}
    if as_json:
        print_json(document("formats", _json(shown)))
    else:
        show(*_parts(shown))
    blocked = any(each.blockers for seen in shown.values() for each in seen.raised)
    return context.tell_failed(failed, as_json=as_json) or (Exit.DEAD if blocked else Exit.OK)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What one shard tells."""

    reads: Formats
    marks: Marks
    workers: list[Worker]
    raised: list[Raised]


def _read(store: Store, raised: list[Raised]) -> _Seen:
    marks, workers = read_marks(store.redis, store.keys), read_workers(store.redis, store.keys)
    return _Seen(store.scripts.formats, marks, workers, raised)


def _raise(whole: Whole, asked: Asked) -> Each[list[Raised]]:
    """Raises them on every shard; if it is known beforehand that one shard cannot, on none."""
    if whole.shards.several:
        known = whole.each(lambda shard: foreseen(shard.store))
        if known.failed:
            raise CommandError(*context.failures(known.failed), "nothing was raised: it is on all shards, or on none")
        if any(each.blockers for raised in known.answers.values() for each in raised):
            return known
    return whole.each(lambda shard: raise_formats(shard.store, asked))


def _json(shown: Mapping[str, _Seen]) -> dict[str, object]:
    """As of formats/1; of several shards with the lowest marks, and those of each."""
    seen = list(shown.values())
    marks = [{"shard": name, "marked": each.marks} for name, each in shown.items() if name]
    return {
        "marked": {kind: min(each.marks[kind] for each in seen) for kind in KINDS},
        "reads": seen[0].reads,
        "workers": [placed(name, _worker_json(worker)) for name, each in shown.items() for worker in each.workers],
        "raised": [placed(name, asdict(raised)) for name, each in shown.items() for raised in each.raised],
        **({"shards": marks} if marks else {}),
    }


def _worker_json(worker: Worker) -> dict[str, object]:
    return {name: getattr(worker, name) for name in ("name", "release", "formats")}


def _raised_line(raised: Raised) -> Text:
    if raised.blockers:
        names = clean(", ".join(raised.blockers))
        return Text(f"{raised.kind}: still {raised.format}, older releases are at work: {names}", style="bold red")
    if raised.changed:
        return Text(f"{raised.kind}: {raised.before} → {raised.format}", style="green")
    return Text(f"{raised.kind}: {raised.format} already")


def _parts(shown: Mapping[str, _Seen]) -> list[RenderableType]:
    lines: list[RenderableType] = [
        on_shard(_raised_line(raised), name) for name, seen in shown.items() for raised in seen.raised
    ]
    rows = [(name, row) for name, seen in shown.items() for row in _rows(seen)]
    found, shards = unzipped(rows)
    made = table("", "release", *KINDS, flexible=("",), shards=shards)
    for row in found:
        made.add_row(*row)
    return [*lines, made]


def _rows(seen: _Seen) -> Iterator[tuple[str, ...]]:
    yield ("marked in Redis", "", *(str(seen.marks[kind]) for kind in KINDS))
    yield ("this command reads", "", *(str(seen.reads[kind]) for kind in KINDS))
    for worker in seen.workers:
        yield (clean(worker.name), clean(worker.release), *(str(worker.formats[kind]) for kind in KINDS))
