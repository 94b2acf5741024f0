"""What calls to the simulated exchange name, and what they weigh on its meters."""

from collections import Counter
from collections.abc import Callable, Sequence

from bulk_cancel.worker.simulator import algo_calls, trading
from bulk_cancel.worker.simulator.book import Book, Ref
from bulk_cancel.worker.simulator.calls import Call, Venue, text
from bulk_cancel.worker.simulator.meters import Charge

Charges = Sequence[Charge]


def no_refs(_call: Call) -> Sequence[Ref]:
    """The call names no orders."""
    return ()


def order_refs(call: Call) -> Sequence[Ref]:
    """The orders that a body or query names."""
    return _named(call, "ordId", "clOrdId")


def algo_refs(call: Call) -> Sequence[Ref]:
    """The algo orders that a body names; the ids of a Ref are algoId and algoClOrdId."""
    return _named(call, "algoId", "algoClOrdId")


def _named(call: Call, own: str, client: str) -> Sequence[Ref]:
    if call.params is None:
        return ()
    items = call.params if isinstance(call.params, list) else [call.params]
    return [Ref(text(item, "instId"), text(item, own), text(item, client)) for item in items]


def _scope(book: Book, inst_id: str) -> str:
    listed = book.instruments.get(inst_id)
    return listed.meter_scope if listed is not None else inst_id


def by_cancelled(venue: Venue, call: Call, refs: Sequence[Ref]) -> Charges:
    """A batch of one is charged to the single meter; a larger one, order by order, to the batch meters."""
    if not 1 <= len(refs) <= trading.MAX_BATCH:
        return ()
    return _by_lane("single" if len(refs) == 1 else "batch", venue, call, refs)


def by_algo(venue: Venue, call: Call, refs: Sequence[Ref]) -> Charges:
    """Algo orders are charged order by order."""
    if not 1 <= len(refs) <= algo_calls.MAX_ALGOS:
        return ()
    return _by_lane("algo", venue, call, refs)


def _by_lane(meter: str, venue: Venue, call: Call, refs: Sequence[Ref]) -> Charges:
    weights = Counter(_scope(venue.book, ref.instId) for ref in refs)
    return [Charge(meter, f"{call.uid}:{scope}", weight) for scope, weight in weights.items()]


def by_order(venue: Venue, call: Call, refs: Sequence[Ref]) -> Charges:
    """One reading call of the order's lane."""
    return (Charge("order", f"{call.uid}:{_scope(venue.book, refs[0].instId)}", 1),)


def by_user(meter: str) -> Callable[[Venue, Call, Sequence[Ref]], Charges]:
    """So many orders, or one call, of the user."""
    return lambda _venue, call, refs: (Charge(meter, call.uid, max(1, len(refs))),)


def by_tag(_venue: Venue, call: Call, _refs: Sequence[Ref]) -> Charges:
    """One call of the user for the tag."""
    return (Charge("switch", f"{call.uid}:{call.text('tag')}", 1),)


def by_address(_venue: Venue, call: Call, _refs: Sequence[Ref]) -> Charges:
    """One call from the address."""
    return (Charge("time", call.request.peer, 1),)


def free(_venue: Venue, _call: Call, _refs: Sequence[Ref]) -> Charges:
    """Not metered here."""
    return ()
