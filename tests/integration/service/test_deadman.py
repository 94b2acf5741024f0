"""Do the orders go when all workers die, and only then?"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import pairwise

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ResponseError
from redis.retry import Retry
from structlog.testing import capture_logs

from bulk_cancel.worker.config.users import User
from bulk_cancel.worker.okx.client import OkxClient
from bulk_cancel.worker.okx.credentials import Credentials
from bulk_cancel.worker.okx.limits import Limits
from bulk_cancel.worker.service import deadman
from bulk_cancel.worker.service.deadman import DeadMansSwitch
from bulk_cancel.worker.simulator.book import SWITCH, Behaviour
from bulk_cancel.worker.simulator.config import DEFAULT_KEY, Config
from bulk_cancel.worker.simulator.embedded import EmbeddedRedis
from bulk_cancel.worker.simulator.faults import Fault
from bulk_cancel.worker.simulator.process import Simulator
from bulk_cancel.worker.state.keys import Keys
from bulk_cancel.worker.state.scripts import Scripts
from bulk_cancel.worker.state.switches import Switch, read_switches
from tests.support.lane_rig import LaneRig
from tests.support.simulated import EndingSimulator
from tests.support.switch_rig import RoundSwitch
from tests.support.waiting import PATIENCE_S, until

UID, KEYS, SCALE = DEFAULT_KEY.uid, Keys("t"), 0.5
"""A second of the switch lasts 0.5 s: 10 are 5, so that a worker that has its round some seconds late is in time."""


class Pool:
    """Workers that keep one user's switch on a real Redis and the simulated exchange."""

    def __init__(self, server: EmbeddedRedis, exchange: Simulator) -> None:
        self.server = server
        self.exchange = exchange
        self.redis = Redis.from_url(
            server.url, decode_responses=True, protocol=2, socket_timeout=2, retry=Retry(NoBackoff(), 0)
        )
        self.client = OkxClient(timeout_s=2, pool=4)
        key = DEFAULT_KEY
        self.account = Credentials("desk1", key.key, key.secret, key.passphrase, exchange.url, demo=False)
        self.switches: list[DeadMansSwitch] = []
        exchange.control.place(UID, "BTC-USDT", 3)

    def start(self, worker: str, *accounts: Credentials) -> DeadMansSwitch:
        """One more worker."""
        user = User(UID, accounts or (self.account,), self.exchange.url, Limits(60, 300), 20)
        scripts = Scripts(self.redis, KEYS.prefix)
        switch = DeadMansSwitch(scripts, self.client, user, worker=worker, timeout_s=10)
        switch.start()
        self.switches.append(switch)
        return switch

    def kill(self, switch: DeadMansSwitch) -> None:
        """It ends without a word."""
        switch._leave = lambda: None  # type: ignore[method-assign]
        self.stop(switch)

    def stop(self, switch: DeadMansSwitch) -> None:
        """It ends as it should."""
        switch.stop()
        switch.join(PATIENCE_S)
        assert not switch.is_alive()

    def close(self) -> None:
        """Ends all."""
        for switch in self.switches:
            self.kill(switch)
        self.redis.close()
        self.client.close()

    @property
    def state(self) -> Switch | None:
        """What `status` reads."""
        return next(iter(read_switches(self.redis, KEYS, [UID])), None)

    def armed(self) -> bool:
        """Whether it is."""
        return self.state is not None and self.state.armed_until is not None

    def calls(self) -> list[float]:
        """The instants in s at which the exchange was told, taken or not."""
        return [row.at_us / 1e6 for row in self.exchange.control.log(endpoint="cancel-all-after")]

    def live(self) -> int:
        """Orders on the book."""
        return self.exchange.control.summary().live_orders


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pool]:
    """Refreshes every second, as often as the exchange takes it, so that 5 s there are enough."""
    monkeypatch.setattr(deadman, "REFRESH_CAP_S", 1.0)
    with EmbeddedRedis() as server, EndingSimulator(Config(behaviour=Behaviour(switch_scale=SCALE))) as exchange:
        made = Pool(server, exchange)
        yield made
        made.close()


def test_it_is_armed_refreshed_and_disarmed(pool: Pool) -> None:
    """Once a second at most; while it is refreshed no order goes, nor after a clean stop."""
    switch = pool.start("w1")
    until(lambda: len(pool.calls()) >= 7)
    calls = pool.calls()
    assert all(later - earlier >= 1.0 for earlier, later in pairwise(calls))
    state = pool.state
    assert state is not None
    assert (state.holder, state.timeout_s, state.ran_out) == ("w1", 10, None)
    assert state.armed_until is not None
    assert state.refreshed_at is not None
    assert (state.armed_until - state.refreshed_at).total_seconds() == 10
    pool.stop(switch)
    stopped = time.monotonic()
    assert not pool.armed()
    until(lambda: time.monotonic() > stopped + 10 * SCALE + 0.3)
    assert pool.live() == 3
    assert pool.exchange.control.summary().refusals == 0


