"""Tests of the door of a runner with two Redis: it shows and decides about both, and one that is away is named."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any, cast

import pytest
from redis import Redis
from redis.exceptions import RedisError

from bulk_cancel.worker.gateway import asgi, parts
from bulk_cancel.worker.gateway.routes import health
from bulk_cancel.worker.operators.status import Snapshot
from bulk_cancel.worker.simulator.embedded import EmbeddedRedis
from bulk_cancel.worker.state.shards import Shard, Shards
from bulk_cancel.worker.state.store import adopt
from tests.support.cli_desk import Worker, report_worker, set_environment
from tests.support.door import Door, kind_of, scraped, token_file
from tests.support.sharded import asked_where, emptied, settings_for, urls_of
from tests.support.stream import Event as Told
from tests.support.stream import Stream

ACCOUNTS = {"desk1": "default", "desk2": "a"}
AWAY = {"a": "shard a is away: its Redis does not answer; ask again later"}


@pytest.fixture(scope="module")
def two() -> Iterator[list[EmbeddedRedis]]:
    """Two servers for all tests of this module; one that a test kills knows after its start what it was told."""
    kept = {"appendonly": "yes", "appendfsync": "always"}
    with EmbeddedRedis() as first, EmbeddedRedis(options=kept) as second:
        yield [first, second]


@pytest.fixture
def shards(two: list[EmbeddedRedis]) -> Iterator[Shards]:
    """desk1 is of `default`, desk2 of `a`; a worker serves each."""
    found = emptied(two, Shards(settings_for(urls_of(two), ACCOUNTS)))
    for shard in found.all():
        shard.store.directory.publish(shard.store.scripts)
        report_worker(shard.store)
    yield found
    for store in found.opened:
        store.redis.close()


@pytest.fixture
def door(shards: Shards, tmp_path: Path) -> Iterator[Door]:
    """The door of both."""
    with Door(shards, token_file(tmp_path / "tokens", accounts={"two": ["desk2"], "one": ["desk1"]})) as found:
        yield found


@pytest.fixture
def away(two: list[EmbeddedRedis], door: Door) -> Iterator[Door]:
    """The door while `a` is dead; there are a batch of each account, the one of desk1 with an order that ended."""
    hand_in(door, "here", "desk1", 1)
    hand_in(door, "there", "desk2", 1)
    two[1].kill()
    try:
        yield door
    finally:
        two[1].start()


def put(door: Door, batch_id: str, account: str, *ids: int) -> Any:  # noqa: ANN401 (what requests answers)
    """Hands in a batch of one instrument."""
    rows = [{"instId": "BTC-USDT", "ordId": str(number)} for number in ids]
    return door.call("PUT", f"/v1/batches/{batch_id}", json={"account": account, "orders": rows})


def hand_in(door: Door, batch_id: str, account: str, *ids: int) -> dict[str, Any]:
    """The same, which is taken."""
    answer = put(door, batch_id, account, *ids)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def finish(shards: Shards, shard: str, account: str) -> None:
    """Every order of the account that waits ends."""
    Worker(shards.of(shard).store, account).finish("BTC-USDT")


def named(rows: list[dict[str, Any]], *names: str) -> list[tuple[Any, ...]]:
    """These fields of the rows."""
    return [tuple(row[name] for name in names) for row in rows]


def test_what_is_handed_in_goes_where_its_account_is(door: Door, shards: Shards) -> None:
    """And is found, decided about and told by its id alone."""
    for account, shard in ACCOUNTS.items():
        assert hand_in(door, f"of-{account}", account, 1, 2)["shard"] == shard
        assert shards.of(shard).store.batches.state(f"of-{account}").waiting == 2
    assert door.get("/v1/batches/of-desk2")["shard"] == "a"
    assert len(door.get("/v1/batches/of-desk2/outcomes")["outcomes"]) == 2
    done = door.call("POST", "/v1/batches/of-desk2/withdraw", json={"reason": "x"}).json()
    assert (done["withdrawn"], done["shard"], done["state"]["waiting"]) == (2, "a", 0)
    assert kind_of(door.call("GET", "/v1/batches/none")) == "unknown-batch"
    assert kind_of(put(door, "b", "desk9", 1)) == "unknown-account"


def test_an_id_on_two_shards_is_not_decided_about(door: Door) -> None:
    """Who asks is told both."""
    hand_in(door, "twice", "desk1", 1)
    hand_in(door, "twice", "desk2", 1)
    answer = door.call("GET", "/v1/batches/twice")
    assert (answer.status_code, kind_of(answer)) == (409, "two-shards")
    assert "default and a" in answer.json()["detail"]


def test_what_would_go_nowhere_is_not_let_go_again(door: Door, two: list[EmbeddedRedis], shards: Shards) -> None:
    """The problem says where the account is by now; by filter its batch is left out, and counts for nothing."""
    hand_in(door, "old", "desk2", 1)
    door.call("POST", "/v1/batches/old/withdraw")
    for shard in Shards(settings_for(urls_of(two), {"desk1": "a", "desk2": "default"})).all():
        shard.store.directory.publish(shard.store.scripts)
    again = {"statuses": ["withdrawn"]}
    answer = door.call("POST", "/v1/batches/old/retry", json=again)
    assert (answer.status_code, kind_of(answer), answer.json()["shard"]) == (409, "account-moved", "default")
    assert "submit them again under a new batch_id" in answer.json()["detail"]
    done = door.call("POST", "/v1/retry", json=again).json()
    assert (done["orders"], done["opened"], done["left_out"]) == (0, 0, ["old"])
    assert door.call("POST", "/v1/retry", json={**again, "dry_run": True}).json()["orders"] == 0
    assert shards.of("a").store.batches.state("old").waiting == 0


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The accounts of which the door asks all shards whether they have them."""
    return asked_where(monkeypatch)


