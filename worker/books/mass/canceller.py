"""Who cancels everything that is open? Lists the books of mass cancels and hands in what they mean, page by page.

An order is handed in as soon as its page is read: the listing goes on while it is cancelled. A listing belongs to one
worker for a lease that each page renews; if the worker dies, another one lists.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Final

import structlog
from redis.exceptions import RedisError

from bulk_cancel.tasks.errors import AdmissionError
from bulk_cancel.worker.books.book import Book, ReadingStopped
from bulk_cancel.worker.books.mass.flat import Seen, judge, too_late
from bulk_cancel.worker.books.mass.masses import Listing, MassEnded, Masses
from bulk_cancel.worker.config.users import User
from bulk_cancel.worker.okx.client import Row
from bulk_cancel.worker.okx.errors import ExchangeError, NotAuthorised

log = structlog.get_logger(__name__)

AT_ONCE: Final = 16
UNREADY_S: Final = 1.0
FAILED_S: Final = 0.5
REFUSED_S: Final = 5.0
"""Credentials that were refused may be mended by somebody who waits for this."""


class MassCanceller:
    """The listings of one worker. `users`: whose books it may read once they are admitted.

    `lease_s` must be longer than a page may take; `exchange_ms` tells the exchange's time for a user.
    """

    def __init__(
        self,
        masses: Masses,
        book: Book,
        users: Mapping[str, User],
        stopping: Event,
        *,
        lease_s: float,
        exchange_ms: Callable[[User], float],
    ) -> None:
        self._masses = masses
        self._book = book
        self._users = users
        self._stopping = stopping
        self._lease_s = lease_s
        self._exchange_ms = exchange_ms
        self._admitted: set[str] = set()
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="mass")

    def admit_user(self, uid: str) -> None:
        """From now on this user's book may be read."""
        self._admitted.add(uid)

    def take_up(self, batch_id: str) -> None:
        """Makes the mass cancel's next listing, on a thread of its own."""
        if not self._stopping.is_set():
            self._pool.submit(self._survive, batch_id)

    def stop(self) -> None:
        """The listings that are on end after their present call; `stopping` has been set."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _survive(self, batch_id: str) -> None:
        try:
            listing = self._masses.begin(batch_id, lease_s=self._lease_s)
            if listing:
                self._list(listing)
        except MassEnded:
            log.info("listing_left", batch=batch_id)
        except RedisError as error:  # the lease lapses, and the next listing begins
            log.warning("listing_failed", batch=batch_id, error=str(error))
        except Exception:
            log.exception("listing_broke", batch=batch_id)

    def _list(self, listing: Listing) -> None:
        """One listing, whatever comes of it."""
        mass = listing.mass
        if listing.left_s <= 0:
            self._masses.give_up(listing, state := too_late(listings=mass.listings))
            log.warning("mass_ended", batch=mass.batch_id, account=mass.account, state=state, why=mass.trouble)
            return
        if mass.uid not in self._admitted:
            self._masses.hand_back(listing, again_in_s=UNREADY_S)
            return
        try:
            self._conclude(listing, self._read(listing))
        except (ExchangeError, AdmissionError) as error:
            log.warning("listing_incomplete", batch=mass.batch_id, account=mass.account, error=str(error))
            again_in_s = REFUSED_S if isinstance(error, NotAuthorised) else FAILED_S
            self._masses.interrupt(listing, f"{type(error).__name__}: {error}", again_in_s=again_in_s)
        except ReadingStopped:
            self._masses.hand_back(listing, again_in_s=0)

    def _read(self, listing: Listing) -> Seen:
        """One complete listing; what is meant is handed in before the next page is asked for."""
        mass, matching, calls = listing.mass, 0, 0
        left_out: Counter[str] = Counter()
        for asked, page in self._pages(listing):
            meant = []
            now_ms = self._exchange_ms(self._users[mass.uid])
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
        pages = self._book.open_orders(self._users[mass.uid], mass.scope.by_exchange)
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
