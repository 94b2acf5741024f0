"""Is a mass cancel told in words that a person can act on?"""

from dataclasses import replace

import pytest

from bulk_cancel.worker.books.mass.products import Kind, Products
from bulk_cancel.worker.books.mass.report import make_report
from bulk_cancel.worker.books.mass.scope import Scope
from bulk_cancel.worker.books.mass.state import Mass
from bulk_cancel.worker.cli.screen.mass import _facts
from bulk_cancel.worker.cli.screen.mass_words import listing_words, product_facts, scope_words
from bulk_cancel.worker.okx.stops import COPIED, SETTLES, Found
from tests.support.snapshots import AT, batch


@pytest.mark.parametrize(
    ("scope", "words"),
    [
        (Scope(), "every open order"),
        (Scope(side="buy", min_age_s=5), "every open order with side buy, age at least 5 s"),
        (Scope(min_age_s=500), "every open order with age at least 500 s"),
        (Scope(with_=("algos",)), "every open order and algo order, protective ones kept"),
        (
            Scope(with_=("algos", "bots", "rfqs", "spreads"), bots="keep-positions"),
            (
                "every open order and algo order, protective ones kept, and bot (coins and positions kept) "
                "and spread order and RFQ and quote"
            ),
        ),
        (
            Scope(with_=("bots",), bots="keep-positions", instId="A-B"),
            "every open order and bot (coins and positions kept) with instId A-B",
        ),
    ],
)
def test_a_scope_in_words(scope: Scope, words: str) -> None:
    """All that would be ended, and its filters."""
    assert scope_words(scope) == words


def test_products_are_told_by_kind_and_why_they_are_left() -> None:
    """Those alike together; a kind of which there was none is not told."""
    left = {"1": Found("A-B"), "2": Found("A-B", COPIED, "human"), "3": Found("A-B", COPIED, "human")}
    products = Products(
        {
            "spot_grid": Kind(5).listed({**left, "4": Found("C-D")}).listed(left),
            "spread": Kind().listed({"1": Found("A-B_C-D", SETTLES)}),
            "rfq": Kind().not_asked("an operator paused it"),
            "spot_dca": Kind(),
            "quote": Kind(2),
        }
    )
    assert product_facts(products) == [
        (
            "spot grid bots",
            f"9 found, 6 stopped; left: A-B: not asked yet, A-B: {COPIED} (2)",
            "bold red",
        ),
        ("spread orders", f"1 found, 0 stopped; left: A-B_C-D: {SETTLES}", "bold red"),
        ("RFQs", "0 found, 0 stopped; left: an operator paused it", "bold red"),
        ("quotes", "2 found, 2 stopped", ""),
    ]


@pytest.mark.parametrize(
    ("listings", "words"), [(1, "listed once"), (3, "listed 3 times"), (1200, "listed 1,200 times")]
)
def test_how_often_it_was_listed(listings: int, words: str) -> None:
    """With algo orders that is until nothing is left that they placed."""
    mass = Mass("m", "desk1", "u1", Scope(), 0.0, urgent=True, state="done", started_at=AT, deadline_at=AT)
    mass = replace(mass, listings=listings)
    facts = dict(_facts(make_report(mass, batch("m"), ())))
    assert (listing_words(mass), str(facts["result"]).startswith(f"{words}, and ")) == (words, True)
