"""Does a worker outlive its broker, and end when it is told to, whatever the broker does?"""

# mypy: allow-untyped-calls
from __future__ import annotations

import contextlib
import json
import re
import socket
import subprocess
import threading
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
from kombu.connection import Connection
from redis import Redis
from redis.exceptions import RedisError

from bulk_cancel.worker.service.broker import celery_config
from bulk_cancel.worker.service.broker.config import VISIBILITY_TIMEOUT_S
from bulk_cancel.worker.service.broker.qos import PUT_OFF, PUT_OFF_S, Popped
from bulk_cancel.worker.simulator.embedded import EmbeddedRedis, server_binary
from tests.support.broker_app.servers import Worker, message
from tests.support.waiting import PATIENCE_S, comes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bulk_cancel.worker.service.broker.qos import Message
    from bulk_cancel.worker.service.broker.transport import Channel

PROMPT_S = 20.0
"""How long a worker may take to end; with kombu's retries on timeouts it took up to a minute."""


@pytest.fixture(scope="module")
def state() -> Iterator[Redis]:
    """A Redis that stays, for what the tasks noted."""
    with EmbeddedRedis() as server, Redis.from_url(server.url) as client:
        yield client


@pytest.fixture
def broker() -> Iterator[EmbeddedRedis]:
    """A Redis that keeps its queues over a kill, of one test's own."""
    with EmbeddedRedis(options={"appendonly": "yes"}) as server:
        yield server


@pytest.fixture
def worker(broker: EmbeddedRedis, state: Redis, tmp_path: Path) -> Iterator[Worker]:
    """A worker that waits for messages."""
    state.flushall()
    with Worker(tmp_path, broker.url, url_of(state)) as started:
        assert comes(started.ready), started.logged()
        yield started


def url_of(client: Redis) -> str:
    """Where this client is connected."""
    return f"redis://127.0.0.1:{client.get_connection_kwargs()['port']}/0"


def push(broker: EmbeddedRedis, *messages: bytes, front: bool = False) -> None:
    """Put messages at the end of the queue, or before all others."""
    with Redis.from_url(broker.url) as client:
        (client.rpush if front else client.lpush)("cancel", *messages)


def resumes(broker: EmbeddedRedis, state: Redis) -> bool:
    """Whether a message pushed before all others now is run."""
    marker = str(uuid.uuid4())
    push(broker, message(marker=marker), front=True)
    return comes(lambda: bool(state.sismember("done", marker)))


def make_busy(broker: EmbeddedRedis, state: Redis, *, sleep_s: float) -> set[bytes]:
    """Queue three times what the worker can run at once, and wait until some ran; returns the markers."""
    markers = [str(uuid.uuid4()) for _ in range(96)]
    push(broker, *(message(marker=marker, sleep_s=sleep_s) for marker in markers))
    assert comes(lambda: state.scard("done") > 0)
    return {marker.encode() for marker in markers}


def test_a_busy_worker_outlives_kills_of_its_broker(broker: EmbeddedRedis, state: Redis, worker: Worker) -> None:
    """The broker dies under load and comes back, thrice: work resumes, all of it runs."""
    wanted: set[bytes] = set()
    for _ in range(3):
        state.delete("done")
        wanted = make_busy(broker, state, sleep_s=0.1)
        tried = worker.logged().count("Cannot connect")
        broker.kill()
        assert comes(lambda before=tried: worker.logged().count("Cannot connect") > before)  # type: ignore[misc]
        broker.start()
        assert resumes(broker, state), worker.logged()
    # a pop whose answer the kill cut off is lost, as with any Redis list
    assert comes(lambda: len(wanted - state.smembers("done")) <= 1)
    assert worker.alive()


def test_a_busy_worker_outlives_lost_connections(broker: EmbeddedRedis, state: Redis, worker: Worker) -> None:
    """Connections that break while the broker lives: nothing dies, and no message stays unacknowledged."""
    for _ in range(3):
        make_busy(broker, state, sleep_s=0.05)
        with Redis.from_url(broker.url) as client:
            client.client_kill_filter(_type="normal", skipme=True)
        assert resumes(broker, state), worker.logged()
        state.delete("done")
    with Redis.from_url(broker.url) as client:
        assert comes(lambda: not client.exists("cancel", "t:broker:unacked"))
        assert client.info("clients")["connected_clients"] < 20
    assert worker.alive()


