"""What does a session make of what a connection gives it, to the last word?"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, cast

import pytest
from websockets.exceptions import ConnectionClosed, ConnectionClosedError

from bulk_cancel.worker.okx.session import PATIENCE, Patience, Session, SessionOver
from tests.support.channel_rig import push

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

CLOSED = ConnectionClosedError(None, None)


class Wire:
    """A connection that gives these messages, or raises these errors, one after the other."""

    def __init__(self, gives: Iterable[str | Exception]) -> None:
        self.gives = iter(gives)
        self.sent: list[str] = []

    def recv(self, timeout: float) -> str:
        """The next."""
        assert timeout >= 0
        given = next(self.gives)
        if isinstance(given, Exception):
            raise given
        return given

    def send(self, text: str) -> None:
        """Taken."""
        self.sent.append(text)


def session(wire: Wire, patience: Patience = PATIENCE) -> Session:
    """A session that is ready."""
    return Session(cast("ClientConnection", wire), patience)


def test_what_came_before_a_close_is_heard() -> None:
    """Pushed and closed in one breath: the push counts, the close comes next."""
    heard = session(Wire([push("1", "2"), push("3"), CLOSED, CLOSED]))
    assert [row["ordId"] for row in heard.hear()] == ["1", "2", "3"]
    with pytest.raises(ConnectionClosed):
        heard.hear()


def test_what_came_before_a_notice_is_heard() -> None:
    """The same for a notice that it will be closed, and after it nothing is waited for."""
    heard = session(Wire([push("1"), '{"event":"notice","code":"64008"}', push("2"), TimeoutError()]))
    assert [row["ordId"] for row in heard.hear()] == ["1", "2"]
    with pytest.raises(SessionOver, match="about to close"):
        heard.hear()


def test_one_silence_is_one_ping() -> None:
    """Any word ends the silence, and the next one is pinged anew."""
    wire = Wire([TimeoutError(), TimeoutError(), "pong", TimeoutError(), TimeoutError()])
    heard = session(wire, Patience(ping_s=1e-9, pong_s=60))
    assert [heard.hear() for _ in range(4)] == [[]] * 4
    assert wire.sent == ["ping", "ping"]


def test_a_ping_without_any_word_after_it_is_the_end() -> None:
    """The connection may be half open."""
    heard = session(Wire([TimeoutError()] * 2), Patience(ping_s=1e-9, pong_s=0))
    with pytest.raises(SessionOver, match="no answer to a ping"):
        heard.hear()
