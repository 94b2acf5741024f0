"""What does plain Celery look like? One task per order, `rate_limit` and `autoretry_for`, as its documentation suggests.

`rate_limit` holds per worker process group, for all orders together: the only way to stay legal with it is the rate of one
instrument.
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
