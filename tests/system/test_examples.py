"""Do the examples do what they say, as a reader would start them, with a real Redis, worker and simulated exchange?"""

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bulk_cancel.worker.alerts.webhook import Webhook, WebhookError
from tests.support.checkout import ROOT
from tests.support.door import Door, token_file
from tests.support.other_languages import node, php, tool
from tests.support.rig import Rig, orders

UID = "1001"
SECRET = "whsec_YmV0d2VlbiB1cw=="
PROGRAMS = (".py", ".js", ".php", ".sh")
EXAMPLES = sorted(path for path in (ROOT / "examples").rglob("*") if path.suffix in PROGRAMS)


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


def hand_in(
    rig: Rig, example: str | list[str], rows: list[dict[str, str]], **settings: str
) -> subprocess.CompletedProcess[str]:
    """Runs a producer outside of the checkout, with these orders on its standard input."""
    told = "instId,ordId\n" + "".join(f"{row['instId']},{row['ordId']}\n" for row in rows)
    return subprocess.run(
        command(example) if isinstance(example, str) else example,
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
    for path in EXAMPLES:
        assert f'"{path.name}"' in here
        assert len(path.read_text("utf-8").splitlines()) <= (70 if path.name.startswith("test_") else 50)


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
    rig.taken(batch)
    assert rig.done(batch).counts == {"canceled": 4}


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where Node's are installed."""
    return tmp_path_factory.mktemp("node")


@pytest.mark.parametrize("example", ["producer_celery_node.js", "producer_celery_ts.js", "producer.php"])
def test_other_languages_hand_in(rig: Rig, packages: Path, example: str) -> None:
    """By the client that such a project has."""
    program = php(example) if example.endswith(".php") else node(example, packages)
    done = hand_in(rig, program, place(rig, "BTC-USDT", 4), BATCH_ID=example)
    assert (done.returncode, done.stderr) == (0, "")
    rig.wait_for(lambda: bool(rig.store.redis.exists(rig.store.keys.of("batch", example))))
    state = rig.done(example)
    assert (state.counts, state.urgent) == ({"canceled": 4}, example.endswith(".js"))


def test_curl_hands_in_at_the_door(rig: Rig, tmp_path: Path) -> None:
    """And prints what became of each; a token is no argument, and what the door refuses is shown."""
    (secret := tmp_path / "token").write_text("Authorization: Bearer operate\n")
    program, rows = [tool("curl") and "sh", str(ROOT / "examples" / "curl.sh")], place(rig, "BTC-USDT", 4)
    with Door(rig.store, token_file(tmp_path / "tokens")) as door:
        told = {"DOOR": door.url, "TOKEN_FILE": str(secret), "BATCH_ID": "curl"}
        done = hand_in(rig, program, rows, **told)
        assert (done.returncode, done.stderr) == (0, "")
        assert [(row["ordId"], row["status"]) for row in csv.DictReader(done.stdout.splitlines())] == [
            (row["ordId"], "canceled") for row in rows
        ]
        refused = hand_in(rig, program, rows[:3], **told)
    assert (refused.returncode, json.loads(refused.stderr.splitlines()[-1])["status"]) == (1, 409)


@pytest.mark.parametrize(("client", "batch"), [("gocelery.json", "from-go"), ("rusty_celery.json", "from-rust")])
def test_messages_of_clients_that_are_not_here_are_taken(rig: Rig, client: str, batch: str) -> None:
    """As gocelery (protocol 1, no headers) and rusty-celery write them; the order is none of the exchange's."""
    rig.store.redis.lpush("cancel", (ROOT / "examples" / "messages" / client).read_text("utf-8"))
    rig.wait_for(lambda: bool(rig.store.redis.exists(rig.store.keys.of("batch", batch))))
    assert rig.done(batch).size == 1


@pytest.mark.parametrize("example", ["service.py", "service_asyncio.py"])
def test_a_service_waits_and_reads(rig: Rig, example: str) -> None:
    """Nothing is live when it ends with 0; an order that the exchange refuses for good is told, with status 1."""
    done = hand_in(rig, example, place(rig, "BTC-USDT", 3), BATCH_ID=example)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert rig.done(example).counts == {"canceled": 3}
    done = hand_in(rig, example, [{"instId": "NO-SUCH", "ordId": "1"}], BATCH_ID=f"{example}-bad")
    assert (done.returncode, done.stdout.split(" ")[:3]) == (1, ["NO-SUCH", "1:", "rejected"])


def test_services_are_tested_without_redis(tmp_path: Path) -> None:
    """By "test_service.py", beside them, with the kit alone."""
    shutil.copytree(ROOT / "examples", tmp_path, dirs_exist_ok=True)
    arguments = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "test_service.py"]
    done = subprocess.run(
        [sys.executable, *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout


def test_a_follower_that_is_killed_misses_nothing(rig: Rig, tmp_path: Path) -> None:
    """Started again it goes on behind what it kept: at most the last one is told twice."""
    told = environment(rig, POSITION_FILE=str(tmp_path / "position"))
    seen: list[str] = []
    for batch in ("first", "second", "third"):
        rows = place(rig, "BTC-USDT", 4)
        assert hand_in(rig, "producer.py", rows, BATCH_ID=batch).returncode == 0
        with running("follow_outcomes.py", told) as follower:
            seen.append(outcome(follower)["position"])
            follower.kill()
            seen += [json.loads(line)["position"] for line in follower.stdout or () if line.endswith("\n")]
        assert rig.done(batch).counts == {"canceled": 4}
    stream = [str(entry) for entry, _ in rig.store.redis.xrange(rig.store.keys.of("outcomes")) or ()]
    with running("follow_outcomes.py", told) as follower:
        while stream[-1] not in seen:
            seen.append(outcome(follower)["position"])
    assert sorted(set(seen)) == sorted(stream)
    assert len(seen) - len(stream) <= 3


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
            post(url, "whsec_YW5vdGhlcg==", "first")
        assert refused.value.final
        for ident in ("second", "second", "third"):
            post(url, SECRET, ident)
        assert [json.loads(receiver.stdout.readline())["id"] for _ in range(2)] == ["second", "third"]


def post(url: str, secret: str, ident: str) -> None:
    """One alert as a worker sends it."""
    webhook = Webhook(url, secret)
    webhook.post(json.dumps({"event": "redis_lost", "id": ident}).encode(), message_id=ident)
    webhook.close()
