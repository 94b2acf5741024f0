"""The unconfirmed jobs, and what the book told of them: typed Python over `look_begin`, `look_end`, `confirm`."""

import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple, Self

import structlog
from redis import Redis

from bulk_cancel.worker.alerts.exhausted import report_exhausted
from bulk_cancel.worker.books.confirm.children import Children
from bulk_cancel.worker.books.confirm.proof import DRIFT, Finding, Unconfirmed, pushed_as, seen_as
from bulk_cancel.worker.config.users import ALGOS, User, owner_of
from bulk_cancel.worker.okx.client import Row
from bulk_cancel.worker.okx.span import Span
from bulk_cancel.worker.state.chunks import chunks
from bulk_cancel.worker.state.claims import Exhausted
from bulk_cancel.worker.state.ids import JobId, lane_of, uid_of
from bulk_cancel.worker.state.jobs import read_jobs
from bulk_cancel.worker.state.keys import Keys
from bulk_cancel.worker.state.lanes import HEARD_US, exhausted_in
from bulk_cancel.worker.state.scopes import exchange_scope
from bulk_cancel.worker.state.scripts import Scripts
from bulk_cancel.worker.state.statuses import Status

log = structlog.get_logger(__name__)

LOOKED_AT: Final = 5000
"""Jobs of one look; one account may have 4,000 open orders."""

LEASE_S: Final = 8
"""A look may be silent so long: one reading call waits for a window and for its timeout."""
_CHUNK: Final = 300
"""Findings in one run of `confirm`: some 5 ms of Redis."""


class _Word(NamedTuple):
    """What is told of a job, as `confirm` takes it; of many jobs the same."""

    lane: str
    generation: int
    act: str
    status: str
    message: str
    filled: str
    looks: int = 0
    known: bool = False
    children: tuple[str, ...] = ()


_Told = tuple[_Word, str, str]
"""What is told of a job, its id, and of one that names a client id the ordId at the exchange, else ""."""


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a user's book, begun after the cancels of all `jobs` were answered.

    `began`: between which time.monotonic() instants (s) Redis said how long ago each job's events were.
    """

    id: str
    user: User
    jobs: tuple[Unconfirmed, ...]
    began: tuple[float, float]

    def dated(self, exchange_at: Callable[[float], Span]) -> Self:
        """With the times at which client ids were handed in, by the exchange's clock at a time.monotonic() instant.

        The clock is only asked for where that counts, and may raise its errors.
        """
        if all(job.exchange_id for job in self.jobs):
            return self
        first, last = map(exchange_at, self.began)
        now = Span(first.earliest_ms, last.latest_ms)
        return replace(self, jobs=tuple(_dated(job, now) for job in self.jobs))


@dataclass(frozen=True, slots=True)
class Written:
    """What became of findings: jobs that ended, that are cancelled again, and that ended although maybe live."""

    ended: int = 0
    again: int = 0
    exhausted: tuple[Exhausted, ...] = ()


class Confirmations:
    """The unconfirmed jobs of one runner; `user` gives the one of a uid. Raises redis-py's errors."""

    def __init__(
        self, redis: Redis, keys: Keys, scripts: Scripts, user: Callable[[str], User], *, retention_s: int
    ) -> None:
        self._redis = redis
        self._keys = keys
        self._scripts = scripts
        self._user = user
        self._retention_s = retention_s
        self._children = Children(redis, keys, scripts)

    def begin(self, user: User) -> Look | None:
        """The look that is ours until it ends or is silent for 8 s; None if another is on, or nothing is to be done."""
        look, asked_at = uuid.uuid4().hex, time.monotonic()
        reply = self._look(look, user, LOOKED_AT)
        if not reply["mine"]:
            return None
        began = (asked_at, time.monotonic())
        since = {job: (reply["now"] - at) / 1e6 for job, at in reply["jobs"]}
        return Look(look, user, tuple(self._unconfirmed(since, reply["now"])), began)

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
        """What the book told of jobs, all of one user. What fired ones placed is cancelled by their mass cancels."""
        self._children.follow(findings)
        uids = {uid_of(finding.job.id) for finding in findings}
        return self._write(uids.pop(), list(map(_told, findings))) if uids else Written()

    def pushed(self, uid: str, rows: Iterable[Row]) -> Written:
        """What the exchange pushed; an order may be known to us by either id, and most are not ours at all.

        Of algo orders the uid is their owner's, and what fired ones placed is cancelled by their mass cancels.
        """
        if not uid.endswith(ALGOS):
            return self._write(uid, list(_pushed(uid, rows)))
        findings = [finding for row in rows for finding in _pushed_of_algo(uid, row)]
        self._children.follow(self._with_batches([finding for finding in findings if finding.children]))
        return self._write(uid, list(map(_told, findings)))

    def _with_batches(self, findings: Sequence[Finding]) -> Iterator[Finding]:
        """Those whose jobs live, with who waits for them."""
        named = {finding.job.id: finding for finding in findings}
        for job, fields in read_jobs(self._redis, self._keys, list(named)) if named else ():
            if fields.get("batches"):
                batches = tuple(fields["batches"].split())
                yield replace(named[job], job=replace(named[job].job, batches=batches))

    def _look(self, look: str, user: User, count: int) -> dict[str, Any]:
        argument = {"uid": user.uid, "look": look, "exchange": exchange_scope(user.base_url)}
        return self._scripts.run(
            "look_begin", {**argument, "lease_us": LEASE_S * 1_000_000, "heard_us": HEARD_US, "count": count}
        )

    def _write(self, uid: str, told: Sequence[_Told]) -> Written:
        written, source = Written(), self._user(owner_of(uid)).source if told else ""
        for chunk in chunks(told, _CHUNK):
            argument = {"findings": _grouped(chunk), "source": source, "retention_s": self._retention_s}
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


