"""Faults, scripts of faults and network delays, as values.

Pure: the caller names the time and seeds the dice.
"""

import random
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

Action = Literal["answer", "hang", "close", "reset", "truncate", "dribble"]

MAINTENANCE = '{"code":"50001","data":[],"msg":"Service temporarily unavailable. Try again later."}'
TOO_MANY = '{"msg":"Too Many Requests","code":"50011"}'


@dataclass(frozen=True, slots=True)
class Network:
    """Delay of each way: `delay_ms` + uniform(0, `jitter_ms`) + exponential of mean `exp_ms` (+ `tail_ms`).

    The tail hits the share `tail_share` of requests. The way in is drawn before an arrival is stamped and
    metered, the way out after.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    exp_ms: float = 0.0
    tail_share: float = 0.0
    tail_ms: float = 0.0

    def draw_us(self, dice: random.Random) -> int:
        """One delay in µs; 0 without rolling the dice when the network is ideal."""
        if not (self.delay_ms or self.jitter_ms or self.exp_ms or self.tail_share):
            return 0
        delay_ms = self.delay_ms + dice.uniform(0, self.jitter_ms)
        if self.exp_ms:
            delay_ms += dice.expovariate(1 / self.exp_ms)
        if dice.random() < self.tail_share:
            delay_ms += self.tail_ms
        return round(delay_ms * 1_000)


@dataclass(frozen=True, slots=True)
class Fault:
    """What to do to requests instead of answering them well. Meters and log see them all the same.

    `when`: `before` the request takes effect (it then never does) or `after` (a lost or spoilt answer).
    `action`: `answer` sends `status` and `body`; `hang` sends nothing until released or `hang_s` passed,
    then the answer; `close`/`reset` send `sent` bytes of the answer, then FIN/RST (default none/half);
    `truncate` promises more bytes than it sends, then FIN; `dribble` sends a byte every `every_s`. With
    `after`, an absent `body` means the true answer. `sCode` answers a cancel well-formed, every order so.
    `endpoint` (`cancel-order`, `cancel-batch-orders`, `order`, `orders-pending`, …), `instId`, `uid`: which
    requests, all if empty; `share`: how many of them; ends after `count` requests or `for_s` seconds.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    action: Action = "answer"
    when: Literal["before", "after"] = "before"
    status: int = 503
    body: str | None = None
    content_type: str = "application/json"
    sCode: str = ""
    sMsg: str = ""
    endpoint: str = ""
    instId: str = ""
    uid: str = ""
    share: float = 1.0
    count: int | None = None
    for_s: float | None = None
    hang_s: float = 3_600.0
    every_s: float = 1.0
    sent: int | None = None


@dataclass(frozen=True, slots=True)
class ItemCode:
    """The sCode that one order's cancel is answered with; `takes_effect`: the cancel happens all the same.

    `missing`: the answer says nothing of the order, as if it had not been asked for.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    sCode: str
    sMsg: str = ""
    takes_effect: bool = False
    missing: bool = False


Step = ItemCode | Fault


@dataclass(slots=True)
class _Active:
    fault: Fault
    left: int | None
    until_us: int | None


class Faults:
    """The faults that are on; the oldest that matches a request wins."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._active: dict[int, _Active] = {}
        self._next = 1

    def add(self, fault: Fault, now_us: int) -> int:
        """Switch a fault on; the id is for `remove`."""
        number, self._next = self._next, self._next + 1
        until_us = None if fault.for_s is None else now_us + round(fault.for_s * 1e6)
        self._active[number] = _Active(fault, fault.count, until_us)
        return number

    def remove(self, number: int | None = None) -> None:
        """Switch one fault off, or all."""
        if number is None:
            self._active.clear()
        else:
            self._active.pop(number, None)

    def pick(self, endpoint: str, uid: str, inst_ids: Sequence[str], now_us: int) -> Fault | None:
        """The fault that hits this request, counted as used."""
        for number, active in list(self._active.items()):
            if active.until_us is not None and active.until_us <= now_us:
                del self._active[number]
            elif _hits(active.fault, endpoint, uid, inst_ids) and self._dice.random() < active.fault.share:
                self._use(number, active)
                return active.fault
        return None

    def _use(self, number: int, active: _Active) -> None:
        if active.left is None:
            return
        active.left -= 1
        if active.left <= 0:
            del self._active[number]


class Scripts:
    """Answers that single orders will give to their next cancels, in sequence."""

    def __init__(self) -> None:
        self._steps: dict[str, deque[Step]] = {}

    def set(self, order_id: str, steps: Iterable[Step]) -> None:
        """Script an order by ordId or clOrdId; no steps: behave normally again."""
        self._steps[order_id] = deque(steps)

    def clear(self) -> None:
        """Let every order behave normally."""
        self._steps.clear()

    def take(self, ids: Iterable[str]) -> Step | None:
        """The next step of the order with these ids."""
        if not self._steps:
            return None
        for order_id in filter(None, ids):
            if steps := self._steps.get(order_id):
                return steps.popleft()
        return None


def envelope(code: str, msg: str = "", status: int = 200) -> Fault:
    """A fault that refuses the whole request with a code of the exchange and no data."""
    return Fault(status=status, body=f'{{"msg":"{msg}","code":"{code}"}}')


def too_many(status: int = 429) -> Fault:
    """A fault that refuses for speed, as the real meters do."""
    return Fault(status=status, body=TOO_MANY)


def maintenance(for_s: float | None = None) -> Fault:
    """A fault that has the exchange down with 503 and 50001."""
    return replace(Fault(body=MAINTENANCE), for_s=for_s)


def _hits(fault: Fault, endpoint: str, uid: str, inst_ids: Sequence[str]) -> bool:
    return (
        fault.endpoint in {"", endpoint} and fault.uid in {"", uid} and (not fault.instId or fault.instId in inst_ids)
    )


def code_of(step: Step | None) -> ItemCode | None:
    """What a step says about one order; a whole answer says something only by its `sCode`."""
    if isinstance(step, Fault):
        return ItemCode(step.sCode, step.sMsg, step.when == "after") if step.sCode else None
    return step


def whole_answer(steps: Iterable[Step | None]) -> Fault | None:
    """The first step that is about the whole request."""
    return next((step for step in steps if isinstance(step, Fault)), None)
