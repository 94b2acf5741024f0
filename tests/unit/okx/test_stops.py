"""Are products ended by calls that cannot trade, as the exchange documents them?"""

import json
from pathlib import Path

import pytest

from bulk_cancel.worker import okx
from bulk_cancel.worker.okx.sources import LISTS, is_theirs
from bulk_cancel.worker.okx.stops import COPIED, GROUP_OF, KEEP, SETTLES, STOP_OF, STOPPING, Found, found, still_placing

V5 = "/api/v5/"


@pytest.mark.parametrize(
    ("name", "path", "meter", "body"),
    [
        ("spot_grid", "tradingBot/grid/stop-order-algo", ("grid_stops", 20), [
            {"algoId": "1", "instId": "A-B", "algoOrdType": "grid", "stopType": "2"},
            {"algoId": "2", "instId": "C-D", "algoOrdType": "grid", "stopType": "2"}]),
        ("contract_grid", "tradingBot/grid/stop-order-algo", ("grid_stops", 20), [
            {"algoId": "1", "instId": "A-B", "algoOrdType": "contract_grid", "stopType": "2"},
            {"algoId": "2", "instId": "C-D", "algoOrdType": "contract_grid", "stopType": "2"}]),
        ("spot_dca", "tradingBot/dca/stop", ("dca_stops", 20),
            {"algoId": "1", "algoOrdType": "spot_dca", "stopType": "2"}),
        ("recurring_buy", "tradingBot/recurring/stop-order-algo", ("recurring_stops", 20),
            [{"algoId": "1"}, {"algoId": "2"}]),
    ],
)  # fmt: skip
def test_a_bot_is_stopped_so_that_it_keeps_what_it_has(
    name: str, path: str, meter: tuple[str, int], body: object
) -> None:
    """The body, to the letter."""
    stop = STOP_OF[name]
    named = [("1", "A-B"), ("2", "C-D")][: stop.each]
    assert (stop.path, (stop.meter, stop.limit), stop.body(named)) == (V5 + path, meter, body)


def test_no_other_stop_type_is_written_anywhere() -> None:
    """Each other one sells or closes; and what has none, or a doubtful one, has no call at all."""
    folder = Path(okx.__file__).parent
    assert [path.name for path in folder.rglob("*.py") if '"stopType"' in path.read_text()] == ["stops.py"]
    assert {stop.said.get("stopType") for stop in STOP_OF.values()} == {KEEP, None}
    every = {listed.name for listed in LISTS}
    assert every - {*STOP_OF} >= {"contract_dca", "signal_bot", "copy_trading", "lead_trading"}
    assert set(GROUP_OF) == set(STOP_OF)
    assert "close" not in json.dumps([stop.path for stop in STOP_OF.values()])


@pytest.mark.parametrize(
    ("name", "row", "told"),
    [
        ("spot_grid", {"instId": "A-B", "state": "running"}, Found("A-B")),
        ("spot_grid", {"instId": "A-B", "state": "pending_signal", "copyType": "0"}, Found("A-B")),
        ("spot_grid", {"instId": "A-B", "state": "stopping"}, Found("A-B", STOPPING, "waits")),
        ("contract_grid", {"instId": "A-B", "copyType": "2"}, Found("A-B", COPIED, "human")),
        ("recurring_buy", {}, Found("")),
        ("spread", {"sprdId": "A-B_C-D", "pendingSettleSz": "0.00"}, Found("A-B_C-D")),
        ("spread", {"sprdId": "A-B_C-D", "pendingSettleSz": "0.5"}, Found("A-B_C-D", SETTLES)),
    ],
)
def test_a_row_says_whether_it_may_be_asked(name: str, row: dict[str, str], told: Found) -> None:
    """One that stops already is not asked again, one that others copy never."""
    assert found(name, row) == told


@pytest.mark.parametrize(
    ("number", "waits"), [("0", False), ("", False), ("10", True)], ids=["none", "not told", "some"]
)
def test_a_grid_that_stopped_may_have_orders_left(number: str, *, waits: bool) -> None:
    """Until its details say that it has none."""
    assert bool(still_placing({"activeOrdNum": number})) is waits


@pytest.mark.parametrize(
    ("name", "row", "theirs"),
    [
        ("rfq", {"clRfqId": "mine", "flowType": ""}, False),
        ("rfq", {"clRfqId": "", "flowType": ""}, False),
        ("rfq", {"clRfqId": "", "flowType": "x"}, True),
        ("quote", {"clQuoteId": "mine", "clRfqId": ""}, False),
        ("quote", {"clQuoteId": "", "clRfqId": "mine"}, True),
        ("quote", {}, False),
        ("spread", {"flowType": "x"}, False),
    ],
)
def test_an_rfq_of_others_says_so_or_may_be_ours(name: str, row: dict[str, str], *, theirs: bool) -> None:
    """Silence is not enough to leave one out."""
    assert is_theirs(name, row) is theirs
