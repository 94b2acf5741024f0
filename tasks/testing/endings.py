"""Lets orders end as a test likes, by the verbs by which workers do it: claim, record, and the exchange's push."""

import hashlib
import json
import uuid
from collections import defaultdict
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from bulk_cancel.tasks.outcomes import BatchState, Row, Status
from bulk_cancel.worker.books.able import Survey
from bulk_cancel.worker.books.confirm.confirmations import Confirmations
from bulk_cancel.worker.books.confirm.proof import Finding
from bulk_cancel.worker.books.mass.flat import Seen, State, Verdict
from bulk_cancel.worker.books.mass.masses import Listing, Masses
from bulk_cancel.worker.config.users import ALGOS, User
from bulk_cancel.worker.okx.credentials import Credentials
from bulk_cancel.worker.okx.limits import BATCH_SIZE, Limits
from bulk_cancel.worker.okx.sources import as_order
from bulk_cancel.worker.state.chunks import chunks
from bulk_cancel.worker.state.claims import Call, Claim, Decided, Done, Job, Result
from bulk_cancel.worker.state.ids import JobId, holder_of
from bulk_cancel.worker.state.lanes import Lanes
from bulk_cancel.worker.state.statuses import PROVED
from bulk_cancel.worker.state.store import Store
from bulk_cancel.worker.state.window import Timing

ENDINGS: Final[Mapping[str, str]] = {
    **dict.fromkeys(PROVED, "0"),
    Status.GONE: "51400",
    Status.REJECTED: "51403",
    Status.EXHAUSTED: "50026",
}
"""What a test may choose, and what the exchange said of it unless the test says otherwise."""

AT_ONCE: Final = 50
"""Calls of one claim: a thousand jobs."""

LEASE_S: Final = 5.0
CLAIM_S: Final = 300.0
"""A claim is kept so long: what is not to end is held until all else of its lane has ended."""

_NAMED: Final = "the order that its client id names is open"


def user_of(account: str, *, limits: Limits) -> User:
    """A User ID with this account alone, which can open nothing."""
    credentials = Credentials(account, "key", "secret", "passphrase", "http://127.0.0.1:1", demo=False)
    return User(account, (credentials,), credentials.base_url, limits, BATCH_SIZE)


@dataclass(slots=True)
class _Turn:
    """One lane whose `wanted` jobs end as is `said` and `pushed`; `left` are those of them that are still to end.

    `held` are the calls none of whose jobs is wanted, `why` nothing was handed out the last time.
    """

    lane: str
    wanted: frozenset[str]
    left: set[str]
    said: Decided
    pushed: Mapping[str, str]
    held: list[tuple[Claim, Call]] = field(default_factory=list)
    why: str = ""


