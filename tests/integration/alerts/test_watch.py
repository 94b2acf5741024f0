"""Is what no call tells noticed, once for all workers, and does `status` and `check` say the same?"""

import time
from collections.abc import Iterator
from typing import Any, cast

import pytest
from redis import Redis
from structlog.testing import capture_logs

from bulk_cancel.worker.alerts import watch as module
from bulk_cancel.worker.alerts.conditions import by_credentials, may_be_live, oldest_urgent, pauses, refused_lanes
from bulk_cancel.worker.alerts.watch import Watch
from bulk_cancel.worker.operators.decisions import Asked
from bulk_cancel.worker.simulator.embedded import EmbeddedRedis
from bulk_cancel.worker.state.claims import RestFor
from bulk_cancel.worker.state.keys import Keys
from bulk_cancel.worker.state.scopes import account_scope
from bulk_cancel.worker.state.scripts import Scripts
from tests.support.lane_rig import LANE, LaneRig, finished, orders
from tests.support.waiting import PATIENCE_S, until

ACCOUNTS = {"a1": "u1"}
Lines = list[dict[str, Any]]


@pytest.fixture
def lines() -> Iterator[Lines]:
    """What is logged."""
    with capture_logs() as logged:
        yield cast("Lines", logged)


def events(lines: Lines, name: str) -> Lines:
    """The lines of this event."""
    return [line for line in lines if line["event"] == name]


def watching(redis: Redis, *names: str) -> list[Watch]:
    """Watches of these workers, begun."""
    watches = [Watch(Scripts(redis, "t"), Keys("t"), ACCOUNTS, worker=name) for name in names]
    for watch in watches:
        watch.start()
    return watches


def end(watches: list[Watch]) -> None:
    """Stops them."""
    for watch in watches:
        watch.stop()
    for watch in watches:
        watch.join(PATIENCE_S)