@pytest.mark.parametrize("busy", [False, True])
def test_sigterm_ends_a_worker_whose_broker_is_silent(
    busy: bool,  # noqa: FBT001
    broker: EmbeddedRedis,
    state: Redis,
    worker: Worker,
) -> None:
    """A frozen broker keeps its connections and answers nothing: the worker ends all the same."""
    if busy:
        make_busy(broker, state, sleep_s=0.5)
    broker.freeze()
    try:
        assert worker.seconds_to_stop() < PROMPT_S
    finally:
        broker.thaw()


def test_a_worker_resumes_when_its_broker_was_silent(broker: EmbeddedRedis, state: Redis, worker: Worker) -> None:
    """After silence long enough for the worker to give its connection up it runs messages again."""
    broker.freeze()
    assert comes(lambda: "Connection to broker lost" in worker.logged()), worker.logged()
    broker.thaw()
    assert resumes(broker, state), worker.logged()


def test_unfinished_work_goes_back_at_sigterm(broker: EmbeddedRedis, state: Redis, worker: Worker) -> None:
    """What the worker did not run is in the queue when it has ended, for the next one."""
    wanted = make_busy(broker, state, sleep_s=0.3)
    worker.seconds_to_stop()
    with Redis.from_url(broker.url) as client:
        assert client.llen("cancel") == len(wanted - state.smembers("done"))
        assert not client.exists("t:broker:unacked")


