"""The endpoints about all that can place orders: algo orders, spreads, RFQs, quotes, bots, copied traders."""

from bulk_cancel.worker.simulator import algo_calls
from bulk_cancel.worker.simulator.calls import Route
from bulk_cancel.worker.simulator.charges import algo_refs, by_algo, by_user, no_refs
from bulk_cancel.worker.simulator.product_calls import Handler, cancel_spread, copy_stop, grid, lists, mass, stops

_V5 = "/api/v5/"


def _algo(path: str, answer: Handler) -> tuple[tuple[str, str], Route]:
    """A cancel of algo orders."""
    return ("POST", f"{_V5}trade/{path}"), Route(path, "trade", algo_refs, by_algo, answer, "algo")


def _get(path: str, name: str, meter: str, answer: Handler) -> tuple[tuple[str, str], Route]:
    group = "algo" if path.startswith("trade/") else path.split("/")[-2]
    return ("GET", _V5 + path), Route(name, "read_only", no_refs, by_user(meter), answer, group)


def _post(path: str, name: str, meter: str, answer: Handler) -> tuple[tuple[str, str], Route]:
    return ("POST", _V5 + path), Route(name, "trade", no_refs, by_user(meter), answer, path.split("/")[-2])


BEYOND: dict[tuple[str, str], Route] = dict(
    (
        _algo("cancel-algos", algo_calls.cancel_algos),
        _algo("cancel-advance-algos", algo_calls.cancel_advance),
        _get("trade/orders-algo-pending", "orders-algo-pending", "algo_pending", algo_calls.pending),
        _get("trade/orders-algo-history", "orders-algo-history", "algo_history", algo_calls.history),
        _get("trade/order-algo", "order-algo", "algo_order", algo_calls.one),
        _get("sprd/orders-pending", "sprd-orders-pending", "sprd_pending", lists("sprd")),
        _post("sprd/mass-cancel", "sprd-mass-cancel", "sprd_mass", mass("sprd", "")),
        _post("sprd/cancel-order", "sprd-cancel-order", "sprd_cancel", cancel_spread),
        _get("rfq/rfqs", "rfqs", "rfqs", lists("rfq")),
        _get("rfq/quotes", "quotes", "quotes", lists("quote")),
        _post("rfq/cancel-all-rfqs", "cancel-all-rfqs", "rfq_cancel", mass("rfq", "70207")),
        _post("rfq/cancel-all-quotes", "cancel-all-quotes", "quote_cancel", mass("quote", "70409")),
        _get("tradingBot/grid/orders-algo-pending", "grids", "grid", lists("grid contract_grid", "algoOrdType")),
        _post(
            "tradingBot/grid/stop-order-algo", "grid-stop", "grid_stop", stops("grid contract_grid", needs_type=True)
        ),
        _get("tradingBot/grid/orders-algo-details", "grid-details", "grid_details", grid),
        _get("tradingBot/dca/ongoing-list", "dcas", "dca", lists("spot_dca contract_dca", "algoOrdType")),
        _post("tradingBot/dca/stop", "dca-stop", "dca_stop", stops("spot_dca contract_dca", needs_type=True)),
        _get("tradingBot/recurring/orders-algo-pending", "recurrings", "recurring", lists("recurring")),
        _post("tradingBot/recurring/stop-order-algo", "recurring-stop", "recurring_stop", stops("recurring")),
        _get("tradingBot/signal/orders-algo-pending", "signals", "signal", lists("contract", "algoOrdType")),
        _post("tradingBot/signal/stop-order-algo", "signal-stop", "signal_stop", stops("contract")),
        _get("copytrading/current-lead-traders", "lead-traders", "copy", lists("copy")),
        _post("copytrading/stop-copy-trading", "copy-stop", "copy_stop", copy_stop),
    )
)
