"""How long from `submit()` to the first cancel's arrival on an idle system? `python -m bench.first_byte`."""

import argparse
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bench.contenders import WARM, warm_up
from bench.drivers.wire import now_us
from bench.pictures import draw_histogram
from bench.report import keep
from tasks.messages import parse_cancel_orders
from tests.system.rig import Rig
from worker.simulator.config import DEFAULT_KEY, Config

INSTRUMENTS: Final = 50
SAMPLES: Final = 300
SPACING_S: Final = 0.06
"""At least, between samples: an instrument has its next turn after a window, so that no limit is in the way."""


@dataclass(frozen=True, slots=True)
class FirstByte:
    """Milliseconds from the call of `submit()` to the arrival of its one cancel."""

    workers: int
    samples_ms: tuple[float, ...]

    @property
    def text(self) -> str:
        """The README's part."""
        at = {name: f"{percentile(self.samples_ms, share):.1f}" for name, share in _SHARES.items()}
        head = f"| samples | {' | '.join(at)} |\n|---|{'---|' * len(at)}\n"
        row = f"| {len(self.samples_ms)} | {' | '.join(f'{value} ms' for value in at.values())} |"
        return f"{head}{row}\n\n![histogram](pictures/first_byte.png)"


_SHARES: Final = {"min": 0.0, "p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that is not below `share` of all; ValueError if there are none."""
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def measure(*, workers: int, samples: int) -> FirstByte:
    """One order at a time, at irregular moments, over many instruments; the simulator has no latency."""
    names = tuple(f"COIN{number}-USDT" for number in range(INSTRUMENTS))
    with Rig(workers=workers, config=Config(instruments=(*names, *WARM))) as rig:
        placed = {name: rig.exchange.control.place(DEFAULT_KEY.uid, name, -(-samples // INSTRUMENTS)) for name in names}
        warm_up(rig, accounts=1)
        rig.exchange.control.reset_log()
        handed_in = dict(_submit(rig, *each) for each in _in_turn(placed, samples))
        time.sleep(1)
        arrived = {row.ordIds[0]: row.at_us for row in rig.exchange.control.log(endpoint="cancel-order")}
    return FirstByte(workers, tuple((arrived[order] - at_us) / 1e3 for order, at_us in handed_in.items()))


def _in_turn(placed: dict[str, list[str]], samples: int) -> list[tuple[str, str]]:
    names = list(placed)
    return [(name := names[number % len(names)], placed[name][number // len(names)]) for number in range(samples)]


def _submit(rig: Rig, name: str, order: str) -> tuple[str, int]:
    """What `tasks.submit` does, on the rig's store; then a pause in which the system becomes idle again."""
    time.sleep(SPACING_S * random.uniform(1, 2))
    called_us = now_us()
    rig.store.admission.admit(parse_cancel_orders(account="desk1", orders=[{"instId": name, "ordId": order}]))
    return order, called_us


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures, draws, keeps."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=SAMPLES)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--tiny", action="store_true", help="nothing is kept")
    told = parser.parse_args(arguments)
    found = measure(workers=told.workers, samples=20 if told.tiny else told.samples)
    print(found.text)
    if not told.tiny:
        draw_histogram("first_byte", found.samples_ms, title="submit() to the first cancel's arrival, idle system")
        keep("first_byte", found.text, found)


if __name__ == "__main__":
    main()
