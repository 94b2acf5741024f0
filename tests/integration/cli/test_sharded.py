"""The command line of a runner with two Redis: it finds the one of an account or a batch, and shows both as one."""

import json
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import pytest
from redis.exceptions import ConnectionError as RedisGoneError

from bulk_cancel.tasks.mass import parse_cancel_all
from bulk_cancel.worker.books.mass.masses import Masses
from bulk_cancel.worker.cli import context, mass_wait
from bulk_cancel.worker.cli.mass_wait import Following
from bulk_cancel.worker.config.settings import load_settings
from bulk_cancel.worker.operators.whole import Whole
from bulk_cancel.worker.simulator.embedded import EmbeddedRedis
from bulk_cancel.worker.state.formats import Formats, Reads
from bulk_cancel.worker.state.owners import Owners, owned
from bulk_cancel.worker.state.shards import Shards
from bulk_cancel.worker.state.store import open_store
from tests.support.cli_desk import GOOD, Desk, set_environment
from tests.support.json_shapes import misfits
from tests.support.sharded import asked_where, emptied, servers, urls_of

NEWER: Formats = {"exchange": Reads(1, 1), "runner": Reads(1, 2)}


class ShardedDesk(Desk):
    """A desk of a runner with several Redis; `store` is the one of `default`."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        super().__init__(capsys)
        self.shards = Shards(self.store.settings)


@pytest.fixture(scope="module")
def two() -> Iterator[list[EmbeddedRedis]]:
    """Two servers for all tests of this module; one that a test kills it starts again."""
    with servers(2) as started:
        yield started


@pytest.fixture
def desk(
    two: list[EmbeddedRedis], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Iterator[ShardedDesk]:
    """A runner without workers: desk1 is of `default`, desk2 of `a`."""
    urls = urls_of(two)
    told = {"REDIS_URL": urls["default"], "SHARDS__A__REDIS_URL": urls["a"], "OKX_BASE_URL": "http://127.0.0.1:1"}
    set_environment(monkeypatch, {"DESK1": {}, "DESK2": {"API_KEY": "other", "SHARD": "a"}}, **told)
    monkeypatch.chdir(tmp_path)
    Path("good.csv").write_text(GOOD)
    emptied(two, Shards(load_settings()))
    with ShardedDesk(capsys) as made:
        for shard in made.shards.all():
            shard.store.directory.publish(shard.store.scripts)
        yield made
        for store in made.shards.opened:
            store.redis.close()


@pytest.fixture
def a_is_away(two: list[EmbeddedRedis], desk: Desk) -> Iterator[None]:
    """The Redis of shard `a` is dead during the test; a batch `there` is on it, and `here` on the other one."""
    submit(desk, "desk1", "here")
    submit(desk, "desk2", "there")
    two[1].kill()
    yield
    two[1].start()


def lines(ended: tuple[int, str, str]) -> list[dict[str, Any]]:
    """What a command that succeeded has printed, an object a line."""
    status, out, err = ended
    assert (status, err) == (0, "")
    return [json.loads(line) for line in out.splitlines()]


def submit(desk: Desk, account: str, batch_id: str) -> None:
    """Three orders."""
    assert desk("submit", "good.csv", "--account", account, "--batch-id", batch_id)[0] == 0


def test_an_account_and_its_batch_are_found(desk: Desk) -> None:
    """Whatever shard they are of."""
    for account, batch in (("desk1", "here"), ("desk2", "there")):
        submit(desk, account, batch)
        assert desk.json("status", batch)["account"] == account
        assert len(desk("outcomes", batch)[1].splitlines()) == 3
        assert desk.json("pause", account)["changed"]
        assert desk.json("resume", f"{account}/BTC-USDT")["ended"] == []
        assert desk.json("resume", account)["ended"][0]["by"]
        assert desk.json("withdraw", batch)["withdrawn"] == 3
        assert desk.json("retry", batch, "--status", "withdrawn")["opened"] == 3


def test_what_no_shard_has_is_unknown(desk: Desk) -> None:
    """With the accounts of all."""
    assert "unknown batch 'none'" in desk("status", "none")[2]
    assert "unknown account 'desk9'; known accounts: desk1, desk2" in desk("pause", "desk9")[2]
    assert "unknown lane 'desk9/BTC-USDT'" in desk("pause", "desk9/BTC-USDT")[2]
    submit(desk, "desk1", "twice")
    submit(desk, "desk2", "twice")
    assert "on each of the shards default and a" in desk("status", "twice")[2]


def test_filters_reach_every_shard(desk: Desk) -> None:
    """Or those of the accounts that are named."""
    submit(desk, "desk1", "here")
    submit(desk, "desk2", "there")
    assert "BTC-USDT" not in desk("withdraw", "--inst-id", "BTC-USDT")[1]
    done = desk.json("withdraw", "--inst-id", "BTC-USDT", "--yes")
    assert (done["orders"], [(each["batch_id"], each["shard"]) for each in done["batches"]]) == (
        4, [("here", "default"), ("there", "a")],
    )  # fmt: skip
    done = desk.json("withdraw", "--account", "desk2", "--yes")
    assert [each["batch_id"] for each in done["batches"]] == ["there"]
    done = desk.json("retry", "--status", "withdrawn", "--yes")
    assert (done["opened"], len(done["batches"])) == (5, 2)


@pytest.fixture
def moved(desk: ShardedDesk, monkeypatch: pytest.MonkeyPatch) -> ShardedDesk:
    """Batch `there` of desk2 was withdrawn on `a`, and the account has moved to `default` since."""
    submit(desk, "desk1", "here")
    submit(desk, "desk2", "there")
    desk("withdraw", "--inst-id", "BTC-USDT", "--yes")
    monkeypatch.setenv("BULK_CANCEL_ACCOUNTS__DESK2__SHARD", "default")
    monkeypatch.setenv("BULK_CANCEL_ACCOUNTS__DESK3__SHARD", "a")
    for name in ("API_KEY", "API_SECRET", "PASSPHRASE"):
        monkeypatch.setenv(f"BULK_CANCEL_ACCOUNTS__DESK3__{name}", "third")
    for shard in Shards(load_settings()).all():
        shard.store.directory.publish(shard.store.scripts)
    return desk


def test_what_would_go_nowhere_is_not_let_go_again(moved: ShardedDesk) -> None:
    """One sentence says what is where, and how it is mended; nothing waits on the shard that the account has left."""
    status, out, err = moved("retry", "there", "--status", "withdrawn")
    assert (status, out) == (2, "")
    assert "batch 'there' is on shard a, where no worker serves its account desk2 any more" in err
    assert "submit them again under a new batch_id, and they go to shard default" in err
    assert moved.shards.of("a").store.batches.state("there").waiting == 1
    assert moved.json("withdraw", "there")["withdrawn"] == 1


def test_another_account_of_its_user_is_as_good(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Renamed, or with another key: workers of its shard send for its User ID, so the orders go somewhere."""
    monkeypatch.setenv("BULK_CANCEL_ACCOUNTS__DESK1__UID", "446")
    submit(desk, "desk1", "here")
    assert desk.json("withdraw", "here")["withdrawn"] == 3
    for name in [name for name in os.environ if name.startswith("BULK_CANCEL_ACCOUNTS__DESK1__")]:
        monkeypatch.setenv(name.replace("DESK1", "SPARE"), os.environ[name])
        monkeypatch.delenv(name)
    store = Shards(load_settings()).of("default").store
    store.directory.publish(store.scripts)
    assert desk.json("retry", "here", "--status", "withdrawn")["opened"] == 3
    assert desk.json("withdraw", "here")["withdrawn"] == 3
    done = desk.json("retry", "--status", "withdrawn", "--yes")
    assert (done["opened"], done["left_out"]) == (3, [])


