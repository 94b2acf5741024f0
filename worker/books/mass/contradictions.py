"""Asks for the orders that the private channel told of and no listing shows, before a scope is called flat."""

from collections.abc import Callable
from typing import Final

from bulk_cancel.worker.books.book import Book
from bulk_cancel.worker.books.mass.masses import Listing, Masses
from bulk_cancel.worker.books.mass.opened import ToldOrders
from bulk_cancel.worker.books.mass.told import contradicting, in_words
from bulk_cancel.worker.config.users import User
from bulk_cancel.worker.okx.answers import Row
from bulk_cancel.worker.okx.orders import ENDED, OPEN, OrderRef

ASKED: Final = 20
"""Orders asked for after one listing, less than a second of what one instrument may be asked; others follow."""

REMEMBERED: Final = 10_000
"""Orders that ended although no push told of it: on hold the same scope is listed again and again."""


class Contradictions:
    """What another witness says of scopes whose listings were empty; each call renews its listing for `lease_s`."""

    def __init__(
        self,
        masses: Masses,
        told: ToldOrders,
        book: Book,
        *,
        lease_s: float,
        exchange_ms: Callable[[User], float],
    ) -> None:
        self._masses = masses
        self._told = told
        self._book = book
        self._lease_s = lease_s
        self._exchange_ms = exchange_ms
        self._ended: dict[str, None] = {}

    def of(self, listing: Listing, user: User, *, since_us: int) -> str:
        """Why the scope, empty since then by its listings, may hold orders all the same; "" if nothing says so.

        One that proves to be open is handed in. Raises the book's errors, and MassEnded.
        """
        told = self._told.read(user.uid)
        if told is None:
            return ""
        scope = listing.mass.scope
        listing = self._masses.go_on(listing, lease_s=self._lease_s)
        now_ms = self._exchange_ms(user) if scope.needs_clock else 0.0
        rows = contradicting(told, scope, since_us=since_us, now_us=listing.now_us, now_ms=now_ms)
        self._ask(listing, user, [row for row in rows if row["ordId"] not in self._ended][:ASKED])
        left = [row["ordId"] for row in rows if row["ordId"] not in self._ended]
        return in_words(left) if left else ""

    def _ask(self, listing: Listing, user: User, rows: list[Row]) -> None:
        """How each of them stands, up to one that the exchange does not know: it is blind for the others, too."""
        for row in rows:
            listing = self._masses.go_on(listing, lease_s=self._lease_s)
            found = self._book.order(user, OrderRef(row["instId"], row["ordId"]))
            if found.get("state") in OPEN:
                self._masses.admit(listing, [found])
            elif found.get("state") in ENDED:
                self._remember(row["ordId"])
            else:
                return

    def _remember(self, order_id: str) -> None:
        if len(self._ended) >= REMEMBERED:
            self._ended = {}  # some are asked for once more
        self._ended[order_id] = None
