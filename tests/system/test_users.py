"""A worker, a producer, a reader and a Celery client with exactly the rights of OPERATING.md: everything works."""

import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
from redis import Redis

from bulk_cancel.worker.state.rights import _TRIALS
from tests.support.checkout import ROOT
from tests.support.rig import Rig

CELERY = "~cancel* ~urgent* ~_kombu.binding* +ping +select +lpush +sadd +smembers +multi +exec +llen +hello"
SUBMIT = """
import sys
from bulk_cancel.tasks import submit
submit([{"instId": "BTC-USDT", "ordId": sys.argv[1]}], account="desk1", batch_id="submitted")
"""
SEND = """
import sys
from celery import Celery
asked = {"account": "desk1", "batch_id": "sent", "orders": [{"instId": "BTC-USDT", "ordId": sys.argv[2]}]}
Celery(broker=sys.argv[1]).send_task("tasks.cancel_orders", queue="cancel", kwargs=asked)
"""


@pytest.fixture
def rig() -> Iterator[Rig]:
    """One worker as the user `worker`."""
    with Rig(workers=0) as running:
        text = (ROOT / "OPERATING.md").read_text()
        assert CELERY in text
        lines = dict(re.findall(r"^ACL SETUSER (\w+) on >\S+ (.+)$", text, re.MULTILINE))
        for name, rules in {**lines, "celery": CELERY}.items():
            running.store.redis.execute_command("ACL", "SETUSER", name, "on", ">pw", *rules.split())  # type: ignore[no-untyped-call]
        running.configure(REDIS_URL=as_user(running, "worker"))
        running.start_workers(1)
        yield running


def as_user(rig: Rig, name: str) -> str:
    """The URL for this user."""
    return rig.redis.url.replace("//", f"//{name}:pw@")


def run(rig: Rig, name: str, *command: str) -> str:
    """What this user's program prints; it has no account."""
    accounts = [key for key in rig.environment if "ACCOUNTS" in key]
    env = {key: value for key, value in rig.environment.items() if key not in accounts}
    env["BULK_CANCEL_REDIS_URL"] = as_user(rig, name)
    told = subprocess.run([sys.executable, *command], cwd=ROOT, check=False, env=env, capture_output=True, text=True)
    assert told.returncode == 0, told.stdout + told.stderr
    return told.stdout


def test_each_user_can_do_its_work(rig: Rig) -> None:
    """Handed in by two of them, cancelled and confirmed by the third, read by the fourth."""
    first, second = rig.exchange.control.place("1001", "BTC-USDT", 2)
    run(rig, "producer", "-c", SUBMIT, first)
    run(rig, "celery", "-c", SEND, as_user(rig, "celery"), second)
    rig.taken("sent")
    assert rig.done("submitted").counts == rig.done("sent").counts == {"canceled": 1}
    assert denied(rig) <= {"client"}
    for command in ("status", "refused", "check"):
        run(rig, "reader", "-m", "bulk_cancel.worker.cli", command)
    # `check` tries a producer's rights, which this user lacks
    assert denied(rig) <= {
        "client",
        *(line.split()[0].lower() for line in _TRIALS["producer"].split(";")),
        "set",
        "del",
    }


def denied(rig: Rig) -> set[str]:
    """What was refused to anybody; redis-py introduces itself by CLIENT SETINFO, and goes on without."""
    with Redis.from_url(rig.redis.url, decode_responses=True) as admin:
        return {entry["object"] for entry in admin.acl_log()}
