"""How does the simulated exchange answer cancels and new orders?"""

from worker.simulator.book import Ack, Book, Ref
from worker.simulator.calls import Answer, Call, Planned, Row, Venue, failed
from worker.simulator.faults import ItemCode

MAX_BATCH = 20
_GATEWAY_US = 500  # outTime - inTime


def cancel(venue: Venue, call: Call, planned: Planned) -> Answer:
    """`POST trade/cancel-order`: one object, one item."""
    if isinstance(call.params, list):
        return failed("50002", "JSON syntax error", 400)
    return _acknowledged(venue, call, planned)


def cancel_batch(venue: Venue, call: Call, planned: Planned) -> Answer:
    """`POST trade/cancel-batch-orders`: at most 20 orders, one item each, in the order of the request."""
    if not isinstance(call.params, list):
        return failed("50002", "JSON syntax error", 400)
    if not planned:
        return failed("50000", "Body for POST request cannot be empty.", 400)
    if len(planned) > MAX_BATCH:
        return failed("51406", "Canceled - order count exceeds the limit 20", 400)
    return _acknowledged(venue, call, planned)


def place(venue: Venue, call: Call, _planned: Planned) -> Answer:
    """`POST trade/order`: enough of it to put an order on the book."""
    if not isinstance(call.params, dict):
        return failed("50002", "JSON syntax error", 400)
    listed = venue.book.instruments.get(call.text("instId"))
    client_id = call.text("clOrdId")
    if listed is None:
        return _placed(call, "", "51001", "Instrument ID doesn't exist.")
    twin = venue.book.find(call.uid, Ref("", "", client_id)) if client_id else None
    if twin is not None and twin.open:
        return _placed(call, "", "51016", "Client order ID already exists.")
    fields = {name: call.text(name) for name in ("clOrdId", "side", "ordType", "px", "sz")}
    return _placed(call, venue.book.place(call.uid, listed, call.now_us, fields).ordId, "0", "")


def _acknowledged(venue: Venue, call: Call, planned: Planned) -> Answer:
    items = [_item(venue.book, call, ref, code) for ref, code in planned]
    failures = sum(item["sCode"] != "0" for item in items)
    code, msg = ("2", "Bulk operation partially successful") if failures else ("0", "")
    if failures == len(items):
        code, msg = "1", "All operations failed"
    return Answer(200, code, msg, items, (call.wall_us, call.wall_us + _GATEWAY_US))


def _item(book: Book, call: Call, ref: Ref, code: ItemCode | None) -> Row:
    ack = book.cancel(call.uid, ref, call.now_us) if code is None or code.takes_effect else Ack("", "", None)
    order = ack.order
    return {
        "clOrdId": order.clOrdId if order else ref.clOrdId,
        "ordId": order.ordId if order else ref.ordId,
        "ts": str(call.wall_us // 1_000),
        "sCode": code.sCode if code else ack.sCode,
        "sMsg": code.sMsg if code else ack.sMsg,
    }


def _placed(call: Call, order_id: str, s_code: str, s_msg: str) -> Answer:
    code, msg = ("0", "") if s_code == "0" else ("1", "All operations failed")
    ts = str(call.wall_us // 1_000)
    item = {"ordId": order_id, "clOrdId": call.text("clOrdId"), "tag": call.text("tag"), "ts": ts}
    item |= {"sCode": s_code, "sMsg": s_msg}
    return Answer(200, code, msg, [item], (call.wall_us, call.wall_us + _GATEWAY_US))
