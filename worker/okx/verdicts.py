"""What does the result of one call mean for each order that was in it? Pure."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from worker.okx.answers import Answer, Item
from worker.okx.codes import Scope, Verdict, lookup
from worker.okx.errors import (
    ClockSkew,
    ExchangeError,
    NeverSent,
    NotAuthorised,
    OutcomeUnknown,
    Throttled,
    TooLate,
    Unavailable,
)
from worker.okx.orders import OrderRef

# these send the reader to the items, they say nothing of one order
_ENVELOPES = frozenset({"", "0", "1", "2"})
_TRIGGERED = "51416"


class Judgement(NamedTuple):
    """What one order's result means.

    `never_sent`: no byte left, its slot may be released. `transport`: the connection failed, not
    the exchange. `whole`: the code was said of a request for several orders, so another may be its cause. `ord_id`:
    the exchange's id of the order, "" if the answer does not tell.
    """

    verdict: Verdict
    scope: Scope
    slow: bool
    code: str
    msg: str
    never_sent: bool = False
    transport: bool = False
    whole: bool = False
    ord_id: str = ""


def judge(orders: Sequence[OrderRef], result: Answer | ExchangeError) -> tuple[Judgement, ...]:
    """One judgement per order, in the order given."""
    if isinstance(result, ExchangeError):
        return (_of_error(result),) * len(orders)
    if len(orders) == 1 and len(result.items) == 1 and _is_nameless(result.items[0]):
        return (_of_item(result.items[0], result),)
    by_id = _by_id(result.items)
    return tuple(_of_order(order, by_id, result, several=len(orders) > 1) for order in orders)


def _is_nameless(item: Item) -> bool:
    return not (item.ordId or item.clOrdId)


def _by_id(items: Sequence[Item]) -> Mapping[tuple[str, str], list[Item]]:
    found: dict[tuple[str, str], list[Item]] = {}
    for item in items:
        if item.ordId:
            found.setdefault(("ordId", item.ordId), []).append(item)
        if item.clOrdId:
            found.setdefault(("clOrdId", item.clOrdId), []).append(item)
    return found


def _of_order(
    order: OrderRef, by_id: Mapping[tuple[str, str], list[Item]], answer: Answer, *, several: bool
) -> Judgement:
    if not answer.items:
        return _of_envelope(answer)._replace(whole=several)
    name = ("ordId", order.ordId) if order.ordId else ("clOrdId", order.clOrdId or "")
    items = by_id.get(name, ())
    if not items or any(item.sCode != items[0].sCode for item in items[1:]):
        return _missing(answer)  # not there, or there with two meanings
    return _of_item(items[0], answer)


def _of_item(item: Item, answer: Answer) -> Judgement:
    if item.sCode:
        return _of_code(item.sCode, item.sMsg, item.ordId)
    return _of_envelope(answer)._replace(ord_id=item.ordId)


def _of_envelope(answer: Answer) -> Judgement:
    if answer.code in _ENVELOPES:
        return _missing(answer)
    return _of_code(answer.code, answer.msg)


def _missing(answer: Answer) -> Judgement:
    msg = answer.msg or "not in the answer"
    return Judgement(Verdict.AMBIGUOUS, Scope.ORDER, slow=False, code=answer.code, msg=msg)


def _of_code(code: str, msg: str, ord_id: str = "") -> Judgement:
    triggered = code == "51412" and "triggered" in msg.lower()
    row = lookup(_TRIGGERED if triggered else code)
    return Judgement(row.verdict, row.scope, row.slow, code, msg, ord_id=ord_id)


def _of_error(error: ExchangeError) -> Judgement:
    verdict, scope = _meaning(error)
    judged = Judgement(verdict, scope, slow=False, code=error.code, msg=error.msg)
    if isinstance(error, NeverSent):
        return judged._replace(never_sent=True)
    if isinstance(error, OutcomeUnknown):
        return judged._replace(transport=True)
    row = lookup(error.code)
    if row.verdict is Verdict.UNKNOWN:
        return judged
    return judged._replace(verdict=row.verdict, scope=row.scope, slow=row.slow)


def _meaning(error: ExchangeError) -> tuple[Verdict, Scope]:
    """What the class alone says: enough where there is no code in the table."""
    match error:
        case NeverSent() | Unavailable():
            return Verdict.RETRY, Scope.ORDER if isinstance(error, TooLate) else Scope.EXCHANGE
        case OutcomeUnknown():
            return Verdict.AMBIGUOUS, Scope.ORDER
        case Throttled():
            return Verdict.RETRY, Scope.LANE
        case NotAuthorised():
            return Verdict.CREDENTIALS, Scope.ACCOUNT
        case ClockSkew():
            return Verdict.CLOCK, Scope.ORDER
        case _:
            return Verdict.UNKNOWN, Scope.ORDER
