"""How long from `submit()` to the first cancel's arrival on an idle system? `python -m bench.first_byte`."""

import argparse
import random
import time
from collections.abc import Mapping, Sequence
from typing import Final

from bench.drivers.wire import now_us
from bench.figures import FirstByte
from bench.percentile import percentile
from bench.report import UNKEPT, is_whole, keep
from bench.rigs import config_of, open_orders, warm_rig
from bulk_cancel.tasks.messages import parse_cancel_orders
from tests.support.rig import Rig

INSTRUMENTS: Final = 50
SAMPLES: Final = 300
QUIET_S: Final = (0.06, 0.12)
"""Before a sample; an instrument has its next turn after a window, so that no limit is in the way."""

IDLE_SAMPLES: Final = 20
IDLE_S: Final = (6.0, 7.0)
"""Long enough for whatever sleeps after a while."""

SHARES: Final = {"min": 0.0, "p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
SHORT: Final = "60 to 120 ms"
LONG: Final = "6 to 7 s"


def text(found: FirstByte) -> str:
    """The README's part."""
    head = f"| quiet before | samples | {' | '.join(SHARES)} |\n|---|---|{'---|' * len(SHARES)}"
    rows = (_row(kind, values) for kind, values in _by_quiet(found).items())
    return "\n".join([head, *rows, "", "![histogram](pictures/first_byte.png)"])


def _by_quiet(found: FirstByte) -> Mapping[str, Sequence[float]]:
    return {SHORT: found.samples_ms, LONG: found.idle_samples_ms}


def _row(kind: str, values: Sequence[float]) -> str:
    cells = (f"{percentile(values, share):.1f} ms" for share in SHARES.values())
    return f"| {kind} | {len(values)} | {' | '.join(cells)} |"


def measure(*, workers: int, samples: int, idle_samples: int) -> FirstByte:
    """One order at a time, at irregular moments, over many instruments; the simulator has no latency."""
    names = tuple(f"COIN{number}-USDT" for number in range(INSTRUMENTS))
    with warm_rig(config_of(names), workers=workers) as rig:
        rows = iter(_in_turn(rig, names, samples + idle_samples))
        short = [_submit(rig, next(rows), QUIET_S) for _ in range(samples)]
        idle = [_submit(rig, next(rows), IDLE_S) for _ in range(idle_samples)]
        time.sleep(1)
        arrived = {row.ordIds[0]: row.at_us for row in rig.exchange.control.log(endpoint="cancel-order")}
    taken = [tuple((arrived[order] - at_us) / 1e3 for order, at_us in handed_in) for handed_in in (short, idle)]
    return FirstByte(workers, *taken)


def _in_turn(rig: Rig, names: Sequence[str], count: int) -> list[dict[str, str]]:
    """At least so many open orders, one instrument after the other."""
    turns = -(-count // len(names))
    return [row for _ in range(turns) for row in open_orders(rig, dict.fromkeys(names, 1))]


def _submit(rig: Rig, row: dict[str, str], quiet_s: tuple[float, float]) -> tuple[str, int]:
    """What `tasks.submit` does, on the rig's store, after a pause in which the system becomes idle again."""
    time.sleep(random.uniform(*quiet_s))
    called_us = now_us()
    rig.store.admission.admit(parse_cancel_orders(account="desk1", orders=[row]))
    return row["ordId"], called_us


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures, draws, keeps."""
    parser = argparse.ArgumentParser(description=__doc__, epilog=UNKEPT)
    parser.add_argument("--samples", type=int, default=SAMPLES)
    parser.add_argument("--idle-samples", type=int, default=IDLE_SAMPLES)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--tiny", action="store_true", help="20 samples, 2 of an idle system")
    told = parser.parse_args(arguments)
    samples, idle_samples = (20, 2) if told.tiny else (told.samples, told.idle_samples)
    found = measure(workers=told.workers, samples=samples, idle_samples=idle_samples)
    print(text(found))
    if is_whole(parser, told):
        _draw(found)
        keep("first_byte", text(found), found)


def _draw(found: FirstByte) -> None:
    from bench.pictures import draw_histogram  # noqa: PLC0415 (only a run that is kept draws)

    samples = {f"{len(values)} after {kind} of quiet": values for kind, values in _by_quiet(found).items()}
    draw_histogram("first_byte", samples, title="submit() to the first cancel's arrival")


if __name__ == "__main__":
    main()
