"""Does what is known of products follow their lists, and no answer alone?"""

import pytest

from bulk_cancel.worker.books.mass.products import (
    ACCEPTED,
    AGAIN_MOST_US,
    AGAIN_US,
    NOT_TOLD,
    PAUSED,
    Kind,
    Product,
    Products,
)
from bulk_cancel.worker.okx.answers import Answer, Item
from bulk_cancel.worker.okx.stops import COPIED, SETTLES, STOPPING, Found

A, B = Found("A-B"), Found("C-D")


def answer(code: str = "0", *items: tuple[str, str], msg: str = "") -> Answer:
    """An answer with these ids and their sCodes."""
    return Answer(200, code, msg, tuple(Item(ident, "", said, "") for ident, said in items))


def test_found_is_what_was_listed_and_stopped_is_what_is_no_more() -> None:
    """An accepted stop is no end."""
    kind = Kind().listed({"1": A, "2": B})
    assert (kind.found, kind.stopped, kind.open, kind.due(0)) == (2, 0, 2, ["1", "2"])
    kind = kind.answered(["1", "2"], answer("0", ("1", "0"), ("2", "0")), 100)
    assert (kind.stopped, kind.open, kind.left["1"].why) == (0, 2, ACCEPTED)
    kind = kind.listed({"2": B})
    assert (kind.found, kind.stopped, kind.open) == (2, 1, 1)
    assert (kind.listed({}).stopped, kind.listed({}).open) == (2, 0)


