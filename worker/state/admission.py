"""Admits batches into their lanes, in chunks, each by one run of the verb `admit`."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import Any, Final, Protocol

from redis import Redis
from redis.exceptions import ResponseError

from bulk_cancel.tasks.asking import Asking, answered
from bulk_cancel.tasks.errors import AdmissionError, BatchConflictError, NotReplicatedError, RedisFullError
from bulk_cancel.tasks.messages import CancelOrders, Order
from bulk_cancel.tasks.receipts import Receipt
from bulk_cancel.worker.config.users import ALGOS
from bulk_cancel.worker.state.asked import Asked, columns
from bulk_cancel.worker.state.chunks import chunks
from bulk_cancel.worker.state.directory import AccountInfo, Directory
from bulk_cancel.worker.state.forks import ForkLock
from bulk_cancel.worker.state.ids import JobId, is_of_algos
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


class OneAtATime(Protocol):
    """A lock of threads, or of asyncio, whose `acquire` is awaited."""

    def acquire(self) -> object:
        """Ours when this, or what it returns, is done."""

    def release(self) -> None:
        """Another one's turn."""


class Admission:
    """Takes batches. `redis` must be one connection when `wait_replicas` is set: WAIT speaks of its own writes.

    `several`: the runner has other shards, on which an account that was moved has left its batches.
    Over asyncio's client `lock` is one of asyncio, and only what begins with `ask_` is of use.
    """

    def __init__(
        self,
        redis: Redis,
        scripts: Scripts,
        directory: Directory,
        *,
        deadline_s: int,
        retention_s: int,
        wait_replicas: int,
        several: bool = False,
        lock: OneAtATime | None = None,
    ) -> None:
        self.redis = redis
        self._scripts = scripts
        self._directory = directory
        self._deadline_s = deadline_s
        self._retention_s = retention_s
        self._wait_replicas = wait_replicas
        self._several = several
        self._lock: OneAtATime = lock or ForkLock()

    def admit(self, asked: CancelOrders, *, refused: int = 0) -> Receipt:
        """Takes every order of `asked`, all in Redis when this returns; `refused` rows of the batch could not be asked.

        Raises UnknownAccountError, AdmissionError (nothing taken of this part), NotReplicatedError, or redis-py's
        errors: then the same batch id again completes it.
        """
        return answered(self.ask_admit(asked, refused=refused))

    def ask_admit(self, asked: CancelOrders, *, refused: int = 0) -> Asking[Receipt]:
        """As `admit`, over either client."""
        account = yield from self._directory.ask_find(asked.account)
        orders = _orders(asked.orders, account.uid)
        yield from self.ask_room(len(orders))
        batch, replies = self._batch(asked, orders, refused), []
        for chunk in chunks(_by_turns(orders.values()), CHUNK):
            reply = yield from self._admit_chunk(batch, chunk)
            replies.append(reply)
        return _receipt(asked, account, replies, repeated=len(asked.orders) - len(orders))

    def _batch(self, asked: CancelOrders, orders: dict[str, Asked], refused: int) -> dict[str, object]:
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
            "several": self._several,
        }

    def _admit_chunk(self, batch: dict[str, object], chunk: Sequence[Asked]) -> Asking[dict[str, Any]]:
        reply = yield from self.ask("admit", {"batch": batch, "orders": columns(chunk)}, batch_id=str(batch["id"]))
        if reply["status"] == "crowded":
            raise AdmissionError(
                f"{reply['order']!r} is waited for by as many batches as an order may have; hand it in under a "
                f"batch_id that has it, or withdraw some. The part of batch {batch['id']!r} with it was not taken"
            )
        if reply["status"] == "elsewhere":
            raise BatchConflictError(
                f"batch {batch['id']!r} is known on shard {reply['shard']}, where its account {batch['account']} was "
                "before; its outcomes are there, and nothing was taken here: choose another batch_id"
            )
        if reply["status"] == "conflict":
            many = f"{reply['size']} other order{'s' * (reply['size'] != 1)}"
            raise BatchConflictError(f"batch {batch['id']!r} is known with {many}; choose another batch_id")
        return reply

    def run(self, verb: str, argument: Mapping[str, object], *, batch_id: str) -> dict[str, Any]:
        """Runs a verb that takes work for a batch; what it wrote is on `wait_replicas` replicas when this returns."""
        return answered(self.ask(verb, argument, batch_id=batch_id))

    def ask(self, verb: str, argument: Mapping[str, object], *, batch_id: str) -> Asking[dict[str, Any]]:
        """As `run`, over either client."""
        yield self._lock.acquire()
        try:
            reply = yield from self._ask(verb, argument, batch_id)
            yield from self._wait()
        finally:
            self._lock.release()
        return reply

    def _ask(self, verb: str, argument: Mapping[str, object], batch_id: str) -> Asking[dict[str, Any]]:
        try:
            return (yield from self._scripts.ask(verb, argument))
        except ResponseError as error:
            if not is_full(error):
                raise
            raise RedisFullError(
                f"Redis became full (maxmemory) while batch {batch_id!r} was taken; raise maxmemory: a mass cancel "
                "goes on by itself, a batch is completed when the same batch_id is submitted again"
            ) from error

    def _wait(self) -> Asking[None]:
        if not self._wait_replicas:
            return
        have: int = yield self.redis.wait(self._wait_replicas, 1000)
        if have < self._wait_replicas:
            raise NotReplicatedError(
                f"{have} of {self._wait_replicas} replicas confirmed; the primary has the batch, submit the same "
                "batch_id again until this passes"
            )

    def ask_room(self, orders: int) -> Asking[None]:
        """Raises RedisFullError when so many orders may not fit."""
        memory: dict[str, Any] = yield self.redis.info("memory")
        limit, used = int(memory["maxmemory"]), int(memory["used_memory"])
        if limit and used + orders * BYTES_PER_ORDER > limit * FULL_AT:
            raise RedisFullError(
                f"Redis uses {used / limit:.0%} of maxmemory ({limit >> 20} MiB) and {orders} orders may need "
                f"{orders * BYTES_PER_ORDER / 2**20:.1f} MiB; nothing was taken. Raise maxmemory or submit fewer"
            )


