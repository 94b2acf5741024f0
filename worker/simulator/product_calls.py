"""The calls about spreads, RFQs, quotes, bots and copied traders of the simulated exchange."""

from collections.abc import Callable, Iterable, Mapping

from bulk_cancel.worker.simulator.calls import Answer, Call, Planned, Venue, done, failed, text
from bulk_cancel.worker.simulator.products import COPIED, KEEPS_ITS_PLACE, Product

Handler = Callable[[Venue, Call, Planned], Answer]

_ID = {"sprd": "ordId", "rfq": "rfqId", "quote": "quoteId", "copy": "uniqueCode"}
_INST = {"sprd": "sprdId", "rfq": "", "quote": "", "copy": ""}
_AFTER = {"sprd": "endId", "rfq": "endId", "quote": "endId"}
_KEEP = "2"
"""The stopType that keeps coins and positions."""


def lists(kinds: str, choice: str = "") -> Handler:
    """A list of one kind, or of the kind (of `kinds`, with blanks between) that the parameter `choice` names."""

    def listed(venue: Venue, call: Call, _planned: Planned) -> Answer:
        kind = call.text(choice) if choice else kinds
        if kind not in kinds.split():
            return failed("51000", f"Parameter {choice} error", 400)
        shown = [each for each in venue.products.listed(call.uid, kind) if call.text("state") in {"", each.shown}]
        return _page(call, kind, shown)

    return listed


def mass(kind: str, none_left: str) -> Handler:
    """Cancels all of one kind; `none_left`: the code when there is none ("": success all the same)."""

    def cancelled(venue: Venue, call: Call, _planned: Planned) -> Answer:
        every = [each for each in venue.products.all.values() if (each.uid, each.kind) == (call.uid, kind)]
        found = [each for each in every if each.active and not each.others]
        wanted = [each for each in found if text(call.params, "sprdId") in {"", each.inst}]
        if not wanted and none_left and venue.products.behaviour.none_left == "refused":
            return failed(none_left, "Nothing is active.")
        venue.products.end(wanted, "canceled", call.now_us)
        return done([{"result": True} if kind == "sprd" else {"ts": str(call.wall_us // 1_000)}])

    return cancelled


def cancel_spread(venue: Venue, call: Call, _planned: Planned) -> Answer:
    """`POST sprd/cancel-order`: one spread order."""
    found = venue.products.all.get(call.text("ordId"))
    if found is None or (found.uid, found.kind) != (call.uid, "sprd") or not found.active:
        return failed("51400", "Order does not exist.")
    if found.settles:
        return failed("51410", "Cancellation failed as the order is already in canceling status or pending settlement.")
    venue.products.end([found], "canceled", call.now_us)
    return done([{"ordId": found.id, "clOrdId": "", "sCode": "0", "sMsg": ""}])


def stops(kinds: str, *, needs_type: bool = False) -> Handler:
    """Stops bots: a list of at most ten, or one object; `needs_type`: `stopType` says what becomes of the position."""

    def stopped(venue: Venue, call: Call, _planned: Planned) -> Answer:
        items = call.params if isinstance(call.params, list) else [call.params]
        if not 1 <= len(items) <= 10:  # noqa: PLR2004 (as documented)
            return failed("51000", "Parameter error", 400)
        said = [_stop(venue, call, item, kinds.split(), needs_type=needs_type) for item in items]
        failures = sum(item["sCode"] != "0" for item in said)
        return Answer(200, "0" if not failures else "1" if failures == len(said) else "2", "", said)

    return stopped


def grid(venue: Venue, call: Call, _planned: Planned) -> Answer:
    """`GET tradingBot/grid/orders-algo-details`: one grid, at work or stopped."""
    found = venue.products.all.get(call.text("algoId"))
    if found is None or (found.uid, found.kind) != (call.uid, call.text("algoOrdType")):
        return failed("51291", "The bot doesn't exist or has stopped.")
    return done([{**_row(found, call), "state": found.state, "activeOrdNum": str(found.orders)}])


def copy_stop(venue: Venue, call: Call, _planned: Planned) -> Answer:
    """`POST copytrading/stop-copy-trading`: one trader is copied no longer."""
    found = venue.products.all.get(call.text("uniqueCode"))
    if found is None or found.uid != call.uid or not found.active:
        return failed("59267", "Not copying this trader.")
    found.traded = call.text("subPosCloseType") != "manual_close"
    venue.products.end([found], "stopped", call.now_us)
    return done([{"result": True}])


def _stop(venue: Venue, call: Call, item: object, kinds: list[str], *, needs_type: bool) -> Mapping[str, str]:
    said = {"algoId": text(item, "algoId"), "sCode": "0", "sMsg": ""}
    found, how = venue.products.all.get(said["algoId"]), text(item, "stopType")
    if found is None or found.uid != call.uid or found.kind not in kinds or not found.active:
        return said | {"sCode": "51291", "sMsg": "The bot is gone or has stopped."}
    if found.ending:
        return said | {"sCode": "51288", "sMsg": "The bot is stopping already."}
    if needs_type and how not in {"1", _KEEP}:
        return said | {"sCode": "51000", "sMsg": "Parameter stopType error"}
    if how == _KEEP and found.fields.get("copyType") in COPIED:
        return said | {"sCode": "51220", "sMsg": "Only selling or closing all is possible."}
    found.traded = needs_type and how != _KEEP
    stays = found.kind.startswith("contract_") and how == _KEEP
    venue.products.end([found], KEEPS_ITS_PLACE if stays else "stopped", call.now_us)
    return said


def _page(call: Call, kind: str, shown: Iterable[Product]) -> Answer:
    after = call.text(_AFTER.get(kind, "after"))
    if after and not after.isdecimal():
        return failed("51000", "Parameter after error", 400)
    rows = [_row(each, call) for each in shown if not after or each.number < int(after)]
    return done(rows[: min(int(call.text("limit") or 100), 100)])


def _row(product: Product, call: Call) -> Mapping[str, object]:
    created = str((product.cTime_us + call.wall_us - call.now_us) // 1_000)
    inst = _INST.get(product.kind, "instId")
    named = {_ID.get(product.kind, "algoId"): product.id} | ({inst: product.inst} if inst else {})
    more = {"pendingSettleSz": "0"} if product.kind == "sprd" else {}
    return named | {"tag": "", "state": product.shown, "cTime": created, "uTime": created} | more | product.fields
