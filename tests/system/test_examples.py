"""Do the examples do what they say, as a reader would start them, with a real Redis, worker and simulated exchange?"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from bulk_cancel.worker.alerts.webhook import Webhook, WebhookError
from tests.support.checkout import ROOT
from tests.support.rig import Rig, orders

UID = "1001"
SECRET = "between-us"
EXAMPLES = sorted(path.name for path in (ROOT / "examples").glob("*.py"))


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    """One worker, which is stopped as an operator would."""
    with Rig(workers=1) as running:
        yield running
        assert running.stop_worker(running.workers[0]) == 0


def command(name: str) -> list[str]:
    """An example as it is started."""
    return [sys.executable, str(ROOT / "examples" / name)]


def environment(rig: Rig, **settings: str) -> dict[str, str]:
    """What the examples are told; no credentials."""
    urls = {"BULK_CANCEL_REDIS_URL": rig.redis.url, "BROKER_URL": rig.redis.url}
    return os.environ | urls | {"ACCOUNT": "desk1"} | settings


def hand_in(rig: Rig, example: str, rows: list[dict[str, str]], **settings: str) -> subprocess.CompletedProcess[str]:
    """Runs a producer outside of the checkout, with these orders on its standard input."""
    told = "instId,ordId\n" + "".join(f"{row['instId']},{row['ordId']}\n" for row in rows)
    return subprocess.run(
        command(example),
        cwd="/",
        env=environment(rig, **settings),
        input=told,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@contextmanager
def running(name: str, told: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    """An example that goes on until it is stopped."""
    pipe = subprocess.PIPE
    with subprocess.Popen(command(name), cwd="/", env=told, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def place(rig: Rig, inst_id: str, count: int) -> list[dict[str, str]]:
    """So many open orders of desk1."""
    return list(orders(inst_id, rig.exchange.control.place(UID, inst_id, count)))


def test_every_example_is_short_and_tested() -> None:
    """At most 50 lines, and named in this file."""
    here = (ROOT / "tests" / "system" / "test_examples.py").read_text("utf-8")
    assert EXAMPLES
    for name in EXAMPLES:
        assert f'"{name}"' in here
        assert len((ROOT / "examples" / name).read_text("utf-8").splitlines()) <= 50


def test_a_service_cancels_named_orders_and_then_all(rig: Rig) -> None:
    """The batch and the mass cancel both end; nothing is left open."""
    named = place(rig, "BTC-USDT", 5)
    others = place(rig, "ETH-USDT", 3)
    done = hand_in(rig, "producer.py", named, BATCH_ID="limits")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("limits: 5 orders; ")
    assert "\nlimits-all: " in done.stdout
    assert rig.done("limits").counts == {"canceled": 5}
    assert rig.done("limits-all").counts == {"canceled": len(others)}
    assert rig.exchange.control.summary().live[UID] == {}


def test_a_service_is_told_what_is_refused(rig: Rig) -> None:
    """Every fault by its row, and status 1; nothing was taken."""
    done = hand_in(rig, "producer.py", [{"instId": "BTC USDT", "ordId": "x"}], BATCH_ID="bad")
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == "refused:"
    assert [line.partition(":")[0] for line in done.stderr.splitlines()[1:]] == ["orders[0].instId", "orders[0].ordId"]
    assert not rig.store.redis.exists(rig.store.keys.of("batch", "bad"))


def test_a_service_says_when_redis_does_not_answer(rig: Rig) -> None:
    """It has tried again by then."""
    nowhere = {"BULK_CANCEL_REDIS_URL": "redis://127.0.0.1:1/0", "ATTEMPTS": "2"}
    done = hand_in(rig, "producer.py", [{"instId": "BTC-USDT", "ordId": "1"}], BATCH_ID="later", **nowhere)
    assert (done.returncode, done.stderr) == (1, "Redis does not answer: hand in later again\n")


@pytest.mark.parametrize("example", ["producer_celery.py", "producer_lpush.py"])
def test_a_message_is_enough(rig: Rig, example: str) -> None:
    """Without anything of ours."""
    assert "bulk_cancel" not in (ROOT / "examples" / example).read_text("utf-8")
    batch = example.removesuffix(".py")
    done = hand_in(rig, example, place(rig, "BTC-USDT", 4), BATCH_ID=batch)
    assert (done.returncode, done.stderr) == (0, "")
    rig.wait_for(lambda: bool(rig.store.redis.exists(rig.store.keys.of("batch", batch))))
    assert rig.done(batch).counts == {"canceled": 4}


def test_outcomes_are_followed_from_a_position(rig: Rig) -> None:
    """Each once, in order; from the third on, when the first two are known."""
    rows = place(rig, "BTC-USDT", 4)
    before = rig.store.redis.xlen(rig.store.keys.of("outcomes"))
    assert hand_in(rig, "producer_lpush.py", rows, BATCH_ID="followed").returncode == 0
    with running("follow_outcomes.py", environment(rig)) as follower:
        told = [outcome(follower) for _ in range(before + 4)][before:]
    assert sorted(one["order"] for one in told) == sorted(f"desk1/BTC-USDT/o{row['ordId']}" for row in rows)
    assert {(one["status"], one["batches"]) for one in told} == {("canceled", "followed")}
    with running("follow_outcomes.py", environment(rig, POSITION=told[1]["position"])) as follower:
        assert [outcome(follower) for _ in range(2)] == told[2:]


def outcome(follower: subprocess.Popen[str]) -> dict[str, Any]:
    """The next line that it prints."""
    assert follower.stdout is not None
    return dict(json.loads(follower.stdout.readline()))


def test_alerts_are_received_and_verified() -> None:
    """What is signed is printed once; what another secret has signed is refused for good."""
    told = os.environ | {"BULK_CANCEL_ALERT_WEBHOOK_SECRET": SECRET, "PORT": "0"}
    with running("webhook_receiver.py", told) as receiver:
        assert receiver.stderr is not None
        assert receiver.stdout is not None
        url = receiver.stderr.readline().strip()
        with pytest.raises(WebhookError, match="403") as refused:
            post(url, "another", "first")
        assert refused.value.final
        for ident in ("second", "second", "third"):
            post(url, SECRET, ident)
        assert [json.loads(receiver.stdout.readline())["id"] for _ in range(2)] == ["second", "third"]


def post(url: str, secret: str, ident: str) -> None:
    """One alert as a worker sends it."""
    webhook = Webhook(url, secret)
    webhook.post(json.dumps({"event": "redis_lost", "id": ident}).encode())
    webhook.close()
