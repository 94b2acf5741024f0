"""The exchange's calls: one method each, a single signed HTTP request that is never repeated.

The client is thread safe. Every call takes a connection of its own, must be written by `write_by` and must be
answered within `timeout_s` of its first byte.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar
from urllib.parse import urlencode

import requests
from requests.structures import CaseInsensitiveDict
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from bulk_cancel.worker.okx.answers import Answer
from bulk_cancel.worker.okx.bodies import read_answer, read_rows, read_whole_rows
from bulk_cancel.worker.okx.clock import Clock
from bulk_cancel.worker.okx.codes import Scope, lookup
from bulk_cancel.worker.okx.credentials import Credentials
from bulk_cancel.worker.okx.errors import ExchangeError, NotAuthorised, OutcomeUnknown, Refused
from bulk_cancel.worker.okx.orders import OrderRef
from bulk_cancel.worker.okx.signing import signed_headers, timestamp
from bulk_cancel.worker.okx.sources import SourceList
from bulk_cancel.worker.okx.stops import Stop
from bulk_cancel.worker.okx.wire.calls import Calls
from bulk_cancel.worker.okx.wire.connection import Wire
from bulk_cancel.worker.okx.wire.flights import Came
from bulk_cancel.worker.okx.wire.pool import Pool
from bulk_cancel.worker.okx.wire.sockets import tls_context

CANCEL = "/api/v5/trade/cancel-order"
CANCEL_BATCH = "/api/v5/trade/cancel-batch-orders"
CANCEL_ALGOS = "/api/v5/trade/cancel-algos"
ALGO = "/api/v5/trade/order-algo"
ALGOS_HISTORY = "/api/v5/trade/orders-algo-history"
GRID = "/api/v5/tradingBot/grid/orders-algo-details"
PLACE_BATCH = "/api/v5/trade/batch-orders"
INSTRUMENTS = "/api/v5/public/instruments"
TICKER = "/api/v5/market/ticker"
ORDER = "/api/v5/trade/order"
ORDERS_PENDING = "/api/v5/trade/orders-pending"
ORDERS_HISTORY = "/api/v5/trade/orders-history"
CANCEL_ALL_AFTER = "/api/v5/trade/cancel-all-after"
ACCOUNT_CONFIG = "/api/v5/account/config"
TIME = "/api/v5/public/time"

_encode: Final = json.JSONEncoder(separators=(",", ":")).encode

_HEADERS = {"Content-Type": "application/json", "Accept-Encoding": "identity", "User-Agent": "bulk-cancel"}
_NO_SUCH_ORDER = "51603"
_WHENEVER = float("inf")
Row = Mapping[str, str]
_Said = Mapping[str, str] | Sequence[Mapping[str, str]]
_ReadRows = Callable[[int, bytes], list[Row]]
T = TypeVar("T")
Then = Callable[[Answer | ExchangeError], None]
"""Is told what came of a call."""


@dataclass(frozen=True, slots=True)
class AccountConfig:
    """What the exchange knows of a key: its User ID, what it may do, from which addresses ((): from any)."""

    uid: str
    permissions: tuple[str, ...]
    ip: tuple[str, ...]


class OkxClient:
    """The exchange's REST API, as far as cancelling needs it.

    `timeout_s` bounds each call from its first byte to the end of its answer; `pool` is how many idle
    connections are kept per address; `verify` names a CA bundle to trust instead of the usual one.
    `barred` is told the account and the exchange's words whenever it does not let us in from this machine's address.
    Every method raises the errors of errors.py, and nothing else. `clock` is the exchange's, by which calls are signed.
    """

    def __init__(
        self,
        *,
        timeout_s: float,
        pool: int,
        verify: str | None = None,
        barred: Callable[[str, str], None] = lambda _account, _why: None,
    ) -> None:
        self._barred = barred
        context = tls_context(verify or DEFAULT_CA_BUNDLE_PATH)
        self._calls = Calls(Pool(lambda url: Wire(url, context=context, timeout_s=timeout_s), keep=pool), dialers=pool)
        self.clock = Clock(connect=partial(self.warm, connections=1), tell_ms=self.server_time_ms)

    def cancel(self, creds: Credentials, order: OrderRef, *, write_by: float) -> Answer:
        """Ask to cancel one order; nothing is sent after the time.monotonic() instant `write_by`."""
        return self._waited(creds, [order], batch=False, write_by=write_by)

    def cancel_batch(self, creds: Credentials, orders: Sequence[OrderRef], *, write_by: float) -> Answer:
        """Ask to cancel up to 20 orders in one call (a batch of one is metered as a single cancel)."""
        return self._waited(creds, orders, batch=True, write_by=write_by)

    def begin_cancel(
        self, creds: Credentials, orders: Sequence[OrderRef], *, batch: bool, write_by: float, then: Then
    ) -> None:
        """As `cancel_batch`, or `cancel` of the only order, without waiting: `then` gets what they return or raise.

        It is called once, on this thread or another one, which it must not keep. ValueError: an order without an id.
        """
        said = [order.fields() for order in orders]
        if batch:
            self._launch(creds, CANCEL_BATCH, said, write_by, then)
        else:
            self._launch(creds, CANCEL, said[0], write_by, then)

    def begin_cancel_algo(self, creds: Credentials, order: OrderRef, *, write_by: float, then: Then) -> None:
        """The same of one algo order; the ids of `order` are its algoId or algoClOrdId."""
        self._launch(creds, CANCEL_ALGOS, [{"instId": order.instId, **_algo_id(order)}], write_by, then)

    def order(self, creds: Credentials, ref: OrderRef, *, write_by: float = _WHENEVER) -> Row:
        """The order's state as the exchange tells it; empty when it says that it knows no such order (any more)."""
        return self._known(creds, ORDER, ref.fields(), write_by)

    def algo(self, creds: Credentials, ref: OrderRef, *, write_by: float) -> Row:
        """The same of an algo order; the ids of `ref` are its algoId or algoClOrdId."""
        return self._known(creds, ALGO, _algo_id(ref), write_by, read_whole_rows)

    def ended_algos(self, creds: Credentials, *, of: Mapping[str, str], after: str, write_by: float) -> list[Row]:
        """One page of ended algo orders of an ordType and state, newest first, those older than the algoId `after`."""
        return self._rows(creds, ALGOS_HISTORY, {**of, "after": after}, write_by, read_whole_rows)

    def orders_pending(
        self,
        creds: Credentials,
        *,
        filters: Mapping[str, str],
        after: str | None = None,
        limit: int = 100,
        write_by: float = _WHENEVER,
    ) -> list[Row]:
        """One page of open orders, newest first, those older than the ordId `after`; filters as OKX's."""
        paging = {"limit": str(limit)} | ({"after": after} if after else {})
        return self._rows(creds, ORDERS_PENDING, {**filters, **paging}, write_by)

    def orders_history(
        self,
        creds: Credentials,
        *,
        inst_type: str,
        after: str | None = None,
        limit: int = 100,
        write_by: float = _WHENEVER,
    ) -> list[Row]:
        """One page of ended orders of a type, newest first, those older than the ordId `after`."""
        paging = {"limit": str(limit)} | ({"after": after} if after else {})
        return self._rows(creds, ORDERS_HISTORY, {"instType": inst_type, **paging}, write_by)

    def sources(
        self, creds: Credentials, listed: SourceList, *, filters: Mapping[str, str], after: str, write_by: float
    ) -> list[Row]:
        """One page of what can place orders, newest first, older than the id `after` ("": from the top)."""
        paging = {listed.after: after} if after and listed.after else {}
        return self._rows(creds, listed.path, {**listed.query, **filters, **paging}, write_by)

    def stop(self, creds: Credentials, stop: Stop, named: Sequence[tuple[str, str]], *, write_by: float) -> Answer:
        """Ask to end products, each named by id and instrument: bots, which keep coins and positions."""
        return self._post(creds, stop.path, stop.body(named), write_by)

    def stop_all(self, creds: Credentials, stop: Stop, narrowed: Mapping[str, str], *, write_by: float) -> Answer:
        """Ask to end all products of a list, or with `sprdId` those of one spread."""
        return self._post(creds, stop.path, narrowed, write_by)

    def grid(self, creds: Credentials, listed: SourceList, algo_id: str, *, write_by: float) -> Row:
        """One grid bot as it stands, also after its end."""
        return next(iter(self._rows(creds, GRID, {**listed.query, "algoId": algo_id}, write_by)), {})

    def cancel_all_after(self, creds: Credentials, timeout_s: int, *, write_by: float = _WHENEVER) -> bool:
        """Have the exchange cancel all orders of the user in 10 to 120 s; 0 takes it back. Whether it is armed now."""
        body = _encode({"timeOut": str(timeout_s)}).encode()
        request = self._signed(creds, "POST", CANCEL_ALL_AFTER, body)
        rows = self._read(creds, read_rows, *self._calls.call(creds.base_url, request, write_by=write_by))
        return _given(rows[0] if rows else {}, "triggerTime") != "0"

    def place_batch(self, creds: Credentials, orders: Sequence[Mapping[str, str]], *, write_by: float) -> Answer:
        """Ask to place up to 20 orders in one call, each with OKX's own fields. Only drills place orders."""
        return self._post(creds, PLACE_BATCH, [dict(order) for order in orders], write_by)

    def instrument(self, creds: Credentials, inst_type: str, inst_id: str) -> Row:
        """What is listed under this id; empty when nothing is."""
        return next(iter(self._rows(creds, INSTRUMENTS, {"instType": inst_type, "instId": inst_id}, _WHENEVER)), {})

    def ticker(self, creds: Credentials, inst_id: str) -> Row:
        """The instrument's last price and the like; empty when it is not traded."""
        return next(iter(self._rows(creds, TICKER, {"instId": inst_id}, _WHENEVER)), {})

    def account_config(self, creds: Credentials) -> AccountConfig:
        """Whose key this is and what it may do."""
        rows = self._rows(creds, ACCOUNT_CONFIG, {}, _WHENEVER)
        row = rows[0] if rows else {}
        return AccountConfig(
            uid=_given(row, "uid"),
            permissions=_listed(row.get("perm", "")),
            ip=_listed(row.get("ip", "")),
        )

    def server_time_ms(self, base_url: str) -> int:
        """The exchange's clock, unix milliseconds."""
        request = _request("GET", base_url + TIME, b"", {})
        rows = read_rows(*self._calls.call(base_url, request, write_by=_WHENEVER))
        stamp = _given(rows[0] if rows else {}, "ts")
        if not stamp.isdigit():
            raise OutcomeUnknown("ts is no number")
        return int(stamp)

    def warm(self, base_url: str, connections: int) -> int:
        """Connect ahead of need until so many connections are open, idle or in use; how many that took."""
        return self._calls.pool.warm(base_url, connections)

    def connect(self, base_url: str) -> bool:
        """Open one connection, for the next call; whether that was possible."""
        return self._calls.pool.connect(base_url)

    def close(self) -> None:
        """Close every idle connection; those in use close when their calls end. Cancels in flight land no more."""
        self._calls.close()

    def _waited(self, creds: Credentials, orders: Sequence[OrderRef], *, batch: bool, write_by: float) -> Answer:
        came: Future[Answer | ExchangeError] = Future()
        self.begin_cancel(creds, orders, batch=batch, write_by=write_by, then=came.set_result)
        outcome = came.result()
        if isinstance(outcome, ExchangeError):
            raise outcome
        return outcome

    def _launch(self, creds: Credentials, path: str, said: _Said, write_by: float, then: Then) -> None:
        def landed(came: Came) -> None:
            then(came if isinstance(came, ExchangeError) else self._outcome(creds, *came))

        request = self._signed(creds, "POST", path, _encode(said).encode())
        self._calls.begin(creds.base_url, request, write_by=write_by, landed=landed)

    def _outcome(self, creds: Credentials, status: int, body: bytes) -> Answer | ExchangeError:
        try:
            return self._read(creds, read_answer, status, body)
        except ExchangeError as error:
            return error

    def _post(self, creds: Credentials, path: str, said: _Said, write_by: float) -> Answer:
        request = self._signed(creds, "POST", path, _encode(said).encode())
        return self._read(creds, read_answer, *self._calls.call(creds.base_url, request, write_by=write_by))

    def _known(
        self, creds: Credentials, path: str, named: Mapping[str, str], write_by: float, read: _ReadRows = read_rows
    ) -> Row:
        try:
            rows = self._rows(creds, path, named, write_by, read)
        except Refused as refused:
            if refused.code != _NO_SUCH_ORDER:
                raise
            return {}
        if not rows:  # which is not its word for an order that it does not know
            raise Refused("told of no order", code="0")
        return rows[0]

    def _rows(
        self, creds: Credentials, path: str, query: Mapping[str, str], write_by: float, read: _ReadRows = read_rows
    ) -> list[Row]:
        target = f"{path}?{urlencode(query)}" if query else path
        request = self._signed(creds, "GET", target, b"")
        return self._read(creds, read, *self._calls.call(creds.base_url, request, write_by=write_by))

    def _read(self, creds: Credentials, read: Callable[[int, bytes], T], status: int, body: bytes) -> T:
        """What the answer says, once it is known whether this machine's address is let in."""
        try:
            return read(status, body)
        except NotAuthorised as error:
            if lookup(error.code).scope is Scope.WORKER:
                self._barred(creds.name, str(error))
            raise

    def _signed(self, creds: Credentials, method: str, path: str, body: bytes) -> requests.PreparedRequest:
        stamp = timestamp(self.clock.time_s(creds.base_url))
        headers = signed_headers(creds, stamp=stamp, method=method, path=path, body=body)
        return _request(method, creds.base_url + path, body, headers)


def _request(method: str, url: str, body: bytes, headers: Mapping[str, str]) -> requests.PreparedRequest:
    """Filled in by hand: `prepare()` would quote the URL anew after it was signed, and costs much."""
    request = requests.PreparedRequest()
    request.method, request.url, request.body = method, url, body
    request.headers = CaseInsensitiveDict({**_HEADERS, **headers})
    return request


def _algo_id(ref: OrderRef) -> dict[str, str]:
    return {"algoId": ref.ordId} if ref.ordId else {"algoClOrdId": ref.clOrdId or ""}


def _given(row: Row, name: str) -> str:
    if not (value := row.get(name)):
        raise OutcomeUnknown(f"no {name} in the answer")
    return value


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
