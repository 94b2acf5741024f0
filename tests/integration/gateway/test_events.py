"""Tests of the event streams: nothing is lost and nothing comes twice, whoever is cut off, late or many."""

import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

import pytest
import requests

from bulk_cancel.worker.gateway import events, feed
from bulk_cancel.worker.gateway.callers import Caller, Tokens, hash_of
from bulk_cancel.worker.gateway.feed import QUEUED, Listener, News, Standing
from bulk_cancel.worker.gateway.reader import Reader, Reading
from bulk_cancel.worker.state.outcomes import Entry
from tests.support.cli_desk import Desk
from tests.support.door import Door, kind_of
from tests.support.json_shapes import misfits
from tests.support.stream import Event, Stream
from tests.support.waiting import PATIENCE_S, until


def ended(desk: Desk, door: Door, ids: range, account: str = "desk1") -> None:
    """So many orders are handed in, each a batch of one instrument, and end."""
    rows = [{"instId": "BTC-USDT", "ordId": str(number)} for number in ids]
    taken = door.call("PUT", f"/v1/batches/b{ids.start}", json={"account": account, "orders": rows})
    assert taken.status_code == 201
    if account == "desk1":
        desk.finish("BTC-USDT")


def kept(desk: Desk) -> list[str]:
    """The ids of the stream in Redis."""
    found = cast("list[tuple[str, object]]", desk.store.redis.xrange(desk.store.keys.of("outcomes")))
    return [entry_id for entry_id, _ in found]


def orders(events: list[Event]) -> list[int]:
    """Which orders ended."""
    return [int(event.data["ordId"]) for event in events]


@pytest.fixture
def stream(door: Door) -> Iterator[Stream]:
    """An open one, behind its beginning."""
    with Stream(f"{door.url}/v1/events") as found:
        found.until("snapshot")
        yield found


def test_outcomes_come_under_the_ids_of_redis(desk: Desk, door: Door, stream: Stream) -> None:
    """Each once, in their order, with what became of the order."""
    ended(desk, door, range(1, 6))
    found = stream.outcomes(5)
    assert [event.id for event in found] == kept(desk)
    assert orders(found) == [1, 2, 3, 4, 5]
    first = dict(found[0].data)
    assert first.pop("finished_at").endswith("Z")
    assert first == {
        "account": "desk1", "status": "accepted", "sCode": "0", "batches": ["b1"], "instId": "BTC-USDT", "ordId": "1",
        "clOrdId": None, "algoId": None, "sMsg": None, "attempts": 1, "accFillSz": None, "known": None, "children": [],
    }  # fmt: skip


def test_it_begins_with_how_all_stands_and_tells_what_changes(desk: Desk, door: Door) -> None:
    """As of status/1, the lanes with work."""
    with Stream(f"{door.url}/v1/events") as stream:
        begun = stream.until("snapshot")[0]
        assert (begun.id, begun.data["waiting"], misfits(begun.data)) == ("0-0", 0, [])
        rows = [{"instId": "BTC-USDT", "ordId": "1"}]
        door.call("PUT", "/v1/batches/b1", json={"account": "desk1", "orders": rows})
        changed = stream.until("status")[-1]
        assert [lane["name"] for lane in changed.data["lanes"]] == ["desk1/BTC-USDT"]
        assert desk.store.batches.state("b1").waiting == 1


