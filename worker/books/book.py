"""Reads the exchange's books: open orders, and how orders ended. Every call keeps to its own exact window."""

import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from threading import Event
from typing import Final, TypeVar

import structlog
from redis.exceptions import RedisError

from bulk_cancel.worker.config.users import User
from bulk_cancel.worker.okx.answers import Answer
from bulk_cancel.worker.okx.client import OkxClient, Row
from bulk_cancel.worker.okx.credentials import Credentials
from bulk_cancel.worker.okx.errors import DeadlinePassed, ExchangeError, NeverSent, NotAuthorised, OutcomeUnknown
from bulk_cancel.worker.okx.orders import OrderRef
from bulk_cancel.worker.okx.sources import BY_NAME, SourceList, as_order
from bulk_cancel.worker.okx.stops import Stop
from bulk_cancel.worker.state.ids import lane_of
from bulk_cancel.worker.state.scripts import Scripts
from bulk_cancel.worker.state.window import WRITE_WITHIN_S, Timing

log = structlog.get_logger(__name__)

T = TypeVar("T")

ALGO_READS: Final = 20
"""Readings in a window of single algo orders, and of their history."""


GRID_READS: Final = 20
"""Readings in a window of single grid bots."""


class ReadingStopped(Exception):  # noqa: N818 (says what happened)
    """The process ends: the reading was given up between two calls."""


