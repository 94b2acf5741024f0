"""How much of the allowed rate does one busy lane use under delay? `python -m bench.window_use` (about 100 s a run).

Both kinds of network are measured side by side: 30 calls a second each, which leaves a machine almost idle.
"""

import argparse
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final

from bench.contenders import WARM, warm_up
from bench.report import keep
from bench.scenarios import LIMITS, OPTION_ORDERS, WINDOW_S
from tasks.messages import parse_cancel_orders
from tests.system.rig import Rig, orders
from worker.simulator.config import DEFAULT_KEY, Config
from worker.simulator.faults import Network

METER: Final = f"single:{DEFAULT_KEY.uid}:BTC-USD:option"
PATIENCE: Final = 2.0


@dataclass(frozen=True, slots=True)
class Weather:
    """One kind of network."""

    name: str
    network: Network


WEATHERS: Final = (
    Weather("10 ms + exp(10 ms)", Network(delay_ms=10, exp_ms=10)),
    Weather("50 ms + exp(20 ms), 1 % 200 ms late", Network(delay_ms=50, exp_ms=20, tail_share=0.01, tail_ms=200)),
)


@dataclass(frozen=True, slots=True)
class Use:
    """One run: `span_s` from the first cancel's arrival to the last, `minimum_s` the least that is legal for it."""

    weather: str
    workers: int
    orders: int
    span_s: float
    minimum_s: float
    refusals: int
    most_in_window: int

    @property
    def share(self) -> float:
        """Of the allowed rate."""
        return self.minimum_s / self.span_s


def measure(weather: Weather, *, workers: int, count: int) -> Use:
    """One bulk of `count` orders on one option family, by the single endpoint."""
    names = tuple(f"BTC-USD-271231-{100_000 + 1_000 * number}-C" for number in range(-(-count // OPTION_ORDERS)))
    settings = {"ACCOUNTS__DESK1__ENDPOINTS": "single"}
    config = Config(instruments=(*names, *WARM), network=weather.network)
    with Rig(workers=workers, config=config, settings=settings) as rig:
        warm_up(rig, accounts=1)
        rig.exchange.control.reset_log()
        sizes = [min(OPTION_ORDERS, count - start) for start in range(0, count, OPTION_ORDERS)]
        placed = [
            row
            for name, size in zip(names, sizes, strict=True)
            for row in orders(name, rig.exchange.control.place(DEFAULT_KEY.uid, name, size))
        ]
        rig.store.admission.admit(parse_cancel_orders(account="desk1", orders=placed, batch_id="bulk"))
        minimum_s = (-(-count // LIMITS.single) - 1) * WINDOW_S
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
    shares = sorted(use.share for use in uses)
    cells = [
        uses[0].weather,
        str(len(uses)),
        f"{shares[0]:.1%}",
        f"{shares[len(shares) // 2]:.1%}",
        str(sum(use.refusals for use in uses)),
        f"{max(use.most_in_window for use in uses)} of {LIMITS.single}",
    ]
    return f"| {' | '.join(cells)} |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures, keeps."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--orders", type=int, default=3_000)
    parser.add_argument("--tiny", action="store_true", help="one run of 180 orders each; nothing is kept")
    told = parser.parse_args(arguments)
    runs, count = (1, 180) if told.tiny else (told.runs, told.orders)
    with ProcessPoolExecutor(len(WEATHERS)) as pool:
        found = pool.map(partial(measure_runs, runs=runs, workers=told.workers, count=count), WEATHERS)
        uses = [use for of_one in found for use in of_one]
    print(table(uses))
    if not told.tiny:
        keep("window_use", table(uses), uses)


if __name__ == "__main__":
    main()
