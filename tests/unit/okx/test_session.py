"""What does a session make of what a connection gives it, to the last word?"""

from collections.abc import Callable, Iterable, Iterator
from threading import Event
from typing import TYPE_CHECKING, cast

import pytest
from websockets.exceptions import ConnectionClosed, ConnectionClosedError

from bulk_cancel.worker.okx.session import PATIENCE, LoginRefused, Patience, Session, SessionOver
from tests.support.channel_rig import push

if TYPE_CHECKING:
    from bulk_cancel.worker.okx.wire.websocket import WebSocket

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


class Idle(Event):
    """Is never set; remembers for how long it was waited for, and what happens `meanwhile`."""

    def __init__(self, meanwhile: Callable[[], None]) -> None:
        super().__init__()
        self.meanwhile = meanwhile
        self.waited_s: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        """Not for real."""
        self.waited_s.append(timeout)
        self.meanwhile()
        return False


def session(wire: Wire, patience: Patience = PATIENCE, idle: Event | None = None) -> Session:
    """A session that is ready."""
    return Session(cast("WebSocket", wire), patience, idle)


def test_what_came_before_a_close_is_heard() -> None:
    """Pushed and closed in one breath: the push counts, the close comes next."""
    heard = session(Wire([push("1", "2"), push("3"), CLOSED, CLOSED]))
    assert [row["ordId"] for row in heard.hear()] == ["1", "2", "3"]
    with pytest.raises(ConnectionClosed):
        heard.hear()


def test_pushes_wait_for_calls_in_flight_but_not_for_long() -> None:
    """Confirmation may come a few tenths of a second later; what comes meanwhile is heard with the rest."""
    came = [push("1")]
    idle = Idle(lambda: came.extend([push("2"), push("3")]))

    def gives() -> Iterator[str | Exception]:
        yield TimeoutError()
        while True:
            yield came.pop(0) if came else TimeoutError()

    heard = session(Wire(gives()), idle=idle)
    assert heard.hear() == []
    assert idle.waited_s == []  # there was nothing to be put off
    assert [row["ordId"] for row in heard.hear()] == ["1", "2", "3"]
    (waited_s,) = idle.waited_s
    assert waited_s is not None
    assert waited_s <= 0.6  # a book that is heard is looked at after a second


def test_what_came_before_a_notice_is_heard() -> None:
    """The same for a notice that it will be closed, and after it nothing is waited for."""
    heard = session(Wire([push("1"), '{"event":"notice","code":"64008"}', push("2"), TimeoutError()]))
    assert [row["ordId"] for row in heard.hear()] == ["1", "2"]
    with pytest.raises(SessionOver, match="about to close"):
        heard.hear()


@pytest.mark.parametrize(
    ("code", "refused"), [('"code":"60009",', True), ('"code":"60006",', False), ("", False), ('"code":"403",', False)]
)
def test_only_a_code_of_the_exchanges_own_refuses_a_login(code: str, *, refused: bool) -> None:
    """What somebody in between says is no reason to leave the credentials alone for half a minute."""
    wire = Wire([f'{{"event":"error",{code}"msg":"no"}}'])
    with pytest.raises(SessionOver) as raised:
        session(wire).say("login", until="logged in")
    assert isinstance(raised.value, LoginRefused) == refused


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
