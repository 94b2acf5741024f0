"""Does each answer do to jobs, slots and scopes what the design says?"""

import json

import pytest

from bulk_cancel.worker.config.users import User
from bulk_cancel.worker.okx.answers import Answer, Item
from bulk_cancel.worker.okx.errors import (
    ClockSkew,
    DeadlinePassed,
    ExchangeError,
    NeverSent,
    NotAuthorised,
    OutcomeUnknown,
    Throttled,
    TooLate,
    Unavailable,
)
from bulk_cancel.worker.okx.limits import Limits
from bulk_cancel.worker.okx.orders import OrderRef
from bulk_cancel.worker.sending.conclude import Concluder
from bulk_cancel.worker.sending.retry import Policy
from bulk_cancel.worker.state.claims import Call, Claim, Job, Result
from tests.support.lane_rig import LANE, credentials

USER = User("u1", (credentials("a1"),), "http://x", Limits(60, 300), 20)
CONCLUDER = Concluder(Policy(max_attempts=3), "w1", lambda: 0.5)


def call(count: int = 1, attempts: int = 1, left_s: float = 900.0) -> Call:
    """A call with orders 1 to `count`."""
    jobs = tuple(
        Job(f"u1/BTC-USDT/o{n}", OrderRef("BTC-USDT", str(n)), "a1", attempts, 1, left_s, ("b",))
        for n in range(1, count + 1)
    )
    return Call("c:1", USER.accounts[0], "single" if count == 1 else "batch", jobs)


def claimed(call: Call, probes: tuple[str, ...] = ()) -> Claim:
    """The claim that took it."""
    return Claim(id="c", lane=LANE, user=USER, asked_at=0.0, calls=(call,), due_s=0.0, probes=probes)


def conclude(outcome: Answer | ExchangeError, asked: Call | None = None, *, probes: tuple[str, ...] = ()) -> Result:
    """The result of one call."""
    asked = asked or call()
    claim = claimed(asked, probes)
    return CONCLUDER.conclude(claim, asked, outcome, 0.1)


def answer(*codes: str, code: str = "0") -> Answer:
    """An answer with one item per code, for orders 1, 2 and so on."""
    return Answer(200, code, "", tuple(Item(str(n), "", each, "said") for n, each in enumerate(codes, 1)))


@pytest.mark.parametrize("code", ["50110", "50121"])
def test_an_address_that_is_not_let_in_concerns_its_worker_alone(code: str) -> None:
    """Nobody rests, the orders go back at once, and only the exchange's address was probed."""
    probes = ("exchange:http://x", "account:a1")
    result = conclude(NotAuthorised("no", code=code), call(2), probes=probes)
    assert (result.rests, result.mended) == ((), ("exchange:http://x",))
    (both,) = result.decided
    assert (both.act, both.delay_s, both.counts, len(both.jobs)) == ("retry", 0.0, False, 2)


def test_an_accepted_order_ends() -> None:
    """And its slot settles."""
    result = conclude(answer("0"))
    assert (result.slots, result.answered, result.rests) == ("settle", True, ())
    assert [(each.act, each.status, each.code) for each in result.decided] == [("finish", "accepted", "0")]


def test_partial_success_is_judged_item_by_item() -> None:
    """By id, whatever the order of the items; an order that is missing goes again."""
    items = (Item("2", "", "51400", ""), Item("1", "", "0", ""))
    result = conclude(Answer(200, "2", "", items), call(3))
    assert [(each.act, each.status) for each in result.decided] == [
        ("finish", "accepted"),
        ("finish", "gone"),
        ("retry", ""),
    ]


def test_an_order_that_is_being_cancelled_waits_for_the_book() -> None:
    """Asking again is no help; without a book to read there is nothing else to do."""
    confirming = Concluder(Policy(max_attempts=3), "w1", lambda: 0.5, confirm=True)
    asked = call(attempts=3)
    (told,) = confirming.conclude(claimed(asked), asked, answer("51410"), 0.1).decided
    assert (told.act, told.status, told.code) == ("confirm", "accepted", "51410")
    (told,) = conclude(answer("51410")).decided
    assert (told.act, told.counts) == ("retry", True)


