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
    the exchange. `whole`: the code was said of a request for several orders, so another may be its cause.
    """

    verdict: Verdict
    scope: Scope
    slow: bool
    code: str
    msg: str
    never_sent: bool = False
    transport: bool = False
    whole: bool = False


def judge(orders: Sequence[OrderRef], result: Answer | ExchangeError) -> tuple[Judgement, ...]:
    """One judgement per order, in the order given; the same object for all of which the same was said."""
    if isinstance(result, ExchangeError):
        return (_of_error(result),) * len(orders)
    if not result.items:
        return (_of_envelope(result)._replace(whole=len(orders) > 1),) * len(orders)
    judged: dict[tuple[str, str] | None, Judgement] = {}
    return tuple(_of_item(item, result, judged) for item in _items_of(orders, result.items))


def exchange_ids(orders: Sequence[OrderRef], answer: Answer) -> Mapping[OrderRef, str]:
    """What the answer tells of orders that were named by a client id: the exchange's own id."""
    if all(order.ordId for order in orders):
        return {}
    found = zip(orders, _items_of(orders, answer.items), strict=True)
    return {order: item.ordId for order, item in found if item and item.ordId and not order.ordId}


def _items_of(orders: Sequence[OrderRef], items: Sequence[Item]) -> Sequence[Item | None]:
    """The item of each order; None where there is none, or several with different codes."""
    if len(orders) == 1 and len(items) == 1 and _is_nameless(items[0]):
        return items
    if len(orders) == len(items) and all(order.ordId == item.ordId for order, item in zip(orders, items, strict=True)):
        return items  # mostly they come as they were asked for
    by_id = _by_id(items)
    return [_agreed(by_id.get(_name(order), ())) for order in orders]


def _name(order: OrderRef) -> tuple[str, str]:
    return ("ordId", order.ordId) if order.ordId else ("clOrdId", order.clOrdId or "")


def _agreed(items: Sequence[Item]) -> Item | None:
    return items[0] if len({item.sCode for item in items}) == 1 else None


def _is_nameless(item: Item) -> bool:
    return not (item.ordId or item.clOrdId)


def _by_id(items: Sequence[Item]) -> Mapping[tuple[str, str], list[Item]]:
    found: dict[tuple[str, str], list[Item]] = {}
    for item in items:
        for kind, value in (("ordId", item.ordId), ("clOrdId", item.clOrdId)):
            if value:
                found.setdefault((kind, value), []).append(item)
    return found


def _of_item(item: Item | None, answer: Answer, judged: dict[tuple[str, str] | None, Judgement]) -> Judgement:
    said = (item.sCode, item.sMsg) if item else None
    if said not in judged:
        judged[said] = _of_said(said, answer)
    return judged[said]


def _of_said(said: tuple[str, str] | None, answer: Answer) -> Judgement:
    if said is None:
        return _missing(answer)
    return _of_code(*said) if said[0] else _of_envelope(answer)


def _of_envelope(answer: Answer) -> Judgement:
    if answer.code in _ENVELOPES:
        return _missing(answer)
    return _of_code(answer.code, answer.msg)


def _missing(answer: Answer) -> Judgement:
    msg = answer.msg or "not in the answer"
    return Judgement(Verdict.AMBIGUOUS, Scope.ORDER, slow=False, code=answer.code, msg=msg)


def _of_code(code: str, msg: str) -> Judgement:
    triggered = code == "51412" and "triggered" in msg.lower()
    row = lookup(_TRIGGERED if triggered else code)
    return Judgement(row.verdict, row.scope, row.slow, code, msg)


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
