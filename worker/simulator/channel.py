"""The simulated exchange's WebSockets: the private one with the channel `orders`, the business one with algo orders'.

Everything said over it takes the network's delay and keeps its order; each change of an order is a push of its own,
unless the behaviour gathers them (`push_rows`).
"""

import asyncio
import http
import json
import secrets
import socket
from collections.abc import Callable

import msgspec
from websockets.asyncio.server import Server, ServerConnection, broadcast, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from bulk_cancel.worker.simulator.accounts import ApiKey, Refused, log_in
from bulk_cancel.worker.simulator.agenda import Agenda, Clock
from bulk_cancel.worker.simulator.algo_calls import algo_row
from bulk_cancel.worker.simulator.algos import Algo
from bulk_cancel.worker.simulator.book import Order
from bulk_cancel.worker.simulator.connection import reset
from bulk_cancel.worker.simulator.exchange import Exchange
from bulk_cancel.worker.simulator.messages import ChannelFault
from bulk_cancel.worker.simulator.reading import order_row

PATH = "/ws/v5/private"
BUSINESS = "/ws/v5/business"
CHANNELS = {PATH: frozenset({"orders"}), BUSINESS: frozenset({"orders-algo", "algo-advance"})}
"""What can be subscribed to at each path."""

_ADVANCED = frozenset({"move_order_stop", "twap", "smart_iceberg", "iceberg"})
"""Types of algo orders that `algo-advance` tells of; `orders-algo` tells of all others."""

_Said = dict[str, object]
_Wanted = tuple[str, str]
"""A channel and an instType."""

_SILENT = 4004
_ANY = "ANY"
_UNSET = (
    "msg", "reqId", "amendResult", "amendSource", "execType", "fillFeeCcy", "fillFwdPx", "fillIdxPx", "fillMarkPx",
    "fillMarkVol", "fillPxUsd", "fillPxVol", "notionalUsd",
)  # fmt: skip
_PUSHED = dict.fromkeys(_UNSET, "") | {
    "code": "0", "fillFee": "0", "fillNotionalUsd": "", "fillPnl": "0", "lastPx": "1000",
}  # fmt: skip
"""What only a push tells of an order."""

_GATHERED_US = 2_000
_UPGRADE: _Said = {"event": "notice", "code": "64008", "msg": "The connection will soon be closed for an upgrade."}


def _encode(said: _Said) -> str:
    """What everybody who is raced hears; `json` took six times as long for a push."""
    return msgspec.json.encode(said).decode()


class Session:
    """One connection: whose it is once logged in, what is subscribed, when it was last heard of."""

    def __init__(self, connection: ServerConnection, now_us: int) -> None:
        self.connection = connection
        self.ident = secrets.token_hex(4)
        self.key: ApiKey | None = None
        self.path = connection.request.path if connection.request else PATH
        self.wanted: set[_Wanted] = set()
        self.gathered: dict[_Wanted, list[_Said]] = {}
        self.active_us = now_us
        self.said_us = now_us

    @property
    def uid(self) -> str:
        """The User ID logged in; empty before."""
        return self.key.uid if self.key else ""


