"""Does every code of the verdict table, through the whole system, lead to the state that the table promises?"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final

import pytest

from bulk_cancel.worker.okx.codes import CODES, Code, Scope, Verdict
from bulk_cancel.worker.simulator.config import DEFAULT_KEY, Config
from bulk_cancel.worker.simulator.faults import Fault, ItemCode, Step, envelope
from bulk_cancel.worker.simulator.meters import Limits
from bulk_cancel.worker.state.batches import Row
from tests.support.desks import HOUSE, desk, hand_in, last, let_pass
from tests.support.rig import Rig, orders
from tests.system.chaos.report import Witness

ENDS: Final = {
    Verdict.ACCEPTED: "canceled", Verdict.GONE: "canceled", Verdict.REJECTED: "rejected", Verdict.BUG: "rejected",
}  # fmt: skip
STRANGE: Final = Code("59999", Verdict.UNKNOWN, Scope.ORDER, slow=False, meaning="no row of the table")
TABLE: Final = (*CODES.values(), STRANGE)
RATE: Final = frozenset({"50011", "50061", "50040"})
SOLO: Final = desk(2)
"""Sends singly, so that a code said of a whole request is said of one order."""

LONGEST_REST_S: Final = 30.0
WINDOW_S: Final = 0.5
"""Before Redis's clock may jump, what was sent must count no longer at the exchange, whose clock does not."""

LANES: Final = dict(zip(Scope, ("BTC-USDT", "ETH-USDT", "ETH-USDT-SWAP", "SOL-USDT", "BTC-USDT-SWAP"), strict=True))


@pytest.fixture
def rig() -> Iterator[Rig]:
    """Two workers; one desk with batch requests, one without."""
    config = Config(accounts=(DEFAULT_KEY, SOLO.key), limits=Limits(window_ms=round(WINDOW_S * 1000)))
    with Rig(workers=0, config=config, settings={"WINDOW_S": str(WINDOW_S)}) as running:
        running.configure(**SOLO.settings(ENDPOINTS="single"))
        running.start_workers(2)
        yield running


def test_every_row_of_the_table(rig: Rig, witness: Witness) -> None:
    """Each code once, as an order's sCode in a batch and as the code of a whole single request; then all goes well."""
    for scope, lane in LANES.items():
        rows = [row for row in TABLE if row.scope is scope]
        witness.injected(2 * len(rows))
        spoken = [row for row in rows if row.verdict is not Verdict.ACCEPTED]
        items = place(rig, HOUSE, lane, {row.code: item(row) for row in rows})
        whole = place(rig, SOLO.uid, lane, {row.code: refusal(row) for row in spoken})
        hand_in(rig, f"items-{scope}", orders(lane, list(items)))
        hand_in(rig, f"whole-{scope}", orders(lane, list(whole)), account=SOLO.name)
        outlive_rests(rig, scope)
        check(rig, f"items-{scope}", items, rows)
        check(rig, f"whole-{scope}", whole, spoken)
    check_triggered(rig)
    witness.judge(rig)


def place(rig: Rig, uid: str, lane: str, answers: Mapping[str, Step]) -> dict[str, str]:
    """One order for each code, whose first cancel is answered with it; returns ordId → code."""
    ids = rig.exchange.control.place(uid, lane, len(answers))
    for order_id, answer in zip(ids, answers.values(), strict=True):
        rig.exchange.control.script(order_id, [answer])
    return dict(zip(ids, answers, strict=True))


def item(row: Code) -> ItemCode:
    """The code said of one order; when it says that the order is gone, it is."""
    return ItemCode(row.code, "as scripted", takes_effect=row.verdict in (Verdict.ACCEPTED, Verdict.GONE))


def refusal(row: Code) -> Fault:
    """The code said of the whole request."""
    return replace(envelope(row.code, "as scripted", 200), when="after" if row.verdict is Verdict.GONE else "before")


def outlive_rests(rig: Rig, scope: Scope) -> None:
    """Rests pass until everything has been answered once, and once more; the widest lasts thirty seconds.

    Whatever of a batch is not on its way when the rest begins goes after it; the first to go is a probe, which fails.
    """
    names = [f"items-{scope}", f"whole-{scope}"]
    if scope is not Scope.ORDER:
        met = len([row for row in TABLE if row.scope is scope])
        while not all(answered(rig, name) == met for name in names):
            let_rests_pass(rig)
        let_rests_pass(rig)
    for name in names:
        rig.done(name)


def let_rests_pass(rig: Rig) -> None:
    """Once nothing was sent for a window: the exchange counts it no longer, and its clock is not the one that jumps."""
    before = None
    while before != (before := sum(order.cancels for order in rig.exchange.control.orders())):
        last(rig, WINDOW_S)
    let_pass(rig, LONGEST_REST_S)


def answered(rig: Rig, batch: str) -> int:
    """How many orders of the batch have an attempt in their history."""
    return sum(bool(row.log) for row in rig.store.batches.rows(batch))


def check(rig: Rig, batch: str, codes: Mapping[str, str], table: Iterable[Code]) -> None:
    """Every order ended as its code's row says, with the code in its history, after as many sends as that takes."""
    rows = {row.ordId: row for row in rig.store.batches.rows(batch)}
    by_code = {row.code: row for row in table}
    sends = {order.ordId: order.cancels for order in rig.exchange.control.orders()}
    wrong = [
        (code, rows[order_id].status, rows[order_id].attempts, sends[order_id])
        for order_id, code in codes.items()
        if not as_promised(rows[order_id], by_code[code], sends[order_id])
    ]
    assert not wrong


def as_promised(row: Row, code: Code, sends: int) -> bool:
    """A verdict that ends the order ends it at once; all else goes again, and only its own fault uses up an attempt."""
    said = [entry["sCode"] for entry in row.log]
    if code.verdict is Verdict.PENDING:  # it waits for the book, which shows it open: nothing was scripted to cancel it
        return (row.status, row.attempts, sends, said) == ("canceled", 2, 2, [code.code, None, "0"])
    if status := ENDS.get(code.verdict):
        return (row.status, row.sCode, row.attempts, sends, said) == (status, code.code, 1, 1, [code.code])
    attempts = 2 if code.scope is Scope.ORDER else 1
    return (row.status, row.sCode, row.attempts, sends, said) == ("canceled", "0", attempts, 2, [code.code, "0"])


def check_triggered(rig: Rig) -> None:
    """The one code whose meaning hangs on its text: a cancel that "timed out" because the order has triggered."""
    step = ItemCode("51412", "The order has been triggered and can't be canceled")
    (order_id,) = place(rig, HOUSE, "BTC-USDT", {"51412": step})
    hand_in(rig, "triggered", orders("BTC-USDT", [order_id]))
    assert rig.done("triggered").counts == {"rejected": 1}
