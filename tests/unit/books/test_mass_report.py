"""Does a mass cancel's report claim no more than is known?"""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from bulk_cancel.worker.books.able import Able, Survey
from bulk_cancel.worker.books.mass.report import MassReport, make_report, report_json
from bulk_cancel.worker.books.mass.scope import UNREADABLE, Scope
from bulk_cancel.worker.books.mass.state import Mass
from bulk_cancel.worker.cli.screen.mass import _facts
from tests.support.snapshots import batch

AT = datetime(2026, 1, 1, tzinfo=UTC)
DONE = MassReport(
    batch_id="m", account="desk1", state="done", scope=Scope(), until_flat_s=0, matched=5,
    outcomes={"canceled": 4, "filled": 1}, waiting=0, partly_filled=0, not_off=[], still_open=None, not_affected={},
    started_at=AT,
    flat_at=None, ended_at=AT, deadline_at=AT, listings=1, calls=1, trouble="", reason="", requested_by="",
    survey=Survey(),
)  # fmt: skip
FLAT = replace(DONE, state="flat", until_flat_s=3)


def test_all_off_the_book_is_a_success() -> None:
    """Listed once, or until flat."""
    assert DONE.succeeded
    assert FLAT.succeeded


@pytest.mark.parametrize("outcome", ["accepted", "withdrawn", "rejected", "exhausted"])
def test_what_is_not_known_to_be_off_the_book_is_none(outcome: str) -> None:
    """Accepted is not confirmed, withdrawn was never sent."""
    assert not replace(DONE, outcomes={"canceled": 4, outcome: 1}).succeeded


def test_partly_filled_ones_count_though_no_row_was_read() -> None:
    """The rows of a mass cancel of which nothing is left are not needed for its report."""
    mass = Mass("m", "desk1", "u1", Scope(), 0.0, urgent=True, state="done", started_at=AT, deadline_at=AT)
    state = replace(batch("m"), partly_filled=2)
    assert make_report(mass, state, ()).partly_filled == 2


def test_a_flat_scope_is_proven_by_its_listings() -> None:
    """Whatever became of each order; one that was given up is another matter."""
    assert replace(FLAT, outcomes={"accepted": 5}).succeeded
    assert not replace(FLAT, outcomes={"canceled": 4, "exhausted": 1}).succeeded
    assert not replace(FLAT, state="not flat").succeeded


@pytest.mark.parametrize(
    ("scope", "said"),
    [
        (Scope(), ""),
        (Scope(side="buy"), ""),
        (Scope(instType="SWAP"), "orders outside SWAP"),
        (Scope(instType="SPOT"), "orders outside SPOT, MARGIN orders of the same pairs among them"),
        (
            Scope(instType="MARGIN", instId="BTC-USDT"),
            "orders outside MARGIN, BTC-USDT, SPOT orders of the same pairs among them",
        ),
    ],
)
def test_what_the_exchange_does_not_list_is_said(scope: Scope, said: str) -> None:
    """It is neither affected nor counted: "none" would be a claim that nobody checked."""
    report = replace(DONE, scope=scope)
    assert report_json(report)["not_listed"] == (said or None)
    assert ("not listed and not counted" in "".join(map(str, _facts(report)))) is bool(said)


def test_partial_fills_are_counted() -> None:
    """Whoever hedges by the report has to know."""
    shown = {name: str(value) for name, value in _facts(replace(DONE, partly_filled=2))}
    assert shown["matched"] == "5 = 4 canceled + 1 filled; 2 partly filled"
    assert report_json(replace(DONE, partly_filled=2))["partly_filled"] == 2


def test_what_could_not_be_named_is_left_open() -> None:
    """And what still waits may be."""
    assert not replace(DONE, not_affected={UNREADABLE: 1}).succeeded
    assert not replace(DONE, waiting=1).succeeded


@pytest.mark.parametrize(
    "survey", [None, Survey((Able("trigger", 37, {"BTC-USDT": 37}),)), Survey(unknown={"rfq": "why"})]
)
def test_what_can_still_place_orders_makes_it_incomplete(survey: Survey | None) -> None:
    """And so does not knowing; that the orders are off the book stays so."""
    report = replace(FLAT, survey=survey)
    assert (report.over, report.cancelled, report.complete, report.succeeded) == (True, True, False, False)
    assert report_json(report)["complete"] is False
    facts = [(name, str(value)) for name, value in _facts(report)]
    assert ("complete", "NO") in facts
    left = "37 trigger orders (BTC-USDT 37): they can still place orders"
    assert (("not affected", left) in facts) is bool(survey and survey.able)


def test_it_is_not_over_before_the_survey() -> None:
    """Only then is it known what is left."""
    report = replace(FLAT, survey=None, surveying=True)
    assert not report.over
    assert "complete" not in dict(_facts(report))