def test_what_is_again_as_it_was_before_somebody_came_is_news_to_them(
    desk: Desk, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who came meanwhile had been told something else."""
    with Stream(f"{door.url}/v1/events") as stream:
        stream.until("status")
    reader = door.shell._feed._readers["default"]
    until(lambda: reader._thread is None)
    assert door.call("PUT", "/v1/accounts/desk1/pause").ok
    standing = Reader._standing

    def resumed(reader: Reader, seen: str, entries: Sequence[Entry]) -> Reading:
        door.call("DELETE", "/v1/accounts/desk1/pause")
        return standing(reader, seen, entries)

    monkeypatch.setattr(Reader, "_standing", resumed)
    with Stream(f"{door.url}/v1/events") as stream:
        assert stream.until("snapshot")[-1].data["rests"]
        assert stream.until("status")[-1].data["rests"] == []
    assert desk.store.redis.ping()


def test_who_comes_back_goes_on_where_they_were(desk: Desk, door: Door) -> None:
    """Through a door that was started anew in between: nothing lost, nothing twice."""
    with Stream(f"{door.url}/v1/events") as stream:
        ended(desk, door, range(1, 4))
        seen = stream.outcomes(3)
    ended(desk, door, range(10, 14))
    with Door(desk.store) as other:
        assert desk.store.redis.ping()
        with Stream(f"{other.url}/v1/events", token=None, last_id=seen[1].id) as stream:
            missed = stream.outcomes(5)
            ended(desk, door, range(20, 22))
            assert orders(missed + stream.outcomes(2)) == [3, 10, 11, 12, 13, 20, 21]


def test_who_was_there_before_anything_had_ended_loses_nothing(desk: Desk, door: Door) -> None:
    """A new runner's first position is 0-0: it is not one of long ago."""
    with Stream(f"{door.url}/v1/events") as stream:
        begun = stream.until("snapshot")[-1]
    ended(desk, door, range(1, 4))
    with Door(desk.store) as other, Stream(f"{other.url}/v1/events", token=None, last_id=begun.id) as stream:
        told = [next(stream.events) for _ in range(3)]
    assert [(event.id, event.name) for event in told] == [(entry_id, "outcome") for entry_id in kept(desk)]
    assert begun.id == "0-0"


def test_who_was_away_for_too_long_gets_a_snapshot(desk: Desk, door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not thousands of outcomes; and what comes then is told."""
    monkeypatch.setattr(events, "RESUMED", 3)
    ended(desk, door, range(1, 6))
    ids = kept(desk)
    for last_id, name in ((ids[0], "snapshot"), (ids[1], "outcome"), ("1-1", "snapshot")):
        with Stream(f"{door.url}/v1/events", last_id=last_id) as stream:
            begun = next(stream.events)
            assert begun.name == name
            if name == "snapshot":
                assert begun.id == ids[-1]


def test_who_is_too_slow_gets_a_snapshot() -> None:
    """The listener forgets what it cannot hold, and knows it."""
    listener = Listener({"default": "0-0"}, None)
    for _ in range(QUEUED):
        listener.offer(News("default", Reading(), Standing()))
    assert not listener.late
    listener.offer(News("default", Reading(), Standing()))
    assert listener.late


def test_a_slow_reader_goes_on_behind_its_snapshot(desk: Desk, door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it could not hold is in there, and is not told again."""
    with Stream(f"{door.url}/v1/events") as stream:
        monkeypatch.setattr(feed, "QUEUED", 0)
        ended(desk, door, range(1, 6))
        newest, told = kept(desk)[-1], [stream.until("snapshot")[-1]]
        while told[-1].id != newest:
            told += stream.until("snapshot")
        monkeypatch.setattr(feed, "QUEUED", QUEUED)
        waits = {"account": "desk1", "orders": [{"instId": "ETH-USDT", "ordId": "1"}]}
        door.call("PUT", "/v1/batches/waits", json=waits)
        while told[-1].name not in {"snapshot", "status"} or told[-1].data["batches_waiting"] == 0:
            told.append(next(stream.events))
        ended(desk, door, range(10, 12))
        told += stream.until("outcome")
    assert [event for event in told[:-1] if event.name == "outcome"] == []
    assert (orders(told[-1:]), told[-1].id) == ([10], kept(desk)[-2])


def test_the_stream_of_a_batch_ends_with_its_last_event(desk: Desk, door: Door) -> None:
    """Its own outcomes alone; `complete` says that there will be no more."""
    rows = [{"instId": "BTC-USDT", "ordId": "1"}, {"instId": "ETH-USDT", "ordId": "2"}]
    door.call("PUT", "/v1/batches/b1", json={"account": "desk1", "orders": rows})
    ended(desk, door, range(30, 32), account="desk2")
    with Stream(f"{door.url}/v1/batches/b1/events") as stream:
        assert stream.until("snapshot")[0].data["waiting"] == 2
        desk.finish("BTC-USDT")
        desk.finish("ETH-USDT")
        told = stream.until("complete")
        assert sorted(orders([event for event in told if event.name == "outcome"])) == [1, 2]
        assert misfits(told[-1].data) == []
        assert [*stream.events] == []
    with Stream(f"{door.url}/v1/batches/b1/events") as stream:
        assert [event.name for event in stream.events] == ["snapshot", "complete"]
    assert kind_of(door.call("GET", "/v1/batches/none/events")) == "unknown-batch"


def test_an_outcome_that_comes_while_the_batch_is_read_is_told_first(
    desk: Desk, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was not among the outcomes that were read a moment before, and the batch is complete already."""
    rows = [{"instId": "BTC-USDT", "ordId": "1"}, {"instId": "ETH-USDT", "ordId": "2"}]
    door.call("PUT", "/v1/batches/told-first", json={"account": "desk1", "orders": rows})
    standing, left = Reader._standing, ["ETH-USDT", "BTC-USDT"]

    def ends_an_order(reader: Reader, seen: str, entries: Sequence[Entry]) -> Reading:
        if left and "told-first" in reader._ids():  # not before it is followed
            desk.finish(left.pop())
        return standing(reader, seen, entries)

    monkeypatch.setattr(Reader, "_standing", ends_an_order)
    with Stream(f"{door.url}/v1/batches/told-first/events") as stream:
        told = stream.until("complete")
    assert orders([event for event in told if event.name == "outcome"]) == [1, 2]


def test_each_listener_sees_what_they_may(desk: Desk, door: Door) -> None:
    """Who watches sees no order, whose token is for one account no other."""
    with ExitStack() as stack:
        streams = {
            token: stack.enter_context(Stream(f"{door.url}/v1/events", token)) for token in ("watch", "read", "two")
        }
        for stream in streams.values():
            stream.until("snapshot")
        ended(desk, door, range(1, 3))
        watched: list[dict[str, Any]] = [event.data for event in streams["watch"].outcomes(2)]
        assert {name for said in watched for name in said} == {"account", "status", "sCode", "batches", "finished_at"}
        assert orders(streams["read"].outcomes(2)) == [1, 2]
        ended(desk, door, range(5, 7), account="desk2")
        end_of_desk2(desk)
        assert orders(streams["two"].outcomes(1)) == [5]


def test_how_a_batch_ended_is_told_to_whoever_sees_it(desk: Desk, door: Door) -> None:
    """Whether it was ever in `status` or not: nobody has to ask for it, however many look."""
    rows = [{"instId": "BTC-USDT", "ordId": "1"}]
    with ExitStack() as stack:
        watcher, other = (stack.enter_context(Stream(f"{door.url}/v1/events", token)) for token in ("watch", "two"))
        for stream in (watcher, other):
            stream.until("snapshot")
        ended(desk, door, range(1, 3))
        told = told_of(watcher, "b1")
        assert (told["counts"], misfits(told)) == ({"accepted": 2}, [])
        for account in ("desk1", "desk2"):
            door.call("PUT", f"/v1/batches/of-{account}", json={"account": account, "orders": rows})
            shown: set[str] = set()
            while f"of-{account}" not in shown:
                shown = {each["batch_id"] for each in watcher.until("status")[-1].data["batches"]}
            door.call("POST", f"/v1/batches/of-{account}/withdraw")
            assert told_of(watcher, f"of-{account}")["counts"] == {"withdrawn": 1}
        assert other.until("batch")[-1].data["batch_id"] == "of-desk2"


def told_of(stream: Stream, batch_id: str) -> dict[str, Any]:
    """The batch as it is told once it is complete."""
    told: dict[str, Any] = {}
    while told.get("batch_id") != batch_id or not told["complete"]:
        told = stream.until("batch")[-1].data
    return told


def end_of_desk2(desk: Desk) -> None:
    """An order of desk2 ends."""
    desk.store.redis.xadd(
        desk.store.keys.of("outcomes"),
        {"order": "desk2/BTC-USDT/o5", "account": "desk2", "status": "gone", "sCode": "", "sMsg": "",
         "attempts": "1", "finished": "1", "batches": "b5", "accFillSz": "", "generation": "1"},
    )  # fmt: skip


def test_who_sees_little_comes_back_behind_what_others_brought(
    desk: Desk, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many of their orders ended: nobody was away for too long."""
    monkeypatch.setattr(events, "RESUMED", 3)
    with Stream(f"{door.url}/v1/events", "two") as stream:
        stream.until("snapshot")
        ended(desk, door, range(1, 6))
        last_id = next(event.id for event in stream.events if event.id == kept(desk)[-1])
    end_of_desk2(desk)
    with Stream(f"{door.url}/v1/events", "two", last_id=last_id) as stream:
        told = stream.until("outcome")
    assert "snapshot" not in {event.name for event in told}
    assert orders(told[-1:]) == [5]


def test_redis_is_asked_by_one_reader_however_many_listen(desk: Desk, door: Door) -> None:
    """Twenty streams block once in Redis; when they are gone, nobody does."""
    with ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(Stream(f"{door.url}/v1/events")).until("snapshot")
        blocked = 0
        while not blocked:  # between two readings it is not
            blocked = int(desk.store.redis.info("clients")["blocked_clients"])
        assert blocked == 1


def test_a_stream_ends_when_its_token_is_taken_away(
    door: Door,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At the next sign of life."""
    monkeypatch.setattr(events, "PING_S", 0.05)
    with Stream(f"{door.url}/v1/events", "watch") as stream:
        stream.until("snapshot")
        (tmp_path / "tokens.toml").write_text("[[token]]\nname = 'n'\nrole = 'read'\nsha256 = '" + "0" * 64 + "'\n")
        assert stream.until("end")[-1].data == {"why": "no-token"}


@pytest.mark.parametrize("rights", ["", "role = 'watch'", "role = 'read'\naccounts = ['desk2']"])
def test_a_stream_that_is_busy_ends_when_its_token_has_other_rights(
    rights: str, desk: Desk, door: Door, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without waiting for a quiet moment: nothing is told that the token may not see any more."""
    monkeypatch.setattr(events, "ASKED_S", 0.0)
    file = tmp_path / "tokens.toml"
    with Stream(f"{door.url}/v1/events", "read") as stream:
        stream.until("snapshot")
        kept = [table for table in file.read_text().split("\n\n") if '"read"' not in table]
        own = [f"[[token]]\nname = 'read'\nsha256 = '{hash_of('read')}'\n{rights}\n"] if rights else []
        file.write_text("\n\n".join([*kept, *own]))
        ended(desk, door, range(1, 3))
        told = stream.until("end")
    assert [event for event in told if event.name == "outcome"] == []
    assert told[-1].data == {"why": "the token has other rights now; come again" if rights else "no-token"}


def test_a_token_is_asked_for_seldom(desk: Desk, door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """However much there is to tell."""
    asked: list[str] = []
    caller = Tokens.caller
    monkeypatch.setattr(events, "ASKED_S", 60.0)

    def counted(tokens: Tokens, secret: str) -> Caller | None:
        asked.append(secret)
        return caller(tokens, secret)

    monkeypatch.setattr(Tokens, "caller", counted)
    with Stream(f"{door.url}/v1/events", "watch") as stream:
        stream.until("snapshot")
        for number in range(1, 6):
            ended(desk, door, range(number, number + 1))
            stream.outcomes(1)
    assert asked.count("watch") == 1


def test_sigterm_ends_open_streams_with_a_last_word(desk: Desk) -> None:
    """Within seconds, and with status 0."""
    command = [sys.executable, "-m", "bulk_cancel.worker.cli", "gateway", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        with ExitStack() as stack:
            streams = [stack.enter_context(Stream(f"{url}v1/events", token=None)) for _ in range(5)]
            for stream in streams:
                stream.until("snapshot")
            process.send_signal(signal.SIGTERM)
            assert [stream.until("end")[-1].data["why"] for stream in streams] == ["the door ends; come again"] * 5
            assert process.wait(PATIENCE_S) == 0
    assert desk.store.redis.ping()


def test_a_last_id_that_is_none_is_refused(door: Door) -> None:
    """Before the stream begins."""
    answer = requests.get(
        f"{door.url}/v1/events", headers={"Last-Event-ID": "x", "Authorization": "Bearer kill"}, timeout=PATIENCE_S
    )
    assert kind_of(answer) == "invalid"