class Endings:
    """What the workers of one runner would do."""

    def __init__(self, store: Store) -> None:
        retention_s = store.settings.retention_s
        self._store = store
        self._batches = store.batches
        self._masses = Masses(store)
        self._lanes = Lanes(
            store.scripts, Timing(window_s=0.0, timeout_s=CLAIM_S), max_attempts=1_000_000, retention_s=retention_s
        )
        self._confirmations = Confirmations(store.redis, store.keys, store.scripts, _user, retention_s=retention_s)

    def end(
        self, batch_id: str, status: str, *, ids: Collection[str] | None, filled: str, code: str, message: str
    ) -> BatchState:
        """Lets the orders end; see `Kit.end`."""
        if status not in ENDINGS:
            raise ValueError(f"no order ends as {status!r}; choose one of {', '.join(ENDINGS)}")
        wanted = self._waiting(batch_id, ids)
        said = Decided((), "finish", code or ENDINGS[status], message, "{}", status=status)
        if status in PROVED:
            said = said._replace(act="confirm", status=Status.ACCEPTED)
        by_lane = defaultdict[str, set[str]](set)
        for job in wanted:
            by_lane[JobId.parse(job).lane].add(job)
        for lane, jobs in sorted(by_lane.items()):
            self._end_in(_Turn(lane, frozenset(jobs), jobs, said, {"state": status, "accFillSz": filled}))
        self.survey()
        return self._batches.state(batch_id)

    def find(self, batch_id: str, orders: Sequence[dict[str, str]]) -> None:
        """A page of a listing."""
        listing = self._listing(batch_id)
        algos = [row for row in orders if row.get("algoId") and not row.get("ordId")]
        if others := [row for row in orders if row not in algos]:
            self._masses.admit(listing, others)
        if algos:
            self._masses.admit(listing, list(map(as_order, algos)), holder=listing.mass.uid + ALGOS)
        self._masses.hand_back(listing, again_in_s=0)

    def finish(self, batch_id: str) -> None:
        """The last listing, which finds nothing."""
        listing = self._listing(batch_id)
        state: State = "flat" if listing.mass.until_flat_s else "done"
        since = (listing.now_us, listing.wall_us) if listing.mass.until_flat_s else (None, None)
        self._masses.end(listing, Seen(listing.now_us, listing.wall_us), Verdict(state, *since))
        self.survey()

    def survey(self) -> None:
        """Looks, after every mass cancel that is over, at what else can place orders: nothing can."""
        for batch_id in map(str, self._store.redis.zrange(self._store.keys.of("surveys"), 0, -1)):
            ident = uuid.uuid4().hex
            if self._masses.survey_begin(batch_id, ident, lease_s=LEASE_S):
                self._masses.survey_end(batch_id, ident, Survey())

    def _listing(self, batch_id: str) -> Listing:
        self._masses.state(batch_id)
        listing = self._masses.begin(batch_id, lease_s=LEASE_S)
        if listing is None:
            raise LookupError(f"mass cancel {batch_id!r} is over")
        return listing

    def _waiting(self, batch_id: str, ids: Collection[str] | None) -> dict[str, Row]:
        """The jobs that are to end, with their rows."""
        waiting = {job: row for job, row in self._batches.rows_by_job(batch_id).items() if row.finished_at is None}
        if ids is None:
            return waiting
        missing = set(ids) - {ident for row in waiting.values() for ident in _ids(row)}
        if missing:
            raise LookupError(f"no order waits in batch {batch_id!r} with the id {', '.join(sorted(missing))}")
        return {job: row for job, row in waiting.items() if not set(ids).isdisjoint(_ids(row))}

    def _end_in(self, turn: _Turn) -> None:
        """The lane's jobs are claimed until all that are wanted have ended; the others go back, as if not sent."""
        try:
            while turn.left and self._goes_on(turn):
                pass
        finally:
            for held in chunks(turn.held, AT_ONCE):
                self._record(turn, held)
        if turn.left:
            why = turn.why or "nothing in their lane can be sent now"
            raise RuntimeError(f"{len(turn.left)} of the orders did not end: {', '.join(sorted(turn.left)[:5])}: {why}")

    def _goes_on(self, turn: _Turn) -> bool:
        """One claim, and what becomes of it; false if it brought nothing, and will not the next time."""
        claim = self._lanes.claim(turn.lane, _user(holder_of(turn.lane)), permits=AT_ONCE)
        turn.left.difference_update(each.job for each in claim.exhausted)
        turn.why = claim.reason
        meant: list[tuple[Claim, Call]] = []
        for call in claim.calls:
            (turn.held if turn.wanted.isdisjoint(job.id for job in call.jobs) else meant).append((claim, call))
        if meant:
            self._record(turn, meant)
            self._end_jobs(turn, [job for _, call in meant for job in call.jobs if job.id in turn.wanted])
        return bool(claim.calls or claim.exhausted) or self._told_which(turn.lane)

    def _record(self, turn: _Turn, calls: Sequence[tuple[Claim, Call]]) -> None:
        self._lanes.record([Done(claim, call, _result(call.jobs, turn.wanted, turn.said)) for claim, call in calls])

    def _end_jobs(self, turn: _Turn, jobs: Sequence[Job]) -> None:
        turn.left.difference_update(job.id for job in jobs)
        if turn.said.act == "confirm":
            self._confirmations.pushed(holder_of(turn.lane), [_row(job, turn.pushed) for job in jobs])

    def _told_which(self, lane: str) -> bool:
        """A client id that goes again waits for a look that names its order; whether there was one."""
        look = self._confirmations.begin(_user(holder_of(lane)))
        if look is None:
            return False
        named = [replace(job, ord_id=job.exchange_id or _made_of(job.id)) for job in look.jobs]
        self._confirmations.write([Finding(job, "again", message=_NAMED) for job in named])
        self._confirmations.end(look, again_in_s=0)
        return bool(named)


def _result(jobs: Iterable[Job], wanted: Container[str], said: Decided) -> Result:
    """No slot is used up: nothing was sent."""
    ending = tuple(job for job in jobs if job.id in wanted)
    others = tuple(job for job in jobs if job.id not in wanted)
    ords = {job.id: _ord_id(job) for job in ending if not job.ref.ordId}
    back = Decided(others, "return", "", "", "{}", counts=False)
    attempt = json.dumps({"sCode": said.code, "sMsg": said.message})
    decided = (said._replace(jobs=ending, ords=ords, attempt=attempt), back)
    return Result("release", tuple(each for each in decided if each.jobs), 0.0, answered=True)


def _ids(row: Row) -> tuple[str, ...]:
    return tuple(ident for ident in (row.ordId, row.algoId, row.clOrdId) if ident)


def _row(job: Job, pushed: Mapping[str, str]) -> dict[str, str]:
    """What the exchange pushes of the order."""
    client_id = JobId.parse(job.id).cl_ord_id or ""
    return {"instId": job.ref.instId, "ordId": _ord_id(job), "clOrdId": client_id, **pushed}


def _ord_id(job: Job) -> str:
    """The exchange's own id; of an order that was named by a client id, one made of that."""
    return job.ref.ordId or _made_of(job.id)


def _made_of(job: str) -> str:
    return str(int.from_bytes(hashlib.sha256(job.encode()).digest()[:7]))


def _user(uid: str) -> User:
    """Limits that no test reaches: what is tested is the producer."""
    return user_of(uid, limits=Limits(single=1_000_000, batch=1_000_000))
