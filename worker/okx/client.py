"""The exchange's calls: one method each, a single signed HTTP request that is never repeated.

The client is thread safe. Every call takes a connection of its own, must be written by `write_by` and must be
answered within `timeout_s` of its first byte.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Final
from urllib.parse import urlencode

import requests
from requests.structures import CaseInsensitiveDict
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from bulk_cancel.worker.okx.answers import Answer, read_answer, read_rows
from bulk_cancel.worker.okx.credentials import Credentials
from bulk_cancel.worker.okx.errors import OutcomeUnknown, Refused
from bulk_cancel.worker.okx.orders import OrderRef
from bulk_cancel.worker.okx.signing import signed_headers, timestamp
from bulk_cancel.worker.okx.wire.connection import Wire
from bulk_cancel.worker.okx.wire.pool import Pool
from bulk_cancel.worker.okx.wire.sockets import tls_context

CANCEL = "/api/v5/trade/cancel-order"
CANCEL_BATCH = "/api/v5/trade/cancel-batch-orders"
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
MAX_OFFSET_S: Final = 86_400.0
"""A clock further off than a day is a wrong answer: whoever signed by it would never be let in again."""

CLOCK_FRESH_S: Final = 30.0
"""For so long the exchange's clock is counted on from its last measurement."""

Row = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class AccountConfig:
    """What the exchange knows of a key: its User ID, what it may do, from which addresses ((): from any)."""

    uid: str
    permissions: tuple[str, ...]
    ip: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Told:
    """What the exchange's clock showed (unix ms) in an answer that was read `at` (time.monotonic(), s)."""

    server_ms: int
    at: float