def _orders(orders: Sequence[Order], uid: str) -> dict[str, Asked]:
    """The distinct orders by job id, in the order given."""
    found: dict[str, Asked] = {}
    for order in orders:
        job = _job_of(order, uid)
        name = str(job)
        if name not in found:
            found[name] = Asked(name, job.lane, str(len(found)), job.cl_ord_id or "")
    return found


def _job_of(order: Order, uid: str) -> JobId:
    if order.is_algo:
        return JobId(uid + ALGOS, order.instId, order.algoId, order.algoClOrdId)
    return JobId(uid, order.instId, order.ordId, order.clOrdId)


def _by_turns(orders: Iterable[Asked]) -> list[Asked]:
    lanes: dict[str, list[Asked]] = {}
    for order in orders:
        lanes.setdefault(order.lane, []).append(order)
    turns = zip_longest(*(chunks(lane, PER_TURN) for lane in lanes.values()), fillvalue=())
    return [order for turn in turns for chunk in turn for order in chunk]


def _digest(account: str, orders: Iterable[str]) -> str:
    """Names the orders as the producer knows them: a changed UID setting makes no other batch of them."""
    known = sorted(ALGOS * is_of_algos(job) + job.partition("/")[2] for job in orders)
    return hashlib.sha256("\n".join([account, *known]).encode()).hexdigest()[:32]


def earliest_us(now_us: int, lanes: Mapping[str, Sequence[int]], account: AccountInfo) -> int:
    """When the exchange's limits allow the last order of these lanes to be sent, on the clock of `now_us`.

    A lane's figures are those of the verb `admit`; those of algo orders have limits of their own.
    """
    loads = {lane: LaneLoad(q, s, b, held / 1e6) for lane, (q, s, b, held) in lanes.items()}
    waits = (earliest_s(load, *account.limits_of(lane), account.window_s) for lane, load in loads.items())
    return now_us + round(max(waits, default=0.0) * 1e6)


def _receipt(asked: CancelOrders, account: AccountInfo, replies: list[dict[str, Any]], *, repeated: int) -> Receipt:
    last = replies[-1]
    lanes = {lane: load for reply in replies for lane, load in reply["lanes"].items()}
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
        earliest_done_at=time_of(earliest_us(last["now"], lanes, account)),
        paused=tuple(sorted({scope for reply in replies for scope in reply["paused"]})),
        **counts,
    )