class TestRedis:
    """`redis_lost`."""

    def test_a_redis_that_refuses_writes_is_as_one_that_is_away(self, lines: Lines) -> None:
        """Nothing is cancelled then; the reason is said, and when it takes them again."""
        with EmbeddedRedis() as server, Redis.from_url(server.url, decode_responses=True, protocol=2) as client:
            watches = watching(client, "w1")
            until(lambda: client.exists("t:watch"))
            client.config_set("min-replicas-to-write", 1)
            until(lambda: events(lines, "redis_lost"))
            client.config_set("min-replicas-to-write", 0)
            until(lambda: len(events(lines, "redis_lost")) == 2)
            end(watches)
        away, back = events(lines, "redis_lost")
        assert "NOREPLICAS" in away["why"]
        assert (away["back"], back["back"]) == (False, True)

    def test_gone_and_back(self, lines: Lines) -> None:
        """Each worker says so once, after two seconds, and once when it is back, with how long that took."""
        with EmbeddedRedis(options={"appendonly": "yes"}) as server:
            client = Redis.from_url(server.url, decode_responses=True, protocol=2)
            watches = watching(client, "w1", "w2")
            until(lambda: client.exists("t:watch"))
            server.kill()
            until(lambda: len(events(lines, "redis_lost")) == 2)
            server.start()
            until(lambda: len(events(lines, "redis_lost")) == 4)
            end(watches)
            client.close()
        told = events(lines, "redis_lost")
        assert {(line["worker"], line["back"], line["log_level"]) for line in told[:2]} == {
            ("w1", False, "error"), ("w2", False, "error"),
        }  # fmt: skip
        assert {(line["worker"], line["back"], line["log_level"]) for line in told[2:]} == {
            ("w1", True, "warning"), ("w2", True, "warning"),
        }  # fmt: skip
        assert all(2 <= line["away_s"] < PATIENCE_S for line in told[:2])

    def test_a_short_absence_is_nobody_s_business(self, lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
        """A restart in less than what is long: here more than two seconds, which a restart may take."""
        monkeypatch.setattr(module, "LOST_AFTER_S", PATIENCE_S)
        with EmbeddedRedis(options={"appendonly": "yes"}) as server:
            client = Redis.from_url(server.url, decode_responses=True, protocol=2)
            watches = watching(client, "w1")
            until(lambda: client.exists("t:watch"))
            server.restart()
            reached = watches[0]._reached_at
            until(lambda: watches[0]._reached_at > reached + 1)
            end(watches)
            client.close()
        assert events(lines, "redis_lost") == []


class TestEndedBatches:
    """`batch_completed`."""

    def test_each_is_logged_once_with_what_became_of_its_orders(self, redis: Redis, rig: LaneRig, lines: Lines) -> None:
        """One line of all workers; a batch that people let go on is logged again when it is complete again."""
        rig.submit("b", orders(2), requested_by="amy")
        rig.submit("open", orders(1, first=9))
        claim = rig.claim(permits=2)
        rig.advance(1.5)
        rig.record(claim, claim.calls[0], decided=(finished(claim.calls[0].jobs[0]),))
        rig.record(claim, claim.calls[1], decided=(finished(claim.calls[1].jobs[0], "rejected"),))
        watches = watching(redis, "w1", "w2")
        until(lambda: events(lines, "batch_completed"))
        until(lambda: not redis.exists(rig.keys.of("ended")))
        rig.decisions.retry("b", Asked("amy"))
        rig.decisions.withdraw("open", Asked("amy"))
        again = rig.claim(permits=1)
        rig.record(again, again.calls[0])
        until(lambda: len(events(lines, "batch_completed")) == 3)
        end(watches)
        told = {(line["batch"], line["orders"], str(line["outcomes"])) for line in events(lines, "batch_completed")}
        assert told == {
            ("b", 2, "{'accepted': 1, 'rejected': 1}"), ("open", 1, "{'withdrawn': 1}"), ("b", 2, "{'accepted': 2}")
        }  # fmt: skip
        first = events(lines, "batch_completed")[0]
        assert (first["account"], first["took_s"], first["by"], first["log_level"]) == ("a1", 1.5, "amy", "info")


class TestAccounts:
    """`account_paused`."""

    def test_refused_credentials_are_told_of_once_while_they_last(
        self, redis: Redis, rig: LaneRig, lines: Lines
    ) -> None:
        """However many workers look, and however often they do."""
        rig.submit("b", orders(1))
        rig.record(rig.claim(), rests=(refused_for("50111 Invalid OK-ACCESS-KEY"),))
        watches = watching(redis, "w1", "w2")
        until(lambda: events(lines, "account_paused"))
        (key,) = redis.keys(rig.keys.of("told", "account_paused:a1:*"))
        redis.expire(key, 30)
        until(lambda: int(redis.ttl(key)) > 30)  # somebody looked again
        end(watches)
        (told,) = events(lines, "account_paused")
        assert (told["account"], told["why"], told["by"]) == ("a1", "50111 Invalid OK-ACCESS-KEY", "")
        assert told["log_level"] == "error"

    def test_an_operator_s_pause_too(self, redis: Redis, rig: LaneRig, lines: Lines) -> None:
        """With who and why; the next pause is news again."""
        watches = watching(redis, "w1")
        rig.decisions.pause("a1", Asked("amy", "audit"))
        until(lambda: len(events(lines, "account_paused")) == 1)
        rig.decisions.resume("a1", Asked("amy", "done"))
        rig.advance(1)
        rig.decisions.pause("a1", Asked("bob", "audit again"))
        until(lambda: len(events(lines, "account_paused")) == 2)
        end(watches)
        assert [(line["by"], line["why"]) for line in events(lines, "account_paused")] == [
            ("amy", "audit"), ("bob", "audit again"),
        ]  # fmt: skip

    def test_a_short_rest_is_no_pause(self, redis: Redis, rig: LaneRig) -> None:
        """Too frequent operations let the account rest for two seconds, which is nobody's business."""
        rig.submit("b", orders(1))
        rig.record(rig.claim(), rests=(refused_for("50040 Too frequent operations"),))
        assert pauses(redis, rig.keys, ACCOUNTS) == []
        assert not by_credentials("lane:u1/X", "50111 Invalid OK-ACCESS-KEY")
        assert by_credentials("account:a1", "unreadable answer")


class TestUrgent:
    """`oldest_urgent_s`."""

    def test_the_oldest_in_front_counts(self, redis: Redis, rig: LaneRig) -> None:
        """Since its urgent batch asked for it, not since a batch that was in no hurry; what is not urgent never."""
        assert oldest_urgent(redis, rig.keys) is None
        rig.submit("calm", orders(3))
        rig.advance(-8)
        rig.submit("eth", orders(1, inst_id="ETH-USDT"), urgent=True)
        rig.advance(4)
        rig.submit("hurry", orders(1, first=2), urgent=True)
        asked, found = time.time(), oldest_urgent(redis, rig.keys)
        assert found is not None
        assert (found.lane, found.order, found.account, found.batch) == (
            "u1/ETH-USDT", "u1/ETH-USDT/o1", "a1", "eth",
        )  # fmt: skip
        assert asked - 0.1 <= found.waits_s + rig.us / 1e6 - 4 <= time.time() + 0.1
        rig.record(rig.claim(lane="u1/ETH-USDT"))
        asked, found = time.time(), oldest_urgent(redis, rig.keys)
        assert found is not None
        assert (found.order, found.batch) == (f"{LANE}/o2", "hurry")
        assert asked - 0.1 <= found.waits_s + rig.us / 1e6 <= time.time() + 0.1
        rig.record(rig.claim())
        assert oldest_urgent(redis, rig.keys) is None

    def test_of_many_lanes_those_held_back_longest_are_seen(self, redis: Redis, rig: LaneRig) -> None:
        """A lane that rests is due last."""
        for number in range(30):
            rig.submit(f"b{number}", orders(1, inst_id=f"C{number}-USDT"), urgent=True)
        rig.advance(-60)
        rig.submit("old", orders(1, inst_id="OLD-USDT"), urgent=True)
        redis.zadd(rig.keys.of("urgent"), {"u1/OLD-USDT": 9e15})
        found = oldest_urgent(redis, rig.keys)
        assert found is not None
        assert found.lane == "u1/OLD-USDT"

    def test_it_is_told_of_once_a_minute(self, redis: Redis, rig: LaneRig, lines: Lines) -> None:
        """By one worker of all, as soon as five seconds are over."""
        rig.advance(time.time() - rig.us / 1e6 - 4)
        rig.submit("hurry", orders(2), urgent=True)
        watches = watching(redis, "w1", "w2")
        until(lambda: events(lines, "oldest_urgent_s"))
        redis.delete("t:watch")
        until(lambda: redis.exists("t:watch"))  # somebody looks again
        end(watches)
        (told,) = events(lines, "oldest_urgent_s")
        assert (told["log_level"], told["lane"], told["batches"]) == ("warning", LANE, ("hurry",))
        assert told["oldest_urgent_s"] >= 5


class TestOrders:
    """`order_may_be_live`, `lane_refused`."""

    def test_an_order_may_be_live_until_a_later_cancel_worked(self, redis: Redis, rig: LaneRig) -> None:
        """Given up: named with account and batches; retried and gone: no more."""
        rig.submit("b1", orders(1))
        claim = rig.claim()
        rig.record(claim, decided=(finished(claim.calls[0].jobs[0], "exhausted", "51410"),))
        count, (order,) = may_be_live(redis, rig.keys, retention_s=600)
        assert (count, order.order, order.account, order.batches) == (1, f"{LANE}/o1", "a1", ("b1",))
        rig.submit("b2", orders(1))
        assert may_be_live(redis, rig.keys, retention_s=600)[0] == 1
        claim = rig.claim()
        rig.record(claim, decided=(finished(claim.calls[0].jobs[0], "gone", "51400"),))
        assert may_be_live(redis, rig.keys, retention_s=600) == (0, [])

    def test_a_refusal_is_remembered_for_a_while(self, redis: Redis, rig: LaneRig) -> None:
        """With its time."""
        rig.advance(time.time() - rig.us / 1e6)
        rig.submit("b", orders(1))
        claim = rig.claim()
        assert refused_lanes(redis, rig.keys, within_s=60) == []
        rig.record(claim, refused=True)
        ((lane, at),) = refused_lanes(redis, rig.keys, within_s=60)
        assert lane == LANE
        assert at.timestamp() == pytest.approx(time.time(), abs=PATIENCE_S)
        assert refused_lanes(redis, rig.keys, within_s=-5) == []


def refused_for(reason: str) -> RestFor:
    """What the account rests for."""
    return RestFor(account_scope("a1"), 30, 30, reason)