def test_sigterm_ends_a_worker_that_never_reached_its_broker(state: Redis, tmp_path: Path) -> None:
    """Something takes the connection and says nothing: SIGTERM ends the attempts."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"redis://127.0.0.1:{listener.getsockname()[1]}/0"
        listener.settimeout(30)
        with Worker(tmp_path, url, url_of(state)) as worker, contextlib.closing(listener.accept()[0]):
            threading.Thread(target=swallow, args=(listener,), daemon=True).start()
            assert worker.seconds_to_stop() < PROMPT_S


def swallow(listener: socket.socket) -> None:
    """Take every connection until the listener is closed."""
    taken = []
    with contextlib.suppress(OSError):
        while True:
            taken.append(listener.accept()[0])
    for connection in taken:
        connection.close()


def test_a_worker_follows_sentinel_to_the_new_primary(broker: EmbeddedRedis, state: Redis, tmp_path: Path) -> None:
    """A `sentinel://` URL finds the primary; when that dies the worker goes on at its replica."""
    state.flushall()
    with EmbeddedRedis() as replica:
        with Redis.from_url(replica.url) as client:
            client.replicaof("127.0.0.1", str(broker.port))
            assert comes(lambda: client.info("replication")["master_link_status"] == "up")
        with sentinel_of(broker, tmp_path) as (sentinel, url), Worker(tmp_path, url, url_of(state)) as worker:
            assert comes(worker.ready), worker.logged()
            assert resumes(broker, state), worker.logged()
            broker.kill()
            sentinel.sentinel_set("bc", "down-after-milliseconds", 300)
            with Redis.from_url(replica.url) as client:
                # one that was not scheduled for two seconds trusts nothing that it sees for thirty
                assert comes(lambda: is_primary(client), 2 * PATIENCE_S)
            assert resumes(replica, state), worker.logged()


def is_primary(client: Redis) -> bool:
    """Whether this server was promoted; Sentinel ends the connections to a server when it promotes it."""
    with contextlib.suppress(RedisError):
        return bool(client.info("replication")["role"] == "master")
    return False


@contextlib.contextmanager
def sentinel_of(primary: EmbeddedRedis, folder: Path) -> Iterator[tuple[Redis, str]]:
    """A Sentinel that watches this server as `bc`, and its URL, twice, so that a failover switches URLs too.

    A server that is only slow is not down for it, until it is told to be less patient.
    """
    config = folder / "sentinel.conf"
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    lines = [f"port {port}", "bind 127.0.0.1", f"sentinel monitor bc 127.0.0.1 {primary.port} 1"]
    timing = ["sentinel down-after-milliseconds bc 60000", "sentinel failover-timeout bc 3000"]
    config.write_text("\n".join([*lines, *timing, ""]))
    command = [str(server_binary()), str(config), "--sentinel"]
    with Redis(port=port) as client, (folder / "sentinel.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, cwd=folder)
        try:
            assert comes(lambda: knows_a_replica(client))
            yield client, f"sentinel://127.0.0.1:{port};sentinel://127.0.0.1:{port}/0?master_name=bc"
        finally:
            process.kill()
            process.wait()


def knows_a_replica(sentinel: Redis) -> bool:
    """Whether this Sentinel could fail over."""
    with contextlib.suppress(RedisError):
        return int(sentinel.sentinel_masters()["bc"]["num-slaves"]) > 0  # type: ignore[call-overload]
    return False


@contextlib.contextmanager
def consuming(broker: EmbeddedRedis) -> Iterator[tuple[Channel, list[Message]]]:
    """A channel that consumes from `cancel`, and what it got."""
    config = celery_config(broker_url=broker.url, key_prefix="t")
    with Connection(broker.url, transport_options=config["broker_transport_options"]) as connection:
        channel = connection.default_channel
        got: list[Message] = []
        channel.basic_consume("cancel", no_ack=False, callback=got.append, consumer_tag="c")
        yield channel, got


@pytest.mark.parametrize("priority", ["", "\x06\x163", "\x06\x169"])
def test_an_urgent_message_is_urgent_whatever_priority_it_names(broker: EmbeddedRedis, priority: str) -> None:
    """Queues take turns, so it is one of the next two; for RabbitMQ's clients 9 comes first, for kombu's last."""
    with Redis.from_url(broker.url) as client:
        client.lpush("cancel", *(message(marker="normal") for _ in range(10)))
        client.lpush(f"urgent{priority}", message(marker="urgent", queue="urgent"))
    with consuming(broker) as (channel, got):
        channel.basic_consume("urgent", no_ack=True, callback=got.append, consumer_tag="u")
        while len(got) < 2:
            channel.connection.client.drain_events(timeout=PATIENCE_S)
        assert "urgent" in [each.queue for each in got[:2]]


@pytest.mark.parametrize("priority", ["", "\x06\x163"])
def test_what_waits_for_a_busy_worker_is_not_deleted(
    broker: EmbeddedRedis, state: Redis, worker: Worker, priority: str
) -> None:
    """A producer whose Queue has `expires` gives the list a time to live, and nobody takes from it meanwhile."""
    with Redis.from_url(broker.url) as client:
        push(broker, *(message(marker=f"long{index}", until="let-go") for index in range(32)))
        assert comes(lambda: client.llen("cancel") == 8), worker.logged()
        client.lpush(f"cancel{priority}", message(marker="waits"))
        client.expire(f"cancel{priority}", 10)
        assert comes(lambda: client.ttl(f"cancel{priority}") == -1)
    state.set("let-go", 1)
    assert comes(lambda: bool(state.sismember("done", "waits"))), worker.logged()


def test_what_nobody_reads_may_expire(broker: EmbeddedRedis) -> None:
    """Only lists of the queues that are consumed are kept: the others are unused, which is what `expires` is about."""
    with Redis.from_url(broker.url) as client:
        for queue in ("cancel", "urgent"):
            client.lpush(queue, message(marker="waits"))
            client.expire(queue, 100)
        with consuming(broker) as (channel, _):
            channel.qos.restore_visible(num=9)
            assert (client.ttl("cancel"), client.ttl("urgent") > 0) == (-1, True)


def test_an_acknowledgement_may_come_after_the_channel_is_gone(broker: EmbeddedRedis) -> None:
    """A channel closes without raising while the broker is dead; once it is back a late ack reaches it."""
    push(broker, message(marker="x"))
    with consuming(broker) as (channel, got):
        channel.connection.client.drain_events(timeout=PATIENCE_S)
        broker.kill()
        channel.close()
        assert channel.connection is None
        broker.start()
        with Redis.from_url(broker.url) as client:
            assert client.hlen("t:broker:unacked") == 1
            got[0].ack()
            assert not client.exists("cancel", "t:broker:unacked", "t:broker:unacked:index")


def test_a_message_that_cannot_be_booked_is_handled_all_the_same(broker: EmbeddedRedis) -> None:
    """What was popped as the broker died is in nobody's hands but ours."""
    with consuming(broker) as (channel, got):
        broker.kill()
        channel.connection._deliver(Popped(message(marker="x"), "cancel"), "cancel")
        assert [(found.headers["task"], found.booked) for found in got] == [("t.note", False)]
        got[0].ack()
        broker.start()


