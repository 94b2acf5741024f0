"""The trading calls of the simulated exchange: cancels and new orders."""

from collections.abc import Sequence

from bulk_cancel.worker.simulator.book import Ack, Book, Ref
from bulk_cancel.worker.simulator.calls import Answer, Call, Planned, Row, Venue, done, failed, text
from bulk_cancel.worker.simulator.faults import ItemCode

MAX_BATCH = 20
SWITCH_S = (10, 120)
_GATEWAY_US = 500  # outTime - inTime


def cancel(venue: Venue, call: Call, planned: Planned) -> Answer:
    """`POST trade/cancel-order`: one object, one item."""
    if isinstance(call.params, list):
        return failed("50002", "JSON syntax error", 400)
    return _acknowledged(venue, call, planned)


def cancel_batch(venue: Venue, call: Call, planned: Planned) -> Answer:
    """`POST trade/cancel-batch-orders`: at most 20 orders, one item each, in the order asked unless shuffled."""
    return misfit(call, planned, MAX_BATCH) or _acknowledged(venue, call, planned)


def misfit(call: Call, planned: Planned, most: int) -> Answer | None:
    """Why a list of cancels is refused as a whole."""
    if not isinstance(call.params, list):
        return failed("50002", "JSON syntax error", 400)
    if not planned:
        return failed("50000", "Body for POST request cannot be empty.", 400)
    if len(planned) > most:
        return failed("51406", f"Canceled - order count exceeds the limit {most}", 400)
    return None


def place(venue: Venue, call: Call, _planned: Planned) -> Answer:
    """`POST trade/order` and `trade/batch-orders`: enough of them to put orders on the book."""
    wanted = call.params if isinstance(call.params, list) else [call.params]
    return _answer(call, [_placed(venue.book, call, fields) for fields in wanted])


def cancel_all_after(venue: Venue, call: Call, _planned: Planned) -> Answer:
    """`POST trade/cancel-all-after`: cancels all of the user's orders, or those of a tag, unless it is asked again."""
    said, tag = text(call.params, "timeOut"), text(call.params, "tag")
    if not said.isdecimal() or not (int(said) == 0 or SWITCH_S[0] <= int(said) <= SWITCH_S[1]):
        return failed("51000", "Parameter timeOut error", 400)
    triggers_us = 0
    if int(said):
        lasts_us = round(int(said) * venue.book.behaviour.switch_scale * 1e6)
        venue.book.switches.arm(call.uid, tag, call.now_us + lasts_us)
        triggers_us = call.wall_us + lasts_us
    else:
        venue.book.switches.disarm(call.uid, tag)
    return done([{"triggerTime": str(triggers_us // 1_000), "tag": tag, "ts": str(call.wall_us // 1_000)}])


def _acknowledged(venue: Venue, call: Call, planned: Planned) -> Answer:
    return answer_cancels(venue, call, [(_item(venue.book, call, ref, code), code) for ref, code in planned])


def answer_cancels(venue: Venue, call: Call, items: Sequence[tuple[Row, ItemCode | None]]) -> Answer:
    """The items of a cancel, without those of which nothing is to be said."""
    return _answer(call, venue.book.answered([item for item, code in items if not (code and code.missing)]))


def _answer(call: Call, items: Sequence[Row]) -> Answer:
    """The envelope of a trading call: 0, 1 or 2 as all items, none or some succeeded, and the gateway's times."""
    failures = sum(item["sCode"] != "0" for item in items)
    code, msg = ("2", "Bulk operation partially successful") if failures else ("0", "")
    if items and failures == len(items):
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


def _placed(book: Book, call: Call, wanted: object) -> Row:
    fields = {name: text(wanted, name) for name in ("clOrdId", "side", "ordType", "px", "sz", "tdMode", "tag")}
    ts = str(call.wall_us // 1_000)
    item = {
        "ordId": "",
        "clOrdId": fields["clOrdId"],
        "tag": fields["tag"],
        "ts": ts,
        "sCode": "0",
        "sMsg": "",
    }
    listed = book.instruments.get(text(wanted, "instId"))
    if listed is None:
        return item | {"sCode": "51001", "sMsg": "Instrument ID doesn't exist."}
    twin = book.find(call.uid, Ref("", "", fields["clOrdId"]))
    if twin is not None and twin.open:
        return item | {"sCode": "51016", "sMsg": "Client order ID already exists."}
    return item | {"ordId": book.place(call.uid, listed, call.now_us, fields).ordId}
