"""Does the simulated exchange count strictly, and does its oracle find every breach?"""

from hypothesis import given
from hypothesis import strategies as st

from bulk_cancel.worker.simulator.log import Arrival, ArrivalLog, Filters
from bulk_cancel.worker.simulator.meters import Charge, Limits, Meters, max_in_window

WINDOW_US = 2_000_000
ONE = Charge("single", "u:BTC-USDT", 1)

arrivals = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 5)), max_size=40).map(sorted)


def brute_force(rows: list[tuple[int, int]], window: int) -> int:
    """The worst window by trying every arrival as the first."""
    return max(
        (sum(weight for at, weight in rows[i:] if at - rows[i][0] < window) for i in range(len(rows))),
        default=0,
    )


@given(rows=arrivals, window=st.integers(1, 30))
def test_max_in_window_equals_brute_force(rows: list[tuple[int, int]], window: int) -> None:
    """The two-pointer scan finds what trying every window finds, with and without weights."""
    times, weights = [at for at, _ in rows], [weight for _, weight in rows]
    assert max_in_window(times, window, weights) == brute_force(rows, window)
    assert max_in_window(times, window) == brute_force([(at, 1) for at in times], window)


@given(rows=arrivals, limit=st.integers(1, 8), count_refused=st.booleans())
def test_admitted_arrivals_never_exceed_the_limit_in_any_window(
    rows: list[tuple[int, int]], limit: int, *, count_refused: bool
) -> None:
    """What the meters admit obeys the limit, and what obeys it is admitted."""
    meters = Meters(Limits(window_ms=10, batch=limit, count_refused=count_refused))
    verdicts = [meters.admit([Charge("batch", "x", weight)], at * 1_000) for at, weight in rows]
    admitted = [row for row, verdict in zip(rows, verdicts, strict=True) if verdict]
    assert brute_force(admitted, 10) <= limit
    if brute_force(rows, 10) <= limit:
        assert all(verdicts)


def test_a_slot_is_free_again_exactly_one_window_later() -> None:
    """The window is half open: (t - 2 s, t]."""
    meters = Meters(Limits(single=1))
    assert meters.admit([ONE], 0)
    assert not meters.admit([ONE], WINDOW_US - 1)
    assert meters.admit([ONE], WINDOW_US)


def test_refused_calls_count_only_if_asked_to() -> None:
    """By default a refusal costs nothing; `count_refused` makes it use up room."""
    for count_refused in (False, True):
        meters = Meters(Limits(single=1, count_refused=count_refused))
        assert [meters.admit([ONE], at) for at in (0, WINDOW_US - 1)] == [True, False]
        assert meters.admit([ONE], WINDOW_US) is not count_refused


def test_charges_of_one_request_are_counted_all_or_none() -> None:
    """A mixed batch that one meter refuses uses up nothing on the others."""
    meters = Meters(Limits(batch=20))
    full, other = Charge("batch", "a", 20), Charge("batch", "b", 20)
    assert meters.admit([full], 0)
    assert not meters.admit([full, other], 1)
    assert meters.admit([other], 2)


def test_meters_without_limit_admit_everything() -> None:
    """None switches a meter off."""
    meters = Meters(Limits(time=None))
    assert all(meters.admit([Charge("time", "127.0.0.1", 1)], 0) for _ in range(100))


def arrival(at_us: int, *, order: str = "1", refused: bool = False) -> Arrival:
    """A single cancel of one order."""
    return Arrival(
        at_us=at_us,
        uid="u",
        endpoint="cancel-order",
        meters=("single:u:X",),
        weights=(1,),
        instIds=("X",),
        ordIds=(order,),
        refused=refused,
        status=200,
        code="0",
        sCodes=("0",),
        fault="",
        connection=1,
    )


def test_the_log_summarises_what_arrived() -> None:
    """Count, refusals, worst window, span and rate per meter; cancels per order."""
    log = ArrivalLog(limit=2)
    for at_us, order in ((0, "1"), (1_999_999, "2"), (2_000_000, "2")):
        log.add(arrival(at_us, order=order, refused=at_us == 2_000_000))
    meter = log.summary(lambda _: WINDOW_US)["single:u:X"]
    assert (meter.requests, meter.refusals, meter.max_in_window) == (3, 1, 2)
    assert (meter.first_us, meter.last_us, meter.per_s) == (0, 2_000_000, 1.5)
    assert log.cancels_per_order() == {1: 1, 2: 1}
    assert (log.total, len(log.rows)) == (3, 2)


def test_the_log_is_filtered_by_every_field() -> None:
    """A filter leaves exactly the arrivals it names."""
    log = ArrivalLog(limit=10)
    log.add(arrival(1, order="1"))
    log.add(arrival(2, order="2", refused=True))
    for filters in (Filters(ordId="2"), Filters(refused=True), Filters(since_us=1)):
        assert [row.ordIds for row in log.select(filters)] == [("2",)]
    for filters in (Filters(uid="x"), Filters(endpoint="order"), Filters(meter="x"), Filters(instId="Y")):
        assert not list(log.select(filters))
    assert len(list(log.select(Filters(code="0", meter="single:u:X")))) == 2
