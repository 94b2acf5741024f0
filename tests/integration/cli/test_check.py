"""Does `check` name each condition that somebody must act on, with what to do, and does `status` show it?"""

import json
import re
import time
from typing import Any

import pytest
from redis import Redis

from bulk_cancel.tasks.messages import parse_cancel_orders
from bulk_cancel.worker.alerts.alerts import Condition
from bulk_cancel.worker.simulator.embedded import EmbeddedRedis
from bulk_cancel.worker.state.scopes import account_scope
from tests.support.acl_lines import WORD, let_in, rules_of
from tests.support.cli_desk import Desk

ROWS = [{"instId": "BTC-USDT", "ordId": "1"}]


@pytest.fixture
def desk(exchange_desk: Desk) -> Desk:
    """A desk at the simulated exchange, all of whose points are ok or warnings."""
    return exchange_desk


def checked(desk: Desk, status: int) -> dict[str, dict[str, str]]:
    """The conditions that hold while a worker lives, by name, with the exit status."""
    desk.worker_reports()
    ended, out, _ = desk("check", "--json")
    said = json.loads(out)
    assert (ended, said["ok"]) == (status, status == 0)
    return {point["name"]: point for point in said["points"] if point["level"] == "ACT"}


def submit(desk: Desk, *, urgent: bool = False) -> None:
    """One order in batch b."""
    asked: dict[str, Any] = {"account": "desk1", "batch_id": "b", "orders": ROWS, "urgent": urgent}
    desk.store.admission.admit(parse_cancel_orders(**asked))


def test_all_are_named_when_none_holds(desk: Desk) -> None:
    """Each is ok, and the exit status 0."""
    assert checked(desk, 0) == {}
    _, out, _ = desk("check")
    assert all(f"ok   {condition}: " in out for condition in Condition)


def test_an_order_that_may_be_live(desk: Desk) -> None:
    """Named with its batch until a later cancel worked; `status` counts it."""
    submit(desk)
    desk.finish("BTC-USDT", status="exhausted", code="51410")
    (point,) = checked(desk, 1).values()
    assert point["name"] == "order_may_be_live"
    assert point["text"] == "1 whose cancel was given up: desk1/BTC-USDT/o1; of batch b"
    assert "bulk-cancel retry BATCH" in point["mend"]
    assert desk.json("status")["may_be_live"] == 1
    assert "1 order may be live: its cancel was given up (" in desk("status")[1]


