"""Does the simulator read HTTP as it comes off a socket?"""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_cancel.worker.simulator.faults import Network
from bulk_cancel.worker.simulator.wire import BadRequestError, Reply, Request, chunk, reply_bytes, take_request

RAW = b"POST /a?b=%20c&b=d HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"


@given(cuts=st.lists(st.integers(0, 2 * len(RAW)), max_size=6).map(sorted))
def test_requests_are_read_however_they_are_cut(cuts: list[int]) -> None:
    """Two pipelined requests come out the same wherever the stream is cut."""
    stream, buffer, seen = RAW + RAW, bytearray(), list[Request]()
    for start, stop in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        buffer += stream[start:stop]
        while (request := take_request(buffer, 7, "127.0.0.1")) is not None:
            seen.append(request)
    assert [(one.method, one.path, one.query, one.body) for one in seen] == [("POST", "/a", {"b": "d"}, b"abc")] * 2


@pytest.mark.parametrize(
    "raw",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/2\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n",
        b"x" * 70_000,
    ],
)
def test_what_is_no_request_is_refused(raw: bytes) -> None:
    """Garbage, foreign versions, chunked and oversized bodies end the connection."""
    with pytest.raises(BadRequestError):
        take_request(bytearray(raw), 1, "")


def test_a_reply_can_promise_more_than_it_sends() -> None:
    """Truncation is a Content-Length that the body does not reach."""
    data = reply_bytes(Reply(429, b"{}"), keep_alive=True, promise_more=5)
    assert data.startswith(b"HTTP/1.1 429 Too Many Requests\r\n")
    assert b"Content-Length: 7\r\n" in data
    assert data.endswith(b"\r\n\r\n{}")
    assert chunk(b"x" * 16) == b"10\r\n" + b"x" * 16 + b"\r\n"


def test_delays_are_drawn_as_described_and_repeat_with_the_seed() -> None:
    """An ideal network is free; a jittery one stays within its bounds; a tail hits its share."""
    assert Network().draw_us(random.Random(1)) == 0
    jittery = [Network(delay_ms=20, jitter_ms=5).draw_us(dice) for dice in [random.Random(1)] for _ in range(200)]
    assert min(jittery) >= 20_000
    assert max(jittery) <= 25_000
    assert max(jittery) - min(jittery) > 4_000
    tail = Network(delay_ms=1, exp_ms=1, tail_share=0.5, tail_ms=1_000)
    draws = [[tail.draw_us(dice) for _ in range(200)] for dice in (random.Random(2), random.Random(2))]
    assert draws[0] == draws[1]
    assert 50 < sum(draw > 1_000_000 for draw in draws[0]) < 150
