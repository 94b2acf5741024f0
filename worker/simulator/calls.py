"""A call to the simulated exchange, its answer, and what makes an endpoint."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from bulk_cancel.worker.simulator.accounts import ApiKey
from bulk_cancel.worker.simulator.algos import Algos
from bulk_cancel.worker.simulator.book import Book, Ref
from bulk_cancel.worker.simulator.faults import ItemCode
from bulk_cancel.worker.simulator.meters import Charge
from bulk_cancel.worker.simulator.products import Products
from bulk_cancel.worker.simulator.wire import Reply, Request

Row = dict[str, str]
Planned = Sequence[tuple[Ref, ItemCode | None]]

_encode = json.JSONEncoder(separators=(",", ":")).encode


class Call(NamedTuple):
    """One routed request.

    `params` are the decoded query or JSON body, None if that could not be read; `now_us` is the arrival on
    the simulator's clock, `wall_us` the same instant on the clock that the exchange shows.
    """

    request: Request
    uid: str
    params: Mapping[str, object] | list[object] | None
    now_us: int
    wall_us: int

    def text(self, name: str) -> str:
        """A parameter as text; empty if absent."""
        return text(self.params, name)


class Venue(NamedTuple):
    """What an endpoint may use: what stands at the exchange, and the caller's key (None on public endpoints)."""

    book: Book
    algos: Algos
    products: Products
    key: ApiKey | None


class Answer(NamedTuple):
    """An answer in OKX's envelope.

    `bare` ones (refused by the gateway) have no data; trade answers have times (inTime, outTime).
    """

    status: int
    code: str
    msg: str
    data: Sequence[Mapping[str, object]] = ()
    times_us: tuple[int, int] | None = None
    bare: bool = False

    def reply(self) -> Reply:
        """The answer as JSON."""
        if self.bare:
            return Reply(self.status, _encode({"msg": self.msg, "code": self.code}).encode())
        envelope: dict[str, object] = {"code": self.code, "msg": self.msg, "data": list(self.data)}
        if self.times_us is not None:
            envelope |= {"inTime": str(self.times_us[0]), "outTime": str(self.times_us[1])}
        return Reply(self.status, _encode(envelope).encode())


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint: name in log and faults, permission (empty: public), orders named, charges, answer.

    `group`: which product it is about, if that may be unavailable to an account.
    """

    name: str
    permission: str
    refs: Callable[[Call], Sequence[Ref]]
    charges: Callable[[Venue, Call, Sequence[Ref]], Sequence[Charge]]
    answer: Callable[[Venue, Call, Planned], Answer]
    group: str = ""


def done(data: Sequence[Mapping[str, object]]) -> Answer:
    """A successful answer of a reading endpoint."""
    return Answer(200, "0", "", data)


def failed(code: str, msg: str, status: int = 200) -> Answer:
    """A whole request refused by the trading system: empty data."""
    return Answer(status, code, msg)


def text(params: object, name: str) -> str:
    """A field of a JSON object as text; empty if absent or of another kind."""
    value: object = params.get(name) if isinstance(params, Mapping) else None
    return str(value) if isinstance(value, str | int) else ""
