"""What does a worker cost that listens for 100 accounts? Memory and idle CPU: `python -m bench.listening`."""

import argparse
import time
from collections.abc import Sequence
from statistics import median
from typing import Final

import psutil

from bench.contenders import exchange_of, settings_of
from bench.cpu import cpu_s
from bench.figures import Listening
from bench.report import UNKEPT, is_whole, keep
from bench.rigs import warm_rig
from bench.scenarios import Scenario
from bulk_cancel.tasks.messages import parse_cancel_orders
from tests.support.rig import Rig, orders

WHOLE: Final = Scenario("100 accounts × 8 × 50", 100, 8, 50)
SMALL: Final = Scenario("5 accounts × 2 × 20", 5, 2, 20)
IDLE_S: Final = 30.0
ROUNDS: Final = 3
DONE_S: Final = 120.0


def measure(scenario: Scenario, *, idle_s: float) -> Listening:
    """One worker, afresh: nothing to do for a while, then all orders of all accounts."""
    settings = {name: text for account in scenario.people for name, text in settings_of(account, scenario).items()}
    with warm_rig(exchange_of(scenario), workers=1, settings=settings) as rig:
        start_mb = _memory_mb(rig)
        workers_s, redis_s = _cpu(rig)
        time.sleep(idle_s)
        after_idle = _cpu(rig)
        _cancel_all(rig, scenario)
        return Listening(
            accounts=scenario.accounts,
            orders=scenario.total,
            start_mb=start_mb,
            after_mb=_memory_mb(rig),
            idle_worker_share=(after_idle[0] - workers_s) / idle_s,
            idle_redis_share=(after_idle[1] - redis_s) / idle_s,
        )


def _cancel_all(rig: Rig, scenario: Scenario) -> None:
    for account in scenario.people:
        rows = [
            row
            for inst_id in scenario.inst_ids
            for row in orders(inst_id, rig.exchange.control.place(account.key.uid, inst_id, scenario.orders))
        ]
        asked = parse_cancel_orders(account=account.name, orders=rows, batch_id=account.name)
        rig.store.admission.admit(asked)
    for account in scenario.people:
        rig.done(account.name, DONE_S)


def _memory_mb(rig: Rig) -> float:
    [worker] = rig.workers
    process = psutil.Process(worker.pid)
    return float(sum(each.memory_info().rss for each in (process, *process.children(recursive=True)))) / 1e6


def _cpu(rig: Rig) -> tuple[float, float]:
    return cpu_s(worker.pid for worker in rig.workers), cpu_s([rig.redis.pid])


def text(found: Sequence[Listening]) -> str:
    """The README's part."""
    first = found[0]
    rows = (
        ("memory at start, MB", [each.start_mb for each in found], "{:.0f}"),
        (f"memory after {first.orders:,} orders, MB", [each.after_mb for each in found], "{:.0f}"),
        ("idle: share of a core, worker", [each.idle_worker_share for each in found], "{:.1%}"),
        ("idle: share of a core, Redis", [each.idle_redis_share for each in found], "{:.1%}"),
    )
    head = f"| one worker, {first.accounts} accounts, rounds: {len(found)} | median | worst |\n|---|---|---|"
    return "\n".join(
        [head, *(f"| {name} | {shown.format(median(of))} | {shown.format(max(of))} |" for name, of, shown in rows)]
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures, keeps."""
    parser = argparse.ArgumentParser(description=__doc__, epilog=UNKEPT)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--idle", type=float, default=IDLE_S, help="seconds")
    parser.add_argument("--tiny", action="store_true", help="one round of 5 accounts, 3 s idle")
    told = parser.parse_args(arguments)
    scenario, rounds, idle_s = (SMALL, 1, 3.0) if told.tiny else (WHOLE, told.rounds, told.idle)
    found = []
    for number in range(rounds):
        found.append(measure(scenario, idle_s=idle_s))
        print(f"  round {number + 1}: {found[-1].start_mb:.0f} MB, then {found[-1].after_mb:.0f} MB", flush=True)
    print(text(found))
    if is_whole(parser, told):
        keep("listening", text(found), found)


if __name__ == "__main__":
    main()
