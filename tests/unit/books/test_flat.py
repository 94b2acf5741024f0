"""Is a scope called flat only when nothing was in it for as long as was asked?"""

from dataclasses import replace
from functools import partial
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_cancel.worker.books.mass.flat import SOON_S, TROUBLE_S, Seen, Verdict, judge, pause_s, too_late
from bulk_cancel.worker.books.mass.scope import UNREADABLE
from bulk_cancel.worker.state.window import PER_CALL_S

S = 1_000_000


def seen(at_s: float, matching: int = 0, calls: int = 1) -> Seen:
    """A listing that began then; the wall clock is a day ahead."""
    return Seen(round(at_s * S), round((at_s + 86_400) * S), matching, calls)


def after(listing: Seen, before: Verdict | None = None, *, until_flat_s: float = 3.0, hold: bool = False) -> Verdict:
    """What follows, given what followed before."""
    since, wall = (before.flat_since_us, before.flat_wall_us) if before else (None, None)
    return judge(listing, until_flat_s=until_flat_s, flat_since_us=since, flat_wall_us=wall, hold=hold)


def test_one_listing_is_enough_if_nobody_asked_for_flat() -> None:
    """Whatever it found."""
    assert after(seen(0, matching=7), until_flat_s=0) == Verdict("done", None, None)


def test_flat_counts_from_the_first_empty_listing() -> None:
    """Three seconds later, not three listings."""
    first = after(seen(10))
    assert (first.state, first.flat_since_us, first.next_s) == ("running", 10 * S, SOON_S)
    second = after(seen(12.9), first)
    assert (second.state, round(second.next_s, 6)) == ("running", 0.1)
    last = after(seen(13), second)
    assert last == Verdict("flat", 10 * S, (86_400 + 10) * S, flat=True)


def test_one_order_begins_the_count_anew() -> None:
    """Also one that a cancel was accepted of."""
    first = after(seen(10))
    busy = after(seen(12, matching=1), first)
    assert (busy.state, busy.flat_since_us, busy.flat_wall_us) == ("running", None, None)
    assert after(seen(14), busy).flat_since_us == 14 * S


def test_a_hold_is_flat_and_goes_on() -> None:
    """For as long as listings are empty, from the first one, or from when it was empty for as long as was asked."""
    first = after(seen(10), until_flat_s=0, hold=True)
    assert (first.state, first.ended, first.flat, first.next_s) == ("running", False, True, SOON_S)
    busy = after(seen(11, matching=1), first, until_flat_s=0, hold=True)
    assert (busy.state, busy.flat, busy.flat_since_us) == ("running", False, None)
    first = after(seen(10), hold=True)
    assert (first.flat, first.state) == (False, "running")
    last = after(seen(13), first, hold=True)
    assert (last.flat, last.state, last.flat_since_us) == (True, "running", 10 * S)
    assert after(seen(14), last, hold=True).flat_since_us == 10 * S


def test_an_order_of_its_own_without_an_end_keeps_it_from_being_flat() -> None:
    """A cancel that was accepted, and no list that shows its order, are no end; once there is one, it is flat."""
    for hold, state in ((False, "flat"), (True, "running")):
        asked = partial(judge, until_flat_s=3.0, flat_since_us=10 * S, flat_wall_us=10 * S, hold=hold)
        waits = asked(seen(13), waiting=1)
        assert (waits.state, waits.flat, waits.flat_since_us, waits.next_s) == ("running", False, 10 * S, SOON_S)
        ended = asked(seen(14), waiting=0)
        assert (ended.state, ended.flat, ended.flat_since_us) == (state, True, 10 * S)


def test_an_order_that_cannot_be_named_keeps_the_scope_from_being_flat() -> None:
    """It is meant, and still open."""
    unreadable = replace(seen(10), left_out={UNREADABLE: 1, "side is not buy": 3})
    assert after(unreadable).flat_since_us is None
    assert after(replace(unreadable, left_out={"side is not buy": 3})).flat_since_us == 10 * S


