"""After a run with every kind of fault: is any secret or signature in Redis, in a log, in an error or in `ps`?"""

import pickle
import re
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from bulk_cancel.worker.simulator.config import DEFAULT_KEY, Config
from bulk_cancel.worker.simulator.faults import Fault, envelope, maintenance, too_many
from bulk_cancel.worker.simulator.messages import AccountChange
from tests.support.desks import HOUSE, cli, desk, hand_in, rest
from tests.support.rig import Rig, orders
from tests.support.waiting import PATIENCE_S
from tests.system.chaos.report import Witness

SECRETS: Final = {name: f"{name}-{uuid.uuid4().hex}" for name in ("key", "secret", "passphrase", "redis-password")}
PASSWORD: Final = SECRETS["redis-password"]
KEY: Final = replace(
    DEFAULT_KEY, key=SECRETS["key"], secret=SECRETS["secret"], passphrase=SECRETS["passphrase"], uid=desk(2).uid
)
TRADER: Final = replace(desk(2), key=KEY)
SIGNATURE: Final = re.compile(rb"(?<![A-Za-z0-9+/=])[A-Za-z0-9+/]{43}=(?![A-Za-z0-9+/=])")
HEADERS: Final = re.compile(rb"OK-ACCESS-(KEY|SIGN|PASSPHRASE)[\"']?[:=] ?[\"']?[^ \"'\\]")
MANY: Final = 10
FAULTS: Final = (
    maintenance(), too_many(), envelope("50102", "Timestamp request expired", 401), envelope("50026", "oops", 500),
    Fault(status=200, body='{"code":'), Fault(action="hang"), Fault(action="close", when="after", sent=30),
    Fault(action="reset", when="after"), Fault(action="truncate", when="after"), Fault(sCode="51410"),
    Fault(sCode="51000"), Fault(sCode="59999"),
)  # fmt: skip


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """Everything that Redis keeps is also on disk, readable; a worker that logs all it can, behind a password."""
    redis = {"appendonly": "yes", "appendfsync": "always", "aof-use-rdb-preamble": "no", "rdbcompression": "no"}
    config = Config(accounts=(DEFAULT_KEY, KEY))
    with Rig(workers=0, config=config, redis=redis) as running:
        running.log_file = tmp_path / "workers.log"
        running.store.redis.acl_setuser(
            "runner", enabled=True, passwords=[f"+{PASSWORD}"], keys=["*"], channels=["*"], commands=["+@all"]
        )  # fmt: skip
        url = f"redis://runner:{PASSWORD}@127.0.0.1:{running.redis.port}/0"
        running.configure(**TRADER.settings(), REDIS_URL=url, LOG_LEVEL="DEBUG", HTTP_TIMEOUT_S="0.5")
        running.start_workers(1)
        yield running


def test_nothing_secret_is_left_anywhere(rig: Rig, witness: Witness) -> None:
    """Redis (every key, its log and its dump), the workers' logs at DEBUG, the command line's errors, and `ps`."""
    for number, (fault, inst_id) in enumerate(zip(FAULTS, rig.exchange.config.instruments * 2, strict=False)):
        rig.exchange.control.add_fault(replace(fault, uid=TRADER.uid, instId=inst_id, count=1))
        ids = rig.exchange.control.place(TRADER.uid, inst_id, MANY)
        hand_in(rig, f"b{number}", orders(inst_id, ids), account=TRADER.name)
    witness.injected(len(FAULTS))
    for number in range(len(FAULTS)):
        rig.done(f"b{number}")
    go_wrong_with_credentials(rig)
    rig.store.redis.client_kill_filter(_type="normal", skipme=True)
    rig.exchange.control.refuse_connections(0.2)
    hand_in(rig, "end", orders("BTC-USDT", rig.exchange.control.place(HOUSE, "BTC-USDT", 1)))
    rig.done("end")
    rig.store.redis.lpush("cancel", pickle.dumps({"task": "tasks.cancel_orders"}))
    rig.wait_for(lambda: rig.store.refusals.count() == 1)
    listed = b"".join(Path(f"/proc/{worker.pid}/cmdline").read_bytes() for worker in rig.workers)
    for worker in rig.workers:
        worker.terminate()
    assert [worker.wait(PATIENCE_S) for worker in rig.workers] == [0]
    said = cli_errors(rig)
    assert found_in({"log": rig.log_file.read_bytes(), "errors": said, "ps": listed, **dumped(rig)}) == []
    witness.judge(rig)


def go_wrong_with_credentials(rig: Rig) -> None:
    """The key is revoked while orders wait for it, and works again once it was asked about."""
    rig.exchange.control.change_account(AccountChange(KEY.key, revoked=True))
    ids = rig.exchange.control.place(TRADER.uid, "BTC-USDT", MANY)
    hand_in(rig, "revoked", orders("BTC-USDT", ids), account=TRADER.name, deadline_s=6)
    rig.wait_for(lambda: bool(rest(rig, f"account:{TRADER.name}")))
    rig.done("revoked")
    rig.exchange.control.change_account(AccountChange(KEY.key, revoked=False))


def cli_errors(rig: Rig) -> bytes:
    """What the command line says when all is well, when Redis is not there, and when it does not let us in."""
    good = rig.environment["BULK_CANCEL_REDIS_URL"]
    bad = [good.replace(f":{rig.redis.port}", ":1"), good.replace("runner:", "nobody:"), good + "/x"]
    rig.configure(REDIS_URL=bad[1])
    worker = rig.start_worker()
    rig.configure(REDIS_URL=good)
    with ThreadPoolExecutor(3) as threads:  # each is a process that mostly imports
        well = [threads.submit(cli, rig, *asked) for asked in (("status",), ("check",), ("outcomes", "b0"))]
        ill = [threads.submit(cli, rig, "status", REDIS_URL=url) for url in bad]
    assert [ended.result().returncode for ended in ill] == [2] * len(bad)
    assert worker.wait(PATIENCE_S) == 2
    said = [ended.result() for ended in [*well, *ill]] + [cli(rig, "status", "none")]
    return "".join(ended.stdout + ended.stderr for ended in said).encode()


def dumped(rig: Rig) -> dict[str, bytes]:
    """Every key's value, and the files that Redis wrote."""
    redis = rig.store.redis
    redis.save()
    directory = Path(str(redis.config_get("dir")["dir"]))
    files = {path.name: path.read_bytes() for path in directory.rglob("*") if path.is_file()}
    assert any(name.endswith(".rdb") for name in files)
    assert any("aof" in name for name in files)
    return files


def found_in(texts: dict[str, bytes]) -> list[tuple[str, str]]:
    """Which secret or signature stands where."""
    assert all(texts.values()), [name for name, text in texts.items() if not text]
    found = [
        (where, name) for where, text in texts.items() for name, value in SECRETS.items() if value.encode() in text
    ]
    found += [(where, "a signature") for where, text in texts.items() if SIGNATURE.search(text)]
    return found + [(where, "a header") for where, text in texts.items() if HEADERS.search(text)]
