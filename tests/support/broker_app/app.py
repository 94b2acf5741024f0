"""Which Celery app do the broker's tests run? The real configuration, one task, a sink in Redis.

Environment: `TEST_BROKER_URL` and `TEST_STATE_URL`.
"""

from __future__ import annotations

import json
import os
import time
from typing import Final, cast

import redis
from celery import Celery

from bulk_cancel.worker.service.broker import RefusePool, celery_config

STATE: Final = redis.Redis.from_url(os.environ["TEST_STATE_URL"])


def refuse(payload: str, errors: list[str], *, source: str, length: int) -> None:
    """Keep the message in the list `refused`, unless the key `sink-down` says to fail."""
    if STATE.exists("sink-down"):
        STATE.incr("sink-calls")
        raise redis.exceptions.ConnectionError("the sink is down")
    STATE.rpush("refused", json.dumps([source, errors, payload[:1000], length]))


config = celery_config(broker_url=os.environ["TEST_BROKER_URL"], key_prefix="t")
# short, so that a test can see a message come again
cast("dict[str, object]", config["broker_transport_options"])["visibility_timeout"] = 2
app = Celery("broker-test")
app.config_from_object(config)
app.refuse = refuse
app.steps["worker"].add(RefusePool)


@app.task(name="t.note")
def note(*args: object, **kwargs: object) -> None:
    """Sleep for `sleep_s` and until the key `until` is there, then add `marker` to the set `done` and count the run."""
    time.sleep(float(str(kwargs.get("sleep_s", 0))))
    while "until" in kwargs and not STATE.exists(str(kwargs["until"])):
        time.sleep(0.05)
    STATE.sadd("done", str(kwargs.get("marker", args)))
    STATE.incr("runs")
