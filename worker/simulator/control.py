"""The control API under `/control/…` for tests, drills and the demo.

JSON in, JSON out (JSONL for lists that can be long); 400 names what is wrong with a body. There is no
password: serve it on loopback only.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Final, Protocol

from pydantic import TypeAdapter, ValidationError

from bulk_cancel.worker.simulator.accounts import ApiKey
from bulk_cancel.worker.simulator.book import Behaviour, Order
from bulk_cancel.worker.simulator.control_beyond import Routes, beyond_routes
from bulk_cancel.worker.simulator.control_bodies import faults_in, filters, json_reply, named, read, stream
from bulk_cancel.worker.simulator.exchange import Exchange
from bulk_cancel.worker.simulator.faults import Fault, Network
from bulk_cancel.worker.simulator.log import Filters
from bulk_cancel.worker.simulator.messages import (
    AccountChange,
    ChannelFault,
    ClockOffset,
    EndOrders,
    OrderState,
    PlaceOrders,
    RefuseConnections,
    Script,
    Summary,
)
from bulk_cancel.worker.simulator.meters import Limits
from bulk_cancel.worker.simulator.wire import Reply, Request, Stream


class Operator(Protocol):
    """What the control API asks of the server around the exchange."""

    network: Network

    def refuse_connections(self, for_s: float, *, drop: bool) -> None:
        """Close the listener for a while."""

    def accept_connections(self) -> None:
        """Open it again."""

    def release(self) -> int:
        """Send all answers that faults hold back."""

    def subscribed(self) -> int:
        """How many private channels are pushed to."""

    def connected(self) -> int:
        """How many clients' connections are open, those that asked for control not counted."""

    def fault_channels(self, fault: ChannelFault) -> int:
        """Drop, silence or deafen the private channels; says how many are open."""

    def stop(self) -> None:
        """End the server."""


