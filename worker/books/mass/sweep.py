"""One sweep of the products that a mass cancel ends: a part of a listing, beside the reading of its orders.

Bots first, since they place orders; spreads and RFQs when the orders are handed in. What was found is kept before it
is asked to end, so no death of a worker hides it; to ask again is harmless.
"""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Final

from bulk_cancel.worker.books.mass.masses import Listing, Masses
from bulk_cancel.worker.books.mass.products import Kind, Products
from bulk_cancel.worker.books.mass.stopper import Stopper
from bulk_cancel.worker.okx.errors import ExchangeError
from bulk_cancel.worker.okx.sources import kind_words
from bulk_cancel.worker.okx.stops import GROUPS, Found

WAIT_S: Final = 1.0
"""For so long orders wait for bots, and stops for spreads: what hangs there must not hold up a cancel."""

OPEN_US: Final = 500_000
"""Between two sweeps while products are left: orders are listed more often."""

HOLD_US: Final = 2_000_000
"""The same of a mass cancel that is on hold and flat: lists of RFQs may be asked for once a second."""


class Sweep(AbstractContextManager["Sweep"]):
    """A sweep, if one is due, on threads of its own; its block ends when its present calls do.

    `end` raises what came of it: ReadingStopped, MassEnded, redis-py's errors. The rest raises nothing.
    """

    def __init__(self, masses: Masses, stopper: Stopper, listing: Listing, *, lease_s: float) -> None:
        self._masses = masses
        self._stopper = stopper
        self._listing = listing
        self._lease_s = lease_s
        self._products = listing.mass.products
        self._due = _is_due(listing)
        self._begun: set[str] = set()
        self._parts: list[Future[None]] = []
        self._failed: dict[str, str] = {}
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="sweep")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing more is begun."""
        self._pool.shutdown(cancel_futures=True)

    def begin(self, *groups: str) -> None:
        """Lists these kinds and asks them to end, as far as they are meant, once; on threads of its own."""
        meant = [group for group in groups if group in self._listing.mass.scope.with_ and group not in self._begun]
        if meant and self._due:
            self._begun |= {*meant}
            names = [name for group in meant for name in GROUPS[group]]
            self._parts.append(self._pool.submit(self._sweep, names))

    def wait(self) -> None:
        """Until what was begun has been asked to end, but not for long."""
        wait(self._parts, timeout=WAIT_S)

    def is_over(self, *, within_s: float) -> bool:
        """Whether all that was begun has ended, waited for."""
        return not wait(self._parts, timeout=within_s).not_done

    @property
    def quiet(self) -> bool:
        """Whether no product is left, as far as this sweep has come."""
        return all(part.done() for part in self._parts) and not self._failed and not self._products.open

    def failed(self, name: str, why: str) -> None:
        """A list that is read beside it could not be."""
        self._failed[name] = why

    @property
    def trouble(self) -> str:
        """Which lists could not be read, and why: whether the scope is flat is not known then."""
        return "; ".join(f"{kind_words(name)}s: {why}" for name, why in self._failed.items())

    def end(self) -> int:
        """How many products keep the scope from being flat, once it is over; with `trouble` there may be more."""
        for part in self._parts:
            part.result()
        if self._parts and not self._failed:
            self._note(Products(self._products.kinds, self._listing.now_us))
        return self._products.open

    def _sweep(self, names: Sequence[str]) -> None:
        with ThreadPoolExecutor(len(names), thread_name_prefix="products") as pool:
            for name, rows in zip(names, pool.map(self._listed, names), strict=True):
                if rows is not None:
                    self._products = self._products.put(name, self._products.of(name).listed(rows))
            self._note(self._products)
            self._ask(pool, [name for name in names if name not in self._failed])

    def _ask(self, pool: ThreadPoolExecutor, names: Sequence[str]) -> None:
        paused, now_us, known = self._masses.paused(), self._listing.now_us, self._products

        def ask(name: str) -> Kind:
            return self._stopper.ask(name, known.of(name), now_us, paused)

        for name, kind in zip(names, pool.map(ask, names), strict=True):
            self._products = self._products.put(name, kind)
        self._note(self._products)

    def _listed(self, name: str) -> dict[str, Found] | None:
        try:
            return self._stopper.listed(name, self._products.of(name))
        except ExchangeError as error:
            self._failed[name] = error.told
            return None

    def _note(self, products: Products) -> None:
        self._products = products
        self._masses.note(self._listing, products, lease_s=self._lease_s)


def _is_due(listing: Listing) -> bool:
    mass, products = listing.mass, listing.mass.products
    if not products.swept_us:
        return True
    pause_us = OPEN_US if products.open else HOLD_US if mass.hold and mass.flat else 0
    return listing.now_us - products.swept_us >= pause_us