def test_what_reading_costs_is_paused_for() -> None:
    """Half of the reading rate is left to others."""
    assert after(seen(0, matching=4000, calls=41)).next_s == 41 * PER_CALL_S == pause_s(41)
    assert pause_s(1) == SOON_S


def test_what_is_too_late_has_two_names() -> None:
    """Nobody knows what is open if no listing was complete."""
    assert (too_late(listings=0), too_late(listings=3)) == ("not read", "not flat")


@given(st.lists(st.tuples(st.floats(0.05, 2), st.integers(0, 2)), min_size=1, max_size=40), st.floats(0.1, 5))
def test_flat_is_never_said_too_early(steps: list[tuple[float, int]], until_flat_s: float) -> None:
    """Whatever the listings saw and when: all of those within the last `until_flat_s` were empty."""
    at_s, verdict, history = 0.0, None, list[tuple[int, int]]()
    for step_s, matching in steps:
        at_s += step_s
        listing = seen(at_s, matching)
        history.append((listing.at_us, matching))
        verdict = after(listing, verdict, until_flat_s=until_flat_s)
        if verdict.state == "flat":
            break
    assert verdict is not None
    if verdict.state == "flat":
        since = verdict.flat_since_us or 0
        assert history[-1][0] - since >= until_flat_s * S - 1
        assert all(matching == 0 for at_us, matching in history if at_us >= since)
        assert all(later > earlier for (earlier, _), (later, _) in pairwise(history))


def test_what_may_leave_orders_is_listed_again() -> None:
    """Algo orders that fire do: one listing is enough only if it is empty."""

    def judged(listing: Seen, *, leaves_orders: bool = True) -> str:
        return judge(listing, until_flat_s=0, flat_since_us=None, flat_wall_us=None, leaves_orders=leaves_orders).state

    assert [judged(seen(0, 2)), judged(seen(0, 0)), judged(seen(0, 2), leaves_orders=False)] == [
        "running",
        "done",
        "done",
    ]


@pytest.mark.parametrize("until_flat_s", [0.0, 1.0])
@pytest.mark.parametrize("hold", [False, True])
def test_none_counts_that_began_before_the_last_order_had_ended(until_flat_s: float, *, hold: bool) -> None:
    """Where what ends may leave orders: an algo order that has fired by then has placed what no listing shows yet."""

    def judged(waiting: int) -> Verdict:
        return judge(
            seen(9, 0),
            until_flat_s=until_flat_s,
            flat_since_us=1,
            flat_wall_us=1,
            hold=hold,
            leaves_orders=True,
            waiting=waiting,
        )

    assert (judged(1).state, judged(1).flat_since_us, judged(1).flat) == ("running", None, False)
    assert judged(0).state == ("running" if hold else "flat" if until_flat_s else "done")


def test_two_readings_are_as_empty_as_the_fuller_one() -> None:
    """It begins with the first; what is left out is as of the last, but for what may be meant."""
    first, later = Seen(1, 2, 3, 4, {"a": 1}), Seen(5, 6, 0, 7, {"b": 2})
    assert first.again(later) == Seen(1, 2, 3, 11, {"b": 2})
    assert later.again(first) == Seen(5, 6, 3, 11, {"a": 1})
    assert Seen(1, 2, left_out={UNREADABLE: 1}).again(later).left_out == {"b": 2, UNREADABLE: 1}


@pytest.mark.parametrize("until_flat_s", [0.0, 1.0])
@pytest.mark.parametrize("hold", [False, True])
def test_products_that_could_not_be_listed_are_not_none(until_flat_s: float, *, hold: bool) -> None:
    """The orders have been listed, and yet it is not known whether the scope is flat: it goes on, not in haste."""
    listing = replace(seen(2), trouble="spread orders: no answer in time")
    verdict = judge(listing, until_flat_s=until_flat_s, flat_since_us=1, flat_wall_us=1, hold=hold, leaves_orders=True)
    assert verdict == Verdict("running", None, None, TROUBLE_S)
