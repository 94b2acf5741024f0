"""Cancels everything that is open: lists the books of mass cancels and hands in what they mean, page by page.

An order is handed in as soon as its page is read: the listing goes on while it is cancelled. A listing belongs to one
worker for a lease that each page renews; if the worker dies, another one lists.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Final

import structlog
from redis.exceptions import RedisError

from bulk_cancel.tasks.errors import AdmissionError
from bulk_cancel.worker.books.book import Book, ReadingStopped
from bulk_cancel.worker.books.mass.flat import Seen, judge, too_late
from bulk_cancel.worker.books.mass.masses import Listing, MassEnded, Masses
from bulk_cancel.worker.config.gate import Gate
from bulk_cancel.worker.config.users import User
from bulk_cancel.worker.okx.client import Row
from bulk_cancel.worker.okx.errors import ExchangeError, NotAuthorised

log = structlog.get_logger(__name__)

AT_ONCE: Final = 16
"""Listings at the same time: one waits for slots and answers most of its time, and no account need wait for another."""

UNREADY_S: Final = 1.0
"""Another worker may know by then who the account is, or this one."""

FAILED_S: Final = 0.5
REFUSED_S: Final = 5.0
"""Credentials that were refused may be mended by somebody who waits for this."""


class MassCanceller:
    """The listings of one worker, of users for whom the gate is open.

    `lease_s` must be longer than a page may take; `exchange_ms` tells the exchange's time
    for a user, and raises ExchangeError when the exchange has not told it: no order's age is guessed.
    """

    def __init__(
        self,
        masses: Masses,
        book: Book,
        gate: Gate,
        stopping: Event,
        *,
        lease_s: float,
        exchange_ms: Callable[[User], float],
    ) -> None:
        self._masses = masses
        self._book = book
        self._gate = gate
        self._stopping = stopping
        self._lease_s = lease_s
        self._exchange_ms = exchange_ms
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="mass")

    def take_up(self, batch_id: str) -> None:
        """Makes the mass cancel's next listing, on a thread of its own."""
        if not self._stopping.is_set():
            self._pool.submit(self._begin, batch_id)

    def stop(self) -> None:
        """The listings that are on end after their present call; `stopping` has been set."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _begin(self, batch_id: str) -> None:
        """One listing, if no other worker lists; whatever it raises is logged here."""
        try:
            listing = self._masses.begin(batch_id, lease_s=self._lease_s)
            if listing:
                self._list(listing)
        except MassEnded:
            log.info("listing_left", batch=batch_id)
        except RedisError as error:  # the lease lapses, and the next listing begins
            log.warning("listing_failed", batch=batch_id, error=str(error))
        except Exception:
            log.exception("listing_failed", batch=batch_id)

    def _list(self, listing: Listing) -> None:
        """One listing, whatever comes of it."""
        mass = listing.mass
        if listing.left_s <= 0:
            self._masses.give_up(listing, state := too_late(listings=mass.listings))
            log.warning("mass_ended", batch=mass.batch_id, account=mass.account, state=state, why=mass.trouble)
            return
        if not self._gate.is_open(mass.uid):
            self._masses.hand_back(listing, again_in_s=UNREADY_S)
            return
        try:
            self._conclude(listing, self._read(listing))
        except (ExchangeError, AdmissionError, RedisError) as error:  # one that Redis refused must not count as flat
            log.warning("listing_incomplete", batch=mass.batch_id, account=mass.account, error=str(error))
            again_in_s = REFUSED_S if isinstance(error, NotAuthorised) else FAILED_S
            why = error.told if isinstance(error, ExchangeError) else str(error)
            self._masses.interrupt(listing, why, again_in_s=again_in_s)
        except ReadingStopped:
            self._masses.hand_back(listing, again_in_s=0)

    def _read(self, listing: Listing) -> Seen:
        """One complete listing; what is meant is handed in before the next page is asked for."""
        mass, matching, calls = listing.mass, 0, 0
        left_out: Counter[str] = Counter()
        for asked, page in self._pages(listing):
            meant = []
            now_ms = self._exchange_ms(self._gate.users[mass.uid]) if mass.scope.needs_clock else 0.0
            for row in page:
                if why := mass.scope.leaves_out(row, now_ms=now_ms):
                    left_out[why] += 1
                else:
                    meant.append(row)
            if meant:
                self._masses.admit(asked, meant)
            matching, calls = matching + len(meant), calls + 1
        return Seen(listing.now_us, listing.wall_us, matching, calls, left_out)

    def _pages(self, listing: Listing) -> Iterator[tuple[Listing, list[Row]]]:
        """Each page, and the lease as it was renewed before the page was asked for."""
        mass = listing.mass
        pages = self._book.open_orders(self._gate.users[mass.uid], mass.scope.by_exchange)
        while True:
            listing = self._masses.go_on(listing, lease_s=self._lease_s)
            page = next(pages, None)
            if page is None:
                return
            yield listing, page

    def _conclude(self, listing: Listing, seen: Seen) -> None:
        mass = listing.mass
        verdict = judge(
            seen,
            until_flat_s=mass.until_flat_s,
            flat_since_us=mass.flat_since_us,
            flat_wall_us=mass.flat_wall_us,
        )
        self._masses.end(listing, seen, verdict)
        if verdict.ended:
            log.info("mass_ended", batch=mass.batch_id, account=mass.account, state=verdict.state)