class Book:
    """Reads one exchange's books for any of our users. Thread-safe.

    Every method raises the client's errors, redis-py's, and ReadingStopped once `stopping` is set; each waits for its
    slot, and uses the user's first account that the exchange lets in.
    """

    def __init__(self, scripts: Scripts, client: OkxClient, timing: Timing, stopping: Event) -> None:
        self._scripts = scripts
        self._client = client
        self._timing = timing
        self._stopping = stopping

    def open_orders(self, user: User, filters: Mapping[str, str] | None = None) -> Iterator[list[Row]]:
        """Every open order that the exchange's `filters` leave, newest first, page by page.

        Once exhausted, the listing is complete: an order that was open all the while was in it, since a page begins
        after an ordId, not at a place in a list that shifts. Only an empty page, which is given, too, is the last: a
        short one may be all that the exchange gives at once. OutcomeUnknown if a page repeats an order.
        """
        return _pages(lambda after: self._page(user, filters or {}, after), "ordId")

    def algo_orders(self, user: User, lists: Iterable[str], filters: Mapping[str, str]) -> Iterator[list[Row]]:
        """The same of algo orders: those of each list, in the words of orders (`as_order`).

        The exchange's `filters` are instType and instId. A list that is not on demo, or that the exchange does
        not know any more, is an empty one.
        """
        for listed in (BY_NAME[name] for name in lists):
            try:
                for page in self._source_pages(user, listed, filters):
                    yield [as_order(row) for row in page]
            except ExchangeError as error:
                if not listed.is_unavailable(error.code):
                    raise
                yield []

    def ended_orders(self, user: User, of: Mapping[str, str], after: str) -> list[Row]:
        """One page of ended orders, newest first, older than the ordId `after`; `of` is one of `HISTORIES`.

        Of algo orders: of one of `ALGO_HISTORIES`.
        """
        if user.of_algos:
            found = self._ask_owner(
                user,
                "algo_history",
                ALGO_READS,
                lambda account, by: self._client.ended_algos(account, of=of, after=after, write_by=by),
            )
            return [as_order(row) for row in found]
        return self.ask(
            user,
            f"{user.uid}:history",
            user.reading.history,
            lambda account, by: self._client.orders_history(
                account, inst_type=of["instType"], after=after, write_by=by
            ),
        )

    def sources(self, user: User, listed: SourceList) -> Iterator[Row]:
        """Every row of a list of what can place orders; complete as `open_orders` is, and with the same errors."""
        return (row for page in self._source_pages(user, listed, {}) for row in page)

    def stop(self, user: User, stop: Stop, named: Sequence[tuple[str, str]]) -> Answer:
        """Asks to end products, each named by id and instrument; the answer is no end, the lists tell that."""
        return self._ask_owner(
            user, stop.meter, stop.limit, lambda account, by: self._client.stop(account, stop, named, write_by=by)
        )

    def stop_all(self, user: User, stop: Stop, narrowed: Mapping[str, str]) -> Answer:
        """Asks to end all products of a list, or those of the spread that `narrowed` names by its `sprdId`."""
        return self._ask_owner(
            user,
            stop.meter,
            stop.limit,
            lambda account, by: self._client.stop_all(account, stop, narrowed, write_by=by),
        )

    def grid(self, user: User, listed: SourceList, algo_id: str) -> Row:
        """One grid bot as it stands, also after its end; empty when the exchange tells of none."""
        return self._ask_owner(
            user,
            "grid_details",
            GRID_READS,
            lambda account, by: self._client.grid(account, listed, algo_id, write_by=by),
        )

    def _source_pages(self, user: User, listed: SourceList, filters: Mapping[str, str]) -> Iterator[list[Row]]:
        if not listed.after:
            return iter([self._sources(user, listed, filters, None)])
        return _pages(lambda after: self._sources(user, listed, filters, after), listed.ident)

    def order(self, user: User, ref: OrderRef) -> Row:
        """One order as it stands; empty when the exchange knows none (any more)."""
        if user.of_algos:
            found = self._ask_owner(
                user,
                "algo_order",
                ALGO_READS,
                lambda account, by: self._client.algo(account, ref, write_by=by),
            )
            return as_order(found)
        return self.ask(
            user,
            f"{lane_of(user.uid, ref.instId)}:order",
            user.reading.order,
            lambda account, by: self._client.order(account, ref, write_by=by),
        )

    def _sources(self, user: User, listed: SourceList, filters: Mapping[str, str], after: str | None) -> list[Row]:
        return self._ask_owner(
            user,
            listed.meter,
            listed.limit,
            lambda account, by: self._client.sources(account, listed, filters=filters, after=after or "", write_by=by),
        )

    def _page(self, user: User, filters: Mapping[str, str], after: str | None) -> list[Row]:
        return self.ask(
            user,
            f"{user.uid}:pending",
            user.reading.pending,
            lambda account, by: self._client.orders_pending(account, filters=filters, after=after, write_by=by),
        )

    def _ask_owner(self, user: User, meter: str, limit: int, call: Callable[[Credentials, float], T]) -> T:
        """A call that no setting limits, under a meter of the owner of all that the user has."""
        return self.ask(user, f"{user.owner}:{meter}", user.reading.part_of(limit), call)

    def ask(self, user: User, meter: str, limit: int, call: Callable[[Credentials, float], T]) -> T:
        """One call that weighs one slot of the meter; `call` gets the account and the monotonic instant to write by."""
        for account in user.accounts[:-1]:
            try:
                return self._ask_as(account, meter, limit, call)
            except NotAuthorised as error:
                log.info("reading_refused", account=account.name, error=str(error))
        return self._ask_as(user.accounts[-1], meter, limit, call)

    def _ask_as(self, account: Credentials, meter: str, limit: int, call: Callable[[Credentials, float], T]) -> T:
        slot = uuid.uuid4().hex
        asked_at = self._take(meter, slot, limit)
        came = "settle"
        try:
            return call(account, asked_at + WRITE_WITHIN_S)
        except ExchangeError as error:
            came = _slot_after(error)
            raise
        finally:
            self._settle(meter, slot, came)

    def _take(self, meter: str, slot: str, limit: int) -> float:
        """Waits for a slot; the monotonic instant from just before it was asked for."""
        argument = {
            "meter": meter,
            "call": slot,
            "limit": limit,
            "window_us": self._timing.window_us,
            "open_us": self._timing.open_us,
            "blackout_us": self._timing.blackout_us,
        }
        while True:
            asked_at = time.monotonic()
            wait_us = self._scripts.run("slot_take", argument)["wait"]
            if not wait_us and not self._stopping.is_set():
                return asked_at
            if self._stopping.wait(wait_us / 1e6):
                raise ReadingStopped

    def _settle(self, meter: str, slot: str, came: str) -> None:
        """A slot that cannot be settled ends by itself, only later."""
        argument = {"meter": meter, "call": slot, "slots": came, "window_us": self._timing.window_us}
        try:
            self._scripts.run("slot_settle", argument)
        except RedisError as error:
            log.warning("slot_not_settled", meter=meter, error=str(error))


def _pages(read: Callable[[str | None], list[Row]], ident: str) -> Iterator[list[Row]]:
    """Each page begins after the last id, named by the field `ident`, of the page before; the last one is empty."""
    seen: set[str] = set()
    after = None
    while True:
        page = read(after)
        ids = {row.get(ident, "") for row in page}
        if "" in ids or len(ids) < len(page) or ids & seen:
            raise OutcomeUnknown(f"a list repeats an {ident}, or names none")
        seen |= ids
        yield page
        if not page:
            return
        after = page[-1][ident]


def _slot_after(error: ExchangeError) -> str:
    if isinstance(error, NeverSent):
        return "release"
    return "keep" if isinstance(error, DeadlinePassed) else "settle"
