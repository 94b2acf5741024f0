"""One connection of the private channel, from its login and subscription to its end."""

import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from threading import Event
from typing import Final

from websockets.exceptions import ConnectionClosed

from bulk_cancel.worker.okx.answers import Row
from bulk_cancel.worker.okx.codes import is_own
from bulk_cancel.worker.okx.credentials import Credentials
from bulk_cancel.worker.okx.frames import PING, SUBSCRIBE, Frame, Kind, login, read_frame
from bulk_cancel.worker.okx.wire.websocket import WebSocket

_TRANSIENT: Final = frozenset({"60004", "60006", "60014", "63999", "50001", "50011", "50013", "50026"})
"""The clock is off, too many logins, the exchange is busy: nothing that says no to these credentials."""

_SLICE_S: Final = 0.5
_GATHERED_S: Final = 0.01
"""After the first frame: pushes come one by one, and each would wake whoever waits for it."""

_DEFERRED_S: Final = 0.6
"""While there are calls in flight: sending goes first, and reading costs less the more there is to be read."""

_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds: `ping_s` of silence before we ping, `pong_s` for any word after it, `open_s` for each step to ready.

    Reconnects are spread over `first_s`, doubled with each failure up to `cap_s`; refused credentials wait
    `refused_s`. Connections of this process to one host begin `apart_s` after one another: the exchange takes three a
    second from one address.
    """

    ping_s: float = 20.0
    pong_s: float = 10.0
    open_s: float = 5.0
    first_s: float = 0.2
    cap_s: float = 10.0
    refused_s: float = 30.0
    apart_s: float = 0.4


PATIENCE: Final = Patience()


class SessionOver(Exception):  # noqa: N818 (says what happened)
    """The connection is of no more use; the text says why."""


class LoginRefused(SessionOver):
    """The exchange does not take these credentials for this channel; `code` is its own."""

    def __init__(self, said: str, code: str = "") -> None:
        self.code = code
        super().__init__(said)


@contextmanager
def open_session(
    creds: Credentials,
    ws_url: str,
    *,
    now: Callable[[], float],
    patience: Patience = PATIENCE,
    context: ssl.SSLContext | None = None,
    subscribe: str = SUBSCRIBE,
    idle: Event | None = None,
) -> Iterator["Session"]:
    """A session that is ready; closed when the block ends. `context` is used for a wss address.

    Pushes wait, unread, for a few tenths of a second while `idle` is not set.

    It is ready with the first channel of several; what is said of the others is heard as it comes.

    Raises:
        LoginRefused, SessionOver: the exchange said no, or not enough.
        OSError, ValueError, websockets' WebSocketException: no connection.
    """
    with closing(WebSocket(ws_url, timeout_s=patience.open_s, context=context)) as connection:
        session = Session(connection, patience, idle)
        session.say(login(creds, unix_s=now()), until="logged in")
        session.say(subscribe, until="subscribed")
        yield session


class Session:
    """One connection. For one thread, but for `silent_s`."""

    def __init__(self, connection: WebSocket, patience: Patience, idle: Event | None = None) -> None:
        self._connection = connection
        self._idle = idle
        self._patience = patience
        self._slice_s = min(_SLICE_S, patience.ping_s / 2, patience.pong_s / 2)
        self._heard_at = time.monotonic()
        self._pinged = False
        self._over: SessionOver | None = None

    @property
    def silent_s(self) -> float:
        """Seconds since the exchange last said anything."""
        return time.monotonic() - self._heard_at

    def say(self, text: str, *, until: Kind) -> None:
        """Say it and wait for the answer; raises LoginRefused, SessionOver or websockets' exceptions."""
        self._connection.send(text)
        gives_up = time.monotonic() + self._patience.open_s
        with suppress(TimeoutError):
            while True:
                said = read_frame(self._connection.recv(gives_up - time.monotonic()))
                if said.kind == until:
                    return
                if over := _ending(said):
                    raise over
        raise SessionOver(f"not {until} within {self._patience.open_s:g} s")

    def hear(self) -> list[Row]:
        """The orders pushed by now, or within a slice of time; pings when it was silent for long.

        Raises:
            SessionOver: silent for too long, or the exchange is about to close it.
            ConnectionClosed: it is closed.
        """
        if self._over:
            raise self._over
        frames = self._frames()
        if frames:
            self._heard_at, self._pinged = time.monotonic(), False
        else:
            self._mind_silence()
        self._over = next(filter(None, map(_ending, frames)), None)
        return [row for frame in frames for row in frame.rows]

    def _frames(self) -> list[Frame]:
        """All that has come: a thousand pushes are neither a thousand calls, nor do they wake this thread so often."""
        frames: list[Frame] = []
        try:
            frames.append(read_frame(self._connection.recv(self._slice_s)))
            self._gather()
            while len(frames) < _AT_ONCE:
                frames.append(read_frame(self._connection.recv(0)))
        except TimeoutError:
            pass
        except ConnectionClosed:
            if not frames:
                raise
        return frames

    def _gather(self) -> None:
        time.sleep(_GATHERED_S)
        if self._idle:
            self._idle.wait(_DEFERRED_S)

    def _mind_silence(self) -> None:
        silent_s = self.silent_s
        if silent_s > self._patience.ping_s + self._patience.pong_s:
            raise SessionOver(f"no answer to a ping within {self._patience.pong_s:g} s")
        if silent_s > self._patience.ping_s and not self._pinged:
            self._connection.send(PING)
            self._pinged = True


def _ending(frame: Frame) -> SessionOver | None:
    if frame.kind == "closing":
        return SessionOver("the exchange is about to close it")
    if frame.kind != "error":
        return None
    said = f"{frame.code} {frame.msg}".strip()
    # without a code of its own the exchange has not said no to anybody
    passing = frame.code in _TRANSIENT or not is_own(frame.code)
    return SessionOver(said) if passing else LoginRefused(said, frame.code)
