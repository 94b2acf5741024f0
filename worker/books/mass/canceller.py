"""Cancels everything that is open: lists the books of mass cancels and hands in what they mean, page by page.

An order is handed in as soon as its page is read: the listing goes on while it is cancelled. A listing belongs to one
worker for a lease that each page renews; if the worker dies, another one lists.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from threading import Event
from typing import Final

import structlog
from redis.exceptions import RedisError

from bulk_cancel.tasks.errors import AdmissionError
from bulk_cancel.worker.books.book import Book, ReadingStopped
from bulk_cancel.worker.books.mass.contradictions import Contradictions
from bulk_cancel.worker.books.mass.flat import Seen, judge, pause_s, too_late
from bulk_cancel.worker.books.mass.masses import Listing, MassEnded, Masses
from bulk_cancel.worker.books.mass.scope import Scope
from bulk_cancel.worker.books.mass.state import Mass
from bulk_cancel.worker.books.mass.stopper import Stopper
from bulk_cancel.worker.books.mass.sweep import Sweep
from bulk_cancel.worker.books.mass.threads import UNREADY_S, MassThreads
from bulk_cancel.worker.config.gate import Gate
from bulk_cancel.worker.config.users import ALGOS, User
from bulk_cancel.worker.okx.client import Row
from bulk_cancel.worker.okx.errors import ExchangeError, NotAuthorised
from bulk_cancel.worker.okx.sources import PARENTS, STOPS, protects

log = structlog.get_logger(__name__)

AT_ONCE: Final = 16
"""Listings at the same time: one waits for slots and answers most of its time, and no account need wait for another."""

FAILED_S: Final = 0.5
REFUSED_S: Final = 5.0
"""Credentials that were refused may be mended by somebody who waits for this."""


class Outdated(Exception):  # noqa: N818 (says what happened)
    """The last order has ended since this listing began, so it cannot count as flat: one that begins now can."""


Books = Iterator[tuple[str, Iterator[list[Row]]]]
"""Whose orders are listed, and the pages of each; the next is asked for when those before have been read."""


class MassCanceller(MassThreads):
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
        contradictions: Contradictions,
    ) -> None:
        super().__init__(masses, book, gate, stopping, lease_s=lease_s, at_once=AT_ONCE, name="mass")
        self._exchange_ms = exchange_ms
        self._contradictions = contradictions

    def _begin(self, batch_id: str) -> None:
        """The next listing, if no other worker lists; whatever it raises is logged here."""
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
        if listing.left_s <= 0 and not mass.hold:
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
            barred = not self._gate.is_open(mass.uid)  # another worker may be let in
            again_in_s = REFUSED_S if isinstance(error, NotAuthorised) and not barred else FAILED_S
            why = error.told if isinstance(error, ExchangeError) else str(error)
            self._masses.interrupt(listing, why, again_in_s=again_in_s)
        except (ReadingStopped, Outdated):
            self._masses.hand_back(listing, again_in_s=0)

    def _read(self, listing: Listing) -> Seen:
        """One complete listing; what is meant is handed in before the next page is asked for."""
        mass = listing.mass
        with self._sweep(listing) as sweep:
            seen = self._read_orders(listing, sweep, self._books(mass, sweep))
            while not sweep.is_over(within_s=pause_s(seen.calls)):  # no order waits for products that are slow
                seen = seen.again(self._read_orders(listing, sweep, self._books(mass, sweep)))
            if mass.scope.with_algos and not seen.matching:  # a stop may have fired before its list was read
                later = self._read_orders(listing, sweep, self._orders(mass))
                seen = seen.again(replace(later, left_out=Counter(seen.left_out) | Counter(later.left_out)))
            left = sweep.end()
        if sweep.trouble:
            log.warning("products_not_listed", batch=mass.batch_id, account=mass.account, why=sweep.trouble)
        return replace(seen, matching=seen.matching + left, trouble=sweep.trouble)

    def _sweep(self, listing: Listing) -> Sweep:
        mass = listing.mass
        stopper = Stopper(self._book, self._gate.user(mass.uid), mass.scope)
        return Sweep(self._masses, stopper, listing, lease_s=self._lease_s)

    def _renew(self, listing: Listing) -> Listing:
        return self._masses.go_on(listing, lease_s=self._lease_s)

    def _read_orders(self, listing: Listing, sweep: Sweep, books: Books) -> Seen:
        mass, matching, others, calls, algo_calls, earliest_us = listing.mass, 0, 0, 0, 0, 0
        left_out: Counter[str] = Counter()
        for asked, holder, page in self._pages(listing, books):
            meant = []
            now_ms = self._exchange_ms(self._gate.users[mass.uid]) if mass.scope.needs_clock else 0.0
            for row in page:
                if why := mass.scope.leaves_out(row, now_ms=now_ms):
                    left_out[why] += 1
                else:
                    meant.append(row)
            others += sum(not protects(row) for row in meant)
            busy = others or not sweep.quiet  # stops go when nothing else is left
            now = [row for row in meant if not (busy and protects(row))]
            if now:
                earliest_us = max(earliest_us, self._masses.admit(asked, now, holder=holder))
            matching, calls = matching + len(meant), calls + 1
            algo_calls += holder != mass.uid
        return Seen(listing.now_us, listing.wall_us, matching, calls, left_out, algo_calls, earliest_us=earliest_us)

    def _pages(self, listing: Listing, books: Books) -> Iterator[tuple[Listing, str, list[Row]]]:
        """Each page with whose it is, and the lease as it was renewed before the page was asked for."""
        begun = listing
        for holder, pages in books:
            while True:
                listing = self._renew(begun)
                if begun.waiting and not listing.waiting and begun.mass.scope.with_algos:
                    raise Outdated
                page = next(pages, None)
                if page is None:
                    break
                yield listing, holder, page

    def _books(self, mass: Mass, sweep: Sweep) -> Books:
        """What places orders first, so that what it places meanwhile is found behind it; then orders, then stops."""
        scope = mass.scope
        sweep.begin("bots")
        if scope.with_algos:
            algos = self._gate.user(mass.uid + ALGOS)
            yield algos.uid, self._algos(algos, PARENTS, scope, sweep)
        sweep.wait()
        yield from self._orders(mass)
        sweep.begin("spreads", "rfqs")
        if scope.with_algos:
            sweep.wait()
            yield algos.uid, self._algos(algos, STOPS, scope, sweep)

    def _orders(self, mass: Mass) -> Books:
        yield mass.uid, self._book.open_orders(self._gate.user(mass.uid), mass.scope.by_exchange)

    def _algos(self, algos: User, lists: Sequence[str], scope: Scope, sweep: Sweep) -> Iterator[list[Row]]:
        """A list that cannot be read keeps the scope from being flat, and no order from being cancelled."""
        for name in lists:
            try:
                yield from self._book.algo_orders(algos, [name], scope.for_algos)
            except ExchangeError as error:
                sweep.failed(name, error.told)

    def _conclude(self, listing: Listing, seen: Seen) -> None:
        mass = listing.mass
        verdict = judge(
            seen,
            until_flat_s=mass.until_flat_s,
            flat_since_us=mass.flat_since_us,
            flat_wall_us=mass.flat_wall_us,
            hold=mass.hold,
            leaves_orders=bool(mass.scope.with_),
            waiting=listing.waiting,
        )
        if verdict.flat and verdict.flat_since_us is not None:
            user = self._gate.user(mass.uid)
            if why := self._contradictions.of(listing, user, since_us=verdict.flat_since_us):
                log.warning("listing_contradicted", batch=mass.batch_id, account=mass.account, why=why)
                self._masses.interrupt(listing, why, again_in_s=FAILED_S)
                return
        self._masses.end(listing, seen, verdict)
        if verdict.ended:
            log.info("mass_ended", batch=mass.batch_id, account=mass.account, state=verdict.state)
