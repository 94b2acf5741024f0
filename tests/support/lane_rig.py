"""What do tests of the verbs stand on? One runner's lanes on a Redis whose clock the test sets."""

import json
import time
from collections.abc import Iterable, Mapping
from functools import partial

from redis import Redis

from bulk_cancel.tasks.messages import parse_cancel_orders
from bulk_cancel.tasks.receipts import Receipt
from bulk_cancel.worker.books.confirm.confirmations import Confirmations
from bulk_cancel.worker.books.confirm.proof import seen_open
from bulk_cancel.worker.books.mass.masses import Masses
from bulk_cancel.worker.config.settings import Settings
from bulk_cancel.worker.config.users import User
from bulk_cancel.worker.okx.credentials import Credentials
from bulk_cancel.worker.okx.limits import Limits
from bulk_cancel.worker.okx.span import Span
from bulk_cancel.worker.operators.audit import Audit
from bulk_cancel.worker.operators.decisions import Decisions
from bulk_cancel.worker.state.admission import Admission
from bulk_cancel.worker.state.batches import Batches, Row
from bulk_cancel.worker.state.board import Board
from bulk_cancel.worker.state.claims import Call, Claim, Decided, Done, Job, Recorded, RestFor, Result
from bulk_cancel.worker.state.directory import Directory
from bulk_cancel.worker.state.formats import FORMATS, Formats
from bulk_cancel.worker.state.keys import Keys
from bulk_cancel.worker.state.lanes import Lanes
from bulk_cancel.worker.state.refused import Refusals
from bulk_cancel.worker.state.scopes import exchange_scope
from bulk_cancel.worker.state.scripts import source
from bulk_cancel.worker.state.store import Store
from bulk_cancel.worker.state.window import Timing
from tests.support.headers import CheckedScripts

TIMING = Timing(window_s=2.0, timeout_s=3.0)
LANE = "u1/BTC-USDT"
LIMITS = Limits(single=60, batch=300)


def credentials(name: str) -> Credentials:
    """Credentials that open nothing."""
    return Credentials(name, "key", "secret", "pass", "http://127.0.0.1:1", demo=False)


def settable(verb: str) -> str:
    """The verb with the test's clock and server id in the place of Redis's own."""
    clock = (
        "(function() local us = redis.call('GET', 'test:us') return {string.sub(us, 1, -7), string.sub(us, -6)} end)()"
    )
    return (
        source(verb)
        .replace("redis.call('TIME')", clock)
        .replace("redis.call('INFO', 'server')", "redis.call('GET', 'test:info')")
    )


