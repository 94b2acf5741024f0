"""Does the simulation of the window rule say the same thing twice, and does it say what the limiter promises?"""

import pytest

from bench.window_simulation import DELAYS, LIMIT, OURS, RULES, WINDOW_US, Finding, Rule, judge, simulate
from bulk_cancel.worker.simulator.faults import Network

CALLS = 1_200
SEEDS = (1, 2)
BY_GRANT = RULES[0]


def find(rule: Rule, delay: Network, seed: int) -> Finding:
    """What the rule does under the delay."""
    return judge(rule, "", simulate(rule, delay, calls=CALLS, seed=seed))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_the_same_seed_gives_the_same_trips(rule: Rule) -> None:
    """Another seed gives others, so the dice are used at all."""
    delay = DELAYS["10 ms + exp(10 ms)"]
    first = simulate(rule, delay, calls=CALLS, seed=1)
    assert simulate(rule, delay, calls=CALLS, seed=1) == first
    assert simulate(rule, delay, calls=CALLS, seed=2) != first


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("delay", DELAYS.values(), ids=list(DELAYS))
def test_a_slot_settled_by_its_answer_is_never_refused(delay: Network, seed: int) -> None:
    """The main claim: no window of arrivals holds more than the limit, and nine tenths of it are used."""
    found = find(OURS, delay, seed)
    assert found.refused == 0
    assert found.most_in_window <= LIMIT
    assert found.use > 0.9


@pytest.mark.parametrize("delay", DELAYS.values(), ids=list(DELAYS))
def test_a_window_by_grant_time_is_refused_under_jitter(delay: Network) -> None:
    """The rule that everybody writes first leaks."""
    assert find(BY_GRANT, delay, seed=1).refused > 0.01


def test_without_jitter_the_grant_time_is_exact() -> None:
    """The simulation refuses for jitter and for nothing else."""
    found = find(BY_GRANT, Network(delay_ms=20), seed=1)
    assert (found.refused, found.most_in_window) == (0, LIMIT)
    assert found.use > 0.99


def test_every_slot_is_used_once_in_a_window() -> None:
    """Trips of one slot are at least a window apart, and there are as many slots as the limit."""
    trips = simulate(OURS, DELAYS["20 ± 5 ms"], calls=LIMIT + 1, seed=1)
    assert [trip.granted for trip in trips[:LIMIT]] == [0] * LIMIT
    assert trips[LIMIT].granted > WINDOW_US
