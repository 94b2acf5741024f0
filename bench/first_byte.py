"""How long from `submit()` to the first cancel's arrival on an idle system? `python -m bench.first_byte`."""

import argparse
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from celery import Celery

from bench.before import COMMIT, Build, before
from bench.drivers.wire import now_us
from bench.figures import FirstByte
from bench.percentile import percentile
from bench.report import UNKEPT, is_whole, keep
from bench.rigs import config_of, open_orders, warm_rig
from bulk_cancel.tasks.messages import parse_cancel_orders
from tests.support.rig import Rig

HandIn = Callable[[dict[str, str]], object]

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
CELERY: Final = "60 to 120 ms, by Celery's `send_task()`"


def text(found: FirstByte) -> str:
    """The README's part."""
    head = f"| quiet before | samples | {' | '.join(SHARES)} |\n|---|---|{'---|' * len(SHARES)}"
    rows = (_row(kind, values) for kind, values in _by_quiet(found).items())
    return "\n".join([head, *rows, "", "![histogram](pictures/first_byte.png)"])


def _by_quiet(found: FirstByte) -> Mapping[str, Sequence[float]]:
    every = {
        SHORT: found.samples_ms,
        LONG: found.idle_samples_ms,
        CELERY: found.celery_samples_ms,
        f"{SHORT}, {COMMIT[:7]}": found.before_samples_ms,
        f"{CELERY}, {COMMIT[:7]}": found.before_celery_samples_ms,
    }
    return {name: samples for name, samples in every.items() if samples}


def _row(kind: str, values: Sequence[float]) -> str:
    cells = (f"{percentile(values, share):.1f} ms" for share in SHARES.values())
    return f"| {kind} | {len(values)} | {' | '.join(cells)} |"


def measure(*, workers: int, samples: int, idle_samples: int, old: Build | None) -> FirstByte:
    """One order at a time, at irregular moments, over many instruments; the simulator has no latency.

    The build before, if there is one, takes turns with this one, order by order.
    """
    with ExitStack() as stack:
        desks = [stack.enter_context(_desk(workers, samples, idle_samples))]
        desks += [stack.enter_context(_desk(workers, samples, 0, old))] if old else []
        for _ in range(samples):
            for desk in desks:
                desk.short.append(_after_quiet(desk.by_store, desk.row(), QUIET_S))
                desk.celery.append(_after_quiet(desk.by_celery, desk.row(), QUIET_S))
        idle = [_after_quiet(desks[0].by_store, desks[0].row(), IDLE_S) for _ in range(idle_samples)]
        time.sleep(1)
        taken = [(desk.taken_ms(desk.short), desk.taken_ms(desk.celery)) for desk in desks]
        (short, celery), before = taken[0], taken[1] if old else ((), ())
        return FirstByte(workers, short, desks[0].taken_ms(idle), celery, *before)


@dataclass(frozen=True, slots=True)
class _Desk:
    """What hands orders in to one pool of workers, in two ways; each of these is an order and when that began."""

    rig: Rig
    rows: Iterator[dict[str, str]]
    by_celery: HandIn
    short: list[tuple[str, int]] = field(default_factory=list)
    celery: list[tuple[str, int]] = field(default_factory=list)

    def row(self) -> dict[str, str]:
        """The next open order."""
        return next(self.rows)

    def by_store(self, row: dict[str, str]) -> None:
        """What `tasks.submit` does, on the rig's store."""
        self.rig.store.admission.admit(parse_cancel_orders(account="desk1", orders=[row]))

    def taken_ms(self, handed_in: Sequence[tuple[str, int]]) -> tuple[float, ...]:
        """How long each took until its cancel arrived."""
        arrived = {row.ordIds[0]: row.at_us for row in self.rig.exchange.control.log(endpoint="cancel-order")}
        return tuple((arrived[order] - at_us) / 1e3 for order, at_us in handed_in)


@contextmanager
def _desk(workers: int, samples: int, idle_samples: int, build: Build | None = None) -> Iterator[_Desk]:
    names = tuple(f"COIN{number}-USDT" for number in range(INSTRUMENTS))
    with (
        warm_rig(config_of(names), workers=workers, build=build) as rig,
        Celery(broker=rig.redis.url, set_as_current=False) as app,
    ):
        rows = iter(_in_turn(rig, names, 2 * samples + idle_samples + 1))
        by_celery = partial(_send_task, app)
        _after_quiet(by_celery, next(rows), QUIET_S)  # its connection stands before it is measured
        yield _Desk(rig, rows, by_celery)


def _in_turn(rig: Rig, names: Sequence[str], count: int) -> list[dict[str, str]]:
    """At least so many open orders, one instrument after the other."""
    turns = -(-count // len(names))
    return [row for _ in range(turns) for row in open_orders(rig, dict.fromkeys(names, 1))]


def _after_quiet(hand_in: HandIn, row: dict[str, str], quiet_s: tuple[float, float]) -> tuple[str, int]:
    """After a pause in which the system becomes idle again; the order, and when it began to be handed in."""
    time.sleep(random.uniform(*quiet_s))
    called_us = now_us()
    hand_in(row)
    return row["ordId"], called_us


def _send_task(app: Celery, row: dict[str, str]) -> None:
    """What a producer does that has Celery, and nothing of ours."""
    app.send_task("tasks.cancel_orders", queue="cancel", kwargs={"account": "desk1", "orders": [row]})


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures, draws, keeps."""
    parser = argparse.ArgumentParser(description=__doc__, epilog=UNKEPT)
    parser.add_argument("--samples", type=int, default=SAMPLES)
    parser.add_argument("--idle-samples", type=int, default=IDLE_SAMPLES)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--tiny", action="store_true", help="20 samples, 2 of an idle system")
    told = parser.parse_args(arguments)
    samples, idle_samples = (20, 2) if told.tiny else (told.samples, told.idle_samples)
    with before() as old:
        found = measure(workers=told.workers, samples=samples, idle_samples=idle_samples, old=old)
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