def test_a_message_that_is_put_off_occupies_nobody_and_comes_again(broker: EmbeddedRedis) -> None:
    """Booked or not when it came, it is in the book, and old enough to be given out again in a few seconds."""
    push(broker, message(marker="booked"))
    with consuming(broker) as (channel, got), Redis.from_url(broker.url) as client:
        channel.connection.client.drain_events(timeout=PATIENCE_S)
        channel.connection._deliver(Popped(message(marker="not booked"), "cancel"), "cancel")
        client.delete("t:broker:unacked", "t:broker:unacked:index")
        got[1].booked = False
        before = time.time()
        for found in got:
            found.reject(requeue=PUT_OFF)
        assert channel.qos._in_work() == {}
        booked = [at for _, at in client.zrange("t:broker:unacked:index", 0, -1, withscores=True)]
        assert len(booked) == 2
        put_off_at = [at + VISIBILITY_TIMEOUT_S - PUT_OFF_S for at in booked]
        assert before - 0.001 <= min(put_off_at) <= max(put_off_at) <= time.time() + 0.001
        client.zadd("t:broker:unacked:index", {got[0].delivery_tag: time.time()})  # however long all this has taken
        client.zincrby("t:broker:unacked:index", -PUT_OFF_S, got[1].delivery_tag)
        channel.qos.restore_visible(num=9)
        assert client.lrange("cancel", 0, -1) == [got[1].raw]


def test_what_could_not_be_booked_goes_back_all_the_same(broker: EmbeddedRedis) -> None:
    """Nobody else has it."""
    with consuming(broker) as (channel, got), Redis.from_url(broker.url) as client:
        channel.connection._deliver(Popped(message(marker="x"), "cancel"), "cancel")
        client.delete("t:broker:unacked", "t:broker:unacked:index")
        got[0].booked = False
        got[0].reject(requeue=True)
        assert client.lrange("cancel", 0, -1) == [got[0].raw]


@pytest.mark.parametrize("end", ["requeue", "put off", "close"])
def test_what_could_not_be_booked_is_kept_until_the_broker_answers(broker: EmbeddedRedis, end: str) -> None:
    """Nobody else has it, and the broker is still away when it is to go back; channels come and go meanwhile."""
    with consuming(broker) as (channel, got):
        broker.kill()
        channel.connection._deliver(Popped(message(marker="x"), "cancel"), "cancel")
        if end == "close":
            channel.close()
        else:
            got[0].reject(requeue=True if end == "requeue" else PUT_OFF)
        broker.start()
    with consuming(broker) as (channel, _), Redis.from_url(broker.url) as client:
        channel.qos.restore_visible(num=9)
        assert client.lrange("cancel", 0, -1) == [got[0].raw]
        channel.qos.restore_visible(num=9)
        assert client.llen("cancel") == 1


def test_a_channel_closes_though_its_last_pop_is_never_answered(broker: EmbeddedRedis) -> None:
    """The pop is in flight when the broker falls silent: the channel is closed, not left half open."""
    with consuming(broker) as (channel, _):
        channel.connection.cycle.on_poll_start()
        broker.freeze()
        channel.close()
        assert channel.closed
        broker.thaw()


@pytest.mark.parametrize("pool", ["solo", "processes"])
def test_another_pool_ends_the_process_with_a_reason(pool: str, state: Redis, tmp_path: Path) -> None:
    """Only threads are supported; anything else is said at once, with status 1."""
    with Worker(tmp_path, url_of(state), url_of(state), "-P", pool) as worker:
        with contextlib.suppress(subprocess.TimeoutExpired):
            worker.process.wait(30)
        assert worker.process.returncode == 1
        assert "threads pool" in worker.logged()
        assert "Traceback" not in worker.logged()


def test_a_queue_key_of_another_type_stops_its_queue_alone(broker: EmbeddedRedis, state: Redis, worker: Worker) -> None:
    """The other queue goes on, the log names the key once, and the queue is read again when the key has gone."""
    with Redis.from_url(broker.url) as client:
        client.set("cancel", "x")
        for marker in ("first", "second"):
            client.lpush("urgent", message(marker=marker))
            assert comes(lambda marker=marker: bool(state.sismember("done", marker))), worker.logged()  # type: ignore[misc]
            assert comes(lambda: "'cancel' is a string, not a list" in worker.logged()), worker.logged()
        assert worker.logged().count("'cancel' is a string, not a list") == 1
        client.delete("cancel")
    assert resumes(broker, state), worker.logged()
    assert "Connection to broker lost" not in worker.logged()


