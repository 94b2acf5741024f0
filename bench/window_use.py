"""How much of the allowed rate does one busy lane use under delay? `python -m bench.window_use` (about 100 s a run).

Both kinds of network are measured side by side: 30 calls a second each, which leaves a machine almost idle.
"""

import argparse
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Final

from bench.figures import Use
from bench.report import UNKEPT, is_whole, keep
from bench.rigs import config_of, hand_in, open_orders, warm_rig
from bench.scenarios import LIMITS, OPTION_ORDERS, legal_minimum_s, option_names
from bench.window_simulation import DELAYS, FAR, NEAR
from bulk_cancel.worker.simulator.config import DEFAULT_KEY
from bulk_cancel.worker.simulator.faults import Network

METER: Final = f"single:{DEFAULT_KEY.uid}:BTC-USD:option"
PATIENCE: Final = 2.0


@dataclass(frozen=True, slots=True)
class Weather:
    """One kind of network."""

    name: str
    network: Network


WEATHERS: Final = tuple(Weather(name, DELAYS[name]) for name in (NEAR, FAR))


def measure(weather: Weather, *, workers: int, count: int) -> Use:
    """One bulk of `count` orders on one option family, by the single endpoint."""
    starts = range(0, count, OPTION_ORDERS)
    names = option_names(len(starts))
    sizes = [min(OPTION_ORDERS, count - start) for start in starts]
    minimum_s = legal_minimum_s(count, single=True)
    settings = {"ACCOUNTS__DESK1__ENDPOINTS": "single"}
    with warm_rig(config_of(names, network=weather.network), workers=workers, settings=settings) as rig:
        hand_in(rig, open_orders(rig, dict(zip(names, sizes, strict=True))), batch_id="bulk")
        rig.done("bulk", PATIENCE * minimum_s + 30)
        met = rig.exchange.control.summary().meters[METER]
    span_s = (met.last_us - met.first_us) / 1e6
    return Use(weather.name, workers, count, span_s, minimum_s, met.refusals, met.max_in_window)


def measure_runs(weather: Weather, *, runs: int, workers: int, count: int) -> list[Use]:
    """One run after the other, under one kind of network."""
    uses = []
    for number in range(1, runs + 1):
        use = measure(weather, workers=workers, count=count)
        what = f"{use.share:.1%} in {use.span_s:.2f} s, {use.refusals} refused"
        print(f"  {weather.name}, run {number}: {what}", flush=True)
        uses.append(use)
    return uses


def table(uses: Sequence[Use]) -> str:
    """Markdown, one row per network."""
    rows = [_row([use for use in uses if use.weather == name]) for name in dict.fromkeys(use.weather for use in uses)]
    head = "| one-way delay | runs | share of the allowed rate: worst | median | refusals | most in a window |"
    return "\n".join([head, "|---|---|---|---|---|---|", *rows])


def _row(uses: Sequence[Use]) -> str:
    shares = [use.share for use in uses]
    cells = [
        uses[0].weather,
        str(len(uses)),
        f"{min(shares):.1%}",
        f"{median(shares):.1%}",
        str(sum(use.refusals for use in uses)),
        f"{max(use.most_in_window for use in uses)} of {LIMITS.single}",
    ]
    return f"| {' | '.join(cells)} |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures, keeps."""
    parser = argparse.ArgumentParser(description=__doc__, epilog=UNKEPT)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--orders", type=int, default=3_000)
    parser.add_argument("--tiny", action="store_true", help="one run of 180 orders each")
    told = parser.parse_args(arguments)
    runs, count = (1, 180) if told.tiny else (told.runs, told.orders)
    with ProcessPoolExecutor(len(WEATHERS)) as pool:
        found = pool.map(partial(measure_runs, runs=runs, workers=told.workers, count=count), WEATHERS)
        uses = [use for of_one in found for use in of_one]
    print(table(uses))
    if is_whole(parser, told):
        keep("window_use", table(uses), uses)


if __name__ == "__main__":
    main()
