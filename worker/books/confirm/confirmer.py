"""Threads that read the books of users with unconfirmed cancels and take in the exchange's pushes.

A look lists all open orders, which began after the cancels of its jobs were answered. Who is still there is cancelled
again; of the others the exchange is asked how they ended: many at once from the history, the rest one by one.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from threading import Event
from typing import Final

import structlog
from redis.exceptions import RedisError

from bulk_cancel.worker.books.book import Book, ReadingStopped
from bulk_cancel.worker.books.confirm.confirmations import Confirmations, Look, report_written
from bulk_cancel.worker.books.confirm.proof import LOOK_AGAIN_AFTER_S, Finding, Unconfirmed, overdue, seen_as, seen_open
from bulk_cancel.worker.config.gate import Gate
from bulk_cancel.worker.config.users import User
from bulk_cancel.worker.okx.client import Row
from bulk_cancel.worker.okx.errors import ExchangeError, NotAuthorised, Refused, Throttled
from bulk_cancel.worker.okx.instruments import TYPES, type_of
from bulk_cancel.worker.okx.orders import OrderRef
from bulk_cancel.worker.okx.sources import ALGO_HISTORIES
from bulk_cancel.worker.okx.span import Span
from bulk_cancel.worker.state.ids import JobId
from bulk_cancel.worker.state.window import reading_pause_s

log = structlog.get_logger(__name__)

AT_ONCE: Final = 4
"""Users whose books are looked at at the same time: a look mostly waits, for slots and for answers."""

SOON_S: Final = 0.15
"""The least pause after a look: cancels are accepted in numbers, and the next look serves all of them."""

PAUSE_CAP_S: Final = 2.0
"""The pause after a look grows with what it cost, up to this."""

HISTORIES: Final = tuple({"instType": each} for each in TYPES)
"""The lists of ended orders."""

WORTH_A_PAGE: Final = 3
"""Orders of one type whose endings are read from the history; fewer are asked for one by one."""

BARREN_PAGES: Final = 3
"""Pages in a row without one of ours, after which the exchange has forgotten them, or has them under another type."""

BARREN_OF_ALGOS: Final = 1
"""The same of algo orders, of which we do not know the type: most likely these are of another one."""

ASKED_PER_LOOK: Final = 100
"""Orders asked for one by one; each look draws others, so that none is left out by its place."""

# the pause after a look that failed
_FAILED_S: Final = 1.0
_THROTTLED_S: Final = 2.0  # the exchange's window
_REFUSED_S: Final = 30.0  # credentials are mended by people


class Confirmer:
    """Looks for one worker, at the books of users for whom the gate is open.

    `stopping` ends a look after its present call; `deadline_s`: how long it tries for an order. `exchange_at` is the
    clock at a base URL at a time.monotonic() instant (s); it raises ExchangeError when it is not told.
    """

    def __init__(
        self,
        confirmations: Confirmations,
        book: Book,
        gate: Gate,
        stopping: Event,
        *,
        deadline_s: float,
        exchange_at: Callable[[str, float], Span],
    ) -> None:
        self._confirmations = confirmations
        self._book = book
        self._gate = gate
        self._stopping = stopping
        self._deadline_s = deadline_s
        self._exchange_at = exchange_at
        self._told = Counter[tuple[str, ...]]()
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="look")

    def look(self, uid: str) -> None:
        """Looks at the user's book, on a thread of its own."""
        if not self._gate.serves(uid):
            log.warning("book_of_unknown_user", uid=uid, hint="every worker needs every account")
        elif self._gate.is_open(uid) and not self._stopping.is_set():
            self._pool.submit(self._begin, uid)

    def stop(self) -> None:
        """The looks that are on end after their present call; `stopping` has been set."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _begin(self, uid: str) -> None:
        """One look, if no other worker looks; whatever it raises is logged here."""
        try:
            look = self._confirmations.begin(self._gate.user(uid))
            if look:
                self._confirmations.end(look, again_in_s=self._look(look))
        except RedisError as error:
            log.warning("look_failed", uid=uid, error=str(error))
        except ReadingStopped:
            return
        except Exception:  # the lease lapses, and the next look begins
            log.exception("look_failed", uid=uid)

    def _look(self, look: Look) -> float:
        """Reads and writes; seconds until the next look."""
        try:
            calls = self._read(look)
        except ExchangeError as error:
            log.warning("book_not_read", uid=look.user.uid, unconfirmed=len(look.jobs), error=str(error))
            if not self._gate.is_open(look.user.uid):  # another worker may be let in
                return SOON_S
            self._give_up(look, str(error))
            return _pause_s(error)
        return min(PAUSE_CAP_S, reading_pause_s(calls, least_s=SOON_S))

    def _read(self, look: Look) -> int:
        """One complete listing, then the endings; how many calls it took.

        Of algo orders the endings alone: seven lists cost more of the allowed rate than they tell.
        """
        calls, listed = 0, dict[tuple[str, str], Row]()
        look = look.dated(partial(self._exchange_at, look.user.base_url))
        keyed = [(_key(job), job) for job in look.jobs]
        wanted = {key for key, _ in keyed}
        for page in () if look.user.of_algos else self._book.open_orders(look.user):
            calls += 1
            self._confirmations.renew(look)
            listed.update((key, row) for row in page for key in _keys(row) if key in wanted)
        self._write([self._seen_open(job, listed[key]) for key, job in keyed if key in listed])
        ended = [job for key, job in keyed if key not in listed and not _waits(job)]
        for found in self._endings(look.user, ended):
            self._write(found)
            self._confirmations.renew(look)
            calls += 1
        self._give_up(look, "still not told how it ended")
        return calls

    def _endings(self, user: User, jobs: Sequence[Unconfirmed]) -> Iterator[list[Finding]]:
        """What each reading call told; of those that are asked for one by one, others with every look."""
        left = {job.id: job for job in jobs}
        named = [(ident, job.order, job) for job in jobs if (ident := job.exchange_id)]
        for of in self._histories(user):
            group = {ident: job for ident, order, job in named if job.id in left and _may_be_in(of, order)}
            before = len(left)
            for found in self._from_history(user, of, group):
                for finding in found:
                    left.pop(finding.job.id)
                yield found
            self._told[user.uid, *of.values()] = before - len(left)
        for job in random.sample(list(left.values()), min(len(left), ASKED_PER_LOOK)):
            yield self._ask_for(user, job)

    def _histories(self, user: User) -> Sequence[Mapping[str, str]]:
        """Those first that told the most the last time: of which type an algo order is, we do not know."""
        histories = ALGO_HISTORIES if user.of_algos else HISTORIES
        return sorted(histories, key=lambda of: -self._told[user.uid, *of.values()])

    def _from_history(
        self, user: User, of: Mapping[str, str], wanted: dict[str, Unconfirmed]
    ) -> Iterator[list[Finding]]:
        """Each page begins at the newest one still wanted; one that is not there is left for asking by itself."""
        barren, enough = 0, BARREN_OF_ALGOS if user.of_algos else BARREN_PAGES
        while len(wanted) >= WORTH_A_PAGE and barren < enough:
            newest = max(wanted, key=int)
            try:
                page = self._book.ended_orders(user, of, after=str(int(newest) + 1))
            except Refused as error:
                log.warning("history_refused", uid=user.uid, of=dict(of), error=str(error))
                return
            found = [seen_as(wanted.pop(row["ordId"]), row) for row in page if row.get("ordId", "") in wanted]
            wanted.pop(newest, None)
            barren = 0 if found else barren + 1
            yield found

    def _ask_for(self, user: User, job: Unconfirmed) -> list[Finding]:
        """How one order stands; what the exchange refuses to tell of it says nothing of the others."""
        order = job.order
        try:
            row = self._book.order(user, OrderRef(order.inst_id, job.exchange_id or None, order.cl_ord_id))
        except Refused as error:
            log.warning("order_not_told", order=job.id, error=str(error))
            return []
        return [seen_as(job, row)]

    def _seen_open(self, job: Unconfirmed, row: Row) -> Finding:
        """One whose time for confirming is over is not unconfirmed, but live: it goes again now."""
        return seen_open(replace(job, again=0) if job.since_s > self._deadline_s else job, row)

    def _give_up(self, look: Look, why: str) -> None:
        """Time in which nobody could read does not count. Those that are found meanwhile are left alone."""
        tried_s = self._gate.open_s(look.user.uid)
        late = [overdue(job, why) for job in look.jobs if min(job.since_s, tried_s) > self._deadline_s]
        if late:
            self._write(late)

    def _write(self, findings: Sequence[Finding]) -> None:
        report_written(self._confirmations.write(findings))


def _keys(row: Row) -> Iterator[tuple[str, str]]:
    """An open order is ours by its ordId, or by its client id where we know no ordId."""
    yield "", row.get("ordId", "")
    if row.get("clOrdId"):
        yield row.get("instId", ""), row["clOrdId"]


def _key(job: Unconfirmed) -> tuple[str, str]:
    ident, order = job.exchange_id, job.order
    return ("", ident) if ident else (order.inst_id, order.cl_ord_id or "")


def _waits(job: Unconfirmed) -> bool:
    """The exchange did not know it, and is asked once more, but not yet."""
    return bool(job.looks) and job.unknown_s < LOOK_AGAIN_AFTER_S


def _may_be_in(history: Mapping[str, str], order: JobId) -> bool:
    """Whether the exchange may list the order there; of what type an algo order is, we do not know."""
    if order.is_algo:
        return True
    found = type_of(order.inst_id)
    return history["instType"] in ({"SPOT", "MARGIN"} if found == "SPOT" else {found})


def _pause_s(error: ExchangeError) -> float:
    if isinstance(error, NotAuthorised):
        return _REFUSED_S
    return _THROTTLED_S if isinstance(error, Throttled) else _FAILED_S