def test_no_other_shard_is_asked_by_filter(asked: list[str], door: Door, two: list[EmbeddedRedis]) -> None:
    """It is not told where an account is by now, so that one that is silent keeps nobody waiting."""
    hand_in(door, "old", "desk2", 1)
    door.call("POST", "/v1/batches/old/withdraw")
    for shard in Shards(settings_for(urls_of(two), {"desk1": "a", "desk2": "default"})).all():
        shard.store.directory.publish(shard.store.scripts)
    again = {"statuses": ["withdrawn"]}
    assert door.call("POST", "/v1/retry", json={**again, "dry_run": True}).json()["orders"] == 0
    assert door.call("POST", "/v1/retry", json=again).json()["left_out"] == ["old"]
    assert asked == []


def test_a_filter_of_an_account_finds_what_it_has_left(door: Door, two: list[EmbeddedRedis], tmp_path: Path) -> None:
    """Where it was before is asked as well, and may be away."""
    hand_in(door, "old", "desk2", 1)
    door.call("POST", "/v1/batches/old/withdraw")
    hand_in(door, "late", "desk2", 2)
    moved = Shards(settings_for(urls_of(two), {"desk1": "a", "desk2": "default"}))
    for shard in moved.all():
        shard.store.directory.publish(shard.store.scripts)
    asked = {"account": ["desk2"]}
    with Door(moved, token_file(tmp_path / "tokens")) as other:
        again = other.call("POST", "/v1/retry", json={**asked, "statuses": ["withdrawn"]}).json()
        assert (again["orders"], again["left_out"]) == (0, ["old"])
        done = other.call("POST", "/v1/withdraw", json=asked).json()
        assert named(done["batches"], "batch_id", "shard") == [("late", "a")]
        two[1].kill()
        try:
            assert other.call("POST", "/v1/withdraw", json=asked).json()["orders"] == 0
        finally:
            two[1].start()


def test_nobody_is_locked_out_of_what_is_theirs_by_anothers_id(door: Door) -> None:
    """Whose token is for the accounts of one of the two is led to that one."""
    assert door.call("PUT", "/v1/mass-cancels/kill", "one", json={"account": "desk1", "hold": True}).status_code == 201
    assert put(door, "kill", "desk2", 1).status_code == 201
    for token, account in (("one", "desk1"), ("two", "desk2")):
        assert door.call("GET", "/v1/batches/kill", token).json()["account"] == account
    assert door.call("GET", "/v1/batches/kill/outcomes", "two").json()["outcomes"]
    assert door.call("GET", "/v1/mass-cancels/kill", "one").json()["state"] == "running"
    assert door.call("POST", "/v1/mass-cancels/kill/release", "one", json={}).json()["changed"] is True
    assert door.call("POST", "/v1/batches/kill/withdraw", "two", json={}).json()["withdrawn"] == 1
    assert kind_of(door.call("GET", "/v1/batches/kill")) == "two-shards"


