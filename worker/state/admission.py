"""Admits batches into their lanes, in chunks, each by one run of the verb `admit`."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from itertools import zip_longest
from threading import Lock
from typing import Any, Final

from redis import Redis
from redis.exceptions import ResponseError

from bulk_cancel.tasks.errors import BatchConflictError, NotReplicatedError, RedisFullError
from bulk_cancel.tasks.messages import CancelOrders, Order
from bulk_cancel.tasks.receipts import Receipt
from bulk_cancel.worker.state.chunks import chunks
from bulk_cancel.worker.state.directory import AccountInfo, Directory
from bulk_cancel.worker.state.ids import JobId, lane_of
from bulk_cancel.worker.state.redis_errors import is_full
from bulk_cancel.worker.state.scripts import Scripts
from bulk_cancel.worker.state.times import time_of
from bulk_cancel.worker.state.window import LaneLoad, earliest_s

CHUNK: Final = 500
"""Orders per run of `admit`: a few milliseconds of Redis."""

PER_TURN: Final = 100
"""Orders of one lane before the next lane's: none waits until all of another one are in."""

BYTES_PER_ORDER: Final = 2_000
"""What an order may cost Redis from admission to outcome, with room to spare."""

FULL_AT: Final = 0.9
"""Share of `maxmemory` above which no batch is taken, so that every outcome can still be recorded."""


class Admission:
    """Takes batches. `redis` must be one connection when `wait_replicas` is set: WAIT speaks of its own writes."""

    def __init__(
        self,
        redis: Redis,
        scripts: Scripts,
        directory: Directory,
        *,
        deadline_s: int,
        retention_s: int,
        wait_replicas: int,
    ) -> None:
        self._redis = redis
        self._scripts = scripts
        self._directory = directory
        self._deadline_s = deadline_s
        self._retention_s = retention_s
        self._wait_replicas = wait_replicas
        self._lock = Lock()

    def admit(self, asked: CancelOrders, *, refused: int = 0) -> Receipt:
        """Takes every order of `asked`, all in Redis when this returns; `refused` rows of the batch could not be asked.

        Raises UnknownAccountError, AdmissionError (nothing taken), NotReplicatedError, or redis-py's errors: then the
        same batch id again completes it.
        """
        account = self._directory.find(asked.account)
        orders = _orders(asked.orders, account.uid)
        self.refuse_when_full(len(orders))
        batch = self._batch(asked, orders, refused)
        replies = [self._admit_chunk(batch, chunk) for chunk in chunks(_by_turns(orders.values()), CHUNK)]
        return _receipt(asked, account, replies, repeated=len(asked.orders) - len(orders))

    def _batch(self, asked: CancelOrders, orders: dict[str, dict[str, object]], refused: int) -> dict[str, object]:
        named = {"reason": asked.reason, "requested_by": asked.requested_by}
        meta = {name: value for name, value in named.items() if value} | {
            "labels": json.dumps(dict(asked.labels)),
            "refused": str(refused),
        }
        return {
            "id": asked.batch_id,
            "digest": _digest(asked.account, orders),
            "size": len(orders),
            "urgent": asked.urgent,
            "account": asked.account,
            "deadline_s": asked.deadline_s or self._deadline_s,
            "retention_s": self._retention_s,
            "meta": meta,
        }

    def _admit_chunk(self, batch: dict[str, object], chunk: Sequence[dict[str, object]]) -> dict[str, Any]:
        reply = self.run("admit", {"batch": batch, "orders": chunk}, batch_id=str(batch["id"]))
        if reply["status"] == "conflict":
            raise BatchConflictError(
                f"batch {batch['id']!r} is known with {reply['size']} other orders; choose another batch_id"
            )
        return reply

    def run(self, verb: str, argument: Mapping[str, object], *, batch_id: str) -> dict[str, Any]:
        """Runs a verb that takes work for a batch; what it wrote is on `wait_replicas` replicas when this returns."""
        with self._lock:
            reply = self._run(verb, argument, batch_id)
            self._wait()
        return reply

    def _run(self, verb: str, argument: Mapping[str, object], batch_id: str) -> dict[str, Any]:
        try:
            return self._scripts.run(verb, argument)
        except ResponseError as error:
            if not is_full(error):
                raise
            raise RedisFullError(
                f"Redis became full (maxmemory) while batch {batch_id!r} was taken; raise maxmemory, then submit "
                "the same batch_id again: it completes what may be there"
            ) from error

    def _wait(self) -> None:
        if not self._wait_replicas:
            return
        have = int(self._redis.wait(self._wait_replicas, 1000))
        if have < self._wait_replicas:
            raise NotReplicatedError(
                f"{have} of {self._wait_replicas} replicas confirmed; the primary has the batch, submit the same "
                "batch_id again until this passes"
            )

    def refuse_when_full(self, orders: int) -> None:
        """Raises RedisFullError when so many orders may not fit."""
        memory: dict[str, Any] = self._redis.info("memory")
        limit, used = int(memory["maxmemory"]), int(memory["used_memory"])
        if limit and used + orders * BYTES_PER_ORDER > limit * FULL_AT:
            raise RedisFullError(
                f"Redis uses {used / limit:.0%} of maxmemory ({limit >> 20} MiB) and {orders} orders may need "
                f"{orders * BYTES_PER_ORDER / 2**20:.1f} MiB; nothing was taken. Raise maxmemory or submit fewer"
            )


def _orders(orders: Sequence[Order], uid: str) -> dict[str, dict[str, object]]:
    """The distinct orders by job id, in the order given, as the verb takes them."""
    found: dict[str, dict[str, object]] = {}
    for order in orders:
        job = str(JobId(uid, order.instId, order.ordId, order.clOrdId))
        client = order.clOrdId or ""
        found.setdefault(job, {"job": job, "lane": lane_of(uid, order.instId), "n": str(len(found)), "cl": client})
    return found


def _by_turns(orders: Iterable[dict[str, object]]) -> list[dict[str, object]]:
    lanes: dict[object, list[dict[str, object]]] = {}
    for order in orders:
        lanes.setdefault(order["lane"], []).append(order)
    turns = zip_longest(*(chunks(lane, PER_TURN) for lane in lanes.values()), fillvalue=())
    return [order for turn in turns for chunk in turn for order in chunk]


def _digest(account: str, orders: dict[str, dict[str, object]]) -> str:
    """Names the orders as the producer knows them: a changed UID setting makes no other batch of them."""
    known = sorted(job.partition("/")[2] for job in orders)
    return hashlib.sha256("\n".join([account, *known]).encode()).hexdigest()[:32]


def _receipt(asked: CancelOrders, account: AccountInfo, replies: list[dict[str, Any]], *, repeated: int) -> Receipt:
    last = replies[-1]
    lanes = {
        lane: LaneLoad(q, s, b, held / 1e6) for reply in replies for lane, (q, s, b, held) in reply["lanes"].items()
    }
    wait_s = max(earliest_s(load, account.limits, account.batch_size, account.window_s) for load in lanes.values())
    counts = {name: sum(reply[name] for reply in replies) for name in ("new", "joined", "remembered", "known")}
    return Receipt(
        batch_id=asked.batch_id,
        account=asked.account,
        size=last["size"],
        lanes=len(lanes),
        repeated=repeated,
        sealed=last["sealed"],
        waiting=last["waiting"],
        created_at=time_of(last["created"]),
        earliest_done_at=time_of(last["now"]) + timedelta(seconds=wait_s),
        paused=tuple(sorted({scope for reply in replies for scope in reply["paused"]})),
        **counts,
    )