def test_a_filter_leaves_out_what_would_go_nowhere(moved: ShardedDesk) -> None:
    """The others go; each that was left is named, and the exit status says that something was."""
    status, out, err = moved("retry", "--status", "withdrawn", "--yes")
    assert (status, "2 orders of 1 batch waiting again" in out) == (1, True)
    assert "batch there left out: no worker serves its account desk2 there any more" in out
    assert "they go to shard default" in err
    _, out, err = moved("retry", "--status", "withdrawn", "--yes", "--json")
    assert json.loads(out)["left_out"] == ["there"]
    assert "they go to shard default" in json.loads(err)["error"][0]


def test_a_filter_of_an_account_finds_what_it_has_left(moved: ShardedDesk, two: list[EmbeddedRedis]) -> None:
    """Nothing to retry would not be true; where it was before is asked as well, and may be away."""
    status, out, err = moved("retry", "--account", "desk2", "--status", "withdrawn", "--yes", "--json")
    assert (status, json.loads(out)["left_out"], "they go to shard default" in err) == (1, ["there"], True)
    submit(moved, "desk2", "new")
    done = moved.json("withdraw", "--account", "desk2", "--yes")
    assert [(each["batch_id"], each["shard"]) for each in done["batches"]] == [("new", "default"), ("there", "a")]
    two[1].kill()
    try:
        assert moved.json("retry", "--account", "desk2", "--status", "withdrawn", "--yes")["opened"] == 3
    finally:
        two[1].start()