def test_lists_have_the_rows_of_both(door: Door, shards: Shards) -> None:
    """Each with its shard, merged as they would be of one; nothing is away."""
    hand_in(door, "b1", "desk1", 1)
    hand_in(door, "b2", "desk2", 1, 2)
    door.call("PUT", "/v1/accounts/desk2/pause", json={"reason": "x"})
    shards.of("a").store.refusals.add("x", ["y"], source="test")
    batches = door.get("/v1/batches")
    assert (named(batches["batches"], "batch_id", "shard"), batches["away"]) == ([("b2", "a"), ("b1", "default")], {})
    assert named(door.get("/v1/batches?limit=1")["batches"], "batch_id") == [("b2",)]
    accounts = door.get("/v1/accounts")["accounts"]
    assert named(accounts, "name", "shard", "workers") == [("desk1", "default", 1), ("desk2", "a", 1)]
    lanes = door.get("/v1/lanes")["lanes"]
    assert named(lanes, "name", "shard", "queued") == [("desk2/BTC-USDT", "a", 2), ("desk1/BTC-USDT", "default", 1)]
    told = door.get("/v1/audit")["decisions"]
    assert named(told, "event", "shard") == [("submitted", "default"), ("submitted", "a"), ("pause", "a")]
    assert named(door.get("/v1/audit?batch_id=b2")["decisions"], "event", "shard") == [
        ("submitted", "a"),
        ("pause", "a"),
    ]
    assert named(door.get("/v1/refused")["refused"], "source", "shard") == [("test", "a")]
    found = door.get("/v1/find?q=1")
    assert named(found["orders"], "batch_id", "shard") == [("b2", "a"), ("b1", "default")]
    assert door.get("/v1/audit?batch_id=b2", "two")["decisions"]
    assert named(door.get("/v1/batches", "two")["batches"], "batch_id") == [("b2",)]


def test_status_is_of_the_whole(door: Door) -> None:
    """Sums, and the rows of both with their shard."""
    hand_in(door, "b1", "desk1", 1)
    hand_in(door, "b2", "desk2", 1, 2)
    said = door.get("/v1/status")
    assert (said["workers_alive"], said["waiting"], said["batches_waiting"], said["away"]) == (2, 3, 2, {})
    assert named(said["shards"], "shard", "waiting", "workers_alive") == [("default", 1, 1), ("a", 2, 1)]
    assert named(said["batches"], "batch_id", "shard") == [("b1", "default"), ("b2", "a")]
    assert named(said["workers"], "name", "shard") == [("host:1", "default"), ("host:1", "a")]
    assert said["formats"] == {"exchange": 1, "runner": 1}


def test_pauses_are_of_the_shard_that_has_it(door: Door, shards: Shards) -> None:
    """An account, or a lane by its User ID."""
    hand_in(door, "b2", "desk2", 1)
    for place in ("accounts/desk2", "lanes/desk2/BTC-USDT"):
        done = door.call("PUT", f"/v1/{place}/pause").json()
        assert (done["changed"], done["shard"]) == (True, "a")
        assert shards.of("a").store.redis.scard(shards.of("a").store.keys.of("paused")) == 1
        assert len(door.call("DELETE", f"/v1/{place}/pause").json()["ended"]) == 1
    for place, kind in {"accounts/desk9": "unknown-account", "lanes/desk9/BTC-USDT": "unknown-lane"}.items():
        assert kind_of(door.call("PUT", f"/v1/{place}/pause")) == kind


def test_decisions_by_filter_are_about_both(door: Door, shards: Shards) -> None:
    """Counted and done, each batch with its shard."""
    for account, shard in ACCOUNTS.items():
        hand_in(door, f"of-{account}", account, 1)
        Worker(shards.of(shard).store, account).finish("BTC-USDT", "rejected", "51400")
    both = [("of-desk1", "default"), ("of-desk2", "a")]
    counted = door.call("POST", "/v1/retry", json={"statuses": ["rejected"], "dry_run": True}).json()
    assert (counted["orders"], named(counted["batches"], "batch_id", "shard")) == (2, both)
    done = door.call("POST", "/v1/retry", json={"statuses": ["rejected"]}).json()
    assert (done["opened"], named(done["batches"], "batch_id", "shard"), done["left_out"]) == (2, both, [])
    one = door.call("POST", "/v1/withdraw", json={"account": ["desk2"]}).json()
    assert (one["withdrawn"], named(one["batches"], "batch_id", "shard")) == (1, both[1:])


