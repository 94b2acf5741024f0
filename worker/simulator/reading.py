"""The reading calls of the simulated exchange: orders, account, time, instruments."""

from collections.abc import Iterable, Mapping

from bulk_cancel.worker.simulator.book import Order
from bulk_cancel.worker.simulator.calls import Answer, Call, Planned, Venue, done, failed
from bulk_cancel.worker.simulator.instruments import currencies as currencies_of
from bulk_cancel.worker.simulator.instruments import row


def order(venue: Venue, call: Call, planned: Planned) -> Answer:
    """`GET trade/order`: one order, open or done, by ordId or clOrdId."""
    ref = planned[0][0]
    if not ref.instId:
        return failed("50014", "Parameter instId can not be empty", 400)
    if ref.instId not in venue.book.instruments:
        return failed("51001", "Instrument ID doesn't exist.")
    found = venue.book.find(call.uid, ref)
    if found is None or found.instrument.instId != ref.instId:
        return failed("51603", "Order does not exist")
    return done([order_row(found, call.wall_us - call.now_us)])


def pending(venue: Venue, call: Call, _planned: Planned) -> Answer:
    """`GET trade/orders-pending`: open orders, newest first, at most `page_rows`."""
    return _page(venue, call, venue.book.newest_first(call.uid))


def history(venue: Venue, call: Call, _planned: Planned) -> Answer:
    """`GET trade/orders-history`: finished orders, newest first, at most `page_rows`."""
    if not call.text("instType"):
        return failed("50014", "Parameter instType can not be empty", 400)
    return _page(venue, call, venue.book.history(call.uid))


def config(venue: Venue, call: Call, _planned: Planned) -> Answer:
    """`GET account/config`: who the key belongs to and what it may do."""
    permissions = ",".join(venue.key.permissions) if venue.key else ""
    label = venue.key.label if venue.key else ""
    account = {"uid": call.uid, "mainUid": call.uid, "perm": permissions, "label": label, "ip": ""}
    account |= {"roleType": venue.key.role if venue.key else "0", "spotRoleType": "0"}
    return done([account | {"acctLv": "2", "posMode": "net_mode", "kycLv": "2", "level": "Lv1", "type": "0"}])


def time(_venue: Venue, call: Call, _planned: Planned) -> Answer:
    """`GET public/time`: the exchange's wall clock in ms."""
    return done([{"ts": str(call.wall_us // 1_000)}])


def ticker(venue: Venue, call: Call, _planned: Planned) -> Answer:
    """`GET market/ticker`: every price here is 1000."""
    listed = venue.book.instruments.get(call.text("instId"))
    if listed is None:
        return failed("51001", "Instrument ID doesn't exist.")
    return done(
        [{"instType": listed.instType, "instId": listed.instId, "last": "1000", "ts": str(call.wall_us // 1_000)}]
    )


def instruments(venue: Venue, call: Call, _planned: Planned) -> Answer:
    """`GET public/instruments`: what is listed of one type."""
    kind, family = call.text("instType"), call.text("instFamily") or call.text("uly")
    if not kind or (kind == "OPTION" and not family):
        return failed("50014", "Parameter instType or instFamily can not be empty", 400)
    listed_as = "SPOT" if kind == "MARGIN" else kind
    wanted = [listed for listed in venue.book.instruments.values() if listed.instType == listed_as]
    wanted = [listed for listed in wanted if family in {"", listed.instFamily}]
    return done([row(listed) | {"instType": kind} for listed in wanted if call.text("instId") in {"", listed.instId}])


def currencies(venue: Venue, _call: Call, _planned: Planned) -> Answer:
    """`GET asset/currencies`: the currencies of what is listed, enough for ccxt."""
    names = dict.fromkeys(ccy for listed in venue.book.instruments.values() for ccy in currencies_of(listed))
    return done([{"ccy": ccy, "name": ccy, "chain": f"{ccy}-{ccy}"} for ccy in names])


def order_row(shown: Order, clock_offset_us: int) -> dict[str, object]:
    """An order as the reading endpoints show it, with times on the clock that the exchange shows."""
    listed, filled = shown.instrument, shown.accFillSz != "0"
    changed = str((shown.uTime_us + clock_offset_us) // 1_000)
    return _PLAIN | {
        "instType": shown.kind,
        "instId": listed.instId,
        "ordId": shown.ordId,
        "clOrdId": shown.clOrdId,
        "px": shown.px,
        "sz": shown.sz,
        "side": shown.side,
        "ordType": shown.ordType,
        "tdMode": shown.tdMode,
        "tag": shown.tag,
        "state": shown.state,
        "accFillSz": shown.accFillSz,
        "avgPx": shown.px if filled else "",
        "fillPx": shown.px if filled else "",
        "fillSz": shown.accFillSz,
        "fillTime": changed if filled else "",
        "tradeId": str(shown.number) if filled else "",
        "cancelSource": shown.cancelSource,
        "algoId": shown.algoId,
        "source": shown.source,
        "attachAlgoOrds": [{"reduceOnly": shown.attached}] if shown.attached else [],
        "cTime": str((shown.cTime_us + clock_offset_us) // 1_000),
        "uTime": changed,
    }


_UNSET = (
    "algoClOrdId", "algoId", "attachAlgoClOrdId", "ccy", "feeCcy", "lever", "posSide", "pxType", "pxUsd", "pxVol",
    "quickMgnType", "rebateCcy", "slOrdPx", "slTriggerPx", "slTriggerPxType", "source", "stpId", "tgtCcy", "tpOrdPx",
    "tpTriggerPx", "tpTriggerPxType", "tradeQuoteCcy", "cancelSourceReason",
)  # fmt: skip
_PLAIN: dict[str, object] = dict.fromkeys(_UNSET, "") | {
    "fee": "0", "rebate": "0", "pnl": "0", "category": "normal", "reduceOnly": "false", "isTpLimit": "false",
    "stpMode": "cancel_maker", "attachAlgoOrds": [], "linkedAlgoOrd": {"algoId": ""},
}  # fmt: skip
"""What is alike in all orders here: with `order_row`, the fields of OKX's documentation."""


def _page(venue: Venue, call: Call, orders: Iterable[Order]) -> Answer:
    after, before, limit = (call.text(name) for name in ("after", "before", "limit"))
    if not all(number.isdecimal() for number in (after, before, limit) if number):
        return failed("51000", "Parameter after, before or limit error", 400)
    most = venue.book.behaviour.page_rows
    size = min(int(limit or most), most)
    page: list[Mapping[str, object]] = []
    for shown in orders:
        if len(page) == size or (before and shown.number <= int(before)):
            break
        if (not after or shown.number < int(after)) and _wanted(call, shown):
            page.append(order_row(shown, call.wall_us - call.now_us))
    return done(page)


def _wanted(call: Call, shown: Order) -> bool:
    listed = shown.instrument
    return (
        call.text("instType") in {"", shown.kind}
        and call.text("instFamily") in {"", listed.instFamily}
        and call.text("instId") in {"", listed.instId}
        and call.text("state") in {"", shown.state}
        and (not call.text("ordType") or shown.ordType in call.text("ordType").split(","))
    )
