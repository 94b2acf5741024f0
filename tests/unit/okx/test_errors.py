"""Does every lower exception become one of ours, by whether a byte was written and by nothing else?"""

import http.client
import socket
import ssl

import pytest
import requests
import urllib3.exceptions

from bulk_cancel.worker.okx.errors import (
    DeadlinePassed,
    ExchangeError,
    NeverSent,
    NotAuthorised,
    OutcomeUnknown,
    Throttled,
    Unavailable,
)
from bulk_cancel.worker.okx.wire.connection import Wire, failure
from bulk_cancel.worker.okx.wire.sockets import DeadlineSocket


def exceptions_in(module: object) -> list[type[Exception]]:
    """Every exception class a module offers, warnings aside."""
    found = [value for value in vars(module).values() if isinstance(value, type)]
    return [kind for kind in found if issubclass(kind, Exception) and not issubclass(kind, Warning)]


def made(kind: type[Exception]) -> Exception:
    """An instance, past constructors that want to know more than matters here."""
    return kind.__new__(kind)


LOWER = {
    kind
    for module in (requests.exceptions, urllib3.exceptions, http.client, ssl, socket)
    for kind in exceptions_in(module)
} | {ConnectionResetError, BrokenPipeError, ConnectionRefusedError, UnicodeError, ValueError, RuntimeError}
TIMEOUTS = (TimeoutError, requests.Timeout)


class _Breaking(Wire):
    """Fails with one exception, before or after its first byte."""

    def __init__(self, error: Exception, *, written: bool) -> None:
        super().__init__("http://127.0.0.1:9", context=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), timeout_s=1)
        self.error, self.writes = error, written

    def _write(self, request: requests.PreparedRequest, write_by: float) -> DeadlineSocket:
        del request, write_by
        self._written = self.writes
        raise self.error


def raised_by(error: Exception, *, written: bool) -> ExchangeError:
    """What a call raises when its transport raises `error`."""
    request = requests.PreparedRequest()
    request.method, request.url = "POST", "http://127.0.0.1:9/"
    with pytest.raises(ExchangeError) as raised:
        _Breaking(error, written=written).call(request, write_by=float("inf"))
    assert raised.value.__cause__ is error
    return raised.value


def test_many_lower_exceptions_are_known() -> None:
    """The enumeration finds what it is meant to find."""
    assert {
        requests.ConnectionError,
        urllib3.exceptions.ProtocolError,
        ssl.SSLError,
        socket.gaierror,
    } <= LOWER


def test_every_lower_exception_is_mapped() -> None:
    """Before the first byte nothing was sent; from then on the outcome is unknown."""
    for kind in LOWER:
        assert type(raised_by(made(kind), written=False)) is NeverSent, kind
        expected = DeadlinePassed if issubclass(kind, TIMEOUTS) else OutcomeUnknown
        assert type(raised_by(made(kind), written=True)) is expected, kind


def test_our_own_errors_pass() -> None:
    """An error that is already ours is not wrapped."""
    error = NeverSent("write_by passed")
    assert failure(error, written=True) is error


def test_words_hold_no_header() -> None:
    """The message has the system's text, or the class in words, never the exception's own words."""
    assert failure(ValueError("Invalid header value b'the-secret'"), written=False).msg == "value error"
    assert failure(ConnectionResetError(104, "reset by peer"), written=True).msg == "reset by peer"


def test_the_tree() -> None:
    """The classes are related as the docstring draws them, and only so."""
    assert issubclass(DeadlinePassed, OutcomeUnknown)
    for kind in (NeverSent, OutcomeUnknown, Throttled, Unavailable, NotAuthorised):
        assert kind.__bases__ == (ExchangeError,)


def test_error_tells_what_it_knows() -> None:
    """Status, code and a bounded text are kept and shown."""
    error = Throttled("x" * 1000, code="50011", http_status=429)
    assert str(error).startswith("HTTP 429 50011 xxx")
    assert len(error.msg) == 300
    assert str(NeverSent()) == "no connection"


def test_people_are_told_in_words() -> None:
    """What happened, with what the exchange said of it; no class of ours."""
    assert NotAuthorised("bad key", code="50111", http_status=401).told == "credentials refused: HTTP 401 50111 bad key"
    assert DeadlinePassed().told == "no answer in time"
    kinds = (NeverSent, OutcomeUnknown, DeadlinePassed, Throttled, Unavailable, NotAuthorised)
    assert len({kind.words for kind in kinds}) == len(kinds)