def _dated(job: Unconfirmed, now: Span) -> Unconfirmed:
    return job if job.exchange_id else replace(job, handed_in=now.before(job.asked_s * 1000, drift=DRIFT))


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
        # handed in by version 1.0, which did not keep when: not later than it was answered
        asked_s=(now_us - int(fields["asked"])) / 1e6 if "asked" in fields else since_s,
        batches=tuple(fields["batches"].split()),
    )


def _digits(told: str) -> str:
    return told if told.isascii() and told.isdigit() else ""


def _told(finding: Finding) -> _Told:
    job, order = finding.job, finding.job.order
    word = _Word(
        lane_of(order.uid, order.inst_id),
        job.generation,
        finding.act,
        finding.status,
        finding.message,
        finding.filled,
        finding.looks,
        finding.known,
        finding.children,
    )
    return word, job.id, "" if order.ord_id else job.ord_id


def _pushed_of_algo(uid: str, row: Row) -> Iterator[Finding]:
    """An algo order that ended, under each id by which it may be known; one that fired tells what it has placed."""
    inst_id, algo_id, client_id = (row.get(name, "") for name in ("instId", "ordId", "clOrdId"))
    if not (inst_id and algo_id):
        return
    for order in (JobId(uid, inst_id, algo_id, None), *([JobId(uid, inst_id, None, client_id)] if client_id else [])):
        finding = seen_as(Unconfirmed(str(order), 0, Status.ACCEPTED, 0.0, algo_id), row)
        if finding.act == "end":
            yield finding


def _pushed(uid: str, rows: Iterable[Row]) -> Iterator[_Told]:
    """An order is told of under each id by which it may be known; most pushes say the same."""
    words: dict[tuple[str, str, str], _Word | None] = {}
    for row in rows:
        inst_id, ord_id, client_id = row.get("instId", ""), row.get("ordId", ""), row.get("clOrdId", "")
        said = inst_id, row.get("state", ""), row.get("accFillSz", "")
        if said not in words:
            words[said] = _word_of(uid, *said)
        word = words[said]
        if not (word and inst_id and ord_id):
            continue
        yield word, f"{uid}/{inst_id}/o{ord_id}", ""
        if client_id:
            yield word, f"{uid}/{inst_id}/c{client_id}", ord_id


def _word_of(uid: str, inst_id: str, state: str, filled: str) -> _Word | None:
    """None: the order has not ended, or is no order of ours."""
    status = pushed_as(state)
    return _Word(lane_of(uid, inst_id), 0, "end", status, "", filled) if status else None


def _grouped(told: Iterable[_Told]) -> list[dict[str, object]]:
    """Jobs of which the same is told, together: it is sent, read and concluded from once."""
    jobs, ords = defaultdict[_Word, list[str]](list), defaultdict[_Word, dict[str, str]](dict)
    for word, job, ord_id in told:
        jobs[word].append(job)
        if ord_id:
            ords[word][job] = ord_id
    return [{**word._asdict(), "jobs": ids, "ords": ords.get(word, {})} for word, ids in jobs.items()]