def test_never_sent_gives_slots_and_attempts_back() -> None:
    """That no connection came about may be this worker's own trouble: a strike against the address, no rest."""
    result = conclude(NeverSent("refused"))
    assert (result.slots, result.answered, result.rests) == ("release", False, ())
    assert [(each.act, each.counts) for each in result.decided] == [("return", False)]
    assert result.strike is not None
    assert (result.strike.scope, result.strike.reason) == ("exchange:http://x", "no answer: refused")


def test_a_probe_that_finds_no_connection_lets_the_address_rest_on() -> None:
    """It was to tell whether the address is back."""
    result = conclude(NeverSent("refused"), probes=("exchange:http://x",))
    assert [rest.scope for rest in result.rests] == ["exchange:http://x"]
    assert (result.strike, result.mended) == (None, ())


def test_a_call_that_came_too_late_says_nothing_of_the_address() -> None:
    """Our side was late: no strike, no rest."""
    result = conclude(TooLate("write_by passed"))
    assert (result.slots, result.strike, result.rests) == ("release", None, ())


def test_an_exchange_that_does_not_manage_in_time_is_silent() -> None:
    """Its code is as good as no answer: enough of them in a row rest the address, a probe's at once."""
    result = conclude(answer("50004"))
    assert (result.slots, result.answered, result.rests) == ("settle", False, ())
    assert result.strike is not None
    probe = conclude(answer("50004"), call(attempts=3), probes=("exchange:http://x",))
    assert ([rest.scope for rest in probe.rests], probe.mended) == (["exchange:http://x"], ())
    assert [(each.act, each.counts) for each in probe.decided] == [("retry", False)]
    beside_another = conclude(answer("50004", "0"), call(2))
    assert (beside_another.answered, beside_another.strike) == (True, None)


@pytest.mark.parametrize(("error", "slots"), [(OutcomeUnknown("reset"), "settle"), (DeadlinePassed("late"), "keep")])
def test_an_unknown_outcome_counts_and_goes_again(error: ExchangeError, slots: str) -> None:
    """After the deadline the slot stays open to its own end: bytes may still be on their way."""
    result = conclude(error)
    assert (result.slots, result.answered) == (slots, False)
    assert [(each.act, each.counts) for each in result.decided] == [("retry", True)]
    assert result.strike is not None
    assert result.strike.scope == "exchange:http://x"


def test_an_unknown_outcome_of_a_probe_burns_no_attempt() -> None:
    """While the address is down its job would be the same one again and again."""
    result = conclude(OutcomeUnknown("reset"), call(attempts=3), probes=("exchange:http://x",))
    assert [(each.act, each.counts) for each in result.decided] == [("retry", False)]
    assert result.mended == ()


@pytest.mark.parametrize(
    ("error", "scope"),
    [
        (Throttled("slow down", code="50011", http_status=429), f"lane:{LANE}"),
        (Unavailable("maintenance", code="50001", http_status=503), "exchange:http://x"),
        (NotAuthorised("invalid key", code="50111", http_status=401), "account:a1"),
    ],
)
def test_wider_scopes_rest_and_burn_no_attempt(error: ExchangeError, scope: str) -> None:
    """Even a job at its last attempt stays."""
    result = conclude(error, call(attempts=3))
    assert [rest.scope for rest in result.rests] == [scope]
    assert [(each.act, each.counts, each.delay_s) for each in result.decided] == [("retry", False, 0.0)]
    assert result.refused == isinstance(error, Throttled)


def test_a_refusal_of_one_order_rests_its_lane() -> None:
    """A rate code at either level."""
    result = conclude(answer("0", "50011", code="2"), call(2))
    assert result.refused
    assert [each.act for each in result.decided] == ["finish", "retry"]
    assert [rest.scope for rest in result.rests] == [f"lane:{LANE}"]


def test_an_answer_mends_the_probed_scopes_that_it_does_not_blame() -> None:
    """The address is back, the account is still refused."""
    probes = ("exchange:http://x", "account:a1")
    assert conclude(NotAuthorised("no", code="50111"), probes=probes).mended == ("exchange:http://x",)
    assert conclude(answer("51000"), probes=probes).mended == probes


