"""Do retry, withdraw, pause, resume and audit say what they did, in plain words, and what is wrong with bad input?"""

import json
import os
import pty
from collections.abc import Iterator
from pathlib import Path

import pytest

from bulk_cancel.tasks.mass import parse_cancel_all
from bulk_cancel.worker.books.mass.masses import Masses
from bulk_cancel.worker.cli.commands.decide import whoever
from bulk_cancel.worker.operators.audit import Audit
from bulk_cancel.worker.simulator.embedded import EmbeddedRedis
from tests.support.cli_desk import GOOD, Desk, set_environment

SUBMIT = ("submit", "good.csv", "--account", "desk1", "--batch-id", "b1")
WHO = ("--by", "risk-1", "--reason", "hedging by hand")


@pytest.fixture
def desk(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Iterator[Desk]:
    """A desk without workers, with two accounts that are one User ID; the exchange's address is nobody's."""
    accounts = {name: {"UID": "desk1"} for name in ("DESK1", "DESK2")}
    set_environment(monkeypatch, accounts, REDIS_URL=redis_url, OKX_BASE_URL="http://127.0.0.1:1")
    monkeypatch.chdir(tmp_path)
    Path("good.csv").write_text(GOOD)
    with Desk(capsys) as made:
        yield made


def said(desk: Desk, *arguments: str) -> list[str]:
    """What a command that succeeds tells a person."""
    status, out, err = desk(*arguments)
    assert (status, err) == (0, "")
    return out.splitlines()


class TestWithdraw:
    """Taking back."""

    def test_what_was_not_sent(self, desk: Desk) -> None:
        """And what it is too late for."""
        desk(*SUBMIT)
        desk.claim("BTC-USDT", permits=1)
        late = "too late for 2 orders (sent already, going on)"
        assert said(desk, "withdraw", "b1", *WHO) == [f"batch b1: 1 order withdrawn; {late}"]
        assert said(desk, "withdraw", "b1") == [f"batch b1: nothing to withdraw; {late}; 1 order had ended before"]

    def test_a_batch_that_is_not_complete(self, desk: Desk) -> None:
        """What comes later under its id would be cancelled."""
        desk(*SUBMIT)
        desk.store.redis.hset(desk.store.keys.of("batch", "b1"), "sealed", "0")
        assert "not handed in completely" in said(desk, "withdraw", "b1")[1]

    def test_for_programs(self, desk: Desk) -> None:
        """Counts, and the batch as it stands."""
        desk(*SUBMIT)
        told = desk.json("withdraw", "b1")
        assert (told["withdrawn"], told["sent"], told["ended"], told["state"]["complete"]) == (3, 0, 0, True)


class TestRetry:
    """Letting go again."""

    def test_what_ended_in_vain(self, desk: Desk) -> None:
        """Until when, and how to follow it; the second time there is nothing to do."""
        desk(*SUBMIT)
        desk.finish("ETH-USDT", "rejected", "51000")
        first, then = said(desk, "retry", "b1", "--deadline", "60")
        assert first.startswith("batch b1: 1 order waiting again, until 2")
        assert then == "see: bulk-cancel status b1 --watch"
        assert said(desk, "retry", "b1") == [
            "batch b1: nothing to retry: no order ended rejected or exhausted (3 waiting)"
        ]

    def test_withdrawn_orders_only_when_asked_for(self, desk: Desk) -> None:
        """The answer says how."""
        desk(*SUBMIT)
        desk("withdraw", "b1")
        assert said(desk, "retry", "b1") == [
            "batch b1: nothing to retry: no order ended rejected or exhausted (3 withdrawn)",
            "3 withdrawn orders left as they are; --status withdrawn lets them go again",
        ]
        assert desk.json("retry", "b1", "--status", "withdrawn")["opened"] == 3

    def test_what_another_batch_does(self, desk: Desk) -> None:
        """One order it cancels at present, one it found off the book."""
        desk(*SUBMIT)
        for meter in ("BTC-USDT", "ETH-USDT"):
            desk.finish(meter, "rejected", "51000")
        desk("submit", "good.csv", "--account", "desk1", "--batch-id", "b2")
        desk.push("ETH-USDT", "3", "canceled")
        assert said(desk, "retry", "b1")[0].endswith(
            "; 2 of them being cancelled already for another batch; 1 order off the book by now, as another batch found"
        )


class TestByFilter:
    """Orders of many batches."""

    @pytest.fixture
    def failed(self, desk: Desk) -> Desk:
        """b1 of desk1: BTC rejected (51000), ETH exhausted (51412); b2 of desk2: SOL rejected (51000), XRP waits."""
        Path("other.csv").write_text("instId,ordId\nSOL-USDT,7\nXRP-USDT,8\n")
        desk(*SUBMIT)
        desk("submit", "other.csv", "--account", "desk2", "--batch-id", "b2")
        desk.finish("BTC-USDT", "rejected", "51000")
        desk.finish("ETH-USDT", "exhausted", "51412")
        desk.finish("SOL-USDT", "rejected", "51000")
        return desk

    @pytest.mark.parametrize(
        ("filters", "orders"),
        [
            ("--account desk1", {"b1": 3}),
            ("--account DESK2 --account desk1", {"b1": 3, "b2": 1}),
            ("--inst-id btc-usdt --inst-id SOL-USDT", {"b1": 2, "b2": 1}),
            ("--code 51000", {"b1": 2, "b2": 1}),
            ("--code 51000 --account desk2", {"b2": 1}),
            ("--code 51412 --code 51000 --inst-id ETH-USDT", {"b1": 1}),
            ("--status exhausted", {"b1": 1}),
            ("--since 1h", {"b1": 3, "b2": 1}),
            ("--since 2099-01-01", {}),
            ("b1 --code 51000", {"b1": 2}),
        ],
    )
    def test_only_what_fits_goes_again(self, failed: Desk, filters: str, orders: dict[str, int]) -> None:
        """Of whatever batch, each in the audit with the filter."""
        told = failed.json("retry", *filters.split(), "--yes")
        assert {each["batch_id"]: each["opened"] for each in told["batches"]} == orders
        assert told["opened"] == told["orders"] == sum(orders.values())
        assert {state.batch_id: state.waiting for state in failed.store.batches.known(["b1", "b2"])} == {
            "b1": orders.get("b1", 0),
            "b2": 1 + orders.get("b2", 0),
        }
        told_of = [decision for decision in Audit(failed.store).read() if decision.event == "retry"]
        assert {decision.batch_id: decision.facts["opened"] for decision in told_of} == orders
        assert all("filter" in decision.facts for decision in told_of)

    def test_what_was_done_is_said(self, failed: Desk) -> None:
        """In words, and in the story of each batch."""
        assert said(failed, "retry", "--code", "51000", "--yes", *WHO) == [
            "3 orders of 2 batches waiting again",
            "see: bulk-cancel batches --status open",
        ]
        assert said(failed, "audit", "b2")[-1].split("Z  ")[1] == (
            "retry       1 order again, deadline 900 s, chosen by sCode 51000, status rejected or exhausted; "
            "by risk-1: hedging by hand"
        )
        assert said(failed, "retry", "--account", "desk1", "--status", "gone", "--yes") == [
            "nothing to retry: no order that fits ended gone"
        ]

    def test_an_order_of_two_batches_is_one_order(self, failed: Desk) -> None:
        """Opened for the one, joined by the other."""
        failed("submit", "other.csv", "--account", "desk2", "--batch-id", "b3")
        failed.finish("SOL-USDT", "rejected", "51000")
        told = failed.json("retry", "--inst-id", "SOL-USDT", "--yes")
        assert (told["orders"], told["opened"], told["joined"]) == (1, 1, 1)

    def test_a_batch_that_is_not_handed_in_is_left_out(self, failed: Desk) -> None:
        """And named."""
        failed.store.redis.hset(failed.store.keys.of("batch", "b2"), "sealed", "0")
        assert said(failed, "retry", "--code", "51000", "--yes")[-1] == "batch b2 left out: not handed in completely"
        failed.store.redis.hset(failed.store.keys.of("batch", "b1"), "mass", "1")
        failed.store.redis.hset(failed.store.keys.of("batch", "b1"), "sealed", "0")
        assert said(failed, "retry", "--code", "51412", "--yes") == ["batch b1 left out: a mass cancel that still runs"]

    def test_only_what_was_not_sent_is_taken_back(self, desk: Desk) -> None:
        """By instrument, by account, by the time at which it came."""
        desk(*SUBMIT)
        desk("submit", "good.csv", "--account", "desk2", "--batch-id", "b2")
        desk.claim("ETH-USDT")
        assert said(desk, "withdraw", "--since", "2099-01-01", "--yes") == [
            "no order fits that was not sent yet: nothing to withdraw"
        ]
        assert said(desk, "withdraw", "--account", "desk1", "--inst-id", "BTC-USDT", "--yes", *WHO) == [
            "2 orders of 1 batch withdrawn"
        ]
        assert desk.store.batches.state("b2").waiting == 3
        told = desk.json("withdraw", "--since", "1h", "--yes")
        assert (told["orders"], told["withdrawn"], [each["batch_id"] for each in told["batches"]]) == (2, 2, ["b2"])
        assert desk.json("withdraw", "--inst-id", "eth-usdt", "--yes")["orders"] == 0
        assert said(desk, "audit", "b1")[1].endswith(
            "withdraw    2 orders withdrawn, chosen by account desk1, instId BTC-USDT; by risk-1: hedging by hand"
        )

    @pytest.mark.parametrize("command", ["retry", "withdraw"])
    def test_nobody_is_asked_without_a_terminal(self, failed: Desk, command: str) -> None:
        """The count is told, and nothing is done without --yes."""
        status, out, err = failed(command, "--since", "1h")
        assert (status, out) == (2, "")
        count = "4 orders of 2 batches fit" if command == "retry" else "1 order of 1 batch fits"
        assert f"{count}, and nobody can be asked here: give --yes" in err
        assert not {"retry", "withdraw"} & {decision.event for decision in Audit(failed.store).read()}

    @pytest.mark.parametrize(("answer", "status"), [(b"y\n", 0), (b"n\n", 1), (b"\n", 1), (b"\x04", 1)])
    def test_a_person_is_shown_what_fits(self, failed: Desk, answer: bytes, status: int) -> None:
        """By batch and outcome, before it is done."""
        ours, theirs = pty.openpty()
        with os.fdopen(theirs) as terminal, pytest.MonkeyPatch.context() as patched:
            patched.setattr("sys.stdin", terminal)
            os.write(ours, answer)
            got, _, err = failed("retry", "--account", "desk1")
        os.close(ours)
        assert got == status
        assert "  batch b1 of desk1: 1 exhausted, 2 rejected\n" in err
        assert "3 orders of 1 batch: let them go again? [y/N]" in err
        assert ("bulk-cancel: nothing was done\n" in err) == (status == 1)
        assert failed.store.batches.state("b1").waiting == (3 if status == 0 else 0)


class TestPause:
    """Holding back."""

    def test_an_account_and_those_that_share_its_lanes(self, desk: Desk) -> None:
        """Who else, what goes on, and how it ends; `status` and `submit` show it."""
        assert said(desk, "pause", "DESK1", *WHO) == [
            "account desk1 paused by risk-1: hedging by hand",
            "with it: desk2 (one User ID, desk1: they send for the same lanes)",
            "what is in flight finishes; orders that wait keep their deadlines and end as exhausted when they pass",
            "to go on: bulk-cancel resume desk1",
        ]
        desk.worker_reports()
        assert "by risk-1: hedging by hand (bulk-cancel resume desk1)" in said(desk, *SUBMIT)[1]
        assert "by risk-1: hedging by hand (bulk-cancel resume desk1)" in said(desk, "status", "b1")[-1]
        shown = said(desk, "status")
        assert any(line.startswith("paused    desk1, desk2 since ") for line in shown)
        assert any(line.endswith("paused by risk-1: hedging by hand") for line in shown)
        rests = desk.json("status")["rests"]
        assert [(rest["scope"], rest["paused_by"], rest["until"]) for rest in rests] == [("user:desk1", "risk-1", None)]

    def test_a_second_pause_changes_nothing(self, desk: Desk) -> None:
        """Who paused first is named."""
        desk("pause", "desk1", *WHO)
        assert said(desk, "pause", "desk2", "--by", "me")[0].endswith("by risk-1: hedging by hand; that pause stays")
        assert said(desk, "resume", "desk2")[2].endswith("by risk-1: hedging by hand")
        assert said(desk, "resume", "desk1") == ["account desk1 is neither paused nor at rest: nothing to resume"]

    def test_a_lane(self, desk: Desk) -> None:
        """It stays visible when it is forgotten by all else."""
        desk(*SUBMIT)
        assert said(desk, "pause", "desk1/eth-usdt", *WHO)[0] == "lane desk1/ETH-USDT paused by risk-1: hedging by hand"
        desk.store.redis.delete(desk.store.keys.of("lanes"))
        assert any("lane desk1/ETH-USDT since" in line for line in said(desk, "status"))
        assert said(desk, "resume", "desk1/ETH-USDT")[0].startswith("lane desk1/ETH-USDT resumed")

    def test_for_programs(self, desk: Desk) -> None:
        """Both ways; who decides is the one who is logged in, unless it is said."""
        told = desk.json("pause", "desk1")
        assert (told["changed"], told["accounts"], "@" in told["paused_by"]) == (True, ["desk1", "desk2"], True)
        [ended] = desk.json("resume", "desk1")["ended"]
        assert (ended["scope"], ended["by"]) == ("user:desk1", told["paused_by"])

    def test_a_user_without_a_name(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        """As in a container."""
        monkeypatch.setattr("getpass.getuser", lambda: {"root": "root"}["nobody"])
        assert desk.json("pause", "desk1")["paused_by"].startswith("user ")


class TestAudit:
    """What was decided."""

    def test_the_story_of_a_batch(self, desk: Desk) -> None:
        """In order, with who and why; for programs a line each."""
        desk(*SUBMIT, "--reason", "limit", "--requested-by", "risk", "--label", "desk=mm")
        desk("pause", "desk2", *WHO)
        desk("withdraw", "b1", "--by", "me")
        desk("retry", "b1", "--by", "me", "--status", "withdrawn", "--deadline", "60")
        assert [line.split("Z  ")[1] for line in said(desk, "audit", "b1")] == [
            "submitted   3 orders of desk1, deadline 900 s, desk=mm; by risk: limit",
            "pause       account desk2 and with it desk1; by risk-1: hedging by hand",
            "withdraw    3 orders withdrawn; by me",
            "completed   3 withdrawn",
            "retry       3 orders again, deadline 60 s; by me",
        ]
        told = [json.loads(line) for line in said(desk, "audit", "b1", "--json")]
        assert [each["event"] for each in told] == ["submitted", "pause", "withdraw", "completed", "retry"]
        assert (told[1]["scope"], told[1]["by"], told[0]["facts"]["labels"]) == ("user:desk1", "risk-1", {"desk": "mm"})
        assert told[4]["facts"]["before"]["at"].endswith("Z")

    def test_whoever_submits_is_named_as_with_every_decision(self, desk: Desk) -> None:
        """`user@host` without --by, so that no entry of a command is nobody's."""
        desk(*SUBMIT)
        desk("pause", "desk1")
        told = [json.loads(line)["by"] for line in said(desk, "audit", "--json")]
        assert told == [whoever(), whoever()]

    def test_a_mass_cancel_of_more_than_orders(self, desk: Desk) -> None:
        """Among all decisions, and in its own story."""
        asked = parse_cancel_all({"account": "desk1", "batch_id": "m", "with": ["algos"], "side": "buy"})
        Masses(desk.store).take(asked)
        what = "every open order and algo order, protective ones kept, with side buy of desk1, urgent, deadline 900 s"
        (every,), (own,) = said(desk, "audit"), said(desk, "audit", "m")
        assert every.split("Z  ")[1] == f"cancel_all  batch m: {what}"
        assert own.split("Z  ")[1] == f"cancel_all  {what}"

    def test_every_decision(self, desk: Desk) -> None:
        """The last ones, the oldest of them first; how to see more."""
        assert said(desk, "audit") == ["no decision yet"]
        desk(*SUBMIT, "--by", "risk-2")
        desk("pause", "desk1", *WHO)
        desk("resume", "desk1", "--by", "\x1b[31mme")
        desk("resume", "desk1", "--by", "me")
        Audit(desk.store).add("drill", by="ops", account="desk1", facts={"orders": 5})
        assert [line.split("Z  ")[1] for line in said(desk, "audit")] == [
            "submitted   batch b1: 3 orders of desk1, deadline 900 s; by risk-2",
            "pause       account desk1 and with it desk2; by risk-1: hedging by hand",
            "resume      account desk1, was paused by risk-1; by me",
            "drill       desk1, orders=5; by ops",
        ]
        assert said(desk, "audit", "-n", "1")[1:] == ["the last 1; --count shows more"]
        assert len(said(desk, "audit", "-n", "2", "--json")) == 2


class TestOutcomes:
    """Every attempt."""

    def test_an_order_that_was_tried_twice(self, desk: Desk) -> None:
        """Before and after it was let go again."""
        desk(*SUBMIT)
        desk.finish("ETH-USDT", "rejected", "51000")
        desk("retry", "b1")
        desk.finish("ETH-USDT", "gone", "51400")
        _, out, _ = desk("outcomes", "b1", "--verbose", "--status", "gone", "--format", "table")
        order, *attempts = out.splitlines()
        assert order.startswith("ETH-USDT 3  gone")
        assert [attempt.split()[-1] for attempt in attempts] == ["51000", "51400"]


class TestBadInput:
    """Exit 2, plain words."""

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["withdraw", "nope"], "unknown batch 'nope'"),
            (["retry", "nope"], "unknown batch 'nope'"),
            (["audit", "nope"], "unknown batch 'nope'"),
            (["withdraw"], "name a BATCH, or say whose orders with --account, --inst-id or --since"),
            (["retry", "--yes"], "name a BATCH, or say whose orders with --account, --inst-id, --code, --since"),
            (["retry", "--account", "nobody"], "unknown account 'nobody'; known accounts: desk1, desk2"),
            (["withdraw", "--account", "nobody", "--yes"], "unknown account 'nobody'"),
            (["retry", "--inst-id", "BTC", "--yes"], "--inst-id: should be an instrument such as BTC-USDT"),
            (["retry", "--code", "bad", "--yes"], "--code: should be an sCode as the exchange tells it"),
            (["retry", "--since", "yesterday"], "--since: should be a time such as"),
            (["withdraw", "nope", "--since", "1h"], "unknown batch 'nope'"),
            (["withdraw", "--status", "queued"], "No such option: --status"),
            (["pause"], "Missing argument 'ACCOUNT|LANE'"),
            (
                ["retry", "b1", "--status", "filled"],
                "'filled' is not one of 'rejected', 'exhausted', 'withdrawn', 'gone'",
            ),
            (["retry", "b1", "--deadline", "0"], "'--deadline'"),
            (["retry", "b2"], "batch 'b2' is not handed in completely (3 orders were announced)"),
            (["pause", "nobody"], "unknown account 'nobody'; known accounts: desk1, desk2"),
            (["resume", "nobody"], "unknown account 'nobody'; known accounts: desk1, desk2"),
            (["pause", "desk1/ETH-USD"], "unknown lane 'desk1/ETH-USD'; known lanes: desk1/BTC-USDT, desk1/ETH-USDT"),
            (["resume", "/"], "unknown lane '/'"),
            (["pause", ""], "unknown account ''"),
            (["pause", "desk1", "--by", " "], "--by: should say who decides"),
            (["pause", "desk1", "--reason", "a\nb"], "--reason: should hold no control characters"),
            (["pause", "desk1", "--reason", "x" * 257], "--reason: "),
            (["audit", "--count", "0"], "'--count'"),
        ],
    )
    def test_says_what_is_wrong(self, desk: Desk, arguments: list[str], words: str) -> None:
        """And decides nothing."""
        desk(*SUBMIT)
        desk("submit", "good.csv", "--account", "desk1", "--batch-id", "b2")
        desk.store.redis.hset(desk.store.keys.of("batch", "b2"), "sealed", "0")
        status, out, err = desk(*arguments)
        assert (status, out) == (2, "")
        assert words in err
        assert "Traceback" not in err
        assert [decision.event for decision in Audit(desk.store).read()] == ["submitted"] * 2

    @pytest.mark.parametrize("command", ["withdraw b", "retry b", "pause desk1", "resume desk1", "audit", "audit b"])
    def test_redis_away(self, desk: Desk, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
        """The address without its password; with --json an object."""
        monkeypatch.setenv("BULK_CANCEL_REDIS_URL", "redis://me:pa55word@127.0.0.1:1/0")
        status, out, err = desk(*command.split(), "--json")
        assert (status, out) == (2, "")
        assert "no answer from Redis at redis://***@127.0.0.1:1/0" in json.loads(err)["error"][0]

    @pytest.mark.usefixtures("desk")
    def test_a_redis_that_is_full(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        """A pause is taken, more work is not."""
        with EmbeddedRedis() as server:
            monkeypatch.setenv("BULK_CANCEL_REDIS_URL", server.url)
            full = Desk(capsys)
            full(*SUBMIT)
            full.finish("ETH-USDT", "rejected", "51000")
            full.store.redis.config_set("maxmemory", "1mb")
            full.store.redis.config_set("maxmemory", int(full.store.redis.info("memory")["used_memory"]) // 2)
            assert full("pause", "desk1")[0] == 0
            status, _, err = full("retry", "b1")
            full.store.redis.close()
        assert status == 2
        assert "Redis is full (maxmemory)" in err
