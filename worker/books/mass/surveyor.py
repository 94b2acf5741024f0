"""Looks, after each mass cancel, and on hold while it is flat, at what can still place orders: no cancel waits for it.

Its windows are its own. If the worker dies, another one looks.
"""

import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as Unfinished
from dataclasses import replace
from functools import partial
from logging import WARNING
from threading import Event
from typing import Final

import structlog
from redis.exceptions import RedisError

from bulk_cancel.worker.alerts.alerts import Notice, alert
from bulk_cancel.worker.books.able import FIRED, Able, Survey
from bulk_cancel.worker.books.book import Book, ReadingStopped
from bulk_cancel.worker.books.mass.masses import Masses
from bulk_cancel.worker.books.mass.scope import Scope
from bulk_cancel.worker.books.mass.state import Mass
from bulk_cancel.worker.books.mass.threads import UNREADY_S, MassThreads
from bulk_cancel.worker.books.survey import survey
from bulk_cancel.worker.config.gate import Gate
from bulk_cancel.worker.config.users import User
from bulk_cancel.worker.okx.answers import Row
from bulk_cancel.worker.okx.errors import ExchangeError
from bulk_cancel.worker.okx.sources import SourceList

log = structlog.get_logger(__name__)

AT_ONCE: Final = 4
"""Surveys at the same time, each with six calls at once."""

STOPS_S: Final = 1.0
"""The TP/SL of an order is placed when it is filled, or cancelled when a part was; how soon is stated nowhere."""


class Surveyor(MassThreads):
    """The surveys of one worker, of users for whom the gate is open; `lease_s` is renewed while one is on."""

    def __init__(self, masses: Masses, book: Book, gate: Gate, stopping: Event, *, lease_s: float) -> None:
        super().__init__(masses, book, gate, stopping, lease_s=lease_s, at_once=AT_ONCE, name="surveyor")

    def _begin(self, batch_id: str) -> None:
        """The survey after a mass cancel that is over, or on hold and flat, if no other worker makes it.

        Whatever it raises is logged here, and another one begins.
        """
        try:
            ident = uuid.uuid4().hex
            mass = self._masses.survey_begin(batch_id, ident, lease_s=self._lease_s)
            if mass:
                self._make(mass, ident)
        except ReadingStopped:
            return
        except RedisError as error:
            log.warning("survey_failed", batch=batch_id, error=str(error))
        except Exception:
            log.exception("survey_failed", batch=batch_id)

    def _make(self, mass: Mass, ident: str) -> None:
        if not self._gate.is_open(mass.uid):
            self._masses.survey_end(mass.batch_id, ident, None, again_in_s=UNREADY_S)
            return
        if self._masses.left_stops(mass.batch_id):
            self._stopping.wait(STOPS_S)
        seen = self._read(mass, ident)
        tell_incomplete(mass, seen)
        self._masses.survey_end(mass.batch_id, ident, seen, held=mass.on_hold)

    def _read(self, mass: Mass, ident: str) -> Survey:
        """On another thread, since the lease has to be renewed meanwhile: a list may have many pages."""
        with ThreadPoolExecutor(1, thread_name_prefix="surveying") as pool:
            reading = pool.submit(self._look, mass)
            while True:
                try:
                    return reading.result(timeout=self._lease_s / 3)
                except Unfinished:
                    self._masses.survey_begin(mass.batch_id, ident, lease_s=self._lease_s)

    def _look(self, mass: Mass) -> Survey:
        """Sources first: what one of them placed before its list was read is in the list of orders, read after it."""
        user = self._gate.users[mass.uid]
        seen = survey(self._book, user, partial(_counts, mass))
        if mass.hold:  # its listings go on, and what comes after its release is nobody's wish
            return seen
        try:
            fired = Counter(row["instId"] for row in self._open_orders(user, mass.scope) if row.get("algoId"))
        except ExchangeError as error:
            return replace(seen, unknown={**seen.unknown, "order": error.told})
        return replace(seen, able=(Able(FIRED, fired.total(), fired), *seen.able)) if fired else seen

    def _open_orders(self, user: User, scope: Scope) -> Iterator[Row]:
        """Those that are meant, however young."""
        scope = replace(scope, min_age_s=None)
        rows = (row for page in self._book.open_orders(user, scope.by_exchange) for row in page)
        return (row for row in rows if not scope.leaves_out(row, now_ms=0.0))


def tell_incomplete(mass: Mass, seen: Survey) -> None:
    """Unless it is complete, or the last look on hold saw the same.

    Called before it is written down, so it may come twice. A worker that is killed takes along what log and webhook
    have not taken yet.
    """
    if seen.complete or seen == mass.survey:
        return
    about = {"batch": mass.batch_id, "account": mass.account, "scope": mass.scope.asked, "hold": mass.hold}
    facts = {**about, "state": mass.state, "what": seen.words, **seen.said}
    alert(Notice.MASS_INCOMPLETE, mass.batch_id, facts, level=WARNING)


def _counts(mass: Mass, listed: SourceList, row: Row) -> bool:
    """Whether it could place orders that are meant, is not kept by choice, and not known to be somebody else's."""
    return mass.scope.leaves_able(row) and not mass.products.is_others(listed.name, row.get(listed.ident, ""))
