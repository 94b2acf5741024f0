"""Are requests and answers told apart from what is around them, byte by byte?"""

import pytest
import requests
from httptools import HttpParserError
from requests.structures import CaseInsensitiveDict

from bulk_cancel.worker.okx.wire.framing import MAX_ANSWER, AnswerReader, FramingError, request_bytes

ANSWER = b'HTTP/1.1 200 OK\r\nContent-Length: 12\r\nX-Any: thing\r\n\r\n{"code":"0"}'


def request(url: str = "https://h/a?b=c", body: object = b"{}", **headers: str) -> requests.PreparedRequest:
    """A prepared one."""
    made = requests.PreparedRequest()
    made.method, made.url, made.body = "POST", url, body  # type: ignore[assignment]
    made.headers = CaseInsensitiveDict(headers)
    return made


def read(*received: bytes) -> tuple[int, bytes, bool]:
    """Status, body, and whether the connection may be used again."""
    reader = AnswerReader()
    for data in received:
        assert not reader.done
        reader.feed(data)
    assert reader.done
    return (*reader.answer, reader.keeps_open)


def test_a_request_is_what_was_signed() -> None:
    """Path with its query, headers as given, the body untouched."""
    said = b"POST /a?b=c HTTP/1.1\r\nHost: h:1\r\nA: 1\r\nContent-Length: 2\r\n\r\n{}"
    assert request_bytes(request(A="1"), "h:1") == said
    assert request_bytes(request(body=None), "h") == b"POST /a?b=c HTTP/1.1\r\nHost: h\r\n\r\n"


@pytest.mark.parametrize(
    "made", [request(A="1\r\nB: 2"), request(A="1\n"), request(body="text"), request("https://h/a b")]
)
def test_a_request_that_would_be_read_otherwise_is_refused(made: requests.PreparedRequest) -> None:
    """Nothing of it is quoted: it may be a secret."""
    with pytest.raises(FramingError) as refused:
        request_bytes(made, "h")
    assert "B: 2" not in str(refused.value)


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_an_answer_is_read_in_any_pieces(size: int) -> None:
    """However it was cut on its way."""
    assert read(*(ANSWER[at : at + size] for at in range(0, len(ANSWER), size))) == (200, b'{"code":"0"}', True)


@pytest.mark.parametrize(
    ("received", "body", "keeps_open"),
    [
        ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n"], b"{}", True),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"], b"{}", False),
        ([b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}"], b"{}", False),
        ([b"HTTP/1.1 200 OK\r\n\r\n{}", b""], b"{}", False),
        ([b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\n" + ANSWER], b'{"code":"0"}', True),
        ([ANSWER + b"x"], b'{"code":"0"}', False),
        ([ANSWER + ANSWER], b'{"code":"0"}', False),
    ],
)
def test_where_an_answer_ends(received: list[bytes], body: bytes, keeps_open: bool) -> None:  # noqa: FBT001
    """By its length, its chunks, or the connection; what follows it spoils the connection, not the answer."""
    assert read(*received) == (200, body, keeps_open)


@pytest.mark.parametrize(
    "received",
    [
        [b""],
        [ANSWER[:-1], b""],
        [ANSWER[:30], b""],
        [b"HTTP/1.1 103 Hints\r\n\r\n", b""],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{}", b""],
        [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}"],
        [b"HTTP/1.1 200 OK\r\nX: " + b"x" * MAX_ANSWER],
        [b"garbage"],
    ],
)
def test_what_is_no_whole_answer_is_refused(received: list[bytes]) -> None:
    """Cut, contradictory, endless, or something else."""
    *before, last = received
    reader = AnswerReader()
    for data in before:
        reader.feed(data)
    with pytest.raises((FramingError, HttpParserError)):
        reader.feed(last)
    assert not reader.done


def test_one_connection_has_many_answers() -> None:
    """Each to one request, whatever the one before was like."""
    reader = AnswerReader()
    for status in (b"200 OK", b"503 Away", b"200 OK"):
        reader.expect()
        reader.feed(ANSWER.replace(b"200 OK", status))
        assert (reader.answer, reader.keeps_open) == ((int(status[:3]), b'{"code":"0"}'), True)