def test_a_mass_cancel_of_all_accounts_is_every_shard_s(door: Door, two: list[EmbeddedRedis]) -> None:
    """201, then 200; while one is away it is not taken there, which is said, and the same again takes the rest."""
    two[1].kill()
    try:
        partly = door.call("PUT", "/v1/mass-cancels/all", json={"account": "*"})
    finally:
        two[1].start()
    assert (partly.status_code, kind_of(partly)) == (503, "partly-taken")
    assert partly.json()["errors"] == [AWAY["a"]]
    assert partly.json()["taken"] == ["all-desk1"]
    for status in (201, 200):
        answer = door.call("PUT", "/v1/mass-cancels/all", json={"account": "*"})
        assert answer.status_code == status
        assert named(answer.json()["mass_cancels"], "batch_id", "shard") == [
            ("all-desk1", "default"),
            ("all-desk2", "a"),
        ]
    assert door.get("/v1/mass-cancels/all-desk2")["shard"] == "a"
    assert len(door.get("/v1/mass-cancels")["mass_cancels"]) == 2
    assert kind_of(door.call("GET", "/v1/mass-cancels/none")) == "unknown-mass-cancel"
    assert kind_of(door.call("POST", "/v1/mass-cancels/all-desk2/release")) == "not-on-hold"


def test_what_may_be_on_a_shard_that_is_away_is_not_called_unknown(away: Door) -> None:
    """It is named, and what is elsewhere goes on."""
    assert away.get("/v1/batches/here")["shard"] == "default"
    hand_in(away, "more", "desk1", 7)
    for method, path, body in (
        ("GET", "/v1/batches/there", None),
        ("GET", "/v1/mass-cancels/none", None),
        ("GET", "/v1/audit?batch_id=none", None),
        ("PUT", "/v1/batches/b", {"account": "desk2", "orders": [{"instId": "BTC-USDT", "ordId": "1"}]}),
        ("PUT", "/v1/mass-cancels/m", {"account": "desk2"}),
        ("POST", "/v1/dry-run", {"account": "desk2"}),
        ("PUT", "/v1/accounts/desk2/pause", {}),
        ("PUT", "/v1/lanes/desk2/BTC-USDT/pause", {}),
        ("POST", "/v1/retry", {"statuses": ["rejected"]}),
        ("GET", "/v1/batches/there/events", None),
    ):
        answer = away.call(method, path, json=body)
        assert (answer.status_code, kind_of(answer), answer.json()["shard"]) == (503, "redis-away", "a"), path
        assert answer.json()["detail"] == AWAY["a"]
    assert away.call("PUT", "/v1/accounts/desk1/pause").ok
    assert away.call("POST", "/v1/withdraw", json={"account": ["desk1"]}).json()["withdrawn"] == 2


def test_lists_say_which_shard_is_not_in_them(away: Door) -> None:
    """None is shown as empty."""
    for path, name in (("batches", "batches"), ("accounts", "accounts"), ("lanes", "lanes"), ("audit", "decisions"),
                       ("find?q=here", "batches"), ("status", "batches")):  # fmt: skip
        said = away.get(f"/v1/{path}")
        assert said["away"] == AWAY
        assert {row["shard"] for row in said[name]} == {"default"}, path
    assert away.get("/v1/refused")["away"] == away.get("/v1/mass-cancels")["away"] == AWAY
    assert named(away.get("/v1/status")["shards"], "shard", "waiting") == [("default", 1)]


def test_the_door_is_ready_while_one_shard_works(away: Door, shards: Shards) -> None:
    """And says which one does not."""
    good, dead = dict.fromkeys(("redis", "format", "worker"), True), dict.fromkeys(("redis", "format", "worker"), False)
    answer = away.call("GET", "/readyz", None)
    assert (answer.status_code, answer.json()["ready"]) == (200, good)
    assert answer.json()["shards"] == {"default": good, "a": dead}
    store = shards.of("default").store
    store.redis.delete(store.keys.of("workers"))
    away.shell.desks.changed()
    answer = away.call("GET", "/readyz", None)
    assert (answer.status_code, answer.json()["ready"]) == (503, good | {"worker": False})


