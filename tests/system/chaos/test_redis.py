"""Does the work survive what can happen to Redis? Kills, silence, lost connections and scripts, no memory."""

import threading
import time
from collections.abc import Iterator

import pytest
from redis.exceptions import RedisError

from bulk_cancel.tasks.errors import RedisFullError
from bulk_cancel.worker.state.batches import UnknownBatchError
from tests.support.answering import answers
from tests.support.rig import Rig
from tests.system.chaos.drill import (
    BLACKOUT_S,
    QUICK,
    all_off_book,
    cancels,
    place,
    quick_exchange,
    started,
    submit,
    waiting,
)
from tests.system.chaos.report import Witness, long_form

DOWN_S = 4.0
"""Longer than the second in which a granted call must be written, by more than a busy machine may hold it up."""


class Producer(threading.Thread):
    """Hands in small batches all the time, each until Redis took it."""

    def __init__(self, rig: Rig, batches: list[list[dict[str, str]]]) -> None:
        super().__init__(daemon=True)
        self._rig = rig
        self._batches = batches
        self.accepted: list[str] = []
        self.failures = 0
        self.start()

    def run(self) -> None:
        """One batch after the other; a batch whose answer is an error is handed in again."""
        for number, rows in enumerate(self._batches):
            while not self._handed_in(f"p{number}", rows):
                time.sleep(0.05)
            time.sleep(0.02)

    def _handed_in(self, batch_id: str, rows: list[dict[str, str]]) -> bool:
        try:
            submit(self._rig, batch_id, rows)
        except RedisError:
            self.failures += 1
            return False
        self.accepted.append(batch_id)
        return True


@pytest.mark.parametrize("fsync", ["everysec", "always"] if long_form() else ["always"])
def test_kill_9_of_redis_under_load(fsync: str, witness: Witness, long: bool) -> None:  # noqa: FBT001
    """Nobody has to be restarted, nothing accepted is lost, nothing is sent until forgotten slots must have ended."""
    kills = 3 if long else 1
    options = {"appendonly": "yes", "appendfsync": fsync}
    with Rig(workers=2, config=quick_exchange(), redis=options, settings=QUICK) as rig:
        small = place(rig, 400, lanes=4)
        submit(rig, "b", place(rig, 4000 if long else 1000, lanes=4))
        started(rig, "b")
        producer = Producer(rig, [small[start::100] for start in range(100)])
        rig.wait_for(lambda: bool(producer.accepted))
        for _ in range(kills):
            _kill_redis(rig, witness)
        producer.join(60)
        assert producer.failures > 0
        for batch in ("b", *producer.accepted):
            rig.done(batch, 60)
        assert len(producer.accepted) == 100
        witness.judge(rig)
        assert all(worker.poll() is None for worker in rig.workers)


def _kill_redis(rig: Rig, witness: Witness) -> None:
    """Down until all that was granted has arrived, then up; nobody sends before the blackout ended."""
    before = rig.store.batches.state("b").waiting
    rig.redis.kill()
    witness.injected()
    time.sleep(DOWN_S)
    up = time.time()  # before the start: the blackout begins with the first call that the new server takes
    rig.redis.start()
    witness.ended()
    if before:
        time.sleep(BLACKOUT_S)
        sent = [arrival.at_us / 1e6 - up for arrival in cancels(rig) if arrival.at_us / 1e6 > up]
        assert not [after for after in sent if after < BLACKOUT_S], sent[:5]
        left = waiting(rig, "b")
        rig.wait_for(lambda: left == 0 or waiting(rig, "b") < left)  # the next kill strikes under load, too


@pytest.fixture(scope="module")
def shared() -> Iterator[Rig]:
    """One runner for the faults after which it must be as before."""
    with Rig(workers=2, config=quick_exchange(), settings=QUICK) as rig:
        yield rig