class Channels:
    """All private channels; `delay_us` draws the network's delay, silent ones are closed after `silence_s`."""

    def __init__(
        self, exchange: Exchange, clock: Clock, agenda: Agenda, delay_us: Callable[[], int], silence_s: float
    ) -> None:
        self._exchange = exchange
        self._clock = clock
        self._agenda = agenda
        self._delay_us = delay_us
        self._silence_s = silence_s
        self._sessions: set[Session] = set()
        self._logged_in: dict[str, set[Session]] = {}
        self._held: list[tuple[Session, str]] = []
        self._until_us = {"drop": 0, "hold": 0, "lose": 0, "notice": 0}
        self._server: Server | None = None
        exchange.book.tell = self._push
        exchange.algos.tell = self._push_algo

    async def listen(self, bound: socket.socket) -> None:
        """Accept connections on a bound socket."""
        self._server = await serve(
            self._serve, sock=bound, process_request=self._admit, ping_interval=None, close_timeout=1, compression=None
        )

    def fault(self, fault: ChannelFault) -> int:
        """Drop, silence or deafen the channels; says how many were open."""
        open_now = len(self._sessions)
        until_us = self._clock.now_us() + round(fault.for_s * 1e6)
        self._until_us[fault.action] = until_us
        if fault.action == "drop":
            self._drop()
        elif fault.action == "notice":
            for session in self._sessions:
                self._tell(session, _UPGRADE)
        elif fault.action == "hold":
            self._agenda.at(until_us, lambda _: self._release())
        return open_now

    def subscribed(self) -> int:
        """How many private channels would be pushed to now."""
        return sum(bool(session.wanted) for session in self._sessions if session.path == PATH)

    def close(self) -> None:
        """Close everything at once."""
        if self._server is not None:
            self._server.close(close_connections=False)
        self._drop()

    def _drop(self) -> None:
        for session in list(self._sessions):
            reset(session.connection.transport)

    def _is_on(self, action: str) -> bool:
        return self._clock.now_us() < self._until_us[action]

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        if self._is_on("drop"):
            return connection.respond(http.HTTPStatus.SERVICE_UNAVAILABLE, "")
        return None if request.path in CHANNELS else connection.respond(http.HTTPStatus.NOT_FOUND, "")

    async def _serve(self, connection: ServerConnection) -> None:
        session = Session(connection, self._clock.now_us())
        self._sessions.add(session)
        try:
            while (said := await self._hear(session)) is not None:
                self._answer(session, said)
        except ConnectionClosed:
            pass
        finally:
            self._sessions.discard(session)
            self._forget(session)

    def _forget(self, session: Session) -> None:
        self._logged_in.get(session.uid, set()).discard(session)

    async def _hear(self, session: Session) -> str | bytes | None:
        """The next message; None once nothing was said either way for too long."""
        while (left_s := self._silence_s - (self._clock.now_us() - session.active_us) / 1e6) > 0:
            try:
                async with asyncio.timeout(left_s):
                    said = await session.connection.recv()
            except TimeoutError:
                continue
            session.active_us = self._clock.now_us()
            return said
        await session.connection.close(_SILENT, f"No data received in {self._silence_s:g}s")
        return None

    def _answer(self, session: Session, said: str | bytes) -> None:
        if said == "ping":
            self._say(session, "pong")
            return
        answers = {"login": self._log_in, "subscribe": self._subscribe, "unsubscribe": self._unsubscribe}
        try:
            asked = json.loads(said)
            operation, args = asked["op"], [dict(arg) for arg in asked["args"]]
            answer = answers[operation]
        except (ValueError, LookupError, TypeError, RecursionError):
            self._tell(session, _refusal("60012", f"Invalid request: {said!r:.200}"))
            return
        given = {"id": asked["id"]} if isinstance(asked.get("id"), str) else {}
        for arg in args:
            said_of = answer(session, arg)
            self._tell(session, said_of | given)
            if said_of["event"] == "subscribe" and arg["channel"] == "algo-advance":
                self._begin_algos(session.uid)

    def _log_in(self, session: Session, arg: _Said) -> _Said:
        wall_us = self._clock.now_us() + self._exchange.clock_offset_us
        found = log_in(self._exchange.keys, arg, now_s=wall_us / 1e6)
        if isinstance(found, Refused):
            return _refusal(found.code, found.msg)
        self._forget(session)
        session.key = found
        self._logged_in.setdefault(session.uid, set()).add(session)
        return {"event": "login", "code": "0", "msg": ""}

    def _subscribe(self, session: Session, arg: _Said) -> _Said:
        if refusal := _misfit(session, arg):
            return refusal
        channel, kind = str(arg["channel"]), str(arg["instType"])
        session.wanted.add((channel, kind))
        return {"event": "subscribe", "arg": arg}

    def _unsubscribe(self, session: Session, arg: _Said) -> _Said:
        if refusal := _misfit(session, arg):
            return refusal
        session.wanted.discard((str(arg["channel"]), str(arg["instType"])))
        return {"event": "unsubscribe", "arg": arg}

    def _tell(self, session: Session, answer: _Said) -> None:
        self._say(session, _encode(answer | {"connId": session.ident}))

    def _push(self, order: Order) -> None:
        if listeners := self._listeners(order.uid, "orders", order.kind):
            self._tell_all(listeners, order_row(order, self._exchange.clock_offset_us) | _PUSHED)

    def _push_algo(self, algo: Algo) -> None:
        channel = "algo-advance" if algo.ordType in _ADVANCED else "orders-algo"
        if listeners := self._listeners(algo.uid, channel, algo.instrument.instType):
            self._tell_all(listeners, dict(algo_row(algo, self._exchange.clock_offset_us)))

    def _begin_algos(self, uid: str) -> None:
        """The only channel that begins with what there is."""
        for algo in [each for each in self._exchange.algos.all.values() if each.open and each.uid == uid]:
            if algo.ordType in _ADVANCED:
                self._push_algo(algo)

    def _listeners(self, uid: str, channel: str, kind: str) -> list[tuple[Session, _Wanted]]:
        """Who would hear of a change now; nobody while pushes are lost."""
        sessions = self._logged_in.get(uid)
        if not sessions or self._is_on("lose"):
            return []
        named = ((channel, _ANY), (channel, kind))
        return [(session, wanted) for session in sessions for wanted in named if wanted in session.wanted]

    def _tell_all(self, listeners: list[tuple[Session, _Wanted]], row: _Said) -> None:
        for session, wanted in listeners:
            self._gather(session, wanted, row)

    def _gather(self, session: Session, kind: _Wanted, row: _Said) -> None:
        rows = session.gathered.setdefault(kind, [])
        rows.append(row)
        if len(rows) >= self._exchange.book.behaviour.push_rows:
            self._flush(session, kind)
        elif len(rows) == 1:
            self._agenda.at(self._clock.now_us() + _GATHERED_US, lambda _: self._flush(session, kind))

    def _flush(self, session: Session, kind: _Wanted) -> None:
        if rows := session.gathered.pop(kind, None):
            arg = {"channel": kind[0], "instType": kind[1], "uid": session.uid}
            self._say(session, _encode({"arg": arg, "data": rows}))

    def _say(self, session: Session, text: str) -> None:
        """After the network's delay, and never before what was said earlier."""
        now_us = self._clock.now_us()
        session.said_us = max(session.said_us, now_us + self._delay_us())
        if session.said_us > now_us:
            self._agenda.at(session.said_us, lambda _: self._write(session, text))
        else:
            self._write(session, text)

    def _write(self, session: Session, text: str) -> None:
        if self._is_on("hold") or self._held:
            self._held.append((session, text))
            return
        session.active_us = self._clock.now_us()
        broadcast([session.connection], text)

    def _release(self) -> None:
        if not self._is_on("hold"):
            held, self._held = self._held, []
            for session, text in held:
                self._write(session, text)


def _misfit(session: Session, arg: _Said) -> _Said | None:
    """Why the argument names no channel that the session may have."""
    if session.key is None:
        return _refusal("60011", "Please log in")
    if str(arg.get("channel")) not in CHANNELS[session.path] or not arg.get("instType"):
        return _refusal("60018", "Wrong URL or channel doesn't exist")
    return None


def _refusal(code: str, msg: str) -> _Said:
    return {"event": "error", "code": code, "msg": msg}