class OkxClient:
    """The exchange's REST API, as far as cancelling needs it.

    `timeout_s` bounds each call from its first byte to the end of its answer; `pool` is how many idle
    connections are kept per address; `verify` names a CA bundle to trust instead of the usual one.
    Every method raises the errors of errors.py, and nothing else.
    """

    def __init__(self, *, timeout_s: float, pool: int, verify: str | None = None) -> None:
        context = tls_context(verify or DEFAULT_CA_BUNDLE_PATH)
        self._pool = Pool(lambda url: Wire(url, context=context, timeout_s=timeout_s), keep=pool)
        self._offsets: dict[str, float] = {}
        self._told: dict[str, _Told] = {}
        self._corrected_at: dict[str, float] = {}
        self._correcting: dict[str, Lock] = {}

    def cancel(self, creds: Credentials, order: OrderRef, *, write_by: float) -> Answer:
        """Ask to cancel one order; nothing is sent after the time.monotonic() instant `write_by`."""
        return self._post(creds, CANCEL, order.fields(), write_by)

    def cancel_batch(self, creds: Credentials, orders: Sequence[OrderRef], *, write_by: float) -> Answer:
        """Ask to cancel up to 20 orders in one call (a batch of one is metered as a single cancel)."""
        return self._post(creds, CANCEL_BATCH, [order.fields() for order in orders], write_by)

    def order(self, creds: Credentials, ref: OrderRef, *, write_by: float = _WHENEVER) -> Row:
        """The order's state as the exchange tells it; empty when it knows no such order (any more)."""
        try:
            rows = self._rows(creds, ORDER, ref.fields(), write_by)
        except Refused as refused:
            if refused.code != _NO_SUCH_ORDER:
                raise
            return {}
        return rows[0] if rows else {}

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

    def cancel_all_after(self, creds: Credentials, timeout_s: int, *, write_by: float = _WHENEVER) -> bool:
        """Have the exchange cancel all orders of the user in 10 to 120 s; 0 takes it back. Whether it is armed now."""
        body = _encode({"timeOut": str(timeout_s)}).encode()
        request = self._signed(creds, "POST", CANCEL_ALL_AFTER, body)
        rows = read_rows(*self._call(creds.base_url, request, write_by))
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
        rows = read_rows(*self._call(base_url, request, _WHENEVER))
        stamp = _given(rows[0] if rows else {}, "ts")
        if not stamp.isdigit():
            raise OutcomeUnknown("ts is no number")
        return int(stamp)

    def measure_clock(self, base_url: str) -> float:
        """Measure, keep and return the exchange's clock minus ours, in seconds (± half a round trip)."""
        self.warm(base_url, 1)  # connecting is no part of the round trip
        asked = time.time()
        server_ms = self.server_time_ms(base_url)
        told = _Told(server_ms, time.monotonic())
        offset_s = server_ms / 1000 - (asked + time.time()) / 2
        if abs(offset_s) > MAX_OFFSET_S:
            raise OutcomeUnknown(f"the clock at {base_url} would be off by {offset_s:.0f} s")
        self._offsets[base_url], self._told[base_url] = offset_s, told
        return offset_s

    def correct_clock(self, base_url: str, *, signed_at: float) -> None:
        """Measure because a timestamp of `signed_at` (monotonic) was refused, unless it was tried since then.

        Many calls are refused at once; one of them asks, the others wait for it.
        """
        with self._correcting.setdefault(base_url, Lock()):
            if self._corrected_at.get(base_url, -_WHENEVER) > signed_at:
                return
            try:
                self.measure_clock(base_url)
            finally:
                self._corrected_at[base_url] = time.monotonic()

    def clock_offset_s(self, base_url: str) -> float:
        """The offset measured last, 0 if never; it corrects every signed timestamp."""
        return self._offsets.get(base_url, 0.0)

    def time_s(self, base_url: str) -> float:
        """The exchange's clock as far as it was measured, unix seconds."""
        return time.time() + self.clock_offset_s(base_url)

    def clock_ms(self, base_url: str) -> float:
        """The exchange's clock now, unix ms: never ahead of it, and behind by less than a round trip.

        Told at most 30 s ago and counted on by the monotonic clock, so this machine's wall clock plays no part. Asks
        when nothing so fresh is known; raises the errors of errors.py when it is not told.
        """
        with self._correcting.setdefault(base_url, Lock()):
            told = self._told.get(base_url)
            if told is None or time.monotonic() - told.at > CLOCK_FRESH_S:
                self.measure_clock(base_url)
                told = self._told[base_url]
        return told.server_ms + (time.monotonic() - told.at) * 1000

    def warm(self, base_url: str, connections: int) -> int:
        """Connect ahead of need until so many connections are open, idle or in use; how many that took."""
        return self._pool.warm(base_url, connections)

    def connect(self, base_url: str) -> bool:
        """Open one connection, for the next call; whether that was possible."""
        return self._pool.connect(base_url)

    def close(self) -> None:
        """Close every idle connection; those in use close when their calls end."""
        self._pool.close()

    def _post(
        self, creds: Credentials, path: str, said: Mapping[str, str] | list[dict[str, str]], write_by: float
    ) -> Answer:
        request = self._signed(creds, "POST", path, _encode(said).encode())
        return read_answer(*self._call(creds.base_url, request, write_by))

    def _rows(self, creds: Credentials, path: str, query: Mapping[str, str], write_by: float) -> list[Row]:
        target = f"{path}?{urlencode(query)}" if query else path
        request = self._signed(creds, "GET", target, b"")
        return read_rows(*self._call(creds.base_url, request, write_by))

    def _call(self, base_url: str, request: requests.PreparedRequest, write_by: float) -> tuple[int, bytes]:
        """The connection is free again before the answer is read: what it says is no reason to close it."""
        with self._pool.wire(base_url) as wire:
            return wire.call(request, write_by=write_by)

    def _signed(self, creds: Credentials, method: str, path: str, body: bytes) -> requests.PreparedRequest:
        stamp = timestamp(self.time_s(creds.base_url))
        headers = signed_headers(creds, stamp=stamp, method=method, path=path, body=body)
        return _request(method, creds.base_url + path, body, headers)


def _request(method: str, url: str, body: bytes, headers: Mapping[str, str]) -> requests.PreparedRequest:
    """Filled in by hand: `prepare()` would quote the URL anew after it was signed, and costs much."""
    request = requests.PreparedRequest()
    request.method, request.url, request.body = method, url, body
    request.headers = CaseInsensitiveDict({**_HEADERS, **headers})
    return request


def _given(row: Row, name: str) -> str:
    if not (value := row.get(name)):
        raise OutcomeUnknown(f"no {name} in the answer")
    return value


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