def test_redis_frozen(
    shared: Rig,
    witness: Witness,
    long: bool,  # noqa: FBT001
    slack: float,
) -> None:
    """Work resumes within 15 s of its return; a submit meanwhile fails in time, and never takes half of a batch."""
    frozen_s = 10 if long else 3
    submit(shared, "frozen", place(shared, 4000 if long else 1000, lanes=4))
    meanwhile = place(shared, 600, lanes=4)
    started(shared, "frozen")
    shared.redis.freeze()
    witness.injected()
    thaw = threading.Timer(frozen_s, shared.redis.thaw)
    thaw.start()
    began = time.monotonic()
    try:
        submit(shared, "meanwhile", meanwhile)
    except RedisError:
        assert time.monotonic() - began < 8 * slack
    thaw.join()
    witness.ended()
    shared.wait_for(lambda: answers(shared.store.redis))  # everybody connects anew at once
    shared.done("frozen", 40)
    _never_half(shared, "meanwhile", 600)
    submit(shared, "meanwhile", meanwhile)
    shared.done("meanwhile", 40)
    finding = witness.judge(shared)
    assert finding.resume_s is not None
    assert finding.resume_s < 15 * slack


def _never_half(rig: Rig, batch_id: str, size: int) -> None:
    try:
        state = rig.store.batches.state(batch_id)
    except UnknownBatchError:
        return
    assert not state.complete or sum(state.counts.values()) == size


def test_script_flush(
    shared: Rig,
    witness: Witness,
    long: bool,  # noqa: FBT001
    slack: float,
) -> None:
    """Verbs that the server forgot are loaded again: no stall."""
    submit(shared, "flush", place(shared, 4000 if long else 1000, lanes=4))
    started(shared, "flush")
    for _ in range(20 if long else 5):
        shared.store.redis.script_flush()
        witness.injected().ended()
        time.sleep(0.1)
    shared.done("flush")
    finding = witness.judge(shared)
    assert finding.resume_s is not None
    assert finding.resume_s < 3 * slack


def test_client_kill(
    shared: Rig,
    witness: Witness,
    long: bool,  # noqa: FBT001
    slack: float,
) -> None:
    """Every connection is cut, again and again: all come back by themselves."""
    submit(shared, "cut", place(shared, 4000 if long else 1000, lanes=4))
    started(shared, "cut")
    for _ in range(10 if long else 3):
        shared.store.redis.client_kill_filter(_type="normal", skipme=True)
        witness.injected().ended()
        time.sleep(0.3)
    shared.done("cut", 30)
    finding = witness.judge(shared)
    assert finding.resume_s is not None
    assert finding.resume_s < 5 * slack


def test_a_pool_that_starts_on_a_full_redis_goes_on(witness: Witness) -> None:
    """It was down for longer than anything of it is remembered; new workers say that they live, and send."""
    with Rig(workers=0, config=quick_exchange(), settings=QUICK) as rig:
        submit(rig, "b", place(rig, 40, lanes=4))
        redis = rig.store.redis
        redis.config_set("maxmemory", redis.info("memory")["used_memory"] // 2)
        witness.injected()
        rig.start_workers(1)
        rig.done("b")
        redis.config_set("maxmemory", 0)
        witness.ended()
        witness.judge(rig)


def test_memory(shared: Rig, witness: Witness, monkeypatch: pytest.MonkeyPatch, long: bool) -> None:  # noqa: FBT001
    """At 90 % and full: a submit is refused as a whole and clearly; what was taken goes on to its recorded end."""
    redis, more = shared.store.redis, place(shared, 40, lanes=4)
    submit(shared, "taken", place(shared, 4000 if long else 2000, lanes=4))
    started(shared, "taken")
    for share in (0.95, 2.0):  # some is given back between the look at the memory and the submit
        redis.config_set("maxmemory", round(redis.info("memory")["used_memory"] / share))
        witness.injected()
        with pytest.raises(RedisFullError, match="nothing was taken"):
            submit(shared, "more", more)
    monkeypatch.setattr(shared.store.admission, "ask_room", lambda _: iter(()))  # filled up since it looked
    with pytest.raises(RedisFullError, match="full"):
        submit(shared, "more", more)
    monkeypatch.undo()
    with pytest.raises(UnknownBatchError):
        shared.store.batches.state("more")
    assert waiting(shared, "taken") > 0
    all_off_book(shared, "taken")
    redis.config_set("maxmemory", 0)
    witness.ended()
    submit(shared, "more", more)
    shared.done("more")
    witness.judge(shared)