class Control:
    """The routes of the control API."""

    def __init__(self, exchange: Exchange, operator: Operator) -> None:
        self._exchange = exchange
        self._operator = operator
        self._now_us = 0
        self._routes: Routes = {
            ("GET", "health"): lambda _: {"ok": True},
            ("PUT", "accounts"): self._put_account,
            ("POST", "accounts/change"): self._change_account,
            ("POST", "instruments"): self._list_instruments,
            ("POST", "orders"): self._place,
            ("GET", "orders"): self._orders,
            ("POST", "orders/end"): self._end,
            **beyond_routes(exchange, lambda: self._now_us),
            ("PUT", "network"): self._set_network,
            ("PUT", "limits"): self._set_limits,
            ("PUT", "behaviour"): self._set_behaviour,
            ("PUT", "clock"): self._set_clock,
            ("POST", "faults"): self._add_fault,
            ("DELETE", "faults"): self._remove_faults,
            ("PUT", "scripts"): self._set_script,
            ("DELETE", "scripts"): lambda _: self._exchange.scripts.clear(),
            ("POST", "release"): lambda _: {"released": self._operator.release()},
            ("POST", "refuse-connections"): self._refuse_connections,
            ("POST", "accept-connections"): lambda _: self._operator.accept_connections(),
            ("POST", "channels"): self._fault_channels,
            ("GET", "log"): self._log,
            ("DELETE", "log"): lambda _: self._exchange.log.reset(),
            ("GET", "summary"): lambda _: self.summary(),
            ("POST", "reset"): self._reset,
            ("POST", "shutdown"): lambda _: self._operator.stop(),
        }

    def serve(self, request: Request, now_us: int) -> Reply | Stream:
        """Answer one request to the control API."""
        self._now_us = now_us
        self._exchange.advance(now_us)
        route = self._routes.get((request.method, request.path.removeprefix("/control/")))
        if route is None:
            return json_reply(404, {"error": f"no {request.method} {request.path}"})
        try:
            answer = route(request)
        except ValidationError as error:
            return json_reply(400, {"error": faults_in(error)})
        except (LookupError, ValueError) as error:
            return json_reply(400, {"error": str(error)})
        return answer if isinstance(answer, Stream) else json_reply(200, answer)

    def summary(self) -> Summary:
        """What arrived so far, and what is still on the book."""
        log, book = self._exchange.log, self._exchange.book
        live = {
            uid: dict(Counter(order.instrument.instId for order in orders.values()))
            for uid, orders in book.live.items()
        }
        return Summary(
            meters=log.summary(self._exchange.meters.limits.window_us),
            live=live,
            cancels_per_order=log.cancels_per_order(),
            arrivals=log.total,
            dropped=log.total - len(log.rows),
            channels=self._operator.subscribed(),
            connections=self._operator.connected(),
        )

    def _put_account(self, request: Request) -> None:
        key = read(ApiKey, request)
        self._exchange.keys[key.key] = key

    def _change_account(self, request: Request) -> None:
        change = read(AccountChange, request)
        fields = {name: value for name, value in asdict(change).items() if value is not None}
        keys = self._exchange.keys
        keys[change.key] = replace(named(keys, change.key, "key"), **fields)

    def _list_instruments(self, request: Request) -> None:
        self._exchange.list_instruments(read(tuple[str, ...], request))

    def _place(self, request: Request) -> dict[str, list[str]]:
        wanted = read(PlaceOrders, request)
        book = self._exchange.book
        listed = named(book.instruments, wanted.instId, "instrument")
        fields = {name: str(value) for name, value in asdict(wanted).items() if name in _ORDER_FIELDS}
        names = wanted.clOrdIds or [f"{wanted.prefix}{i}" if wanted.prefix else "" for i in range(wanted.count)]
        placed_us = self._now_us - round(wanted.age_s * 1e6)
        placed = [book.place(wanted.uid, listed, placed_us, {**fields, "clOrdId": name}) for name in names]
        return {"ordIds": [order.ordId for order in placed]}

    def _orders(self, request: Request) -> Stream:
        wanted = filters(request, _ORDER_FILTERS)
        orders = tuple(self._exchange.book.orders.values())
        return stream(asdict(self._state(order)) for order in orders if _matches(order, wanted))

    def _state(self, order: Order) -> OrderState:
        return OrderState(
            ordId=order.ordId,
            clOrdId=order.clOrdId,
            uid=order.uid,
            instId=order.instrument.instId,
            state=order.state,
            accFillSz=order.accFillSz,
            cancelSource=order.cancelSource,
            cTime_us=order.cTime_us,
            uTime_us=order.uTime_us,
            cancels=self._exchange.log.cancels[order.ordId],
        )

    def _end(self, request: Request) -> None:
        wanted = read(EndOrders, request)
        book = self._exchange.book
        for order in [named(book.orders, order_id, "order") for order_id in wanted.ordIds]:
            book.end(order, wanted.state, self._now_us)

    def _set_network(self, request: Request) -> None:
        self._operator.network = read(Network, request)

    def _set_limits(self, request: Request) -> None:
        self._exchange.meters.limits = read(Limits, request)

    def _set_behaviour(self, request: Request) -> None:
        self._exchange.book.behaviour = read(Behaviour, request)

    def _set_clock(self, request: Request) -> None:
        self._exchange.clock_offset_us = round(read(ClockOffset, request).offset_s * 1e6)

    def _add_fault(self, request: Request) -> dict[str, int]:
        return {"id": self._exchange.faults.add(read(Fault, request), self._now_us)}

    def _remove_faults(self, request: Request) -> None:
        number = filters(request, ("id",)).get("id")
        if number and not number.isdecimal():
            raise ValueError("id: should be the number that POST /control/faults answered")
        self._exchange.faults.remove(int(number) if number else None)

    def _set_script(self, request: Request) -> None:
        script = read(Script, request)
        self._exchange.scripts.set(script.id, script.steps)

    def _refuse_connections(self, request: Request) -> None:
        wanted = read(RefuseConnections, request)
        self._operator.refuse_connections(wanted.for_s, drop=wanted.drop)

    def _fault_channels(self, request: Request) -> dict[str, int]:
        return {"open": self._operator.fault_channels(read(ChannelFault, request))}

    def _log(self, request: Request) -> Stream:
        wanted = TypeAdapter(Filters).validate_strings(filters(request, _LOG_FILTERS))
        return stream(row._asdict() for row in self._exchange.log.select(wanted))

    def _reset(self, _request: Request) -> None:
        self._operator.release()
        self._exchange.faults.remove()
        self._exchange.scripts.clear()
        self._exchange.clear(self._now_us)
        self._exchange.meters.reset()
        self._exchange.log.reset()


_ORDER_FIELDS = frozenset({"side", "ordType", "px", "sz", "tdMode", "accFillSz", "tag", "attached"})
_ORDER_FILTERS: Final = ("uid", "instId", "state", "ordId")
_LOG_FILTERS: Final = tuple(Filters.__dataclass_fields__)


def _matches(order: Order, wanted: Mapping[str, str]) -> bool:
    shown = dict(zip(_ORDER_FILTERS, (order.uid, order.instrument.instId, order.state, order.ordId), strict=True))
    return all(shown[name] == value for name, value in wanted.items())
