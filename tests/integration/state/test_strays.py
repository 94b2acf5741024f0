"""Are messages found that lie in a list which nobody reads, and only those?"""

import json
from typing import Any

import pytest
from celery import Celery
from redis import Redis

from bulk_cancel.worker.state.strays import Stray, strays

ASKED = {"account": "desk1", "orders": [{"instId": "BTC-USDT", "ordId": "1"}]}


def send(
    redis_url: str, task: str = "tasks.cancel_orders", *, protocol: int = 2, queue: str, **options: object
) -> None:
    """A message of a client with these transport options."""
    with Celery(broker=redis_url) as app:
        app.conf.broker_transport_options = options
        app.conf.task_protocol = protocol
        app.send_task(task, queue=queue, priority=5, kwargs=ASKED)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"queue": "cancel", "sep": ":"}, "cancel:3"),
        ({"queue": "cancel", "global_keyprefix": "myapp:"}, "myapp:cancel\x06\x163"),
        ({"queue": "urgent", "sep": "-", "priority_steps": list(range(10))}, "urgent-5"),
        ({"queue": "celery"}, "celery\x06\x163"),
        ({"queue": "cancels"}, "cancels\x06\x163"),
        ({"queue": "default", "protocol": 1}, "default\x06\x163"),
    ],
)
def test_what_nobody_reads_is_found(redis: Redis, redis_url: str, options: dict[str, Any], name: str) -> None:
    """Whatever separator, priority, prefix or queue its sender had in mind."""
    for _ in range(2):
        send(redis_url, **options)
    assert strays(redis) == [Stray(name, 2)]


def test_any_message_in_a_list_named_like_ours_is_meant_for_us(redis: Redis, redis_url: str) -> None:
    """Though its task has another name."""
    send(redis_url, "tasks.cancel_order_now", queue="cancel", sep=":")
    assert strays(redis) == [Stray("cancel:3", 1)]


def test_what_is_read_or_others_is_not(redis: Redis, redis_url: str) -> None:
    """Our queues with every priority, other programs' queues and lists, Celery's own lists."""
    for queue in ("cancel", "urgent"):
        send(redis_url, queue=queue, priority_steps=list(range(10)))
        send(redis_url, queue=queue)
    send(redis_url, "billing.invoice", queue="celery")
    redis.lpush("orders:cancel", "17", json.dumps({"id": 3}))
    redis.lpush("x.reply.celery.pidbox", json.dumps({"body": "", "headers": {"task": "tasks.cancel_orders"}}))
    redis.lpush("bc:bell", "1")
    redis.set("cancel:9", "no list")
    assert strays(redis) == []


def test_what_others_keep_need_be_no_text(redis: Redis, redis_url: str) -> None:
    """Names and messages of another program may be bytes, such as pickles; ours are found all the same."""
    with Redis.from_url(redis_url) as raw:
        raw.lpush(b"\xff\xfe", b"\x80\x04")
        raw.lpush("huey.redis.mail", b"\x80\x04\x95")
        raw.lpush(b"\xffapp:cancel", b"\x80\x04", json.dumps({"body": "", "headers": {}}))
    send(redis_url, queue="cancel", sep=":")
    assert strays(redis) == [Stray("\\xffapp:cancel", 2), Stray("cancel:3", 1)]


def test_where_the_user_may_not_look_the_name_tells(redis: Redis, redis_url: str) -> None:
    """As with the rights of the README."""
    send(redis_url, queue="cancel", global_keyprefix="myapp:")
    send(redis_url, queue="default")
    redis.acl_setuser(
        "w", enabled=True, passwords=["+pw"], keys=["cancel*"], commands=["+scan", "+lindex", "+llen", "+select"]
    )
    try:
        with Redis.from_url(redis_url.replace("//", "//w:pw@"), decode_responses=True, protocol=2) as client:
            assert strays(client) == [Stray("myapp:cancel\x06\x163", None)]
    finally:
        redis.acl_deluser("w")
