"""Health: whether this process lives, and whether it can be given work. For probes, so without a token."""

from concurrent.futures import ThreadPoolExecutor, wait
from typing import Final

from fastapi import APIRouter, Response
from redis.exceptions import RedisError

from bulk_cancel.tasks.errors import UnreadableFormatError
from bulk_cancel.worker.gateway.answers import answer
from bulk_cancel.worker.gateway.parts import Desk, Desks, Runner
from bulk_cancel.worker.gateway.schemas import shape
from bulk_cancel.worker.state.fleet import read_workers

router = APIRouter(tags=["health"])

SOON_S: Final = 0.7
"""Kubernetes gives a probe a second unless told otherwise."""

_AWAY: Final = {"redis": False, "format": False, "worker": False}
_OK = {"description": "So it is", "content": {"application/json": {"schema": shape("health")}}}
_NOT = {**_OK, "description": "Not so; `ready` says what is missing"}


@router.head("/healthz", include_in_schema=False)
@router.get("/healthz", operation_id="alive", responses={200: _OK})
async def alive() -> Response:
    """This process answers; nothing is asked of Redis, so that nobody restarts it because Redis is away."""
    return answer("health", {"ok": True})


@router.head("/readyz", include_in_schema=False)
@router.get("/readyz", operation_id="ready", responses={200: _OK, 503: _NOT})
def ready(runner: Runner) -> Response:
    """Redis is reached, its state has a format that this release reads, and a worker is alive.

    Of several shards one is enough, whose points `ready` has: the others must not keep its orders out. `shards` has the
    points of each.
    """
    told = _soon(runner) if runner.several else {"": _points(runner.all()[0])}
    points = max(told.values(), key=lambda each: sum(each.values()))
    ok = all(points.values())
    shards = {"shards": told} if runner.several else {}
    return answer("health", {"ok": ok, "ready": points, **shards}, 200 if ok else 503)


def _soon(runner: Desks) -> dict[str, dict[str, bool]]:
    """The points of each shard; a silent one does not keep the probe waiting for longer than probes wait."""
    pool = ThreadPoolExecutor(len(runner.shards.names), "ready")
    asked = {desk.shard.name: pool.submit(_points, desk) for desk in runner.all()}
    pool.shutdown(wait=False)
    wait(asked.values(), SOON_S)
    return {name: each.result() if each.done() else dict(_AWAY) for name, each in asked.items()}


def _points(desk: Desk) -> dict[str, bool]:
    try:
        snapshot = desk.snapshot()
    except RedisError:
        return dict(_AWAY)
    except UnreadableFormatError:
        workers = read_workers(desk.store.redis, desk.store.keys)
        return {"redis": True, "format": False, "worker": any(worker.alive for worker in workers)}
    return {"redis": True, "format": True, "worker": snapshot.alive > 0}
