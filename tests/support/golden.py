"""What a release left in Redis, as text for those that come after it; `python -m tests.support.golden FILE` makes it.

One JSON object a line: the first says which orders were open at the exchange, each other one is a key. Times by the
verbs' clock go on where they stood, as after a restart of Redis; each order that was open is put on the book again, and
its new id stands wherever the old one stood.
"""

import json
import socket
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, cast

from celery import Celery
from redis import Redis

from bulk_cancel.worker.simulator.book import Behaviour
from bulk_cancel.worker.simulator.client import ControlClient
from bulk_cancel.worker.simulator.faults import Fault
from bulk_cancel.worker.simulator.messages import EndOrders, PlaceOrders
from bulk_cancel.worker.state.keys import EXCHANGE_WIDE
from tests.support import released
from tests.support.checkout import ROOT
from tests.support.installed import Installed
from tests.support.rig import Rig
from tests.system.chaos.drill import QUICK, UID, kill, quick_exchange

FOLDER: Final = ROOT / "tests" / "golden"
Order = dict[str, str]
"""An open order: ordId, instId, clOrdId ("": none)."""

BY: Final = ("--by", "ann", "--reason", "golden")
LAGS: Final = Behaviour(cancel_lag_ms=3_600_000)
"""Cancels are accepted, and not carried out while the state is made."""


def load(redis: Redis, path: Path, place: Callable[[Order], str]) -> None:
    """The state in an empty Redis; `place` puts an order on a book, and says its new id."""
    head, _, text = path.read_text().partition("\n")
    for order in json.loads(head)["open"]:
        text = text.replace(order["ordId"], place(order))
    for line in text.splitlines():
        key, kind, ttl_ms, value = json.loads(line)
        _WRITE[kind](redis, key, value)
        if ttl_ms > 0:
            redis.pexpire(key, ttl_ms)
    seconds, micros = redis.time()
    clock = f"{EXCHANGE_WIDE}:clock"
    redis.hset(clock, "skew", int(str(redis.hget(clock, "last"))) - seconds * 1_000_000 - micros)


def place_at(control: ControlClient) -> Callable[[Order], str]:
    """Puts orders on the simulated exchange's book."""

    def place(order: Order) -> str:
        ids = (order["clOrdId"],) if order["clOrdId"] else ()
        return control.place_orders(PlaceOrders(UID, order["instId"], clOrdIds=ids))[0]

    return place


_WRITE: Final[dict[str, Any]] = {
    "string": lambda redis, key, value: redis.set(key, value),
    "hash": lambda redis, key, value: redis.hset(key, mapping=value),
    "zset": lambda redis, key, value: redis.zadd(key, value),
    "set": lambda redis, key, value: redis.sadd(key, *value),
    "list": lambda redis, key, value: redis.rpush(key, *value),
    "stream": lambda redis, key, value: [redis.xadd(key, fields, ident) for ident, fields in value],
}
_READ: Final[dict[str, Any]] = {
    "string": lambda redis, key: redis.get(key),
    "hash": lambda redis, key: redis.hgetall(key),
    "zset": lambda redis, key: dict(redis.zrange(key, 0, -1, withscores=True, score_cast_func=int)),
    "set": lambda redis, key: sorted(redis.smembers(key)),
    "list": lambda redis, key: redis.lrange(key, 0, -1),
    "stream": lambda redis, key: redis.xrange(key),
}


def dump(redis: Redis, open_orders: Iterable[Order]) -> Iterator[str]:
    """The lines of the file: every key of ours but heartbeats, whose workers are gone."""
    yield json.dumps({"open": list(open_orders)})
    for key in sorted(map(str, redis.scan_iter())):
        if key.startswith(("bc:", EXCHANGE_WIDE)) and key not in {"bc:workers", "bc:trial"} and ":broker:" not in key:
            kind = cast("str", redis.type(key))
            yield json.dumps([key, kind, redis.pttl(key), _READ[kind](redis, key)])


