"""Can any message in a queue kill a worker, stop it, or vanish? All kinds we know, one worker for all."""

from __future__ import annotations

import json
import time
import uuid
from typing import TYPE_CHECKING, cast

import pytest
from redis import Redis

from bulk_cancel.worker.service.broker.consumer import SINK_REST_S
from bulk_cancel.worker.simulator.embedded import EmbeddedRedis
from tests.support.broker_app.poison import KINDS, RUNS
from tests.support.broker_app.servers import Worker, message
from tests.support.waiting import comes

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedRedis]:
    """Broker and state."""
    with EmbeddedRedis() as started:
        yield started


@pytest.fixture
def client(server: EmbeddedRedis) -> Iterator[Redis]:
    """A client of it."""
    with Redis.from_url(server.url) as connected:
        yield connected


@pytest.fixture(scope="module")
def worker(server: EmbeddedRedis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """One worker for all kinds."""
    with Worker(tmp_path_factory.mktemp("worker"), server.url, server.url) as started:
        assert comes(started.ready), started.logged()
        yield started


def good_one_runs(client: Redis) -> bool:
    """Whether a good message pushed now is run."""
    marker = str(uuid.uuid4())
    client.lpush("cancel", message(marker=marker))
    return comes(lambda: bool(client.sismember("done", marker)))


def settled(client: Redis) -> bool:
    """Whether no message is in the queue or unacknowledged."""
    return not client.exists("cancel", "t:broker:unacked", "t:broker:unacked:index")


@pytest.mark.parametrize("kind", KINDS)
def test_poison_is_run_or_kept_and_the_next_message_runs(kind: str, client: Redis, worker: Worker) -> None:
    """It is executed or ends in the sink with its reason, is acknowledged, and harms nothing."""
    raw, expected = KINDS[kind]
    client.delete("refused", "runs")
    client.lpush("cancel", raw)
    assert good_one_runs(client)
    assert comes(lambda: settled(client))
    assert worker.alive()
    refused = [json.loads(row) for row in cast("list[bytes]", client.lrange("refused", 0, -1))]
    runs = int(cast("bytes", client.get("runs")))
    if expected == RUNS:
        assert (refused, runs) == ([], 2)
    else:
        [(source, errors, payload, length)] = refused
        assert source == "cancel"
        assert expected in "; ".join(errors)
        assert payload == raw.decode("utf-8", "backslashreplace")[:1000]
        assert length == len(raw.decode("utf-8", "backslashreplace"))
        assert runs == 1


def test_an_unreadable_message_is_logged_whole_within_bounds(client: Redis, worker: Worker) -> None:
    """The log holds the bytes of what no program could read, up to 10 KB, and its length."""
    client.lpush("cancel", b"\xffneedle" + b"y" * 50_000)
    assert good_one_runs(client)
    [line] = [line for line in worker.logged().splitlines() if "needle" in line]
    assert "50007 bytes" in line
    assert 10_000 < len(line) < 11_000


def test_a_message_outlives_a_sink_that_fails(client: Redis, worker: Worker) -> None:
    """While the sink fails the message stays in Redis, good ones run, nothing spins; then it is kept."""
    client.delete("refused", "sink-calls")
    client.set("sink-down", 1)
    began = time.monotonic()
    client.lpush("cancel", b"no \xff JSON", b"no \xff JSON")
    assert good_one_runs(client)
    assert comes(lambda: client.hlen("t:broker:unacked") == 2)  # the good one is acknowledged after its run
    assert comes(lambda: "will come again" in worker.logged())
    client.delete("sink-down")
    rests = (time.monotonic() - began) // SINK_REST_S
    assert comes(lambda: client.llen("refused") == 2)
    assert 1 <= int(cast("bytes", client.get("sink-calls"))) <= 1 + rests
    for row in cast("list[bytes]", client.lrange("refused", 0, -1)):
        assert json.loads(row)[2] == "no \\xff JSON"
    assert comes(lambda: settled(client))
