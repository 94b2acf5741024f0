"""What do handing in and keeping cost? `submit()` and the memory of a job, in a Redis without workers."""

import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any, Final

from redis import Redis

from bench.figures import Ids, Storage
from bench.rigs import DEPLOYED, until
from bulk_cancel.tasks.messages import parse_cancel_orders
from bulk_cancel.worker.config.settings import Settings
from bulk_cancel.worker.simulator.embedded import EmbeddedRedis
from bulk_cancel.worker.state.store import Store, adopt, open_store

UID: Final = "1001"
PREFIX: Final = "no variable of BULK_CANCEL_"


@contextmanager
def queue_alone() -> Iterator[Store]:
    """A Redis that only holds lanes: no worker, no exchange."""
    account = {"api_key": "k", "api_secret": "s", "passphrase": "p", "uid": UID}
    with EmbeddedRedis(options=DEPLOYED) as redis:
        plain: dict[str, Any] = {"redis_url": redis.url, "accounts": {"desk1": account}}
        store = open_store(Settings(_env_prefix=PREFIX, _env_file=None, **plain))
        with closing(store.redis):
            adopt(store)
            yield store


def measure_storage(ids: Ids, count: int) -> Storage:
    """`count` orders in one batch."""
    with queue_alone() as store:
        rows = [{"instId": "BTC-USDT-SWAP", **_ids_of(ids, number)} for number in range(count)]
        memory, began = memory_bytes(store.redis), time.perf_counter()
        asked = parse_cancel_orders(account="desk1", orders=rows, batch_id="bulk")
        parsed = time.perf_counter()
        store.admission.admit(asked)
        ended = time.perf_counter()
        used = memory_bytes(store.redis) - memory
    return Storage(ids, count / (ended - began), count / (ended - parsed), used / count)


def _ids_of(ids: Ids, number: int) -> Mapping[str, str]:
    """A 16-digit `ordId`, or 19 digits and a `clOrdId` of 32 characters besides."""
    if ids == "usual":
        return {"ordId": str(2510789768709120 + 1_000 * number)}
    return {"ordId": str(2510789768709120123 + 1_000 * number), "clOrdId": f"desk1{number:027}"}


def memory_bytes(redis: Redis) -> int:
    """What the data take, once no rewrite of the append-only file copies them; without that file's buffers."""
    until(lambda: not _rewriting(redis))
    info: dict[str, Any] = redis.info("memory")
    return int(info["used_memory"]) - int(info["mem_aof_buffer"])


def _rewriting(redis: Redis) -> bool:
    info: dict[str, Any] = redis.info("persistence")
    return bool(info["aof_rewrite_in_progress"] or info["aof_rewrite_scheduled"])
