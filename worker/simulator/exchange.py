"""Answers one request: authentication, meters, faults, answer, log.

No I/O: the server hands in a request with its time of arrival and delivers what comes back.
"""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from bulk_cancel.worker.simulator.accounts import ApiKey, Refused, Signed, authenticate
from bulk_cancel.worker.simulator.algos import Algos
from bulk_cancel.worker.simulator.book import Book, Ref
from bulk_cancel.worker.simulator.calls import Answer, Call, Route, Venue, failed
from bulk_cancel.worker.simulator.config import Config
from bulk_cancel.worker.simulator.endpoints import ROUTES
from bulk_cancel.worker.simulator.faults import Fault, Faults, Scripts, code_of, whole_answer
from bulk_cancel.worker.simulator.instruments import instrument
from bulk_cancel.worker.simulator.log import Arrival, ArrivalLog
from bulk_cancel.worker.simulator.meters import Charge, Meters
from bulk_cancel.worker.simulator.products import Products
from bulk_cancel.worker.simulator.wire import Reply, Request

_PATHS = {path for _, path in ROUTES}
_ALGO_IDS, _PRODUCT_IDS = 4 * 10**15, 6 * 10**15
"""Apart from ids of orders, and below 2^53."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """An answer and, if any, the fault that spoils its delivery."""

    reply: Reply
    fault: Fault | None = None


class Met(NamedTuple):
    """What became of an arrival, before it is put into words for log and wire."""

    answer: Answer
    charges: Sequence[Charge] = ()
    refused: bool = False
    fault: Fault | None = None


class Exchange:
    """The whole state of the simulated exchange. Times are µs and must not go backwards."""

    def __init__(self, config: Config, now_us: int) -> None:
        dice = random.Random(config.seed)
        self.keys: dict[str, ApiKey] = {key.key: key for key in config.accounts}
        self.meters = Meters(config.limits)
        self.book = Book(config.behaviour, random.Random(dice.random()), first_number=now_us)
        self.algos = Algos(self.book, random.Random(dice.random()), first_number=now_us + _ALGO_IDS)
        self.products = Products(first_number=now_us + _PRODUCT_IDS)
        self.faults = Faults(random.Random(dice.random()))
        self.scripts = Scripts()
        self.log = ArrivalLog(config.log_limit)
        self.clock_offset_us = round(config.clock_offset_s * 1e6)
        self.list_instruments(config.instruments)

    def list_instruments(self, inst_ids: Sequence[str]) -> None:
        """List more instruments."""
        self.book.instruments |= {inst_id: instrument(inst_id) for inst_id in inst_ids}

    @property
    def next_due_us(self) -> int | None:
        """When the next thing happens by itself; None if nothing will."""
        due = (self.book.next_ending_us, self.algos.due.next_us, self.products.due.next_us)
        return min((due_us for due_us in due if due_us is not None), default=None)

    def advance(self, now_us: int) -> None:
        """Let everything happen that is due."""
        self.book.advance(now_us)
        self.algos.advance(now_us)
        self.products.advance(now_us)

    def clear(self, now_us: int) -> None:
        """Forget all orders, algo orders and products; channels are told that the open orders were canceled."""
        self.algos.clear()  # first: it would place others
        for order in [order for orders in self.book.live.values() for order in orders.values()]:
            self.book.end(order, "canceled", now_us)
        for each in (self.book, self.algos, self.products):
            each.clear()

    def arrive(self, request: Request, now_us: int) -> Delivery:
        """Serve one request that arrived now."""
        self.advance(now_us)
        path = request.path
        route = ROUTES.get((request.method, path))
        if route is None:
            return Delivery(_unroutable(path))
        call = self._call(request, route, now_us)
        refs = route.refs(call)
        key = self._authenticate(call, route)
        met = self._meet(route, call, refs, key) if not isinstance(key, Refused) else _turned_away(key)
        self._log(route, call, refs, met)
        return Delivery(_reply(met), met.fault)

    def _call(self, request: Request, route: Route, now_us: int) -> Call:
        key = self.keys.get(request.headers.get("ok-access-key", "")) if route.permission else None
        uid = key.uid if key is not None else ""
        return Call(request, uid, _params(request), now_us, now_us + self.clock_offset_us)

    def _authenticate(self, call: Call, route: Route) -> ApiKey | Refused | None:
        if not route.permission:
            return None
        request = call.request
        signed = Signed(request.method, request.target, request.body, request.headers)
        key = authenticate(self.keys, signed, now_ms=call.wall_us // 1_000, ip=request.peer)
        if isinstance(key, ApiKey) and route.permission not in key.permissions:
            return Refused(200, "50120", "This API key doesn't have permission to use this function")
        return key

    def _meet(self, route: Route, call: Call, refs: Sequence[Ref], key: ApiKey | None) -> Met:
        if call.params is None:
            return Met(Answer(400, "50002", "JSON syntax error", bare=True))
        venue = Venue(self.book, self.algos, self.products, key)
        charges = route.charges(venue, call, refs)
        if not self.meters.admit(charges, call.now_us):
            return Met(Answer(429, "50011", "Too Many Requests", bare=True), charges, refused=True)
        steps = [self.scripts.take(self._ids(call.uid, ref)) for ref in refs]
        fault = whole_answer(steps)
        fault = fault or self.faults.pick(route.name, call.uid, [ref.instId for ref in refs], call.now_us)
        if fault is not None and fault.when == "before" and not fault.sCode:
            return Met(Answer(fault.status, "", ""), charges, fault=fault)
        if barred := self.products.behaviour.unavailable.get(route.group):
            return Met(failed(barred, "Not available to this account"), charges, fault=fault)
        codes = [code_of(fault) or code_of(step) for step in steps]
        return Met(route.answer(venue, call, list(zip(refs, codes, strict=True))), charges, fault=fault)

    def _ids(self, uid: str, ref: Ref) -> tuple[str, ...]:
        order = self.book.find(uid, ref)
        return (ref.ordId, ref.clOrdId) if order is None else (order.ordId, order.clOrdId)

    def _log(self, route: Route, call: Call, refs: Sequence[Ref], met: Met) -> None:
        answer = met.answer
        self.log.add(
            Arrival(
                at_us=call.now_us,
                uid=call.uid,
                endpoint=route.name,
                meters=tuple([charge.key for charge in met.charges]),
                weights=tuple([charge.weight for charge in met.charges]),
                instIds=tuple(dict.fromkeys([ref.instId for ref in refs])),
                ordIds=tuple([self._known_as(call.uid, ref) for ref in refs]),
                refused=met.refused,
                status=answer.status,
                code=answer.code,
                sCodes=tuple([str(item["sCode"]) for item in answer.data if "sCode" in item]),
                fault=met.fault.action if met.fault else "",
                connection=call.request.connection,
            )
        )

    def _known_as(self, uid: str, ref: Ref) -> str:
        order = self.book.find(uid, ref)
        return order.ordId if order is not None else ref.ordId or ref.clOrdId


def _params(request: Request) -> dict[str, object] | list[object] | None:
    if request.method == "GET":
        return dict(request.query)
    try:
        parsed: object = json.loads(request.body)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict | list) else None


def _turned_away(refused: Refused) -> Met:
    return Met(Answer(refused.status, refused.code, refused.msg, bare=True))


def _unroutable(path: str) -> Reply:
    if path in _PATHS:
        return Reply(405, b'{"msg":"Invalid request method","code":"50115"}')
    return Reply(404, b'{"msg":"Not Found","data":[],"code":"404"}')


def _reply(met: Met) -> Reply:
    fault = met.fault
    if fault is not None and not fault.sCode and (fault.when == "before" or fault.body is not None):
        return Reply(fault.status, (fault.body or "").encode(), fault.content_type)
    return met.answer.reply()
