"""Does a mass cancel's report claim no more than is known?"""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from bulk_cancel.worker.books.mass.report import MassReport, report_json
from bulk_cancel.worker.books.mass.scope import UNREADABLE, Scope
from bulk_cancel.worker.cli.screen.mass import _facts

AT = datetime(2026, 1, 1, tzinfo=UTC)
DONE = MassReport(
    batch_id="m", account="desk1", state="done", scope=Scope(), until_flat_s=0, matched=5,
    outcomes={"canceled": 4, "filled": 1}, waiting=0, partly_filled=0, not_off=[], still_open=None, not_affected={},
    started_at=AT,
    flat_at=None, ended_at=AT, deadline_at=AT, listings=1, calls=1, trouble="", reason="", requested_by="",
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
