"""A simulated exchange within the test's process, and signed requests to it."""

import json
from datetime import UTC, datetime

from bulk_cancel.worker.simulator.accounts import ApiKey, sign
from bulk_cancel.worker.simulator.config import DEFAULT_KEY, Config
from bulk_cancel.worker.simulator.exchange import Exchange
from bulk_cancel.worker.simulator.meters import Limits
from bulk_cancel.worker.simulator.wire import Request

NOW_US = 1_790_000_000_000_000
TRADE = "/api/v5/trade/"
Body = dict[str, object]


def exchange(limits: Limits | None = None) -> Exchange:
    """An exchange with the default key and instruments."""
    return Exchange(Config(limits=limits or Limits(), seed=1), NOW_US)


def request(
    method: str, target: str, body: object = None, *, key: ApiKey = DEFAULT_KEY, at_us: int = NOW_US
) -> Request:
    """A request signed as the exchange wants it."""
    data = b"" if body is None else json.dumps(body).encode()
    stamp = datetime.fromtimestamp(at_us / 1e6, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    headers = {
        "ok-access-key": key.key,
        "ok-access-passphrase": key.passphrase,
        "ok-access-timestamp": stamp,
        "ok-access-sign": sign(key.secret, stamp, method, target, data),
    }
    return Request(method, target, headers, data, 1, "127.0.0.1")


def call(on: Exchange, method: str, target: str, body: object = None, *, at_us: int = NOW_US) -> tuple[int, Body]:
    """Status and decoded answer of a signed request."""
    reply = on.arrive(request(method, target, body, at_us=at_us), at_us).reply
    answer: Body = json.loads(reply.body)
    return reply.status, answer


def items(answer: Body) -> list[dict[str, str]]:
    """The items of an answer."""
    data = answer["data"]
    assert isinstance(data, list)
    return data
