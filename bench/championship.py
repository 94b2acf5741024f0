"""The race of all contenders: `python -m bench.championship`. The peers run once per scenario, we once a round."""

import argparse
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Final

from bench.before import before
from bench.contenders import CONTENDERS, Contender, of_before
from bench.figures import Lap
from bench.race import run_lap
from bench.report import UNKEPT, is_whole, keep
from bench.scenarios import BEFORE, SCENARIOS, TINY, US, Scenario
from bench.standings import standings

PATIENCE_S: Final = 20.0
TINY_PATIENCE_S: Final = 10.0
ROUNDS: Final = 3
EACH_ROUND: Final = frozenset({*US, *BEFORE.values()})


def run_championship(
    scenarios: Sequence[Scenario], *, names: Sequence[str], rounds: int, patience_s: float
) -> list[Lap]:
    """All laps, the contenders' turns interleaved so that a busy minute hits all of them."""
    with before() if _needs_before(scenarios, names) else nullcontext() as build:
        known = (*CONTENDERS, *of_before(build))
        return [
            lap
            for scenario in scenarios
            for lap in _laps(
                scenario,
                [each for each in known if each.name in scenario.contenders and (not names or each.name in names)],
                rounds=scenario.rounds or rounds,
                patience_s=patience_s,
            )
        ]


def _needs_before(scenarios: Sequence[Scenario], names: Sequence[str]) -> bool:
    return any(
        name in each.contenders and (not names or name in names) for each in scenarios for name in BEFORE.values()
    )


def _laps(scenario: Scenario, entered: Sequence[Contender], *, rounds: int, patience_s: float) -> list[Lap]:
    """Peers run in the first round only: they take most of the time, and keep a pace of their own."""
    laps: list[Lap] = []
    for number in range(rounds):
        for contender in (each for each in entered if number == 0 or each.name in EACH_ROUND):
            lap = run_lap(contender, scenario, patience_s=patience_s)
            print(f"  {scenario.name}, round {number + 1}, {contender.name}: {_brief(lap)}", flush=True)
            laps.append(lap)
    return laps


def _brief(lap: Lap) -> str:
    last = "-" if lap.last_s is None else f"{lap.last_s:.3f} s"
    last += " (capped)" * lap.capped
    return f"{lap.accepted:,} accepted by {last}, {lap.refusals} refused, {lap.cpu_s:.2f} s CPU"


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs, keeps the figures, refreshes the README."""
    parser = argparse.ArgumentParser(description=__doc__, epilog=UNKEPT)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--patience", type=float, default=PATIENCE_S, help="seconds beyond the legal minimum")
    parser.add_argument("--only", default="", help="scenarios whose name contains this")
    parser.add_argument("--contender", action="append", default=[], help="only this one; may be repeated")
    parser.add_argument("--tiny", action="store_true", help="one round of small scenarios that measure nothing")
    told = parser.parse_args(arguments)
    scenarios = [each for each in (TINY if told.tiny else SCENARIOS) if told.only in each.name]
    rounds, patience_s = (1, TINY_PATIENCE_S) if told.tiny else (told.rounds, told.patience)
    laps = run_championship(scenarios, names=told.contender, rounds=rounds, patience_s=patience_s)
    print(standings(laps))
    if is_whole(parser, told):
        keep("championship", standings(laps), laps)


if __name__ == "__main__":
    main()
