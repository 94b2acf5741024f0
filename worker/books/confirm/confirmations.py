"""The unconfirmed jobs, and what the book told of them: typed Python over `look_begin`, `look_end`, `confirm`."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog
from redis import Redis

from bulk_cancel.worker.alerts.exhausted import report_exhausted
from bulk_cancel.worker.books.confirm.proof import Finding, Unconfirmed, seen_as
from bulk_cancel.worker.config.users import User
from bulk_cancel.worker.okx.client import Row
from bulk_cancel.worker.state.chunks import chunks
from bulk_cancel.worker.state.claims import Exhausted
from bulk_cancel.worker.state.ids import JobId, lane_of
from bulk_cancel.worker.state.jobs import read_jobs
from bulk_cancel.worker.state.keys import Keys
from bulk_cancel.worker.state.lanes import exhausted_in
from bulk_cancel.worker.state.scopes import exchange_scope
from bulk_cancel.worker.state.scripts import Scripts
from bulk_cancel.worker.state.statuses import Status

log = structlog.get_logger(__name__)

LOOKED_AT: Final = 5000
"""Jobs of one look; one account may have 4,000 open orders."""

LEASE_S: Final = 8
"""A look may be silent so long: one reading call waits for a window and for its timeout."""
_CHUNK: Final = 100
"""Findings in one run of `confirm`: a few milliseconds of Redis."""


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a user's book, begun after the cancels of all `jobs` were answered."""

    id: str
    user: User
    jobs: tuple[Unconfirmed, ...]


@dataclass(frozen=True, slots=True)
class Written:
    """What became of findings: jobs that ended, that are cancelled again, and that ended although maybe live."""

    ended: int = 0
    again: int = 0
    exhausted: tuple[Exhausted, ...] = ()


class Confirmations:
    """The unconfirmed jobs of one runner; raises redis-py's errors."""

    def __init__(self, redis: Redis, keys: Keys, scripts: Scripts, *, retention_s: int) -> None:
        self._redis = redis
        self._keys = keys
        self._scripts = scripts
        self._retention_s = retention_s

    def begin(self, user: User) -> Look | None:
        """The look that is ours until it ends or is silent for 8 s; None if another is on, or nothing is to be done."""
        look = uuid.uuid4().hex
        reply = self._look(look, user, LOOKED_AT)
        if not reply["mine"]:
            return None
        since = {job: (reply["now"] - at) / 1e6 for job, at in reply["jobs"]}
        return Look(look, user, tuple(self._unconfirmed(since, reply["now"])))

    def renew(self, look: Look) -> None:
        """The look goes on."""
        self._look(look.id, look.user, 1)

    def end(self, look: Look, *, again_in_s: float) -> int:
        """The next look begins so much later; how many jobs are left for it."""
        argument = {"uid": look.user.uid, "look": look.id, "after_us": round(again_in_s * 1e6)}
        return int(self._scripts.run("look_end", argument)["unconfirmed"])

    def sooner(self, uid: str) -> None:
        """Somebody may have missed something: the next look begins now."""
        self._scripts.run("look_end", {"uid": uid, "look": "", "after_us": 0})

    def write(self, findings: Sequence[Finding]) -> Written:
        """What the book told of jobs."""
        return self._write([_told(finding) for finding in findings])

    def pushed(self, uid: str, rows: Iterable[Row]) -> Written:
        """What the exchange pushed; an order may be known to us by either id, and most are not ours at all."""
        return self._write([told for row in rows for told in _pushed(uid, row)])

    def _look(self, look: str, user: User, count: int) -> dict[str, Any]:
        argument = {"uid": user.uid, "look": look, "exchange": exchange_scope(user.base_url)}
        return self._scripts.run("look_begin", {**argument, "lease_us": LEASE_S * 1_000_000, "count": count})

    def _write(self, told: Sequence[Mapping[str, object]]) -> Written:
        written = Written()
        for chunk in chunks(told, _CHUNK):
            argument = {"jobs": chunk, "retention_s": self._retention_s}
            reply = self._scripts.run("confirm", argument)
            written = Written(
                written.ended + reply["ended"],
                written.again + reply["again"],
                written.exhausted + exhausted_in(reply),
            )
        return written

    def _unconfirmed(self, since: Mapping[str, float], now_us: int) -> Iterable[Unconfirmed]:
        for job, fields in read_jobs(self._redis, self._keys, list(since)):
            if fields.get("state") == Status.ACCEPTED:
                yield _job(job, fields, since[job], now_us)


def report_written(written: Written) -> None:
    """Tells people of orders that may still be live: those that were given up, and those that are cancelled again."""
    report_exhausted(written.exhausted)
    if written.again:
        log.warning("still_live", orders=written.again, hint="accepted cancels without effect; they are sent again")


def _job(job: str, fields: Mapping[str, Any], since_s: float, now_us: int) -> Unconfirmed:
    return Unconfirmed(
        id=job,
        generation=int(fields["generation"]),
        believed=fields["believed"],
        since_s=since_s,
        ord_id=_digits(fields.get("ord", "")),
        looks=int(fields.get("looks", 0)),
        again=int(fields.get("again", 0)),
        unknown_s=(now_us - int(fields.get("unknown", now_us))) / 1e6,
    )


def _digits(told: str) -> str:
    return told if told.isascii() and told.isdigit() else ""


def _told(finding: Finding) -> dict[str, object]:
    order = finding.job.order
    return {
        "id": finding.job.id,
        "lane": lane_of(order.uid, order.inst_id),
        "generation": finding.job.generation,
        "ord": finding.job.exchange_id,
        "act": finding.act,
        "status": finding.status,
        "message": finding.message,
        "filled": finding.filled,
        "looks": finding.looks,
    }


def _pushed(uid: str, row: Row) -> Iterable[dict[str, object]]:
    inst_id, ord_id, client_id = (row.get(name, "") for name in ("instId", "ordId", "clOrdId"))
    if not (inst_id and ord_id):
        return
    for order in (JobId(uid, inst_id, ord_id, None), *([JobId(uid, inst_id, None, client_id)] if client_id else [])):
        finding = seen_as(Unconfirmed(str(order), 0, Status.ACCEPTED, 0.0, ord_id), row)
        if finding.act == "end" and finding.status != Status.GONE:
            yield _told(finding)
