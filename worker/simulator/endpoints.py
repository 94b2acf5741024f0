"""The endpoints of the simulated exchange, and what a call to each weighs."""

from collections import Counter
from collections.abc import Callable, Sequence

from bulk_cancel.worker.simulator import reading, trading
from bulk_cancel.worker.simulator.book import Book, Ref
from bulk_cancel.worker.simulator.calls import Call, Route, Venue, text
from bulk_cancel.worker.simulator.meters import Charge

Charges = Sequence[Charge]


def _no_refs(_call: Call) -> Sequence[Ref]:
    return ()


def _refs(call: Call) -> Sequence[Ref]:
    if call.params is None:
        return ()
    items = call.params if isinstance(call.params, list) else [call.params]
    return [Ref(text(item, "instId"), text(item, "ordId"), text(item, "clOrdId")) for item in items]


def _scope(book: Book, inst_id: str) -> str:
    listed = book.instruments.get(inst_id)
    return listed.meter_scope if listed is not None else inst_id


def _by_cancelled(venue: Venue, call: Call, refs: Sequence[Ref]) -> Charges:
    """A batch of one is charged to the single meter; a larger one, order by order, to the batch meters."""
    if not 1 <= len(refs) <= trading.MAX_BATCH:
        return ()
    meter = "single" if len(refs) == 1 else "batch"
    weights = Counter(_scope(venue.book, ref.instId) for ref in refs)
    return [Charge(meter, f"{call.uid}:{scope}", weight) for scope, weight in weights.items()]


def _by_order(venue: Venue, call: Call, refs: Sequence[Ref]) -> Charges:
    return (Charge("order", f"{call.uid}:{_scope(venue.book, refs[0].instId)}", 1),)


def _by_user(meter: str) -> Callable[[Venue, Call, Sequence[Ref]], Charges]:
    return lambda _venue, call, refs: (Charge(meter, call.uid, max(1, len(refs))),)


def _by_tag(_venue: Venue, call: Call, _refs: Sequence[Ref]) -> Charges:
    return (Charge("switch", f"{call.uid}:{call.text('tag')}", 1),)


def _by_address(_venue: Venue, call: Call, _refs: Sequence[Ref]) -> Charges:
    return (Charge("time", call.request.peer, 1),)


def _free(_venue: Venue, _call: Call, _refs: Sequence[Ref]) -> Charges:
    return ()


_TRADE = "/api/v5/trade/"
_ROUTES = (
    ("POST", _TRADE + "cancel-order", Route("cancel-order", "trade", _refs, _by_cancelled, trading.cancel)),
    (
        "POST",
        _TRADE + "cancel-batch-orders",
        Route("cancel-batch-orders", "trade", _refs, _by_cancelled, trading.cancel_batch),
    ),
    (
        "POST",
        _TRADE + "cancel-all-after",
        Route("cancel-all-after", "trade", _no_refs, _by_tag, trading.cancel_all_after),
    ),
    ("POST", _TRADE + "order", Route("place", "trade", _refs, _by_user("place"), trading.place)),
    ("POST", _TRADE + "batch-orders", Route("place", "trade", _refs, _by_user("place"), trading.place)),
    ("GET", _TRADE + "order", Route("order", "read_only", _refs, _by_order, reading.order)),
    (
        "GET",
        _TRADE + "orders-pending",
        Route("orders-pending", "read_only", _no_refs, _by_user("pending"), reading.pending),
    ),
    (
        "GET",
        _TRADE + "orders-history",
        Route("orders-history", "read_only", _no_refs, _by_user("history"), reading.history),
    ),
    (
        "GET",
        "/api/v5/account/config",
        Route("config", "read_only", _no_refs, _by_user("config"), reading.config),
    ),
    (
        "GET",
        "/api/v5/asset/currencies",
        Route("currencies", "read_only", _no_refs, _free, reading.currencies),
    ),
    ("GET", "/api/v5/public/time", Route("time", "", _no_refs, _by_address, reading.time)),
    ("GET", "/api/v5/market/ticker", Route("ticker", "", _no_refs, _free, reading.ticker)),
    ("GET", "/api/v5/public/instruments", Route("instruments", "", _no_refs, _free, reading.instruments)),
)
ROUTES: dict[tuple[str, str], Route] = {(method, path): route for method, path, route in _ROUTES}
