"""What does plain Celery look like? One task per order with `rate_limit` and `autoretry_for`.

That is what its documentation suggests. `rate_limit` holds per worker and task, for all orders together, so the one
figure that keeps every instrument legal is the rate of one instrument. Everything else is Celery's default. With Celery
5.7.0 the limited tasks were seen to fall to one a second; `-P threads` and a prefetch multiplier of 128, tried once
each, were not faster.
"""

import os
from functools import cache

from celery import Celery
from httpx import HTTPError
from okx.Trade import TradeAPI

app = Celery("plain", broker=os.environ["PLAIN_REDIS_URL"])
app.conf.task_ignore_result = True
app.conf.broker_connection_retry_on_startup = True


class RefusedError(Exception):
    """The exchange did not accept the cancel."""


@app.task(
    name="plain.cancel",
    rate_limit="30/s",
    autoretry_for=(RefusedError, HTTPError),
    retry_backoff=True,
    max_retries=8,
)
def cancel(key: str, secret: str, passphrase: str, inst_id: str, order: str) -> None:
    """Cancels one order; raises RefusedError, so that Celery tries again."""
    answer = _client(key, secret, passphrase).cancel_order(inst_id, ordId=order)
    if answer["code"] != "0":
        raise RefusedError(answer["code"])


@cache
def _client(key: str, secret: str, passphrase: str) -> TradeAPI:
    return TradeAPI(key, secret, passphrase, flag="0", domain=os.environ["PLAIN_EXCHANGE_URL"])