def test_the_death_of_all_lets_it_fire(pool: Pool) -> None:
    """All orders of the user go, by the exchange's own doing; who comes back says so and arms it again."""
    switch = pool.start("w1")
    until(pool.armed)
    pool.kill(switch)
    until(lambda: pool.live() == 0)
    assert {order.cancelSource for order in pool.exchange.control.orders(uid=UID)} == {SWITCH}
    assert {order.state for order in pool.exchange.control.orders(uid=UID)} == {"canceled"}
    pool.redis.hset(KEYS.of("switch", UID), "armed_until", int(time.time() * 1e6) - 1)  # our ten seconds are over, too
    told = len(pool.calls())
    with capture_logs() as lines:
        pool.start("w2")
        until(lambda: len(pool.calls()) >= told + 2)
    assert [line["uid"] for line in lines if line["event"] == "switch_ran_out"] == [UID]
    assert pool.armed()


def test_one_worker_holds_it_and_another_takes_over(pool: Pool) -> None:
    """After a death, before anything fires."""
    pool.exchange.control.set_behaviour(Behaviour())
    first, second = pool.start("w1"), pool.start("w2")
    until(pool.armed)
    assert pool.state is not None
    holder, other = (first, "w2") if pool.state.holder == "w1" else (second, "w1")
    pool.kill(holder)
    died = time.time()
    until(lambda: pool.state is not None and pool.state.holder == other)
    until(lambda: pool.calls()[-1] > died)
    assert pool.live() == 3
    assert pool.exchange.control.summary().refusals == 0


def test_a_clean_stop_of_one_of_two_hands_over_at_once(pool: Pool) -> None:
    """It stays armed; the stop of the other one disarms."""
    pool.exchange.control.set_behaviour(Behaviour())
    workers = {"w1": pool.start("w1"), "w2": pool.start("w2")}
    until(pool.armed)
    assert pool.state is not None
    holder = pool.state.holder
    (other,) = workers.keys() - {holder}
    until(lambda: pool.redis.zcard(KEYS.of("switchers", UID)) == 2)
    pool.stop(workers[holder])
    assert pool.armed()
    until(lambda: pool.state is not None and pool.state.holder == other)
    told = len(pool.calls())
    until(lambda: len(pool.calls()) > told)
    pool.stop(workers[other])
    assert not pool.armed()
    assert pool.live() == 3


def test_without_redis_it_is_not_refreshed(pool: Pool) -> None:
    """Nobody could cancel then: that is what the switch is for. A short absence is survived."""
    switch = pool.start("w1")
    until(pool.armed)
    pool.server.kill()
    until(lambda: "not refreshed without Redis" in switch.problems.get(f"dead man's switch {UID}", ""))
    told = len(pool.calls())
    until(lambda: pool.live() == 0)
    assert len(pool.calls()) == told
    assert "not refreshed without Redis" in switch.problems[f"dead man's switch {UID}"]


def test_it_is_refreshed_after_a_step_back_of_the_clock(rig: LaneRig) -> None:
    """For 600 s the wall clock says that the last refresh is yet to come."""
    switch = RoundSwitch(rig)
    for seconds in (-600, *[1] * 300):
        rig.advance(seconds)
        switch.round()
        assert 0 < switch.left_s <= 10
    assert switch.exchange.calls == 76
    assert switch.ran_out_s is None


def test_what_is_not_noted_is_refreshed_all_the_same(rig: LaneRig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each round then, since nobody knows of the last one."""
    switch = RoundSwitch(rig)
    run = rig.scripts.run

    def refuse(verb: str, argument: Mapping[str, object]) -> dict[str, object]:
        if argument.get("note"):
            raise ResponseError("no")
        return run(verb, argument)

    monkeypatch.setattr(rig.scripts, "run", refuse)
    for _ in range(30):
        rig.advance(4)
        switch.round()
    assert switch.exchange.calls == 31


def test_only_its_holder_notes_what_became_of_it(rig: LaneRig) -> None:
    """A worker that was stopped for long would say that it ran out."""

    def hold(worker: str, **note: str) -> dict[str, object]:
        return rig.scripts.run("switch_hold", {"uid": "u1", "worker": worker, "lease_us": 3_000_000, "note": note})

    hold("w1")
    rig.advance(4)
    assert hold("w2", armed_until=str(rig.us + 10_000_000))["mine"]
    assert not hold("w1", armed_until="1")["mine"]
    assert hold("w2")["armed_until"] == rig.us + 10_000_000


def test_a_user_whose_first_account_is_refused_uses_the_next(pool: Pool) -> None:
    """Until then the problem is told; the secret never."""
    wrong = replace(pool.account, api_secret="wrong-secret")
    with capture_logs() as lines:
        switch = pool.start("w1", wrong, pool.account)
        until(lambda: "50113" in switch.problems.get(f"dead man's switch {UID}", ""))
        until(pool.armed)
        until(lambda: not switch.problems)
    assert "wrong-secret" not in str(lines)


def test_a_refused_disarming_is_tried_again(pool: Pool) -> None:
    """Too fast after the last refresh, or the exchange is busy for a moment."""
    switch = pool.start("w1")
    until(pool.armed)
    pool.exchange.control.add_fault(Fault(endpoint="cancel-all-after", status=503, body="", count=1))
    pool.stop(switch)
    assert not pool.armed()
