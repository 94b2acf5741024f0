"""Rows of batches as values: an ended one from its JSON, a waiting one with what is known of its job. Pure."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from bulk_cancel.tasks.outcomes import BatchState, Row
from bulk_cancel.worker.state.ids import JobId, is_of_algos, names_of, order_of
from bulk_cancel.worker.state.statuses import Status, row_ended

_NUMBER: Final = re.compile(r'(?:\{"n":)?(\d+)')
"""The verbs write it first; of 100,000 rows it is wanted before they are made values."""

_decode: Final = json.JSONDecoder().raw_decode


def row_of(state: BatchState, job: str, text: str, live: Mapping[str, Any] | None) -> Row:
    """The row of a job; `live` is the job itself, of one that waits."""
    row = _ended_row(state, job, _decode(text)[0]) if row_ended(text) else _waiting_row(state, job, text, live or {})
    return row._replace(ordId=None, algoId=row.ordId) if is_of_algos(job) else row


def number_of(text: str) -> int:
    """Where the row of a job stands in its batch."""
    found = _NUMBER.match(text)
    return int(found[1] if found else _decode(text)[0]["n"])


def children_of(jobs: Iterable[str]) -> tuple[Mapping[str, str], ...]:
    """What an algo order has placed, each as it may be handed in."""
    orders = map(JobId.parse, jobs)
    return tuple({"instId": each.inst_id, "algoId" if each.is_algo else "ordId": each.ord_id or ""} for each in orders)


def _ended_row(state: BatchState, job: str, ended: Mapping[str, Any]) -> Row:
    """Without names, in the order of `Row`: a batch may have 100,000 of them."""
    inst_id, ord_id, cl_ord_id = names_of(job)
    row = Row(
        state.batch_id,
        state.account,
        inst_id,
        ord_id,
        cl_ord_id or ended["clOrdId"] or None,
        ended["status"],
        ended["sCode"],
        ended["sMsg"],
        ended["attempts"],
        ended["enqueued"],
        ended["first_sent"],
        ended["accepted"],
        ended["finished"],
        ended["n"],
        tuple(ended["log"]),
        ended.get("accFillSz") or None,
        ended.get("known"),
    )
    return row._replace(children=children_of(ended["children"])) if "children" in ended else row


def _waiting_row(state: BatchState, job: str, text: str, live: Mapping[str, Any]) -> Row:
    order = order_of(job)
    number, enqueued, client = (*text.split(" "), "")[:3]
    log = tuple(json.loads(line) for line in (live.get("log") or "").splitlines())
    last = log[-1] if log else {}
    return Row(
        batch_id=state.batch_id,
        account=state.account,
        instId=order.instId,
        ordId=order.ordId,
        clOrdId=order.clOrdId or client or None,
        status=_shown(live),
        sCode=last.get("sCode"),
        sMsg=last.get("sMsg"),
        attempts=int(live.get("attempts") or 0) + int(live.get("again") or 0),
        enqueued_at=int(enqueued),
        first_sent_at=int(live["sent"]) if live.get("sent") else None,
        accepted_at=int(live["accepted"]) if live.get("accepted") else None,
        finished_at=None,
        number=int(number),
        log=log,
    )


def _shown(live: Mapping[str, Any]) -> str:
    """The status of a live job; one that waits to learn which order its client id means waits for its next attempt."""
    return Status.RETRYING if live.get("believed") == Status.RETRYING else live.get("state") or Status.QUEUED
