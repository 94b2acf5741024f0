"""Judges what the result of one call means for each order in it. Pure."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from bulk_cancel.worker.okx.answers import Answer, Item
from bulk_cancel.worker.okx.codes import ENVELOPES, TIMED_OUT, Scope, Verdict, lookup
from bulk_cancel.worker.okx.errors import (
    ClockSkew,
    ExchangeError,
    NeverSent,
    NotAuthorised,
    OutcomeUnknown,
    Throttled,
    TooLate,
    Unavailable,
)
from bulk_cancel.worker.okx.orders import OrderRef

# these send the reader to the items, they say nothing of one order
_ENVELOPES = ENVELOPES | {""}
_TRIGGERED = "51416"
_FIRED = frozenset({"51412", "51416", "51291", "51293"})
_MEANINGS: Final[Sequence[tuple[type[ExchangeError], Verdict, Scope]]] = (
    (NeverSent, Verdict.RETRY, Scope.ORDER),
    (Unavailable, Verdict.RETRY, Scope.EXCHANGE),
    (OutcomeUnknown, Verdict.AMBIGUOUS, Scope.ORDER),
    (Throttled, Verdict.RETRY, Scope.LANE),
    (NotAuthorised, Verdict.CREDENTIALS, Scope.ACCOUNT),
    (ClockSkew, Verdict.CLOCK, Scope.ORDER),
)


class Judgement(NamedTuple):
    """What one order's result means.

    `silent`: the exchange said nothing, or only that it did not manage in time. `whole`: the code was said of a request
    for several orders, so another may be its cause.
    """

    verdict: Verdict
    scope: Scope
    slow: bool
    code: str
    msg: str
    silent: bool = False
    whole: bool = False


def judge(orders: Sequence[OrderRef], result: Answer | ExchangeError) -> tuple[Judgement, ...]:
    """One judgement per order, in the order given; the same object for all of which the same was said."""
    if isinstance(result, ExchangeError):
        return (_of_error(result),) * len(orders)
    if not result.items:
        return (_of_envelope(result)._replace(whole=len(orders) > 1),) * len(orders)
    judged: dict[tuple[str, str] | None, Judgement] = {}
    return tuple(_of_item(item, result, judged, whole=len(orders) > 1) for item in _items_of(orders, result.items))


def of_algo(judged: Judgement) -> Judgement:
    """The same, said of an algo order: one that fired, or is no more, has nothing left to cancel. Its state tells."""
    return judged._replace(verdict=Verdict.GONE, scope=Scope.ORDER) if judged.code in _FIRED else judged


def exchange_ids(orders: Sequence[OrderRef], answer: Answer) -> Mapping[OrderRef, str]:
    """What the answer tells of orders that were named by a client id: the exchange's own id."""
    if all(order.ordId for order in orders):
        return {}
    found = zip(orders, _items_of(orders, answer.items), strict=True)
    return {order: item.ordId for order, item in found if item and item.ordId and not order.ordId}


def _items_of(orders: Sequence[OrderRef], items: Sequence[Item]) -> Sequence[Item | None]:
    """The item of each order; None where there is none, or several that differ."""
    if len(orders) == 1 and len(items) == 1 and _is_nameless(items[0]):
        return items
    if len(orders) == len(items) and all(order.ordId == item.ordId for order, item in zip(orders, items, strict=True)):
        return items  # mostly they come as they were asked for
    by_id = _by_id(items)
    return [_agreed(by_id.get(_name(order), ())) for order in orders]


def _name(order: OrderRef) -> tuple[str, str]:
    return ("ordId", order.ordId) if order.ordId else ("clOrdId", order.clOrdId or "")


def _agreed(items: Sequence[Item]) -> Item | None:
    return items[0] if len({(item.sCode, item.ordId) for item in items}) == 1 else None


def _is_nameless(item: Item) -> bool:
    return not (item.ordId or item.clOrdId)


def _by_id(items: Sequence[Item]) -> Mapping[tuple[str, str], list[Item]]:
    found: dict[tuple[str, str], list[Item]] = {}
    for item in items:
        for kind, value in (("ordId", item.ordId), ("clOrdId", item.clOrdId)):
            if value:
                found.setdefault((kind, value), []).append(item)
    return found


def _of_item(
    item: Item | None, answer: Answer, judged: dict[tuple[str, str] | None, Judgement], *, whole: bool
) -> Judgement:
    said = (item.sCode, item.sMsg) if item else None
    if said not in judged:
        judged[said] = _of_said(said, answer, whole=whole)
    return judged[said]


def _of_said(said: tuple[str, str] | None, answer: Answer, *, whole: bool) -> Judgement:
    """`whole`: an item without a code of its own leaves what was said of all orders of the request."""
    if said is None:
        return _missing(answer)
    return _of_code(*said) if said[0] else _of_envelope(answer)._replace(whole=whole)


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
    # said of an order by itself, it is no word on our address
    scope = Scope.ACCOUNT if row.scope is Scope.WORKER else row.scope
    return Judgement(row.verdict, scope, row.slow, code, msg, silent=row.code in TIMED_OUT)


def _of_error(error: ExchangeError) -> Judgement:
    verdict, scope = _meaning(error)
    judged = Judgement(verdict, scope, slow=False, code=error.code, msg=error.msg)
    if isinstance(error, NeverSent):
        return judged._replace(silent=not isinstance(error, TooLate))
    if isinstance(error, OutcomeUnknown):
        return judged._replace(silent=True)
    row = lookup(error.code)
    if row.verdict is Verdict.UNKNOWN:
        return judged
    return judged._replace(verdict=row.verdict, scope=row.scope, slow=row.slow)


def _meaning(error: ExchangeError) -> tuple[Verdict, Scope]:
    """What the class alone says: enough where there is no code in the table."""
    known = ((verdict, scope) for kind, verdict, scope in _MEANINGS if isinstance(error, kind))
    return next(known, (Verdict.UNKNOWN, Scope.ORDER))