def test_shards_are_asked_once_where_an_account_is(moved: ShardedDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many of its batches are left out: each question to a shard that is silent takes seconds."""
    monkeypatch.setenv("BULK_CANCEL_ACCOUNTS__DESK2__SHARD", "a")
    for batch in ("there2", "there3"):
        submit(moved, "desk2", batch)
        assert moved.json("withdraw", batch)["withdrawn"] == 3
    monkeypatch.setenv("BULK_CANCEL_ACCOUNTS__DESK2__SHARD", "default")
    asked = asked_where(monkeypatch)
    _, out, err = moved("retry", "--status", "withdrawn", "--yes", "--json")
    assert sorted(json.loads(out)["left_out"]) == ["there", "there2", "there3"]
    assert [line.endswith("they go to shard default") for line in json.loads(err)["error"]] == [True] * 3
    assert asked == ["desk2"]


def test_an_account_is_not_given_up_before_all_shards_know_of_its_batches(
    desk: ShardedDesk, two: list[EmbeddedRedis], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else its ids could be used once more where it goes; one that is away is named, and nothing is done."""
    store = desk.shards.of("default").store
    assert Owners(desk.shards, "default").register("x|1", "desk1") is None
    submit(desk, "desk1", "here")
    assert desk.json("withdraw", "here")["withdrawn"] == 3
    assert desk.json("pause", "desk1")["changed"]
    monkeypatch.setenv("BULK_CANCEL_SHARD", "default")
    two[1].kill()
    try:
        status, _, err = desk("disown", "desk1")
        assert (status, "shard a is away" in err, [each.uid for each in owned(store)]) == (2, True, ["desk1"])
    finally:
        two[1].start()
    assert desk.json("disown", "desk1")["uid"] == "desk1"
    there = desk.shards.of("a").store
    assert there.redis.hgetall(there.keys.of("elsewhere")) == {"desk1 here": "default"}


def test_workers_know_better_than_old_settings(moved: ShardedDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings of before the move do not make orders go where nobody serves them."""
    monkeypatch.setenv("BULK_CANCEL_ACCOUNTS__DESK2__SHARD", "a")
    status, _, err = moved("retry", "there", "--status", "withdrawn")
    assert (status, "they go to shard default" in err) == (2, True)


@pytest.mark.usefixtures("a_is_away")
def test_a_shard_that_is_away_keeps_nobody_else(desk: Desk) -> None:
    """What was asked of it fails with its name, and is never called unknown."""
    assert desk.json("status", "here")["waiting"] == 3
    assert desk.json("pause", "desk1")["changed"]
    for command in (["status", "there"], ["status", "none"], ["pause", "desk2"], ["withdraw", "there"],
                    ["submit", "good.csv", "--account", "desk2"]):  # fmt: skip
        status, _, err = desk(*command)
        assert (status, "shard a is away: no answer from Redis" in err) == (2, True)
    status, out, err = desk("withdraw", "--inst-id", "BTC-USDT", "--yes", "--json")
    assert (status, json.loads(out)["orders"]) == (1, 2)
    assert json.loads(err)["exit"] == 1
    assert json.loads(err)["error"][0].startswith("shard a is away")
    status, _, err = desk("withdraw", "--account", "desk1", "--yes")
    assert (status, err) == (0, "")
    assert desk("withdraw", "--account", "desk2", "--yes")[0] == 2


def test_a_mass_cancel_of_all_accounts_is_every_shard_s(desk: Desk) -> None:
    """A report for each, with its shard; each is found by its id."""
    status, out, _ = desk("all", "--all-accounts", "--batch-id", "m", "--timeout", "0.01", "--json")
    reports = json.loads(out)["reports"]
    assert (status, [(each["shard"], each["batch_id"]) for each in reports]) == (
        3, [("default", "m-desk1"), ("a", "m-desk2")],
    )  # fmt: skip
    for each in reports:
        assert desk.json("status", each["batch_id"])["account"] == each["account"]


@pytest.mark.usefixtures("a_is_away")
def test_a_mass_cancel_is_taken_where_it_can_be(desk: Desk) -> None:
    """It is said at once, and in the end, that one shard has not taken it; it has not succeeded."""
    status, out, err = desk("all", "--all-accounts", "--batch-id", "m", "--timeout", "0.01", "--json")
    told = json.loads(out)
    assert (status, told["succeeded"], [each["batch_id"] for each in told["reports"]]) == (3, False, ["m-desk1"])
    assert told["missing"][0].startswith("shard a is away")
    assert "ask again with --batch-id m" in err
    status, _, err = desk("all", "--account", "desk2", "--batch-id", "n")
    assert (status, "shard a is away" in err) == (2, True)
    status, out, _ = desk("all", "--account", "desk2", "--account", "desk1", "--batch-id", "n", "--timeout", "0.01")
    assert (status, "n-desk1" in out) == (3, True)


def test_a_dry_run_without_credentials_is_no_empty_book(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The accounts are known, by what workers tell, but their books cannot be read from here."""
    for name in [name for name in os.environ if name.startswith("BULK_CANCEL_ACCOUNTS__")]:
        monkeypatch.delenv(name)
    for account in ("desk1", "desk2"):
        status, out, err = desk("all", "--account", account, "--dry-run")
        assert (status, out, f"account {account}: no credentials here" in err) == (2, "", True)


def test_who_waits_for_a_shard_that_goes_waits_for_the_others(desk: ShardedDesk, two: list[EmbeddedRedis]) -> None:
    """How its mass cancel stood the last time stays on the screen."""
    whole, asked = Whole(desk.shards), parse_cancel_all({"account": "*", "batch_id": "m"})
    taken = whole.then(whole.mass_cancels([asked]), lambda shard, mine: Masses(shard.store).take(mine[0]))
    following = Following(whole, taken)
    progress = following.progress(None)
    assert [mass.account for mass, _ in next(progress)] == ["desk1", "desk2"]
    two[1].kill()
    try:
        assert [mass.account for mass, _ in next(progress)] == ["desk1", "desk2"]
        assert ({*following.failed}, {*following.left}) == ({"a"}, {"default"})
    finally:
        two[1].start()


def test_a_shard_that_falls_silent_is_waited_for(desk: ShardedDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be back at once; without an end only those are waited for that answer."""

    def away(*_: object) -> NoReturn:
        raise RedisGoneError("away")

    whole, asked = Whole(desk.shards), parse_cancel_all({"account": "desk2", "batch_id": "m"})
    taken = whole.then(whole.mass_cancels([asked]), lambda shard, mine: Masses(shard.store).take(mine[0]))
    following = Following(whole, taken)
    progress = following.progress(None)
    next(progress)
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(mass_wait, "_read", away)
        next(progress)
        assert ({*following.failed}, following.left) == ({"a"}, {})
    next(progress)
    assert (following.failed, {*following.left}) == ({}, {"a"})
    monkeypatch.setattr(mass_wait, "_read", away)
    monkeypatch.setattr(mass_wait, "SILENT_S", 0.0)
    next(progress)
    assert not list(progress)
    assert {*following.failed} == {"a"}


def test_holds_of_both_shards_are_released(desk: Desk, two: list[EmbeddedRedis]) -> None:
    """By one command; one that is away keeps no other."""
    desk("all", "--all-accounts", "--hold", "--batch-id", "m", "--timeout", "0.01")
    two[1].kill()
    try:
        status, out, err = desk("release", "m-desk1", "m-desk2")
        assert (status, "m-desk1" in out, "shard a is away" in err) == (1, True, True)
    finally:
        two[1].start()
    desk("all", "--account", "desk2", "--hold", "--batch-id", "n", "--timeout", "0.01")
    assert "shard a is away" not in desk("release", "n")[2]


def test_status_shows_all_shards_as_one(desk: Desk) -> None:
    """Sums of all, and rows that say their shard; programs are told as much."""
    submit(desk, "desk1", "here")
    submit(desk, "desk2", "there")
    desk("pause", "desk2")
    status, out, err = desk("status")
    lines = out.splitlines()
    assert (status, err, "6 orders waiting, 2 open batches" in lines[0]) == (0, "", True)
    assert any(line.startswith("paused    desk2 since") and line.endswith("(shard a)") for line in lines)
    for row in (["default", "desk1/BTC-USDT"], ["a", "desk2/ETH-USDT"], ["a", "there", "desk2"]):
        assert any(line.split()[: len(row)] == row for line in lines)
    told = desk.json("status")
    assert misfits(told) == []
    assert told["waiting"] == sum(shard["waiting"] for shard in told["shards"]) == 6
    assert {lane["name"]: lane["shard"] for lane in told["lanes"]}["desk2/BTC-USDT"] == "a"
    assert [(each["shard"], each["batch_id"]) for each in told["batches"]] == [("default", "here"), ("a", "there")]
    assert (told["rests"][0]["shard"], told["away"]) == ("a", {})


@pytest.mark.usefixtures("a_is_away")
def test_status_shows_a_shard_as_away(desk: Desk) -> None:
    """Beside what the others have; the exit status says that something is missing."""
    status, out, err = desk("status")
    assert (status, err) == (1, "")
    assert any(line.startswith("shard a is away: no answer from Redis") for line in out.splitlines())
    assert "desk1/BTC-USDT" in out
    status, out, _ = desk("status", "--json")
    told = json.loads(out)
    assert (status, told["away"].keys(), told["waiting"]) == (1, {"a"}, 3)
    assert misfits(told) == []


def test_lists_of_all_shards_are_one(desk: ShardedDesk) -> None:
    """In one order, each row with its shard; programs are told it by name."""
    for number, account in enumerate(["desk1", "desk2", "desk1"]):
        submit(desk, account, f"b{number}")
    desk("pause", "desk2", "--reason", "strange")
    for name in ("default", "a"):
        desk.shards.of(name).store.refusals.add("{}", ["why"], source="test", account=name)
    desk("batches")  # takes what the store has logged
    told = lines(desk("batches", "--json"))
    assert [(each["batch_id"], each["shard"]) for each in told] == [("b2", "default"), ("b1", "a"), ("b0", "default")]
    assert [line.split()[0] for line in desk("batches")[1].splitlines()] == ["shard", "default", "a", "default"]
    assert len(lines(desk("batches", "--json", "--count", "2"))) == 2
    assert "and older ones" in desk("batches", "--count", "2")[1]
    audit = lines(desk("audit", "--json"))
    assert [(each["event"], each["shard"]) for each in audit] == [
        ("submitted", "default"), ("submitted", "a"), ("submitted", "default"), ("pause", "a"),
    ]  # fmt: skip
    assert [line.split()[1] for line in desk("audit")[1].splitlines()] == ["default", "a", "default", "a"]
    assert [each["event"] for each in lines(desk("audit", "b1", "--json"))] == ["submitted", "pause"]
    refused = lines(desk("refused", "--json"))
    assert {(each["account"], each["shard"]) for each in refused} == {("a", "a"), ("default", "default")}
    assert {line.split()[0] for line in desk("refused")[1].splitlines()} == {"shard", "a", "default"}
    assert [each for line in [*told, *audit, *refused] for each in misfits(line)] == []


@pytest.mark.usefixtures("a_is_away")
def test_lists_say_which_shard_is_missing(desk: Desk) -> None:
    """On stderr, with exit status 1; what the others have is shown, and nothing is called empty."""
    for command in (["batches"], ["audit"], ["refused"], ["formats"]):
        status, out, err = desk(*command)
        assert (status, err.startswith("bulk-cancel: shard a is away: no answer")) == (1, True)
        assert "refused" not in out
        _, _, err = desk(*command, "--json")
        assert json.loads(err)["error"][0].startswith("shard a is away")
    assert (desk("audit", "here")[0], desk("audit", "here")[2]) == (0, "")
    status, _, err = desk("audit", "there")
    assert (status, "shard a is away" in err) == (2, True)
    status, _, err = desk("formats", "--raise")
    assert (status, "nothing was raised" in err) == (2, True)


@pytest.mark.usefixtures("a_is_away")
def test_check_says_of_which_shard_each_point_is(desk: Desk) -> None:
    """One that is away fails, and the others are checked."""
    status, out, _ = desk("check", "--json")
    points = [(each.get("shard"), each["name"], each["level"]) for each in json.loads(out)["points"]]
    assert (status, points[0]) == (2, (None, "settings", "ok"))
    for point in (("a", "redis", "FAIL"), ("default", "redis", "ok"), ("default", "formats", "ok")):
        assert point in points
    assert "FAIL shard a: redis: no answer from" in desk("check")[1]


def test_formats_are_raised_on_all_shards_or_on_none(desk: ShardedDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker of the release before on one of them keeps it from being raised on the other."""
    monkeypatch.setattr(context, "open_store", partial(open_store, formats=NEWER))
    there = desk.shards.of("a").store
    now = there.redis.time()[0]
    beat = {"at": now, "started": now, "in_flight": 0, "permits": 64, "problems": {}, "accounts": ["desk2"]}
    there.redis.hset(there.keys.of("workers"), "old:1", json.dumps(beat))
    status, out, _ = desk("formats", "--raise")
    assert (status, "runner: still 1, older releases are at work: old:1 (shard a)" in out) == (1, True)
    assert desk.json("formats")["marked"] == {"exchange": 1, "runner": 1}
    there.redis.delete(there.keys.of("workers"))
    told = desk.json("formats", "--raise")
    assert misfits(told) == []
    assert [(each["shard"], each["changed"], each["format"]) for each in told["raised"]] == [
        ("default", True, 2), ("a", True, 2),
    ]  # fmt: skip
    assert [each["marked"]["runner"] for each in told["shards"]] == [2, 2]


def test_all_shards_away_is_an_error(desk: Desk, two: list[EmbeddedRedis]) -> None:
    """A line for each; nothing is shown as empty."""
    for server in two:
        server.kill()
    try:
        for command in (["status"], ["withdraw", "--inst-id", "BTC-USDT", "--yes"]):
            status, out, err = desk(*command)
            assert (status, out) == (2, "")
            assert [line.split()[1:3] for line in err.splitlines()] == [["shard", "default"], ["shard", "a"]]
    finally:
        for server in two:
            server.start()


def test_one_shard_can_be_chosen(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is shown as a runner is that has no other."""
    submit(desk, "desk2", "there")
    monkeypatch.setenv("BULK_CANCEL_SHARD", "default")
    told = desk.json("status")
    assert (told["waiting"], "shards" in told, "shard" in desk("status")[1]) == (0, False, False)
    assert "unknown batch 'there'" in desk("status", "there")[2]