@pytest.mark.parametrize("key", ["cancel", "cancel\x06\x163"])
def test_a_queue_key_that_was_of_another_type_before_a_worker_came(
    key: str, broker: EmbeddedRedis, state: Redis, tmp_path: Path
) -> None:
    """The same at a start: one that connects asks for the length of each list."""
    state.flushall()
    with Redis.from_url(broker.url) as client:
        client.set(key, "x")
        client.lpush("urgent", message(marker="urgent"))
        with Worker(tmp_path, broker.url, url_of(state)) as worker:
            assert comes(lambda: bool(state.sismember("done", "urgent"))), worker.logged()
            assert comes(lambda: f"{key!r} is a string, not a list" in worker.logged()), worker.logged()
            client.delete(key)
            assert resumes(broker, state), worker.logged()
            assert "Connection to broker lost" not in worker.logged()


def test_every_priority_of_a_queue_is_read(broker: EmbeddedRedis, state: Redis, worker: Worker) -> None:
    """Clients with `priority_steps` of their own put messages into lists for priorities that kombu does not use."""
    with Redis.from_url(broker.url) as client:
        for priority in range(1, 10):
            client.lpush(f"cancel\x06\x16{priority}", message(marker=f"p{priority}"))
    assert comes(lambda: state.scard("done") == 9), worker.logged()


def test_a_message_in_work_is_not_given_out_again(broker: EmbeddedRedis, state: Redis, worker: Worker) -> None:
    """One that takes three times the visibility timeout runs once, as long as its worker lives."""
    push(broker, message(marker="long", sleep_s=6))
    assert comes(lambda: bool(state.sismember("done", "long"))), worker.logged()
    with Redis.from_url(broker.url) as client:
        assert comes(lambda: not client.exists("cancel", "t:broker:unacked"))
    assert state.get("runs") == b"1"


def test_an_urgent_message_finds_a_thread(broker: EmbeddedRedis, state: Redis, worker: Worker) -> None:
    """Though more normal messages are in work and wait than there are threads; these have all the others."""
    push(broker, *(message(marker=f"m{index}", until="let-go") for index in range(40)))
    with Redis.from_url(broker.url) as client:
        assert comes(lambda: client.llen("cancel") == 16)
        client.lpush("urgent", message(marker="urgent"))
    assert comes(lambda: state.scard("done") > 0), worker.logged()
    assert state.smembers("done") == {b"urgent"}
    state.set("let-go", 1)
    assert comes(lambda: state.scard("done") == 41)


def test_large_messages_come_two_at_a_time(broker: EmbeddedRedis, state: Redis, worker: Worker) -> None:
    """Their memory and time are bounded; all of them run."""
    push(broker, *(message(marker=f"m{index}", until="let-go", filler="x" * 3_000_000) for index in range(4)))
    with Redis.from_url(broker.url) as client:
        assert comes(lambda: client.hlen("t:broker:unacked") == 2)
        assert not comes(lambda: client.hlen("t:broker:unacked") > 2, timeout_s=0.5)
    state.set("let-go", 1)
    assert comes(lambda: state.scard("done") == 4)
    assert worker.alive()


def test_a_message_that_is_too_long_is_never_parsed(broker: EmbeddedRedis, state: Redis, worker: Worker) -> None:
    """Four of 60 MB are refused by their heads, one after the other: the worker stays small."""
    whole = message(filler="x" * 60_000_000)
    for _ in range(4):
        push(broker, whole)
    assert comes(lambda: state.llen("refused") == 4), worker.logged()
    source, (error,), head, length = json.loads(cast("bytes", state.lindex("refused", 0)))
    assert (source, head, length) == ("cancel", whole[:1000].decode(), len(whole))
    assert "bytes, more than" in error
    with Redis.from_url(broker.url) as client:
        assert comes(lambda: not client.exists("cancel", "t:broker:unacked"))
    assert peak_mb(worker) < 500


def peak_mb(worker: Worker) -> int:
    """The most memory that its process has had."""
    (line,) = re.findall(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{worker.process.pid}/status").read_text())
    return int(line) // 1024


def test_a_long_message_outlives_a_sink_that_fails(broker: EmbeddedRedis, state: Redis, worker: Worker) -> None:
    """It is booked then, and refused once the sink works again."""
    state.set("sink-down", 1)
    push(broker, message(filler="x" * 9_000_000))
    with Redis.from_url(broker.url) as client:
        assert comes(lambda: client.hlen("t:broker:unacked") == 1), worker.logged()
        state.delete("sink-down")
        assert comes(lambda: state.llen("refused") == 1)
        assert comes(lambda: not client.exists("cancel", "t:broker:unacked"))