def test_what_stays_listed_is_asked_again_ever_more_seldom() -> None:
    """A cancel may be at work for a moment; and no call is repeated for ever in haste."""
    kind, now_us, waits = Kind().listed({"1": A}), 0, []
    for _ in range(8):
        kind = kind.answered(["1"], answer("0", ("1", "0")), now_us).listed({"1": A})
        wait_us = next(us for us in range(0, 2 * AGAIN_MOST_US, AGAIN_US) if kind.due(now_us + us))
        assert not kind.due(now_us + wait_us - 1)
        waits.append(wait_us // AGAIN_US)
        now_us += wait_us
    assert waits == [1, 2, 4, 8, 16, 32, 32, 32]


def test_one_that_stops_already_is_left_alone() -> None:
    """It is open until its list is without it."""
    kind = Kind().listed({"1": Found("A-B", STOPPING, "waits")})
    assert (kind.due(0), kind.open, kind.left["1"].why) == ([], 1, STOPPING)
    assert kind.listed({"1": A}).due(0) == ["1"]


def test_a_part_that_settles_is_the_reason_that_counts() -> None:
    """Its cancel was accepted long ago."""
    kind = Kind().listed({"1": Found("A-B_C-D", SETTLES)}).answered(["1"], answer(), 0)
    assert (kind.left["1"].why, kind.open) == (SETTLES, 1)


def test_what_only_people_can_decide_is_named_and_keeps_nothing_from_being_flat() -> None:
    """By its row, or by the exchange's code; a state that does not allow it is waited for once."""
    led = Kind().listed({"1": Found("A-B", COPIED, "human")})
    assert (led.due(0), led.open, led.found) == ([], 0, 1)
    kind = Kind().listed({"1": A, "2": B})
    kind = kind.answered(["1", "2"], answer("1", ("1", "51220"), ("2", "51056")), 0)
    assert [(each.human, each.code) for each in kind.left.values()] == [(True, "51220"), (False, "51056")]
    kind = kind.listed({"1": A, "2": B})
    assert (kind.due(AGAIN_US), kind.open) == (["2"], 1)
    kind = kind.answered(["2"], answer("1", ("2", "51056")), AGAIN_US)
    assert (kind.due(10**9), kind.open, kind.found) == ([], 0, 2)


def test_codes_that_pass_are_asked_again() -> None:
    """The bots' engine may be away; an answer without a word on it says nothing of it."""
    kind = Kind().listed({"1": A, "2": B, "3": A})
    kind = kind.answered(["1", "2", "3"], answer("2", ("1", "51290"), ("2", "51291")), 0)
    assert [each.human for each in kind.left.values()] == [False] * 3
    assert kind.due(AGAIN_US) == ["1", "2", "3"]
    kind = Kind().listed({"1": A}).unanswered(["1"], "no answer in time", 0)
    assert (kind.due(AGAIN_US - 1), kind.due(AGAIN_US), kind.left["1"].why) == ([], ["1"], "no answer in time")


def test_a_whole_request_may_be_refused() -> None:
    """Then its code is said of each."""
    kind = Kind().listed({"1": A, "2": B}).answered(["1", "2"], answer("51292", msg="unknown"), 0)
    assert [(each.human, each.why) for each in kind.left.values()] == [(True, "unknown")] * 2


def test_none_active_makes_what_was_listed_somebody_elses() -> None:
    """Those, and only those: one that comes later may be ours again."""
    kind = Kind().listed({"1": A, "2": B}).all_answered(answer(), 0)
    assert (kind.asked, kind.open, kind.found) == (True, 2, 2)
    kind = kind.listed({"2": B}).all_answered(answer("70207"), AGAIN_US)
    assert (kind.stopped, kind.open, kind.others) == (1, 0, ("2",))
    kind = kind.listed({"2": B, "3": A})
    assert (kind.open, [*kind.left], kind.others) == (1, ["3"], ("2",))
    assert kind.listed({}).others == ()


def test_accepted_proves_nothing_and_an_empty_list_after_it_does() -> None:
    """A list that was read before the call may have missed one."""
    kind = Kind().listed({})
    assert (kind.open, kind.asked) == (0, False)
    kind = kind.all_answered(answer(), 0)
    assert (kind.open, kind.unproven) == (1, NOT_TOLD)
    assert (kind.listed({}).open, kind.listed({"1": A}).open) == (0, 1)


def test_no_answer_proves_nothing_either() -> None:
    """Nor does a pause."""
    kind = Kind().listed({}).all_unanswered("no answer in time", 0)
    assert (kind.open, kind.asked, kind.listed({}).open) == (1, False, 1)
    assert Kind().not_asked(PAUSED).listed({}).open == 1


def test_a_product_that_the_account_may_not_have_is_none() -> None:
    """It has no RFQs."""
    kind = Kind().listed({}).all_answered(answer("70006"), 0)
    assert (kind.open, kind.asked) == (0, True)


def test_what_is_listed_though_the_account_may_not_end_it_is_left_to_people() -> None:
    """Neither is it called somebody else's, nor asked for again."""
    kind = Kind().listed({"1": A}).all_answered(answer("70006"), 0)
    assert (kind.others, kind.left["1"].human, kind.open) == ((), True, 0)


@pytest.mark.parametrize("code", ["70000", "70200", "70400"])
def test_a_state_that_forbids_an_end_does_not_prove_that_there_is_nothing(code: str) -> None:
    """Only the two codes that say "none is active" do: what is listed stays ours, and open."""
    kind = Kind().listed({"1": A}).all_answered(answer(code), 0)
    assert (kind.others, kind.open) == ((), 1)
    assert Kind().all_answered(answer(code), 0).open == 1


def test_it_is_kept_in_redis_whole() -> None:
    """Another worker goes on with it; of nothing nothing is known."""
    kind = Kind().listed({"1": A, "2": B}).answered(["1"], answer("1", ("1", "51220")), 7).held_back(["2"], PAUSED)
    products = Products({"rfq": Kind(3, {}, ("9",), asked=True, unproven="x"), "spot_grid": kind}, 12)
    assert Products.read(products.text) == products
    assert Products.read("") == Products()
    assert (products.open, products.of("quote"), products.is_others("rfq", "9")) == (2, Kind(), True)
    assert products.said[1] == {
        "kind": "spot_grid",
        "found": 2,
        "stopped": 0,
        "not_known": "",
        "left": [
            {"id": "1", "instrument": "A-B", "sCode": "51220",
             "why": "led or copied: only a stop that trades is accepted", "needs_human": True},
            {"id": "2", "instrument": "C-D", "sCode": None, "why": PAUSED, "needs_human": False},
        ],
    }  # fmt: skip
    assert Product("A-B").is_due(0)