def test_a_refusal_of_a_whole_batch_does_not_reject_every_order() -> None:
    """It may be one order's fault: all go again, most likely in other company."""
    result = conclude(Answer(400, "51000", "parameter error", ()), call(2))
    assert [each.act for each in result.decided] == ["retry", "retry"]
    alone = conclude(Answer(400, "51000", "parameter error", ()))
    assert [(each.act, each.status) for each in alone.decided] == [("finish", "rejected")]


def test_that_one_order_of_a_batch_is_being_cancelled_says_nothing_of_the_others() -> None:
    """No cancel of theirs may be at work: they go again, and do not wait for the book."""
    confirming, asked = Concluder(Policy(max_attempts=3), "w1", lambda: 0.5, confirm=True), call(2)
    result = confirming.conclude(claimed(asked), asked, Answer(200, "51410", "being cancelled", ()), 0.1)
    assert [each.act for each in result.decided] == ["retry", "retry"]


def test_an_item_that_blames_a_wider_scope_beside_one_that_was_served_speaks_of_its_own_order() -> None:
    """The exchange plainly works; resting it would hold up everybody because of one order."""
    result = conclude(answer("0", "50026", code="2"), call(2))
    assert result.rests == ()
    assert [(each.act, each.counts) for each in result.decided] == [("finish", True), ("retry", True)]


def test_being_late_ourselves_rests_nothing() -> None:
    """Redis or this process was slow; that says nothing of the exchange."""
    result = conclude(TooLate("write_by passed"))
    assert (result.slots, result.rests) == ("release", ())


def test_attempts_and_deadline_end_in_exhausted() -> None:
    """The order may still be live."""
    for asked in (call(attempts=3), call(left_s=0.05)):
        assert [each.status for each in conclude(OutcomeUnknown("reset"), asked).decided] == ["exhausted"]


def test_a_clock_error_goes_again_at_once() -> None:
    """The clock is measured in between."""
    result = conclude(ClockSkew("expired", code="50102"))
    assert [(each.act, each.delay_s, each.counts) for each in result.decided] == [("retry", 0.0, True)]


def test_every_attempt_says_who_when_and_what() -> None:
    """Worker, account, endpoint, code and latency."""
    attempt = json.loads(conclude(answer("51400")).decided[0].attempt)
    assert attempt == {
        "call": "c:1", "worker": "w1", "account": "a1", "endpoint": "single", "sCode": "51400", "sMsg": "said",
        "latency_ms": 100.0,
    }  # fmt: skip


def test_orders_of_which_the_same_is_said_are_decided_together() -> None:
    """In the order of the call; one with another code stands between."""
    result = conclude(answer("0", "0", "51400", "0", code="2"), call(4))
    assert [[job.ref.ordId for job in each.jobs] for each in result.decided] == [["1", "2"], ["3"], ["4"]]


def test_orders_that_go_again_are_spread() -> None:
    """Each waits a time of its own, whatever they have in common."""
    asked = call(3)
    claim = claimed(asked)
    concluder = Concluder(Policy(), "w1", iter((0.1, 0.2, 0.3, 0.4)).__next__)
    result = concluder.conclude(claim, asked, answer("51149", "51149", "51149", code="1"), 0.1)
    assert [len(each.jobs) for each in result.decided] == [1, 1, 1]
    assert len({each.delay_s for each in result.decided}) == 3


def test_a_client_id_is_recorded_with_the_order_that_the_answer_names() -> None:
    """The id may be used again; an order named by the exchange's own id needs no other."""
    jobs = (
        Job("u1/BTC-USDT/cmine", OrderRef("BTC-USDT", None, "mine"), "a1", 1, 1, 900.0, ("b",)),
        Job("u1/BTC-USDT/o2", OrderRef("BTC-USDT", "2"), "a1", 1, 1, 900.0, ("b",)),
    )
    said = Answer(200, "0", "", (Item("2", "", "0", ""), Item("9", "mine", "0", "")))
    result = conclude(said, Call("c:1", USER.accounts[0], "batch", jobs))
    assert [dict(each.ords) for each in result.decided] == [{"u1/BTC-USDT/cmine": "9"}]