class LaneRig:
    """Lanes of user `u1` with account `a1`, under a clock that only `advance` moves."""

    def __init__(
        self,
        redis: Redis,
        *,
        limits: Limits = LIMITS,
        batch_size: int = 0,
        accounts: Iterable[str] = ("a1",),
        max_attempts: int = 3,
        retention_s: int = 600,
        confirm: bool = False,
        formats: Formats = FORMATS,
    ) -> None:
        self.redis = redis
        self.keys = Keys("t")
        self.user = User("u1", tuple(map(credentials, accounts)), "http://127.0.0.1:1", limits, batch_size)
        self.exchange_scope = exchange_scope(self.user.base_url)
        self.scripts = CheckedScripts(redis, "t", formats=formats, text_of=settable)
        self.us = time.time_ns() // 1000  # near the server's own clock, which stamps entries and judges what is old
        self.restart_redis("a1")
        self.advance(0)
        self.scripts.run("adopt", {})
        self.store = self._store(retention_s)
        self.admission, self.batches = self.store.admission, self.store.batches
        self.masses, self.decisions, self.audit = Masses(self.store), Decisions(self.store), Audit(self.store)
        self.lanes = Lanes(self.scripts, TIMING, max_attempts=max_attempts, retention_s=retention_s, confirm=confirm)
        self.board = Board(
            redis, self.scripts, self.keys, retention_s=retention_s, blackout_us=TIMING.blackout_us, abandon_s=600
        )
        self.confirmations = Confirmations(redis, self.keys, self.scripts, lambda _: self.user, retention_s=retention_s)
        self.store.directory.publish(self.scripts)

    def _store(self, retention_s: int) -> Store:
        redis, keys, scripts = self.redis, self.keys, self.scripts
        directory = Directory(redis, keys, {"u1": self.user}, window_s=2.0)
        admission = Admission(redis, scripts, directory, deadline_s=900, retention_s=retention_s, wait_replicas=0)
        # a retention shorter than the deadline, so that tests need not wait for it
        settings = Settings.model_construct(deadline_s=900, retention_s=retention_s, window_s=2.0, http_timeout_s=3.0)
        batches, refusals = Batches(redis, keys, scripts.formats), Refusals(redis, keys)
        return Store(settings, redis, keys, scripts, directory, admission, batches, refusals)

    def restart_redis(self, run_id: str) -> None:
        """The server gets another identity, as after a restart."""
        self.redis.set("test:info", f"# Server\r\nrun_id:{run_id}\r\n")

    def advance(self, seconds: float) -> None:
        """Moves the clock."""
        self.us += round(seconds * 1e6)
        self.redis.set("test:us", self.us)

    def end_proved(self, status: str = "canceled", code: str = "51400") -> None:
        """Whatever is in line is sent, and ends as the exchange pushes."""
        claim = self.claim(permits=60)
        for call in claim.calls:
            ids = [{"instId": job.ref.instId, "ordId": job.ref.ordId or ""} for job in call.jobs]
            self.confirmations.pushed("u1", [{**row, "state": status, "accFillSz": "0"} for row in ids])
            self.record(claim, call, decided=tuple(believed(job, "gone", code) for job in call.jobs))

    def exchange_at(self, _base_url: str, _at: float) -> Span:
        """The exchange's clock agrees with ours, to the ms."""
        return Span(self.us / 1000, self.us / 1000)

    def placed(self, ago_s: float) -> str:
        """The `cTime` of an order that was placed so long ago."""
        return str(round((self.us / 1e6 - ago_s) * 1000))

    def name_order(self, ord_id: str, *, ago_s: float = 1.0) -> None:
        """A look finds open, for every job that it looks for, this order, placed so long ago."""
        look = self.confirmations.begin(self.user)
        assert look
        row = {"ordId": ord_id, "state": "live", "cTime": self.placed(ago_s)}
        jobs = look.dated(partial(self.exchange_at, self.user.base_url)).jobs
        self.confirmations.write([seen_open(job, row) for job in jobs])
        self.confirmations.end(look, again_in_s=0)

    def submit(self, batch_id: str, orders: Iterable[Mapping[str, object]], **fields: object) -> Receipt:
        """Hands in a batch for account `a1`."""
        return self.admission.admit(
            parse_cancel_orders(account="a1", batch_id=batch_id, orders=orders, **fields)  # type: ignore[arg-type]
        )

    def claim(self, permits: int = 1, lane: str = LANE) -> Claim:
        """Claims from one lane."""
        return self.lanes.claim(lane, self.user, permits=permits)

    def record(self, claim: Claim, call: Call | None = None, **fields: object) -> Recorded:
        """Records an accepted call, or what `fields` of `Result` say instead."""
        call = call or claim.calls[0]
        result = {
            "slots": "settle",
            "decided": tuple(finished(job) for job in call.jobs),
            "elapsed_s": 0.01,
            "answered": True,
            **fields,
        }
        return self.lanes.record([Done(claim, call, Result(**result))])[0]  # type: ignore[arg-type]

    def crowd(self, order_id: str, *, batch_id: str) -> None:
        """Many more batches than this one wait for the order."""
        key, more = self.keys.of("job", f"{LANE}/o{order_id}"), " ".join(f"other{number}" for number in range(999))
        text = str(self.redis.get(key))
        self.redis.set(key, text.replace(f'"batches":"{batch_id}"', f'"batches":"{batch_id} {more}"'))

    def row(self, batch_id: str, place: int = 0) -> Row:
        """One order of a batch."""
        return self.batches.rows(batch_id)[place]

    def places(self, lane: str = LANE) -> dict[str, list[str]]:
        """Which jobs stand in which place of the lane."""
        return {
            name: [str(job).rpartition("/")[2] for job in self.redis.zrange(self.keys.of(name, lane), 0, -1)]
            for name in ("ready", "later", "claimed")
        }

    def due(self, lane: str = LANE) -> float | None:
        """Seconds until the lane is due on the board; None when it is on none."""
        boards = (self.redis.zscore(self.keys.of(name), lane) for name in ("urgent", "board"))
        found = [score for score in boards if score is not None]
        return (found[0] - self.us) / 1e6 if found else None


def orders(count: int, *, first: int = 1, inst_id: str = "BTC-USDT") -> list[dict[str, object]]:
    """Orders with consecutive ids from `first` on."""
    return [{"instId": inst_id, "ordId": str(number)} for number in range(first, first + count)]


def finished(job: Job, status: str = "accepted", code: str = "0") -> Decided:
    """The job ends."""
    return Decided((job,), "finish", code, "", json.dumps({"sCode": code}), status=status)


def retried(job: Job, delay_s: float, *, counts: bool = True) -> Decided:
    """The job goes again."""
    return Decided((job,), "retry", "51410", "being canceled", '{"sCode":"51410"}', delay_s=delay_s, counts=counts)


def returned(job: Job) -> Decided:
    """The job was not sent."""
    return Decided((job,), "return", "", "", "{}", counts=False)


def rest(scope: str, base_s: float = 0.5, cap_s: float = 10.0) -> RestFor:
    """A scope that shall rest."""
    return RestFor(scope, base_s, cap_s, "test")


def believed(job: Job, status: str = "accepted", code: str = "0", *, ord_id: str = "") -> Decided:
    """The exchange said so, and the book is to confirm it."""
    ords = {job.id: ord_id} if ord_id else {}
    return Decided((job,), "confirm", code, "", json.dumps({"sCode": code}), status=status, ords=ords)