def test_a_silent_shard_keeps_no_probe_waiting(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told before the silence ends."""
    answered, desks = Event(), door.shell.desks

    def silent() -> Snapshot:
        answered.wait(30)
        raise RedisError

    monkeypatch.setattr(health, "SOON_S", 5)
    monkeypatch.setattr(desks.of(desks.shards.of("a")), "snapshot", silent)
    answer = door.call("GET", "/readyz", None)
    assert not answered.is_set()
    answered.set()
    assert (answer.status_code, answer.json()["shards"]["a"]["redis"]) == (200, False)


def test_who_asks_behind_others_for_a_silent_shard_is_told_the_same(door: Door, two: list[EmbeddedRedis]) -> None:
    """Not each of them after a silence of their own."""
    two[1].freeze()
    try:
        with ThreadPoolExecutor(8) as pool:
            told = [*pool.map(door.get, ["/v1/status"] * 8)]
    finally:
        two[1].thaw()
    assert [each["away"] for each in told] == [AWAY] * 8


def test_metrics_are_of_each_shard(away: Door) -> None:
    """`up` is 0 of the one that is away, and the others' metrics are still there."""
    told = scraped(away)
    assert (told["up[shard=default]"], told["up[shard=a]"]) == (1, 0)
    assert told["orders[shard=default,state=queued]"] == 1
    assert told["outcomes_total[shard=default,status=accepted]"] == 0
    assert [name for name in told if "shard=a" in name] == ["up[shard=a]"]


def outcomes_of(shard: Shard) -> list[tuple[str, object]]:
    """The entries of its stream."""
    return cast("list[tuple[str, object]]", shard.store.redis.xrange(shard.store.keys.of("outcomes")))


def ids_of(events: list[Told]) -> list[tuple[str, int]]:
    """Which orders ended, of which shard."""
    return [(event.data["shard"], int(event.data["ordId"])) for event in events]


def test_a_stream_tells_of_both_and_goes_on_where_it_was(door: Door, shards: Shards) -> None:
    """Under ids that have the position of each; nothing is lost, nothing comes twice."""
    with Stream(f"{door.url}/v1/events") as stream:
        assert stream.until("snapshot")[-1].id == "a=0-0;default=0-0"
        hand_in(door, "b1", "desk1", 1)
        hand_in(door, "b2", "desk2", 2)
        finish(shards, "default", "desk1")
        first = stream.outcomes(1)
        finish(shards, "a", "desk2")
        first += stream.outcomes(1)
        assert ids_of(first) == [("default", 1), ("a", 2)]
    hand_in(door, "b3", "desk1", 3)
    hand_in(door, "b4", "desk2", 4)
    finish(shards, "default", "desk1")
    finish(shards, "a", "desk2")
    with Door(shards) as other, Stream(f"{other.url}/v1/events", token=None, last_id=first[0].id) as stream:
        assert sorted(ids_of(stream.outcomes(3))) == [("a", 2), ("a", 4), ("default", 3)]
        hand_in(door, "b5", "desk2", 5)
        finish(shards, "a", "desk2")
        assert ids_of(stream.outcomes(1)) == [("a", 5)]


def test_who_comes_from_the_time_with_one_redis_goes_on(door: Door, shards: Shards) -> None:
    """Under ids that are taken again: of the shard that is new, all is still to come."""
    hand_in(door, "b1", "desk1", 1)
    finish(shards, "default", "desk1")
    hand_in(door, "b2", "desk1", 2)
    finish(shards, "default", "desk1")
    first, second = [entry for entry, _ in outcomes_of(shards.of("default"))]
    with Stream(f"{door.url}/v1/events", last_id=first) as stream:
        (told,) = stream.outcomes(1)
    assert (ids_of([told]), told.id) == ([("default", 2)], f"a=0-0;default={second}")
    hand_in(door, "b3", "desk2", 3)
    finish(shards, "a", "desk2")
    with Stream(f"{door.url}/v1/events", last_id=told.id) as stream:
        assert ids_of(stream.outcomes(1)) == [("a", 3)]


def test_the_stream_of_a_batch_is_of_its_shard(door: Door, shards: Shards) -> None:
    """And ends with it."""
    hand_in(door, "b2", "desk2", 2)
    with Stream(f"{door.url}/v1/batches/b2/events") as stream:
        assert stream.until("snapshot")[-1].data["shard"] == "a"
        finish(shards, "a", "desk2")
        told = stream.until("complete")
    assert ids_of([event for event in told if event.name == "outcome"]) == [("a", 2)]
    assert told[-1].data["shard"] == "a"


def test_a_shard_that_goes_and_comes_back_loses_nothing(door: Door, shards: Shards, two: list[EmbeddedRedis]) -> None:
    """It is told as away, the other goes on meanwhile; who came, or comes back, while it was away misses nothing."""
    hand_in(door, "b2", "desk2", 2, 3)
    with Stream(f"{door.url}/v1/events") as stream:
        began = stream.until("snapshot")[-1].id
        two[1].kill()
        try:
            assert stream.until("away")[-1].data == {"redis": False, "shard": "a"}
            turned = next(stream.events)
            assert (turned.name, turned.data["away"]) == ("status", AWAY)
            hand_in(door, "b1", "desk1", 1)
            finish(shards, "default", "desk1")
            assert ids_of(stream.outcomes(1)) == [("default", 1)]
            with Door(shards) as other:
                fresh = Stream(f"{other.url}/v1/events", token=None)
                late = Stream(f"{other.url}/v1/events", token=None, last_id=began)
                with fresh, late:
                    assert fresh.until("snapshot")[-1].data["away"] == AWAY
                    assert ids_of(late.outcomes(1)) == [("default", 1)]
                    two[1].start()
                    adopt(shards.of("a").store)  # without its rest of some seconds after a restart
                    assert fresh.until("snapshot")[-1].id.startswith("a=")
                    finish(shards, "a", "desk2")
                    for each in (stream, late, fresh):
                        assert ids_of(each.outcomes(2)) == [("a", 2), ("a", 3)]
        finally:
            if not answers(two[1]):
                two[1].start()
        assert stream.until("status")[-1].data["away"] == {}


def test_who_comes_back_while_a_shard_is_away_misses_nothing_of_it(
    door: Door, shards: Shards, two: list[EmbeddedRedis]
) -> None:
    """Of what it had told others before, either."""
    hand_in(door, "b2", "desk2", 2)
    with Stream(f"{door.url}/v1/events") as first:
        began = first.until("snapshot")[-1].id
        finish(shards, "a", "desk2")
        assert ids_of(first.outcomes(1)) == [("a", 2)]
        hand_in(door, "b3", "desk2", 3)
        two[1].kill()
        try:
            first.until("away")
            with Stream(f"{door.url}/v1/events", last_id=began) as stream:
                assert stream.until("status")[-1].data["away"] == AWAY
                two[1].start()
                adopt(shards.of("a").store)
                finish(shards, "a", "desk2")
                assert ids_of(stream.outcomes(2)) == [("a", 2), ("a", 3)]
        finally:
            if not answers(two[1]):
                two[1].start()


def test_what_was_known_is_not_told_once_a_shard_is_away(
    door: Door, two: list[EmbeddedRedis], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However short a time ago it was known."""
    assert door.get("/v1/status")["away"] == {}
    two[1].kill()
    try:
        for fresh_s in (0, 60):
            monkeypatch.setattr(parts, "FRESH_S", fresh_s)
            assert door.get("/v1/status")["away"] == AWAY
    finally:
        two[1].start()


def test_the_door_is_of_all_shards_or_of_the_chosen_one(
    two: list[EmbeddedRedis], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the environment says."""
    set_environment(monkeypatch, {"DESK1": {}, "DESK2": {"SHARD": "a"}}, REDIS_URL=two[0].url)
    monkeypatch.setenv("BULK_CANCEL_SHARDS__A__REDIS_URL", two[1].url)
    assert asgi.door().desks.shards.names == ("default", "a")
    monkeypatch.setenv("BULK_CANCEL_SHARD", "A")
    alone = asgi.door().desks
    assert (alone.shards.names, alone.several, list(alone.shards.settings.accounts)) == (("a",), False, ["desk2"])


def answers(redis: EmbeddedRedis) -> bool:
    """Whether it is there."""
    try:
        with Redis.from_url(redis.url) as client:
            return bool(client.ping())
    except Exception:  # noqa: BLE001 (of any kind)
        return False
