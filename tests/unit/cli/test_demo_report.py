"""Does the demo plan and judge its run correctly?"""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_cancel.worker.cli.commands.demo import report_json
from bulk_cancel.worker.cli.demo.plan import make_plan, minimum_s
from bulk_cancel.worker.cli.demo.report import Report, make_report
from bulk_cancel.worker.simulator.log import MeterSummary
from bulk_cancel.worker.simulator.messages import Summary
from bulk_cancel.worker.state.batches import Row

TAKEN = datetime(2026, 2, 26, 10, tzinfo=UTC)
TAKEN_US = round(TAKEN.timestamp() * 1e6)
CONFIRMED_LATER_US = 300_000


@given(orders=st.integers(1, 5000), instruments=st.integers(1, 60))
def test_a_plan_places_every_order_and_at_least_one_per_instrument(orders: int, instruments: int) -> None:
    """No order is lost in the division, and the first instrument is the busiest."""
    if instruments > orders:
        with pytest.raises(ValueError, match="at least one order"):
            make_plan(orders, instruments)
        return
    counts = list(make_plan(orders, instruments).orders.values())
    assert (sum(counts), len(counts)) == (orders, instruments)
    assert min(counts) >= 1
    assert counts[0] == max(counts)


@pytest.mark.parametrize(("orders", "seconds"), [(1, 0), (360, 0), (361, 2), (720, 2), (721, 4)])
def test_the_legal_minimum_is_a_window_for_every_360_orders(orders: int, seconds: float) -> None:
    """The first 360 may go at once."""
    assert minimum_s(orders) == seconds


def test_the_report_says_what_the_exchange_saw() -> None:
    """Rate used is minimum by span, over both meters; one window has none."""
    report = _report()
    busy, quiet = report.instruments
    assert busy.share == pytest.approx(0.8)
    assert report.confirmed_s == 2.9
    assert (busy.batch_max, busy.single_max, busy.flat_s) == (300, 60, 2.6)
    assert quiet.share is None
    assert report.line == "401 orders, 2 instruments: flat in 2.60 s, legal minimum 2.00 s, refusals 1"
    assert (report.outcomes, report.dead, report.repeated) == ({"accepted": 400, "rejected": 1}, 1, 3)


def test_a_blackout_is_not_counted_as_our_slowness() -> None:
    """Time starts when a Redis that had just started lets anybody send."""
    report = _report(blocked_s=1.5)
    assert report.flat_s == pytest.approx(1.1)
    assert report.blocked_s == 1.5


def test_the_report_has_a_form_for_programs() -> None:
    """Derived figures are in it, too."""
    said = report_json(_report())
    assert said["line"] == _report().line
    assert said["dead"] == 1


def _report(blocked_s: float = 0.0) -> Report:
    plan = make_plan(401, 2)
    plan.orders.update({"BTC-USDT-SWAP": 400, "ETH-USDT-SWAP": 1})
    rows = [_row("BTC-USDT-SWAP", "accepted", 2_600_000)] * 400 + [_row("ETH-USDT-SWAP", "rejected", 100_000)]
    meters = {
        "batch:7:BTC-USDT-SWAP": MeterSummary(17, 340, 1, 300, TAKEN_US, TAKEN_US + 2_500_000, 1.0),
        "single:7:BTC-USDT-SWAP": MeterSummary(60, 60, 0, 60, TAKEN_US + 100_000, TAKEN_US + 400_000, 1.0),
        "single:7:ETH-USDT-SWAP": MeterSummary(1, 1, 0, 1, TAKEN_US, TAKEN_US, 0.0),
    }
    summary = Summary(meters, {}, {1: 398, 2: 2, 3: 1}, 401, 0)
    start = TAKEN + timedelta(seconds=blocked_s)
    return make_report(plan, rows, summary, uid="7", taken_at=TAKEN, sending_from=start, workers=2, complete=True)


def _row(inst_id: str, status: str, after_us: int) -> Row:
    accepted = TAKEN_US + after_us if status == "accepted" else None
    return Row(
        batch_id="b", account="a", instId=inst_id, ordId="1", clOrdId=None, status=status, sCode="0", sMsg="",
        attempts=1, enqueued_at=TAKEN_US, first_sent_at=TAKEN_US, accepted_at=accepted,
        finished_at=TAKEN_US + after_us + CONFIRMED_LATER_US, number=0, log=({"at": TAKEN_US + after_us},),
    )  # fmt: skip
