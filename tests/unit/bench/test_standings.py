"""Does the table of the race say who was how fast, fairly, and who was not done?"""

# ruff: noqa: RUF001
import pytest

from bench.figures import Lap
from bench.scenarios import SCENARIOS, TINY, Scenario
from bench.standings import COLUMNS, standings
from tests.support.laps import lap

RACED = {each.name: each for each in SCENARIOS}


def cells(*laps: Lap) -> dict[str, str]:
    """The row of the only contender, by column."""
    row = standings(laps).splitlines()[-1]
    return dict(zip(COLUMNS, row.strip("| ").split(" | "), strict=True))


def test_times_are_medians_of_the_rounds() -> None:
    """Of three rounds the middle one, for every time and for CPU."""
    rounds = [
        lap(first_s=0.02, handed_in_s=0.5, last_s=2.1, cpu_s=0.1),
        lap(first_s=0.09, handed_in_s=0.01, last_s=2.9, cpu_s=0.9),
        lap(first_s=0.03, handed_in_s=0.02, last_s=2.2, cpu_s=0.2),
    ]
    assert cells(*rounds) == {
        "contender": "us ×2",
        "first call": "30 ms",
        "hand-in": "20 ms",
        "time to flat": "2.20 s",
        "÷ legal minimum": "1.100",
        "refused of calls": "0 of 25",
        "left live": "0",
        "CPU s / 1,000 orders": "0.40",
    }


def test_refusals_and_live_orders_are_the_worst_round() -> None:
    """One bad round is not averaged away; the calls are those of the round that was refused most."""
    rounds = [lap(calls=300), lap(calls=200, refusals=80, live=3), lap(calls=100, live=7)]
    assert cells(*rounds)["refused of calls"] == "80 of 200"
    assert cells(*rounds)["left live"] == "7"


def test_who_left_an_order_live_was_never_flat() -> None:
    """In any round; no ratio is shown."""
    row = cells(lap(), lap(live=1, last_s=2.3))
    assert row["time to flat"] == "never (last accepted at 2.20 s)"
    assert row["÷ legal minimum"] == "–"


def test_who_was_stopped_is_shown_as_capped() -> None:
    """With what was accepted by then; the hand-in had not returned."""
    row = cells(lap(live=428, last_s=30.0, handed_in_s=None, capped=True))
    assert row["time to flat"] == "capped: 72 accepted after 30.0 s"
    assert (row["÷ legal minimum"], row["hand-in"]) == ("–", "–")


def test_who_got_nothing_accepted_has_no_time() -> None:
    """No last arrival, no CPU by order."""
    row = cells(lap(live=500, last_s=None, first_s=None))
    assert (row["time to flat"], row["first call"]) == ("nothing was accepted", "–")


def test_without_a_legal_minimum_there_is_no_ratio() -> None:
    """The time over 0 s is shown as a difference."""
    assert cells(lap(minimum_s=0.0, last_s=0.025))["÷ legal minimum"] == "minimum 0 s: + 25 ms"


@pytest.mark.parametrize(("live", "shown"), [(250, "0.40"), (251, "–"), (500, "–")])
def test_cpu_by_accepted_order_needs_half_of_them(live: int, shown: str) -> None:
    """Whoever got less than half accepted would be charged all its work for the few."""
    assert cells(lap(live=live, cpu_s=0.1))["CPU s / 1,000 orders"] == shown


def test_each_scenario_has_its_table() -> None:
    """In the order of the race, contenders in theirs."""
    text = standings([lap("1×300", "ccxt"), lap("1×300", "us ×2"), lap("1×500", "ccxt"), lap("1×500", "ccxt")])
    assert [line for line in text.splitlines() if line.startswith("**")] == [
        "**1×300**: 500 orders, legal minimum 2.0 s, rounds: 1",
        "**1×500**: 500 orders, legal minimum 2.0 s, rounds: 2",
    ]


@pytest.mark.parametrize(
    ("name", "minimum_s"),
    [
        ("1×300", 0.0),
        ("1×500", 2.0),
        ("8×500", 2.0),
        ("20×200", 0.0),
        ("100 accounts × 8 × 50", 0.0),
        ("3,000 on one option family", 16.0),
        ("8×120, single endpoint", 2.0),
    ],
)
def test_everybody_is_stopped_at_the_same_time(name: str, minimum_s: float) -> None:
    """The legal minimum of the scenario and the same patience."""
    assert RACED[name].minimum_s == minimum_s
    assert RACED[name].cap_s(30.0) == minimum_s + 30.0


@pytest.mark.parametrize("scenario", [*SCENARIOS, *TINY], ids=lambda each: each.name)
def test_peers_race_everywhere(scenario: Scenario) -> None:
    """Every scenario has somebody else, and two workers of ours."""
    assert {"ccxt", "python-okx"} & set(scenario.contenders)
    assert "us ×2" in scenario.contenders
