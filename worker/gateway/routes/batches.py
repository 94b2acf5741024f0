"""Batches: handed in, found again, followed, and what people may decide about them."""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from itertools import islice
from typing import Annotated, Any, Final
from urllib.parse import quote

from fastapi import APIRouter, Header, Query, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bulk_cancel.tasks.errors import InvalidOrders
from bulk_cancel.tasks.faults import faults_in
from bulk_cancel.tasks.messages import CancelOrders, Text, Whole
from bulk_cancel.worker.gateway.answers import answer, as_csv, as_lines
from bulk_cancel.worker.gateway.bodies import Body, Instant, Statuses, Why, object_of, parsed
from bulk_cancel.worker.gateway.callers import Caller
from bulk_cancel.worker.gateway.guard import Operator, Reader, Watcher, only
from bulk_cancel.worker.gateway.parts import Desk, Runner
from bulk_cancel.worker.gateway.problems import ROWS_FAULTS, invalid
from bulk_cancel.worker.gateway.schemas import BATCH, RETRY, WHY, Account, BatchPath, Key, answers, body, listed, shape
from bulk_cancel.worker.operators.decisions import RETRIED, Asked
from bulk_cancel.worker.operators.past import Kind, past_batches
from bulk_cancel.worker.operators.shapes import (
    batch_json,
    document,
    receipt_json,
    retried_json,
    row_json,
    withdrawn_json,
)
from bulk_cancel.worker.state.batches import SOME, BatchState, Row, UnknownBatchError
from bulk_cancel.worker.state.statuses import Status

router = APIRouter(prefix="/v1/batches", tags=["batches"])

_SUBMITTED: Final = answers({201: shape("submit"), 200: shape("submit")}, 400, 404, 409, 413, 415)
_OURS: Final = frozenset({"batch_id", "requested_by"})
"""Fields of a message that a caller does not choose here: the address and the token say them."""


class Format(StrEnum):
    """How outcomes are answered: a page as JSON, or all of them as one object or line each."""

    JSON = "json"
    NDJSON = "ndjson"
    CSV = "csv"


