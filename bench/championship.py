"""The race of all contenders: `python -m bench.championship`. Every round lets each contender run once per scenario."""

import argparse
from collections.abc import Sequence
from typing import Final

from bench.contenders import CONTENDERS, Contender
from bench.race import Lap, run_lap
from bench.report import keep
from bench.scenarios import SCENARIOS, TINY, Scenario
from bench.standings import standings

CAP_S: Final = 30.0
ROUNDS: Final = 3


def run_championship(scenarios: Sequence[Scenario], *, names: Sequence[str], rounds: int, cap_s: float) -> list[Lap]:
    """All laps, the contenders' rounds interleaved so that a busy minute hits all of them."""
    laps = []
    for scenario in scenarios:
        for number in range(min(rounds, scenario.rounds or rounds)):
            for contender in _entered(scenario, names):
                lap = run_lap(contender, scenario, cap_s=cap_s)
                print(f"  {scenario.name}, round {number + 1}, {contender.name}: {_brief(lap)}", flush=True)
                laps.append(lap)
    return laps


def _entered(scenario: Scenario, names: Sequence[str]) -> list[Contender]:
    allowed = scenario.contenders or [contender.name for contender in CONTENDERS]
    return [each for each in CONTENDERS if each.name in allowed and (not names or each.name in names)]


def _brief(lap: Lap) -> str:
    last = "-" if lap.last_s is None else f"{lap.last_s:.3f} s"
    last += " (capped)" * lap.capped
    return f"{lap.accepted:,} accepted by {last}, {lap.refusals} refused, {lap.cpu_s:.2f} s CPU"


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs, keeps the figures, refreshes the README."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--cap", type=float, default=CAP_S, help="seconds after which others are stopped")
    parser.add_argument("--only", default="", help="scenarios whose name contains this")
    parser.add_argument("--contender", action="append", default=[], help="only this one; may be repeated")
    parser.add_argument("--tiny", action="store_true", help="small scenarios that measure nothing; nothing is kept")
    told = parser.parse_args(arguments)
    scenarios = [each for each in (TINY if told.tiny else SCENARIOS) if told.only in each.name]
    laps = run_championship(scenarios, names=told.contender, rounds=told.rounds, cap_s=told.cap)
    text = standings(laps)
    print(text)
    if not told.tiny:
        keep("championship", text, laps)


if __name__ == "__main__":
    main()
