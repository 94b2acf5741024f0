"""Event streams: of the runner, and of one batch until it is complete."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Final

from fastapi import APIRouter, Header, Query, Request, Response

from bulk_cancel.worker.gateway.callers import Caller
from bulk_cancel.worker.gateway.events import Stream
from bulk_cancel.worker.gateway.feed import feed_of
from bulk_cancel.worker.gateway.guard import Guard, Watcher
from bulk_cancel.worker.gateway.parts import Desks, Runner
from bulk_cancel.worker.gateway.routes.batches import batch_of
from bulk_cancel.worker.gateway.schemas import BatchPath, answers

router = APIRouter(prefix="/v1", tags=["events"])

_AT: Final = "[0-9]{1,15}-[0-9]{1,15}"
_OF: Final = rf"[a-z0-9][a-z0-9_-]{{0,31}}={_AT}"
_ID: Final = rf"^({_AT}|{_OF}(;{_OF})*)$"
"""Of several shards, a position of each of them."""

_STREAM: Final = "text/event-stream"

LastSeen = Annotated[str | None, Header(alias="Last-Event-ID", pattern=_ID)]
LastAsked = Annotated[str | None, Query(alias="last_event_id", pattern=_ID, description="As the header Last-Event-ID")]


@router.get("/events", operation_id="events", responses=answers({200: _STREAM}))
def events(
    request: Request, runner: Runner, caller: Watcher, *, seen: LastSeen = None, asked: LastAsked = None
) -> Response:
    """Outcomes as they come, and `status` (status/1, lanes with work) and `audit` when they have changed.

    `batch` (batch/1): one that left `status`, as a rule since it is complete, or was never in it and had an outcome.

    It begins with a `snapshot`, or after `Last-Event-ID` with what was missed; who is too slow, or was away for too
    long, gets a `snapshot` instead. `away`: Redis does not answer, of several the one of `shard`. `end` is the last
    event: come again.
    """
    return _stream(request, runner, caller, runner.shards.names, last_id=seen or asked)


@router.get("/batches/{batch_id}/events", operation_id="events_batch", responses=answers({200: _STREAM}, 404, 409))
def batch_events(
    request: Request,
    runner: Runner,
    caller: Watcher,
    batch_id: BatchPath,
    *,
    seen: LastSeen = None,
    asked: LastAsked = None,
) -> Response:
    """The outcomes of one batch, `batch` (batch/1) when it has changed, and `complete`, the last event of all."""
    with runner.at_batch(batch_id, caller) as desk:
        batch_of(desk, caller, batch_id)
    return _stream(request, runner, caller, [desk.shard.name], batch_id=batch_id, last_id=seen or asked)


def _stream(
    request: Request,
    runner: Desks,
    caller: Caller,
    names: Sequence[str],
    *,
    batch_id: str | None = None,
    last_id: str | None,
) -> Response:
    guard: Guard = request.app.state.guard
    feed = feed_of(request)
    feed.open(names)
    check = partial(guard.admit, request)
    return Stream(runner, feed, caller, check=check, names=names, batch_id=batch_id, last_id=last_id or "")