def test_an_order_that_may_be_live_of_a_batch_that_is_forgotten(desk: Desk) -> None:
    """There is no batch to name, and none to retry."""
    submit(desk)
    desk.store.redis.delete(desk.store.keys.of("job", "desk1/BTC-USDT/o1"))
    desk.store.redis.zadd(desk.store.keys.of("may_be_live"), {"desk1/BTC-USDT/o1": time.time_ns() // 1000})
    (point,) = checked(desk, 1).values()
    assert point["text"] == "1 whose cancel was given up: desk1/BTC-USDT/o1"
    assert point["mend"] == "cancel them at the exchange, or hand them in again"


def test_a_hold_that_nobody_lists(desk: Desk) -> None:
    """That it was flat a moment before its workers died says nothing."""
    desk.hold_flat("h")
    assert checked(desk, 0) == {}
    desk.store.redis.delete(desk.store.keys.of("held", "h"))  # as its time to live does
    (point,) = checked(desk, 1).values()
    assert (point["name"], point["text"]) == ("mass_cancel_not_flat", "h of desk1: on hold, not flat")


def test_a_paused_account(desk: Desk) -> None:
    """By the exchange, or by an operator."""
    key = desk.store.keys.of("rest", account_scope("desk1"))
    why = "50111 Invalid OK-ACCESS-KEY"
    desk.store.redis.hset(key, mapping={"until": 9_000_000_000_000_000, "since": 1_772_100_000_000_000, "reason": why})
    (point,) = checked(desk, 1).values()
    assert (point["name"], point["text"]) == ("account_paused", "desk1: 50111 Invalid OK-ACCESS-KEY")
    assert point["mend"] == "mend the credentials that the exchange refuses"
    desk.store.redis.delete(key)
    assert desk("pause", "desk1", "--reason", "audit", "--by", "amy")[0] == 0
    (point,) = checked(desk, 1).values()
    assert (point["name"], point["text"]) == ("account_paused", "desk1: paused by amy: audit")
    assert point["mend"] == "bulk-cancel resume ACCOUNT when it may go on"
    assert desk("resume", "desk1", "--by", "amy")[0] == desk("pause", "desk1", "--by", "amy")[0] == 0
    assert [point["text"] for point in checked(desk, 1).values()] == ["desk1: paused by amy"]
    assert desk("resume", "desk1", "--by", "amy")[0] == 0
    assert checked(desk, 0) == {}


def test_a_refused_lane(desk: Desk, redis_client: Redis) -> None:
    """Of late; who is told what to do."""
    submit(desk)
    seconds = redis_client.time()[0]
    desk.store.redis.hset(desk.store.keys.of("lane", "desk1/BTC-USDT"), "refused_at", (seconds - 30) * 1_000_000)
    (point,) = checked(desk, 1).values()
    assert (point["name"], point["text"]) == ("lane_refused", "refused for speed: desk1/BTC-USDT")
    assert "SHARE" in point["mend"]
    desk.store.redis.hset(desk.store.keys.of("lane", "desk1/BTC-USDT"), "refused_at", (seconds - 90) * 1_000_000)
    assert checked(desk, 0) == {}


def test_urgent_work_that_waits(desk: Desk, redis_client: Redis) -> None:
    """Longer than five seconds; `status` shows how long before that, too."""
    submit(desk, urgent=True)
    assert checked(desk, 0) == {}
    assert re.search(r"^urgent    waits \d+\.\d s in lane desk1/BTC-USDT", desk("status")[1], re.MULTILINE)
    asked = (redis_client.time()[0] - 10) * 1_000_000
    desk.store.redis.hset(desk.store.keys.of("rows", "b"), "desk1/BTC-USDT/o1", f"0 {asked} ")
    (point,) = checked(desk, 1).values()
    assert point["name"] == "oldest_urgent_s"
    assert "desk1/BTC-USDT/o1 of batch b waits in lane desk1/BTC-USDT" in point["text"]
    assert desk.json("status")["oldest_urgent"]["batch"] == "b"


def test_what_must_be_mended_comes_first(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A point that FAILs makes the exit status 2, whatever else holds."""
    submit(desk)
    desk.finish("BTC-USDT", status="exhausted", code="51410")
    monkeypatch.setenv("BULK_CANCEL_ACCOUNTS__DESK1__API_SECRET", "not-the-secret")
    status, out, _ = desk("check")
    assert status == 2
    assert "ACT  order_may_be_live: 1 whose" in out


def test_the_switch_in_status(desk: Desk) -> None:
    """Armed: until when and by whom; run out; off. Nothing where it was never armed."""
    assert "switch" not in desk("status")[1]
    key, now = desk.store.keys.of("switch", "desk1"), desk.store.redis.time()[0] * 1_000_000
    until, holder = now + 30_000_000, "host:1"
    desk.store.redis.hset(key, mapping={"holder": holder, "timeout_s": 30, "armed_until": until, "refreshed": now})
    assert "switch    desk1: all orders go at " in desk("status")[1]
    (said,) = desk.json("status")["switches"]
    assert (said["holder"], said["timeout_s"], said["ran_out"]) == ("host:1", 30, None)
    desk.store.redis.hset(key, "armed_until", now - 1_000_000)
    assert "has most likely cancelled all orders" in desk("status")[1]
    desk.store.redis.hset(key, mapping={"armed_until": 0})
    assert "switch    desk1: off" in desk("status")[1]


def test_a_queue_key_of_another_type(desk: Desk, redis_client: Redis) -> None:
    """It is named with its type, and the other queue is still counted."""
    redis_client.set("cancel", "x")
    redis_client.lpush("urgent\x06\x165", "message")
    status, out, _ = desk("check", "--json")
    points = [(point["level"], point["text"]) for point in json.loads(out)["points"] if point["name"] == "broker"]
    assert status == 2
    assert points[0][0] == "FAIL"
    assert "'cancel' is a string, not a list" in points[0][1]
    assert "1 in urgent" in points[1][1]


def test_a_queue_key_of_another_type_is_no_empty_queue(desk: Desk, redis_client: Redis) -> None:
    """One line says of it what it is; no other says that all is well."""
    redis_client.set("cancel", "x")
    _, out, _ = desk("check", "--json")
    assert [point["level"] for point in json.loads(out)["points"] if point["name"] == "broker"] == ["FAIL"]


def test_messages_that_nobody_reads(desk: Desk, redis_client: Redis) -> None:
    """The list is named with their number; it is a condition to act on."""
    message = json.dumps({"body": "", "headers": {"task": "tasks.cancel_orders"}, "properties": {}})
    redis_client.lpush("celery", message)
    (point,) = checked(desk, 1).values()
    assert (point["name"], point["text"]) == ("unread_messages", "1 message in 'celery': nobody reads them")
    assert "1 message lies in the queue 'celery'" in desk("check")[1]
    redis_client.lpush("celery", message)
    (point,) = checked(desk, 1).values()
    assert point["text"] == "2 messages in 'celery': nobody reads them"


@pytest.mark.parametrize("own_broker", [False, True])
def test_a_broker_that_does_not_let_us_in(desk: Desk, monkeypatch: pytest.MonkeyPatch, *, own_broker: bool) -> None:
    """The setting is named that has its URL: that of the state, where the broker has none."""
    url = desk.store.settings.redis_url.get_secret_value()
    name = "BULK_CANCEL_BROKER_URL" if own_broker else "BULK_CANCEL_REDIS_URL"
    monkeypatch.setenv(name, url.replace("//", "//nobody:wrong@"))
    status, out, _ = desk("check", "--json")
    (point,) = [point for point in json.loads(out)["points"] if point["name"] == "broker"]
    assert (status, point["level"], point["mend"]) == (2, "FAIL", f"start it, or correct {name}")


def test_an_evicting_broker(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would lose messages; workers refuse to start with it."""
    with EmbeddedRedis(options={"maxmemory-policy": "allkeys-lru"}) as server:
        monkeypatch.setenv("BULK_CANCEL_BROKER_URL", server.url)
        status, out, _ = desk("check", "--json")
    (point,) = [point for point in json.loads(out)["points"] if point["name"] == "broker"]
    assert (status, point["level"]) == (2, "FAIL")
    assert "set maxmemory-policy noeviction" in point["text"]


def test_a_redis_that_refuses_writes(desk: Desk) -> None:
    """Nothing can be cancelled: it must be mended, with the reason."""
    desk.worker_reports()
    desk.store.redis.config_set("min-replicas-to-write", 1)
    try:
        status, out, _ = desk("check", "--json")
    finally:
        desk.store.redis.config_set("min-replicas-to-write", 0)
    points = {point["name"]: (point["level"], point["text"]) for point in json.loads(out)["points"]}
    assert status == 2
    assert points["rights"][0] == "FAIL"
    assert points["rights"][1].startswith("Redis refuses to write: NOREPLICAS")
    assert points["redis_lost"][0] == "ACT"


@pytest.mark.parametrize(
    ("rules", "level", "text"),
    [("~* +@all -evalsha", "FAIL", "+evalsha"), ("~* +@all -@scripting", "FAIL", "+eval +evalsha")],
)
def test_a_user_without_rights(desk: Desk, monkeypatch: pytest.MonkeyPatch, rules: str, level: str, text: str) -> None:
    """Each right is named; so it is where the user is a worker's."""
    admin = desk.store.redis
    admin.execute_command("ACL", "SETUSER", "bc", "on", ">pw", *rules.split())  # type: ignore[no-untyped-call]
    monkeypatch.setenv(
        "BULK_CANCEL_REDIS_URL", desk.store.settings.redis_url.get_secret_value().replace("//", "//bc:pw@")
    )
    try:
        status, out, _ = desk("check", "--json")
    finally:
        admin.acl_deluser("bc")
    (point,) = [point for point in json.loads(out)["points"] if point["name"] == "rights"]
    assert (status, point["level"]) == (2, level)
    assert text in point["text"]


@pytest.mark.parametrize("user", ["default", "worker", "reader"])
def test_a_runner_in_another_db_is_warned_of(
    desk: Desk, redis_client: Redis, monkeypatch: pytest.MonkeyPatch, user: str
) -> None:
    """Its windows are apart from ours; a db of other keys is nobody's concern. OPERATING.md's users see it."""
    if user != "default":
        let_in(redis_client, user, *rules_of(user))
        url = desk.store.settings.redis_url.get_secret_value().replace("//", f"//{user}:{WORD}@")
        monkeypatch.setenv("BULK_CANCEL_REDIS_URL", url)
    redis_client.select(3)
    redis_client.set("other", 1)
    assert " ok   windows: " in f" {desk('check')[1]}".replace("\n", " ")
    redis_client.select(5)
    redis_client.hset("bulk-cancel:clock", "last", "1")
    assert "warn windows: windows in db 5 too" in desk("check")[1]
    redis_client.acl_deluser("worker", "reader")
