"""Cancels as a client sends them to the simulated exchange over a socket."""

import json
from datetime import UTC, datetime

import requests

from bulk_cancel.worker.simulator.accounts import ApiKey, sign
from bulk_cancel.worker.simulator.config import DEFAULT_KEY
from bulk_cancel.worker.simulator.process import Simulator
from tests.support.waiting import PATIENCE_S

CANCEL = "/api/v5/trade/cancel-order"


def signed(body: bytes, key: ApiKey = DEFAULT_KEY, *, method: str = "POST", target: str = CANCEL) -> dict[str, str]:
    """The headers of a signed request."""
    stamp = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {
        "OK-ACCESS-KEY": key.key,
        "OK-ACCESS-PASSPHRASE": key.passphrase,
        "OK-ACCESS-TIMESTAMP": stamp,
        "OK-ACCESS-SIGN": sign(key.secret, stamp, method, target, body),
        "Content-Type": "application/json",
    }


def cancel(
    exchange: Simulator, order_id: str, *, session: requests.Session | None = None, timeout: float = PATIENCE_S
) -> requests.Response:
    """A single cancel over a socket."""
    body = json.dumps({"instId": "BTC-USDT", "ordId": order_id}).encode()
    post = session.post if session is not None else requests.post
    return post(exchange.url + CANCEL, data=body, headers=signed(body), timeout=timeout)


def code(answer: requests.Response) -> str:
    """The envelope's code."""
    return str(answer.json()["code"])