class Retry(BaseModel):
    """Which orders go again, for how long, and why."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    reason: Text = ""
    statuses: Statuses = RETRIED
    deadline_s: Annotated[Whole, Field(ge=1, le=86_400)] | None = None


@router.put(
    "/{batch_id}", operation_id="submit", status_code=201, responses=_SUBMITTED, openapi_extra=body(BATCH),
    summary="Hand in orders as one batch: 201 when every order is in Redis, 200 the same again",
)  # fmt: skip
def submit(runner: Runner, caller: Operator, batch_id: BatchPath, sent: Body) -> Response:
    """The same id with the same orders may be handed in at any time; with others it is a conflict."""
    return _take(runner, caller, batch_id, sent, Location="")


@router.post(
    "", operation_id="submit_keyed", status_code=201, responses=_SUBMITTED, openapi_extra=body(BATCH),
    summary="The same with the batch's id in the header Idempotency-Key",
)  # fmt: skip
def submit_keyed(
    runner: Runner, caller: Operator, sent: Body, key: Annotated[Key, Header(alias="Idempotency-Key")]
) -> Response:
    """A key that came in quotes, as a structured field, is the text between them."""
    return _take(runner, caller, key, sent, Location=f"batches/{quote(key, safe='')}")


def _take(runner: Runner, caller: Caller, batch_id: str, sent: bytes, **headers: str) -> Response:
    asked = _asked(caller, batch_id, object_of(sent))
    only(caller, asked.account)
    with runner.at_account(asked.account) as desk:
        receipt = desk.store.admission.admit(asked)
        desk.changed()
    status = 200 if receipt.known == receipt.size else 201
    return answer(
        "submit", desk.row(receipt_json(receipt)), status, **{name: value for name, value in headers.items() if value}
    )


def _asked(caller: Caller, batch_id: str, said: dict[str, Any]) -> CancelOrders:
    """The batch as a message; raises Problem with every fault of every row, as far as they are listed."""
    given = [f"{name}: is not chosen here; leave it out" for name in sorted(_OURS & said.keys())]
    fields = {name: value for name, value in said.items() if name not in _OURS}
    try:
        asked = CancelOrders.model_validate({**fields, "batch_id": batch_id, "requested_by": caller.name})
    except ValidationError as error:
        raise invalid([*given, *faults_in(error)], most=ROWS_FAULTS) from None
    if given:
        raise InvalidOrders(given)
    return asked


@router.get("", operation_id="batches", responses=answers({200: listed("batches", "batches")}))
def batches(
    runner: Runner,
    caller: Watcher,
    *,
    account: Annotated[list[Account] | None, Query(description="Only these accounts'")] = None,
    status: Annotated[list[Kind] | None, Query(description="Only batches that are so, or have such orders")] = None,
    since: Annotated[Instant | None, Query(description="Created then or later")] = None,
    until: Annotated[Instant | None, Query(description="Created then or before")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """Past and present batches, the newest first; mass cancels are among them."""

    def newest(desk: Desk) -> list[tuple[BatchState, object]]:
        found = past_batches(desk.store, since=since, until=until)
        fitting = (state for state in found if caller.sees(state.account) and _fits(state, account, status))
        return [(state, desk.row(batch_json(state))) for state in islice(fitting, limit)]

    told = runner.each(newest)
    rows = heapq.merge(*told.answers.values(), key=lambda row: row[0].created_at, reverse=True)
    return answer("batches", {"batches": [row for _, row in islice(rows, limit)], **runner.away(told)})


def _fits(state: BatchState, accounts: list[str] | None, kinds: list[Kind] | None) -> bool:
    return (not accounts or state.account in accounts) and (not kinds or any(kind.fits(state) for kind in kinds))


@router.get("/{batch_id}", operation_id="status_batch", responses=answers({200: shape("batch")}, 404, 409))
def batch_status(runner: Runner, caller: Watcher, batch_id: BatchPath) -> Response:
    """One batch as it stands.

    `estimate_s`: seconds in which the limits allow all that waits for the account's User ID to be sent; null once the
    batch is complete.
    """
    with runner.at_batch(batch_id, caller) as desk:
        state = batch_of(desk, caller, batch_id)
        estimate_s = None if state.complete else desk.estimate_s(state.account)
        return answer("batch", desk.row(batch_json(state)) | {"estimate_s": estimate_s})


@router.get(
    "/{batch_id}/outcomes", operation_id="outcomes",
    responses=answers({200: listed("outcomes", "outcomes")}, 404, 409),
)  # fmt: skip
def outcomes(
    runner: Runner,
    caller: Reader,
    batch_id: BatchPath,
    *,
    status: Annotated[list[Status] | None, Query(description="Only orders in these states")] = None,
    form: Annotated[Format, Query(alias="format", description="ndjson and csv have all of them")] = Format.JSON,
    after: Annotated[int, Query(ge=-1, le=10**9, description="`next` of the page before")] = -1,
    limit: Annotated[int, Query(ge=1, le=10_000, description="Of a page")] = 1000,
) -> Response:
    """What became of each order, in the order in which they were handed in."""
    with runner.at_batch(batch_id, caller) as desk:
        batch_of(desk, caller, batch_id)
        if form is Format.JSON:
            return answer("outcomes", {"batch_id": batch_id, **_page(desk, batch_id, status, after, limit)})
        rows = _so(desk.store.batches.ordered(batch_id), status)
    return as_csv(rows) if form is Format.CSV else as_lines("outcome", rows)


def _page(desk: Desk, batch_id: str, status: Sequence[Status] | None, after: int, limit: int) -> dict[str, object]:
    """What follows number `after`, and where the next page begins; of the others nothing is asked but their numbers."""
    at_once = SOME if status else limit + 1
    left = [*islice(_so(desk.store.batches.ordered(batch_id, after=after, at_once=at_once), status), limit + 1)]
    page = [document("outcome", row_json(row)) for row in left[:limit]]
    return {"outcomes": page, "next": left[limit - 1].number if len(left) > limit else None}


def _so(rows: Iterable[Row], status: Sequence[Status] | None) -> Iterator[Row]:
    """Those that are in one of these states, or all."""
    return (row for row in rows if not status or row.status in status)


@router.post(
    "/{batch_id}/retry", operation_id="retry", openapi_extra=body(RETRY, required=False),
    responses=answers({200: shape("retry")}, 400, 404, 409, 413, 415),
)  # fmt: skip
def retry(runner: Runner, caller: Operator, batch_id: BatchPath, sent: Body) -> Response:
    """Lets orders go again that ended rejected or exhausted, or as `statuses` says."""
    asked = parsed(Retry, sent)
    with runner.at_batch(batch_id, caller) as desk:
        batch_of(desk, caller, batch_id, acting=True)
        why = Asked(caller.name, asked.reason)
        done = desk.decisions.retry(batch_id, why, statuses=asked.statuses, deadline_s=asked.deadline_s)
        desk.changed()
    return answer("retry", desk.row(retried_json(done)))


@router.post(
    "/{batch_id}/withdraw", operation_id="withdraw", openapi_extra=body(WHY, required=False),
    responses=answers({200: shape("withdraw")}, 400, 404, 409, 413, 415),
)  # fmt: skip
def withdraw(runner: Runner, caller: Operator, batch_id: BatchPath, sent: Body) -> Response:
    """Takes the batch back from every order that was not sent; ends a mass cancel."""
    asked = parsed(Why, sent)
    with runner.at_batch(batch_id, caller) as desk:
        batch_of(desk, caller, batch_id, acting=True)
        done = desk.decisions.withdraw(batch_id, Asked(caller.name, asked.reason))
        desk.changed()
    return answer("withdraw", desk.row(withdrawn_json(done)))


def batch_of(desk: Desk, caller: Caller, batch_id: str, *, acting: bool = False) -> BatchState:
    """The batch; one of another account is as unknown as one that never was, unless something is to be done to it."""
    state = desk.store.batches.state(batch_id)
    if acting:
        only(caller, state.account)
    if not caller.sees(state.account):
        raise UnknownBatchError(batch_id)
    return state
