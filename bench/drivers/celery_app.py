"""What does plain Celery look like? One task per order with `rate_limit` and `autoretry_for`.

That is what its documentation suggests. `rate_limit` holds per worker and task, for all orders together, so the one
figure that keeps every instrument legal is the rate of one instrument. Celery 5.7.0 plants one timer for each limited
message that it holds (`consumer.py`, `_schedule_bucket_request`); kombu's `hub.py` runs at most ten that are due, then
waits a second (`fire_timers`). So a worker with the default prefetch soon does a few tasks a second; one that
holds a single message does 29: `-c 1 --prefetch-multiplier 1`, the tuned contender.
"""

import json
import os
from functools import cache

from celery import Celery
from celery.signals import worker_process_init
from celery.utils.log import get_logger
from httpx import HTTPError
from okx.Trade import TradeAPI

app = Celery("plain", broker=os.environ["PLAIN_REDIS_URL"])
app.conf.task_ignore_result = True
app.conf.broker_connection_retry_on_startup = True
app.conf.worker_proc_alive_timeout = 60  # the clients of 100 accounts take a while


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


@worker_process_init.connect
def _warm(**_: object) -> None:
    """Each process makes a call for every account before the race."""
    for key in json.loads(os.environ["PLAIN_KEYS"]):
        _client(*key).get_order_list()
    get_logger(__name__).info("process %s is warm", os.getpid())
