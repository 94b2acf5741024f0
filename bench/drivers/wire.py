"""How does the bench talk to a contender's process? Over its standard streams, a line each.

Work in, `ready` out, `go` in, the moment at which it began out, the result out.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from pydantic import TypeAdapter

HandIn = Callable[[], Callable[[], None]]


@dataclass(frozen=True, slots=True)
class Desk:
    """One account and its open orders by instrument."""

    name: str
    key: str
    secret: str
    passphrase: str
    orders: dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class Work:
    """What a contender is told: where the exchange is, and what to cancel; `redis_url` for those that need one."""

    exchange_url: str
    redis_url: str
    desks: tuple[Desk, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """How long the hand-in call took."""

    handed_in_s: float


def now_us() -> int:
    """Microseconds since the epoch, as the simulator stamps arrivals."""
    return time.time_ns() // 1_000


def serve(prepare: Callable[[Work], HandIn]) -> None:
    """Runs one race in this process.

    `prepare(work)` gets ready and returns the hand-in; that returns, when all is handed in, what waits for the end.
    """
    work = TypeAdapter(Work).validate_json(sys.stdin.readline())
    hand_in = prepare(work)
    _say("ready")
    sys.stdin.readline()
    started_us = now_us()
    _say(str(started_us))
    finish = hand_in()
    handed_in_s = (now_us() - started_us) / 1e6
    finish()
    _say(TypeAdapter(Result).dump_json(Result(handed_in_s)).decode())
    sys.stdin.readline()  # the process stays until its CPU time was read


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
