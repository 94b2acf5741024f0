"""The calls about algo orders of the simulated exchange."""

from collections.abc import Mapping

from bulk_cancel.worker.simulator.algos import Algo
from bulk_cancel.worker.simulator.book import Ref
from bulk_cancel.worker.simulator.calls import Answer, Call, Planned, Row, Venue, done, failed
from bulk_cancel.worker.simulator.faults import ItemCode
from bulk_cancel.worker.simulator.trading import answer_cancels, misfit

MAX_ALGOS = 10
TOGETHER = frozenset({"conditional", "oco"})
"""Types that may be asked for in one call; all others are asked for alone."""

_TYPES = TOGETHER | {"trigger", "move_order_stop", "chase", "twap", "smart_iceberg", "iceberg"}
_UNSET = (
    "actualPx", "actualSide", "actualSz", "callbackRatio", "callbackSpread", "ccy", "failCode", "lever", "ordPx",
    "posSide", "pxLimit", "pxSpread", "pxVar", "slOrdPx", "slTriggerPx", "slTriggerPxType", "szLimit", "tgtCcy",
    "timeInterval", "tpOrdPx", "tpTriggerPx", "tpTriggerPxType", "triggerPx", "triggerPxType", "triggerTime",
)  # fmt: skip


def cancel_algos(venue: Venue, call: Call, planned: Planned) -> Answer:
    """`POST trade/cancel-algos`: at most 10 algo orders, one item each."""
    return _cancel(venue, call, planned, advance=False)


def cancel_advance(venue: Venue, call: Call, planned: Planned) -> Answer:
    """`POST trade/cancel-advance-algos`: the same, as it was for trailing stops, icebergs and TWAPs."""
    return _cancel(venue, call, planned, advance=True)


def pending(venue: Venue, call: Call, _planned: Planned) -> Answer:
    """`GET trade/orders-algo-pending`: those that wait, of one ordType, newest first."""
    types = _types(venue, call)
    if isinstance(types, Answer):
        return types
    shown = [
        algo for algo in venue.algos.listed(call.uid, call.now_us) if algo.ordType in types and _wanted(call, algo)
    ]
    return _page(call, shown)


def history(venue: Venue, call: Call, _planned: Planned) -> Answer:
    """`GET trade/orders-algo-history`: those that ended, of one ordType and state, newest first."""
    types = _types(venue, call)
    if isinstance(types, Answer):
        return types
    ended = [algo for algo in reversed(venue.algos.all.values()) if algo.uid == call.uid and not algo.open]
    shown = [algo for algo in ended if algo.ordType in types and call.text("state") in {"", algo.state}]
    return _page(call, [algo for algo in shown if _wanted(call, algo)])


def one(venue: Venue, call: Call, _planned: Planned) -> Answer:
    """`GET trade/order-algo`: one algo order, open or done, by algoId or algoClOrdId."""
    found = venue.algos.find(call.uid, call.text("algoId"), call.text("algoClOrdId"))
    return (
        failed("51603", "Order does not exist")
        if found is None
        else done([algo_row(found, call.wall_us - call.now_us)])
    )


def _cancel(venue: Venue, call: Call, planned: Planned, *, advance: bool) -> Answer:
    if refusal := misfit(call, planned, MAX_ALGOS):
        return refusal
    items = [(_item(venue, call, each, advance=advance), each[1]) for each in planned]
    return answer_cancels(venue, call, items)._replace(times_us=None)


def _item(venue: Venue, call: Call, planned: tuple[Ref, ItemCode | None], *, advance: bool) -> Row:
    ref, code = planned
    item = {"algoId": ref.ordId, "algoClOrdId": ref.clOrdId}
    if code is None or code.takes_effect:
        ack = venue.algos.cancel(call.uid, ref, call.now_us, advance=advance)
        item |= {"sCode": ack.sCode, "sMsg": ack.sMsg}
    return item | ({"sCode": code.sCode, "sMsg": code.sMsg} if code else {})


def _types(venue: Venue, call: Call) -> frozenset[str] | Answer:
    """The ordTypes asked for; an answer if they may not be asked for so."""
    asked = frozenset(filter(None, call.text("ordType").split(",")))
    if not asked:
        return failed("50014", "Parameter ordType can not be empty", 400)
    refused = asked & set(venue.algos.behaviour.unlisted_types)
    if refused or not asked <= _TYPES or (len(asked) > 1 and asked != TOGETHER):
        return failed("51000", "Parameter ordType error", 400)
    return asked


def _wanted(call: Call, algo: Algo) -> bool:
    shown = {"instType": algo.instrument.instType, "instId": algo.instrument.instId, "algoId": algo.algoId}
    return all(call.text(name) in {"", value} for name, value in shown.items())


def _page(call: Call, algos: list[Algo]) -> Answer:
    after, before, limit = (call.text(name) for name in ("after", "before", "limit"))
    if not all(number.isdecimal() for number in (after, before, limit) if number):
        return failed("51000", "Parameter after, before or limit error", 400)
    older = [algo for algo in algos if not after or algo.number < int(after)]
    newer = [algo for algo in older if not before or algo.number > int(before)]
    return done([algo_row(algo, call.wall_us - call.now_us) for algo in newer[: min(int(limit or 100), 100)]])


def algo_row(algo: Algo, offset_us: int) -> Mapping[str, object]:
    """The algo order as the exchange tells of it, `offset_us` by which its clock is ahead."""
    return dict.fromkeys(_UNSET, "") | {
        "algoId": algo.algoId, "algoClOrdId": algo.algoClOrdId, "instId": algo.instrument.instId,
        "instType": algo.instrument.instType, "ordType": algo.ordType, "side": algo.side, "sz": algo.sz,
        "tag": algo.tag, "state": algo.state, "reduceOnly": algo.reduceOnly, "closeFraction": algo.closeFraction,
        "advanceOrdType": algo.advanceOrdType, "tdMode": "cross" if algo.instrument.instFamily else "cash",
        "ordIdList": list(algo.ordIds), "subAlgoIdList": list(algo.algoIds), "linkedOrd": {"ordId": ""},
        "ordId": algo.ordIds[0] if algo.ordIds else "", "attachAlgoOrds": [],
        "cTime": str((algo.cTime_us + offset_us) // 1_000), "uTime": str((algo.uTime_us + offset_us) // 1_000),
    }  # fmt: skip
