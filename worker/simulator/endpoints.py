"""The endpoints of the simulated exchange, and what a call to each weighs."""

from bulk_cancel.worker.simulator import reading, trading
from bulk_cancel.worker.simulator.calls import Route
from bulk_cancel.worker.simulator.charges import (
    by_address,
    by_cancelled,
    by_order,
    by_tag,
    by_user,
    free,
    no_refs,
    order_refs,
)
from bulk_cancel.worker.simulator.endpoints_beyond import BEYOND

_TRADE = "/api/v5/trade/"
_ROUTES = (
    ("POST", _TRADE + "cancel-order", Route("cancel-order", "trade", order_refs, by_cancelled, trading.cancel)),
    (
        "POST",
        _TRADE + "cancel-batch-orders",
        Route("cancel-batch-orders", "trade", order_refs, by_cancelled, trading.cancel_batch),
    ),
    (
        "POST",
        _TRADE + "cancel-all-after",
        Route("cancel-all-after", "trade", no_refs, by_tag, trading.cancel_all_after),
    ),
    ("POST", _TRADE + "order", Route("place", "trade", order_refs, by_user("place"), trading.place)),
    ("POST", _TRADE + "batch-orders", Route("place", "trade", order_refs, by_user("place"), trading.place)),
    ("GET", _TRADE + "order", Route("order", "read_only", order_refs, by_order, reading.order)),
    (
        "GET",
        _TRADE + "orders-pending",
        Route("orders-pending", "read_only", no_refs, by_user("pending"), reading.pending),
    ),
    (
        "GET",
        _TRADE + "orders-history",
        Route("orders-history", "read_only", no_refs, by_user("history"), reading.history),
    ),
    (
        "GET",
        "/api/v5/account/config",
        Route("config", "read_only", no_refs, by_user("config"), reading.config),
    ),
    (
        "GET",
        "/api/v5/asset/currencies",
        Route("currencies", "read_only", no_refs, free, reading.currencies),
    ),
    ("GET", "/api/v5/public/time", Route("time", "", no_refs, by_address, reading.time)),
    ("GET", "/api/v5/market/ticker", Route("ticker", "", no_refs, free, reading.ticker)),
    ("GET", "/api/v5/public/instruments", Route("instruments", "", no_refs, free, reading.instruments)),
)
ROUTES: dict[tuple[str, str], Route] = {(method, path): route for method, path, route in _ROUTES} | BEYOND