def make(path: Path) -> None:
    """A runner of the last release that was killed with something of everything in its hands."""
    with TemporaryDirectory() as place, Rig(workers=0, config=quick_exchange(), settings=QUICK) as rig:
        installed = released.install(Path(place), extra="cli")
        (worker,) = rig.start_workers(1, str(installed.python), "bulk_cancel.worker")
        Scene(rig, installed, Path(place)).play()
        kill(worker)
        known = (
            {"ordId": o.ordId, "instId": o.instId, "clOrdId": o.clOrdId}
            for o in rig.exchange.control.orders(state="live")
        )
        text = "\n".join(dump(rig.store.redis, known)) + "\n"
        path.write_text(text.replace(f"{socket.gethostname()}:{worker.pid}", "host:1"))


class Scene:
    """What happens on the runner before its worker is killed; the commands are the last release's."""

    def __init__(self, rig: Rig, installed: Installed, place: Path) -> None:
        self._rig = rig
        self._control = rig.exchange.control
        self._installed = installed
        self._place = place

    def play(self) -> None:
        """Ended in every way; then waiting in every way."""
        self._ended()
        self._waiting()

    def _ended(self) -> None:
        _, filled, rejected = ids = self._control.place(UID, "BTC-USDT", 3)
        self._control.end_orders(EndOrders((filled,), "filled"))
        self._control.script(rejected, ["51000"])
        self._submit("ended", "BTC-USDT", [*ids, "1"])
        self._rig.done("ended")
        self._submit("canceled", "ETH-USDT", self._control.place(UID, "ETH-USDT", 1))
        self._rig.done("canceled")
        self._run("pause", "desk1/ETH-USDT", *BY)
        late = self._control.place(UID, "ETH-USDT", 1)
        self._submit("given-up", "ETH-USDT", late, "--deadline", "1")
        self._rig.done("given-up")
        asked = {"account": "desk1", "batch_id": "bad", "orders": [{"instId": "nope", "ordId": "1"}]}
        Celery(broker=self._rig.redis.url).send_task("tasks.cancel_orders", queue="cancel", kwargs=asked)
        self._rig.wait_for(lambda: self._rig.store.refusals.count() == 1)

    def _waiting(self) -> None:
        self._submit("paused", "ETH-USDT", self._control.place(UID, "ETH-USDT", 2), "--urgent")
        self._control.set_behaviour(LAGS)
        self._submit("accepted", "BTC-USDT-SWAP", self._control.place(UID, "BTC-USDT-SWAP", 2))
        self._control.place_orders(PlaceOrders(UID, "BTC-USDT-SWAP", clOrdIds=("twice",)))
        for batch in ("first", "second"):
            self._submit(batch, "BTC-USDT-SWAP", ["twice"], name="clOrdId")
            self._rig.wait_for(lambda: self._count("unconfirmed", "desk1") == 3)
        (retried,) = self._control.place(UID, "SOL-USDT", 1)
        self._control.script(retried, ["54048"] * 7)
        self._control.place(UID, "ETH-USDT-SWAP", 2)
        self._run(
            "all",
            "--account",
            "desk1",
            "--inst-id",
            "ETH-USDT-SWAP",
            "--until-flat",
            "60",
            "--batch-id",
            "mass",
            *BY,
            "--timeout",
            "1",
        )
        self._control.add_fault(Fault("hang", instId="SOL-USDT-SWAP"))
        self._submit("retrying", "SOL-USDT", [retried])
        self._submit("sending", "SOL-USDT-SWAP", self._control.place(UID, "SOL-USDT-SWAP", 2))
        self._rig.wait_for(lambda: self._count("claimed", "desk1/SOL-USDT-SWAP") == 2)

    def _count(self, name: str, ident: str) -> int:
        return int(self._rig.store.redis.zcard(self._rig.store.keys.of(name, ident)))

    def _submit(self, batch: str, inst_id: str, ids: Iterable[str], *more: str, name: str = "ordId") -> None:
        rows = [json.dumps({"instId": inst_id, name: each}) for each in ids]
        (file := self._place / f"{batch}.jsonl").write_text("\n".join(rows))
        self._run("submit", str(file), "--account", "desk1", "--batch-id", batch, *BY, *more)

    def _run(self, *arguments: str) -> None:
        told = self._installed.run(
            "-m", "bulk_cancel.worker.cli", *arguments, cwd=self._place, env=self._rig.environment
        )
        if told.returncode not in {0, 3}:
            raise RuntimeError(told.stderr)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
