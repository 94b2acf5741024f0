"""One connection of the private channel, from its login and subscription to its end."""

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from logging import WARNING, getLogger
from typing import Final
from urllib.parse import urlsplit

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from bulk_cancel.worker.okx.answers import Row
from bulk_cancel.worker.okx.credentials import Credentials
from bulk_cancel.worker.okx.frames import PING, SUBSCRIBE, Frame, Kind, login, read_frame

_TRANSIENT: Final = frozenset({"60004", "60006", "60014", "63999", "50001", "50011", "50013", "50026"})
"""The clock is off, too many logins, the exchange is busy: nothing that says no to these credentials."""

_SLICE_S: Final = 0.2
_CLOSE_S: Final = 0.3
_AT_ONCE: Final = 500
_QUEUE: Final = 1024
_MAX_FRAME: Final = 1 << 20

# the library shows whole frames at DEBUG, and our login is one
_UNHEARD: Final = getLogger(f"{__name__}.wire")
_UNHEARD.setLevel(WARNING)


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds: `ping_s` of silence before we ping, `pong_s` for any word after it, `open_s` for each step to ready.

    Reconnects are spread over `first_s`, doubled with each failure up to `cap_s`; refused credentials wait
    `refused_s`.
    """

    ping_s: float = 20.0
    pong_s: float = 10.0
    open_s: float = 5.0
    first_s: float = 0.2
    cap_s: float = 10.0
    refused_s: float = 30.0


PATIENCE: Final = Patience()


class SessionOver(Exception):  # noqa: N818 (says what happened)
    """The connection is of no more use; the text says why."""


class LoginRefused(SessionOver):
    """The exchange does not take these credentials for this channel."""


@contextmanager
def open_session(
    creds: Credentials,
    ws_url: str,
    *,
    now: Callable[[], float],
    patience: Patience = PATIENCE,
    context: ssl.SSLContext | None = None,
) -> Iterator["Session"]:
    """A session that is ready; closed when the block ends. `context` is used for a wss address.

    Raises:
        LoginRefused, SessionOver: the exchange said no, or not enough.
        OSError, ValueError, websockets' WebSocketException: no connection.
    """
    with _connect(ws_url, patience.open_s, context) as connection:
        connection.socket.settimeout(patience.open_s)  # bounds writes; reads wait for the socket first
        session = Session(connection, patience)
        session.say(login(creds, unix_s=now()), until="logged in")
        session.say(SUBSCRIBE, until="subscribed")
        yield session


class Session:
    """One connection. For one thread, but for `silent_s`."""

    def __init__(self, connection: ClientConnection, patience: Patience) -> None:
        self._connection = connection
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
        """All that has come: a thousand pushes are not a thousand calls."""
        frames: list[Frame] = []
        try:
            while len(frames) < _AT_ONCE:
                frames.append(read_frame(self._connection.recv(0 if frames else self._slice_s)))
        except TimeoutError:
            pass
        except ConnectionClosed:
            if not frames:
                raise
        return frames

    def _mind_silence(self) -> None:
        silent_s = self.silent_s
        if silent_s > self._patience.ping_s + self._patience.pong_s:
            raise SessionOver(f"no answer to a ping within {self._patience.pong_s:g} s")
        if silent_s > self._patience.ping_s and not self._pinged:
            self._connection.send(PING)
            self._pinged = True


def _connect(ws_url: str, timeout_s: float, context: ssl.SSLContext | None) -> ClientConnection:
    """Over a socket of our own, because then the library follows no redirect, which could take a login elsewhere."""
    parts = urlsplit(ws_url)
    secure = parts.scheme == "wss"
    sock = socket.create_connection((parts.hostname or "", parts.port or (443 if secure else 80)), timeout=timeout_s)
    return connect(
        ws_url,
        sock=sock,
        ssl=context if secure else None,
        proxy=None,
        compression=None,
        open_timeout=timeout_s,
        ping_interval=None,
        close_timeout=_CLOSE_S,
        max_size=_MAX_FRAME,
        max_queue=_QUEUE,
        logger=_UNHEARD,
    )


def _ending(frame: Frame) -> SessionOver | None:
    if frame.kind == "closing":
        return SessionOver("the exchange is about to close it")
    if frame.kind != "error":
        return None
    said = f"{frame.code} {frame.msg}".strip()
    return SessionOver(said) if frame.code in _TRANSIENT else LoginRefused(said)
