"""Does the command line do what the contract says, on a real Redis, with every exit status and every bad input?"""

import csv
import io
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis

from bulk_cancel.worker.alerts.alerts import Condition
from bulk_cancel.worker.books.mass.masses import Masses
from bulk_cancel.worker.simulator.config import DEFAULT_KEY
from bulk_cancel.worker.simulator.embedded import EmbeddedRedis
from bulk_cancel.worker.simulator.messages import AccountChange
from bulk_cancel.worker.simulator.process import Simulator
from bulk_cancel.worker.state.following import follow_outcomes
from tests.support.cli_desk import GOOD, Desk, set_environment
from tests.support.waiting import PATIENCE_S

BAD = "instId,ordId\nBTC-USDT,1\nBTC-USDT,1.2E+15\nnope,2\n"
FIELDS = [
    "batch_id", "account", "instId", "ordId", "clOrdId", "status", "sCode", "sMsg", "attempts",
    "enqueued_at", "first_sent_at", "accepted_at", "finished_at", "accFillSz", "known", "algoId", "children",
]  # fmt: skip
Check = Callable[[], dict[str, dict[str, str]]]


@pytest.fixture
def _environment_of_a_desk(redis_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The settings of a desk; the exchange's address is nobody's."""
    set_environment(monkeypatch, {"DESK1": {}}, REDIS_URL=redis_url, OKX_BASE_URL="http://127.0.0.1:1")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def desk(_environment_of_a_desk: None, capsys: pytest.CaptureFixture[str]) -> Iterator[Desk]:
    """A desk whose files lie in the working directory."""
    Path("good.csv").write_text(GOOD)
    Path("bad.csv").write_text(BAD)
    with Desk(capsys) as made:
        yield made


class TestSubmit:
    """Handing in."""

    def test_the_receipt_says_what_was_taken(self, desk: Desk) -> None:
        """Orders, lanes, duplicates and the earliest end, for people and for programs."""
        status, out, _ = desk("submit", "good.csv", "--account", "desk1", "--batch-id", "b1")
        assert status == 0
        assert out.startswith("batch b1: 3 orders in 2 lanes, no duplicates, the exchange's limits allow")
        again = desk.json("submit", "good.csv", "--account", "desk1", "--batch-id", "b2")
        assert (again["size"], again["lanes"], again["joined"], again["duplicates"]) == (3, 2, 3, 3)

    def test_what_is_said_of_the_batch_is_kept(self, desk: Desk) -> None:
        """Reason, who, labels, urgency, deadline."""
        arguments = ["--reason", "limit", "--requested-by", "risk", "--label", "a=1", "--label", "b=x=y", "--urgent"]
        desk("submit", "good.csv", "--account", "desk1", "--batch-id", "b1", "--deadline", "60", *arguments)
        state = desk.store.batches.state("b1")
        assert (state.reason, state.requested_by, state.urgent) == ("limit", "risk", True)
        assert state.labels == {"a": "1", "b": "x=y"}
        assert (state.deadline_at - state.created_at).total_seconds() == 60

    def test_bad_rows_are_all_named_and_nothing_is_enqueued(self, desk: Desk) -> None:
        """With file and line."""
        status, out, err = desk("submit", "good.csv", "bad.csv", "--account", "desk1")
        assert (status, out) == (2, "")
        assert "bad.csv:3: ordId: was rounded" in err
        assert "bad.csv:4: instId: should be" in err
        assert "2 bad rows of 6: nothing was enqueued" in err
        assert desk.store.redis.zcard(desk.store.keys.of("lanes")) == 0

    def test_stdin_is_named_once(self, desk: Desk) -> None:
        """The second time nothing is left of it, which is no empty file."""
        assert desk("submit", "-", "-", "--account", "desk1") == (
            2, "", "bulk-cancel: -: stdin can be read once; name it once\n",
        )  # fmt: skip

    def test_a_kind_that_is_none_is_told_once(self, desk: Desk) -> None:
        """The value stands in what is wrong with it."""
        assert desk("all", "--account", "desk1", "--with", "foo") == (
            2, "", "bulk-cancel: --with: should be of algos, spreads, rfqs, bots; not 'foo'\n",
        )  # fmt: skip

    def test_skip_bad_takes_the_good_rows(self, desk: Desk) -> None:
        """The others are named and kept in the refused stream; 1, since their orders may still be live."""
        status, _, err = desk("submit", "bad.csv", "--account", "desk1", "--batch-id", "b1", "--skip-bad")
        assert status == 1
        assert "2 bad rows left out: these orders may still be live" in err
        assert desk.store.batches.state("b1").size == 1
        kept = desk.store.refusals.newest(10)
        assert {entry.errors[0].split(": ")[0] for entry in kept} == {"bad.csv:3", "bad.csv:4"}
        assert {(entry.batch_id, entry.account, entry.source) for entry in kept} == {("b1", "desk1", "cli")}

    def test_many_bad_rows_of_a_kind_are_counted(self, desk: Desk) -> None:
        """20 by name with their values, so that other kinds are seen among thousands."""
        rows = [f"nope,{number}" for number in range(1, 26)]
        Path("many.csv").write_text("\n".join(["instId,ordId", *rows, "BTC-USDT,x"]) + "\n")
        status, _, err = desk("submit", "many.csv", "--account", "desk1")
        lines = err.splitlines()
        assert (status, len([line for line in lines if "instId: should be" in line])) == (2, 21)
        assert lines[0].startswith("bulk-cancel: many.csv:2: instId: should be")
        assert lines[0].endswith("; is 'nope'")
        assert lines[20] == "bulk-cancel: many.csv:27: ordId: should be 1 to 20 digits, the first not 0; is 'x'"
        assert lines[21].startswith("bulk-cancel: and 5 rows more: instId: should be")
        assert lines[22].startswith("bulk-cancel: 26 bad rows of 26")

    def test_more_orders_than_a_batch_holds(self, desk: Desk) -> None:
        """How many there are, and into how many batches they go."""
        Path("many.csv").write_text("instId,ordId\n" + "".join(f"BTC-USDT,{n}\n" for n in range(1, 100_002)))
        status, _, err = desk("submit", "many.csv", "--account", "desk1")
        assert status == 2
        assert "100,001 orders are more than one batch holds (100,000)" in err
        assert "as 2 batches" in err

    def test_an_answer_without_an_open_order_is_no_mistake(self, desk: Desk) -> None:
        """A script that cancels what is open may find nothing."""
        Path("none.json").write_text('{"code":"0","msg":"","data":[]}')
        status, out, err = desk("submit", "none.json", "--account", "desk1")
        assert (status, out, err) == (0, "no orders: the files are lists without an order; nothing was enqueued\n", "")
        assert desk.json("submit", "none.json", "--account", "desk1")["size"] == 0

    def test_a_wait_for_good_orders_does_not_hide_those_left_out(self, desk: Desk) -> None:
        """1 although all that was handed in is off the book."""
        command = ("submit", "bad.csv", "--account", "desk1", "--batch-id", "b1", "--skip-bad")
        desk(*command)
        desk.finish("BTC-USDT")
        assert desk(*command, "--wait")[0] == 1

    def test_waiting_ends_with_the_outcome(self, desk: Desk) -> None:
        """0 when all are off the book, 1 when one may still be live."""
        desk("submit", "good.csv", "--account", "desk1", "--batch-id", "b1")
        desk.finish("BTC-USDT")
        desk.finish("ETH-USDT", "gone", "51400")
        wait = ("submit", "good.csv", "--account", "desk1", "--batch-id", "b1", "--wait")
        status, out, err = desk(*wait)
        assert status == 0
        assert "2 accepted, 1 gone" in out
        assert "3 of 3 ended: 2 accepted, 1 gone" in err
        Path("more.csv").write_text("instId,ordId\nSOL-USDT,9\n")
        desk("submit", "more.csv", "--account", "desk1", "--batch-id", "b2")
        desk.finish("SOL-USDT", "rejected", "51000")
        status, out, _ = desk("submit", "more.csv", "--account", "desk1", "--batch-id", "b2", "--wait", "--json")
        assert (status, json.loads(out)["state"]["dead"]) == (1, 1)

    def test_a_wait_that_is_too_long_ends_with_3(self, desk: Desk) -> None:
        """And says that the batch goes on."""
        status, _, err = desk(
            "submit", "good.csv", "--account", "desk1", "--batch-id", "b1", "--wait", "--timeout", "0.05"
        )
        assert status == 3
        assert "3 orders of 3 still waiting after 0.05 s" in err
        assert "bulk-cancel status b1 --watch" in err


class TestBadInput:
    """Exit 2, plain lines, nothing enqueued."""

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["submit", "nope.csv", "--account", "desk1"], "nope.csv: cannot be read: No such file"),
            (["submit", "good.csv"], "Missing option '--account'"),
            (["submit", "--account", "desk1"], "Missing argument 'FILE…'"),
            (["submit", "good.csv", "--account", "nobody"], "unknown account 'nobody'; known accounts: desk1"),
            (["submit", "good.csv", "--account", "a b"], "--account: should be an account's name"),
            (["submit", "good.csv", "--account", "desk1", "--batch-id", "a b"], "--batch-id: should be"),
            (["submit", "good.csv", "--account", "A B"], "; is 'A B'"),
            (["submit", "good.csv", "--account", "desk1", "--label", "a b=\x07"], "--label a b: should hold no"),
            (
                ["all", "--account", "desk1", "--tag", "a b"],
                "--tag: should be text of 1 to 16 letters and digits; is 'a b'",
            ),
            (["all", "--account", "desk1", "--min-age", "-1"], "--min-age: should be greater than 0; is -1.0"),
            (["all", "--account", "desk1", "--inst-id", "A-B", "--inst-type", "SWAP"], "--inst-id A-B is no SWAP"),
            (["submit", "good.csv", "--account", "desk1", "--label", "x"], "--label x: should be name=value"),
            (["submit", "good.csv", "--account", "desk1", "--deadline", "0"], "'--deadline'"),
            (["submit", "good.csv", "--account", "desk1", "--timeout", "5"], "--timeout needs --wait"),
            (["submit", "empty.csv", "--account", "desk1"], "empty.csv: is empty"),
            (["submit", "header.csv", "--account", "desk1"], "no usable order"),
            (["submit", "worst.csv", "--account", "desk1", "--skip-bad"], "no usable order"),
            (["status", "nope"], "unknown batch 'nope'"),
            (["outcomes", "nope"], "unknown batch 'nope'"),
            (["outcomes", "nope", "--status", "dead"], "'--status'"),
            (["outcomes", "nope", "--json", "--format", "csv"], "contradict"),
            (["refused", "--count", "0"], "'--count'"),
            (["bogus"], "No such command 'bogus'"),
            (["status", "--bogus"], "No such option"),
            (["demo", "--orders", "2", "--instruments", "3"], "at least one order per instrument"),
            (["exchange", "--host", "256.0.0.1"], "cannot listen on 256.0.0.1:0"),
        ],
    )
    def test_says_what_is_wrong(self, desk: Desk, arguments: list[str], words: str) -> None:
        """Every message names the culprit; with --json it is an object."""
        Path("empty.csv").write_text("")
        Path("header.csv").write_text("instId,ordId\n")
        Path("worst.csv").write_text("instId,ordId\nx,y\n")
        status, out, err = desk(*arguments)
        assert (status, out) == (2, "")
        assert words in err
        assert "Traceback" not in err
        assert desk.store.redis.zcard(desk.store.keys.of("lanes")) == 0

    def test_one_account_that_is_unknown_keeps_all_from_a_mass_cancel(self, desk: Desk) -> None:
        """A typing error in the second begins nothing of the first."""
        status, out, err = desk("all", "--account", "desk1", "--account", "typo")
        assert (status, out) == (2, "")
        assert "unknown account 'typo'; known accounts: desk1" in err
        assert Masses(desk.store).running() == []

    def test_what_has_begun_before_a_fault_is_told(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        """And how it is stopped: the second one's id is known with other filters."""
        set_environment(monkeypatch, {"DESK2": {}})
        wait = ("--timeout", "0.01")
        assert desk("all", "--account", "desk2", "--side", "buy", "--batch-id", "n-desk2", *wait)[0] == 3
        status, _, err = desk("all", "--account", "desk1", "--account", "desk2", "--batch-id", "n", *wait)
        assert (status, "batch 'n-desk2' is known" in err) == (2, True)
        assert "1 mass cancel going on without us; see: bulk-cancel status n-desk1 --watch; to stop: " in err

    def test_errors_are_json_when_asked_for(self, desk: Desk) -> None:
        """On stderr; stdout holds results only."""
        status, out, err = desk("status", "nope", "--json")
        said = json.loads(err)
        assert (status, out, said["exit"]) == (2, "", 2)
        assert said["error"][0].startswith("unknown batch 'nope'")

    def test_other_orders_under_a_known_batch_id(self, desk: Desk) -> None:
        """A conflict, not a second batch."""
        desk("submit", "good.csv", "--account", "desk1", "--batch-id", "b1")
        Path("other.csv").write_text("instId,ordId\nBTC-USDT,77\n")
        status, _, err = desk("submit", "other.csv", "--account", "desk1", "--batch-id", "b1")
        assert status == 2
        assert "choose another --batch-id" in err

    @pytest.mark.parametrize(
        ("name", "value", "words"),
        [
            ("BULK_CANCEL_REDIS_ULR", "x", "did you mean BULK_CANCEL_REDIS_URL?"),
            ("BULK_CANCEL_DEADLINE_S", "soon", "BULK_CANCEL_DEADLINE_S"),
        ],
    )
    def test_wrong_settings_are_named(
        self, desk: Desk, monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
    ) -> None:
        """By variable."""
        monkeypatch.setenv(name, value)
        status, _, err = desk("status")
        assert status == 2
        assert words in err

    @pytest.mark.parametrize("command", ["status", "outcomes b", "refused", "submit good.csv --account desk1"])
    def test_redis_away(self, desk: Desk, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
        """The address without its password, and what to do."""
        monkeypatch.setenv("BULK_CANCEL_REDIS_URL", "redis://me:pa55word@127.0.0.1:1/0")
        status, out, err = desk(*command.split())
        assert (status, out) == (2, "")
        assert "no answer from Redis at redis://***@127.0.0.1:1/0" in err
        assert "BULK_CANCEL_REDIS_URL" in err
        assert "pa55word" not in err
        assert ("--batch-id" in err) == command.startswith("submit")

    def test_a_redis_that_is_full(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nothing is taken when outcomes might not be recorded."""
        with EmbeddedRedis(options={"maxmemory": "1mb"}) as full:
            monkeypatch.setenv("BULK_CANCEL_REDIS_URL", full.url)
            status, _, err = desk("submit", "good.csv", "--account", "desk1")
        assert status == 2
        assert "Raise maxmemory or submit fewer" in err


class TestReading:
    """Status, outcomes, refused."""

    def test_outcomes_as_jsonl_csv_and_table(self, desk: Desk) -> None:
        """Jsonl is the default without a terminal; the fields are the contract's."""
        desk("submit", "good.csv", "--account", "desk1", "--batch-id", "b1")
        desk.finish("BTC-USDT")
        desk.finish("ETH-USDT", "rejected", "51000")
        status, out, _ = desk("outcomes", "b1")
        rows = [json.loads(line) for line in out.splitlines()]
        assert status == 1
        assert [list(row) for row in rows] == [["schema", *FIELDS]] * 3
        assert [row["ordId"] for row in rows] == ["1", "2", "3"]
        assert rows[2]["accepted_at"] is None
        assert rows[0]["finished_at"].endswith("Z")
        _, out, _ = desk("outcomes", "b1", "--format", "csv", "--status", "rejected")
        [row] = csv.DictReader(io.StringIO(out))
        assert (row["ordId"], row["sCode"], row["accepted_at"]) == ("3", "51000", "")
        _, out, _ = desk("outcomes", "b1", "--format", "table", "--status", "accepted", "--status", "gone")
        assert [line.split()[:3] for line in out.splitlines()[1:]] == [
            ["BTC-USDT", "1", "accepted"],
            ["BTC-USDT", "2", "accepted"],
        ]

    def test_verbose_outcomes_show_every_attempt(self, desk: Desk) -> None:
        """As lines and as JSON."""
        desk("submit", "good.csv", "--account", "desk1", "--batch-id", "b1")
        desk.finish("ETH-USDT", "gone", "51400")
        _, out, _ = desk("outcomes", "b1", "--verbose", "--status", "gone", "--json")
        assert json.loads(out)["log"][0]["sCode"] == "51400"
        _, out, _ = desk("outcomes", "b1", "--verbose", "--status", "gone", "--format", "table")
        assert len(out.splitlines()) == 2

    def test_the_status_of_a_batch(self, desk: Desk) -> None:
        """For people and for programs; 1 as soon as something is dead."""
        desk("submit", "good.csv", "--account", "desk1", "--batch-id", "b1", "--label", "trader=t12")
        status, out, _ = desk("status", "b1")
        assert status == 0
        assert "trader=t12" in out
        assert desk.json("status", "b1")["waiting"] == 3
        desk.finish("ETH-USDT", "exhausted")
        assert desk("status", "b1")[0] == 1

    def test_the_status_of_the_runner(self, desk: Desk) -> None:
        """Lanes with their windows, batches, no worker."""
        desk.record_for(window_s=PATIENCE_S)
        desk("submit", "good.csv", "--account", "desk1", "--batch-id", "b1")
        desk.finish("ETH-USDT")
        said = desk.json("status")
        lanes = {lane["name"]: lane for lane in said["lanes"]}
        assert lanes["desk1/BTC-USDT"]["queued"] == 2
        assert lanes["desk1/ETH-USDT"]["single_used"] == 1
        assert lanes["desk1/ETH-USDT"]["sent"] == 1
        assert (said["waiting"], said["outcomes"], said["batches_waiting"]) == (2, {"accepted": 1}, 1)
        status, out, _ = desk("status")
        assert status == 0
        assert "0 workers, 2 orders waiting, 1 open batch, nothing refused" in out

    def test_status_shows_a_blackout_and_what_it_holds_back(self, desk: Desk) -> None:
        """After a restart of Redis, with the reason and the end."""
        desk("submit", "good.csv", "--account", "desk1", "--batch-id", "b1")
        desk.store.redis.hset(desk.store.keys.of("clock"), "run_id", "another life")
        desk.finish("BTC-USDT")
        said = desk.json("status")
        assert [(rest["scope"], rest["probing"]) for rest in said["rests"]] == [("redis", False)]
        lanes = {lane["name"]: lane for lane in said["lanes"]}
        assert lanes["desk1/BTC-USDT"]["rest"]["scope"] == "redis"
        assert "Redis restarted" in desk("status")[1]

    def test_following_outcomes_tells_each_once(self, desk: Desk) -> None:
        """Those that had ended before first, then each as it ends, until the batch is complete."""
        desk("submit", "good.csv", "--account", "desk1", "--batch-id", "b1")
        Path("other.csv").write_text("instId,ordId\nSOL-USDT,9\n")
        desk("submit", "other.csv", "--account", "desk1", "--batch-id", "b2")
        desk.finish("BTC-USDT", "canceled")
        followed = follow_outcomes(desk.store.redis, desk.store.keys, desk.store.batches, "b1")
        told = [[row.ordId for row in next(followed)]]
        desk.finish("SOL-USDT", "gone")
        told.append([row.ordId for row in next(followed)])
        desk.finish("ETH-USDT", "rejected", "51000")
        told += [[row.ordId for row in rows] for rows in followed]
        assert [sorted(filter(None, each)) for each in told if each] == [["1", "2"], ["3"]]

    @pytest.mark.parametrize(("form", "lines"), [("jsonl", 3), ("csv", 4), ("table", 3)])
    def test_a_complete_batch_is_followed_to_its_end(self, desk: Desk, form: str, lines: int) -> None:
        """Every outcome, and the exit status of the batch."""
        desk("submit", "good.csv", "--account", "desk1", "--batch-id", "b1")
        desk.finish("BTC-USDT", "canceled")
        desk.finish("ETH-USDT", "rejected", "51000")
        status, out, err = desk("outcomes", "b1", "--follow", "--format", form)
        assert (status, len(out.splitlines()), err) == (1, lines, "")
        assert desk("outcomes", "b1", "-f", "--status", "canceled", "--json")[1].count("canceled") == 2
        assert desk("outcomes", "nope", "-f", "--format", "csv")[:2] == (2, "")

    def test_a_csv_export_holds_no_formula(self, desk: Desk) -> None:
        """What others wrote is text to a spreadsheet; programs that read JSON Lines get it as it is."""
        desk("submit", "good.csv", "--account", "desk1", "--batch-id", "=1+1")
        desk.finish("BTC-USDT", "rejected", "-2")
        _, out, _ = desk("outcomes", "=1+1", "--format", "csv")
        row = next(csv.DictReader(io.StringIO(out)))
        assert (row["batch_id"], row["sCode"], row["ordId"]) == ("'=1+1", "'-2", "1")
        _, out, _ = desk("outcomes", "=1+1", "--format", "jsonl")
        assert json.loads(out.splitlines()[0])["batch_id"] == "=1+1"

    def test_following_a_batch_ends_when_it_is_complete(self, desk: Desk) -> None:
        """Without a terminal: the batch as a whole."""
        desk("submit", "good.csv", "--account", "desk1", "--batch-id", "b1")
        desk.finish("BTC-USDT")
        desk.finish("ETH-USDT")
        status, out, _ = desk("status", "b1", "--watch")
        assert status == 0
        assert out.count("batch") == 1

    def test_refused_shows_payload_and_reasons(self, desk: Desk) -> None:
        """Newest first, no more than asked for, the rest counted."""
        for number in range(3):
            desk.store.refusals.add(f"payload {number}", ["too\x1bold"], source="tasks.cancel_orders", account="a")
        _, out, _ = desk("refused", "--count", "2")
        assert "payload 2" in out
        assert "payload 0" not in out
        assert "too\\x1bold" in out
        assert "and 1 older" in out
        assert len(desk("refused", "--json")[1].splitlines()) == 3


class TestCheck:
    """What is wrong and how to mend it."""

    @pytest.fixture
    def check(self, desk: Desk, exchange: Simulator, monkeypatch: pytest.MonkeyPatch) -> Check:
        """Runs `check --json` against the simulator; the points by name."""
        exchange.control.reset()  # its meters know the test before, this Redis does not
        monkeypatch.setenv("BULK_CANCEL_OKX_BASE_URL", exchange.url)
        for field, value in (("KEY", DEFAULT_KEY.key), ("SECRET", DEFAULT_KEY.secret)):
            monkeypatch.setenv(f"BULK_CANCEL_ACCOUNTS__DESK1__API_{field}", value)
        monkeypatch.setenv("BULK_CANCEL_ACCOUNTS__DESK1__PASSPHRASE", DEFAULT_KEY.passphrase)

        def checked() -> dict[str, dict[str, str]]:
            status, out, _ = desk("check", "--json")
            said = json.loads(out)
            levels = {point["level"] for point in said["points"]}
            expected = 2 if "FAIL" in levels else int("ACT" in levels)
            assert (status, said["ok"]) == (expected, expected == 0)
            return {point["name"]: point for point in said["points"]}

        return checked

    def test_all_is_well(self, desk: Desk, check: Check) -> None:
        """Warnings are no failure, such as no persistence."""
        desk.worker_reports()
        points = check()
        assert {name for name, point in points.items() if point["level"] == "ok"} == {
            "settings", "redis", "rights", "windows", "broker", "exchange", "account desk1", "lanes", "workers",
            "can trade", "formats", "releases", *Condition,
        }  # fmt: skip
        assert "User ID 1001" in points["account desk1"]["text"]

    def test_it_says_which_env_file_was_read(self, desk: Desk) -> None:
        """The one of the working directory, or the one that --env-file names; or that there is none."""
        here = Path.cwd()

        def told(*arguments: str) -> str:
            return desk(*arguments, "check")[1].splitlines()[0]

        assert told() == f"ok   settings: from the environment alone: there is no {here}/.env"
        Path(".env").write_text("BULK_CANCEL_LOG_LEVEL=INFO\n")
        Path("b.env").write_text("")
        assert told("--env-file", "b.env") == f"ok   settings: from the environment and {here}/b.env"
        assert told() == f"ok   settings: from the environment and {here}/.env"
        status, out, err = desk("--env-file", "c.env", "status")
        assert (status, out) == (2, "")
        assert "c.env: there is no such file" in err

    def test_without_a_worker_somebody_must_act(self, check: Check) -> None:
        """All is set up, and nothing is sent: a script that asks before it relies on us has to know."""
        point = check()["workers"]
        assert (point["level"], point["text"]) == ("ACT", "none is alive: nothing is sent")

    def test_an_account_that_no_worker_serves(self, desk: Desk, check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
        """The same for this account."""
        desk.worker_reports()
        for name in ("API_KEY", "API_SECRET", "PASSPHRASE"):
            monkeypatch.setenv(f"BULK_CANCEL_ACCOUNTS__DESK2__{name}", "x")
        monkeypatch.setenv("BULK_CANCEL_ACCOUNTS__DESK2__UID", "desk2")
        assert check()["workers"]["text"] == "none serves account desk2: nothing is sent for it"

    def test_a_stray_message_and_a_wrong_uid(self, desk: Desk, check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
        """A producer forgot its queue; the setting contradicts the exchange."""
        desk.store.redis.lpush("celery", "{}")
        monkeypatch.setenv("BULK_CANCEL_ACCOUNTS__DESK1__UID", "1002")
        points = check()
        assert points["broker"]["level"] == "warn"
        assert points["uid"]["level"] == "FAIL"
        assert "the exchange says 1001" in points["uid"]["text"]

    def test_wrong_credentials(self, check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
        """FAIL with the variables to correct, never their values."""
        monkeypatch.setenv("BULK_CANCEL_ACCOUNTS__DESK1__API_SECRET", "not-the-secret")
        point = check()["account desk1"]
        assert point["level"] == "FAIL"
        assert "BULK_CANCEL_ACCOUNTS__DESK1__API_SECRET" in point["mend"]
        assert "not-the-secret" not in json.dumps(point)

    def test_no_permission_to_trade(self, exchange: Simulator, check: Check) -> None:
        """A read-only key cannot cancel."""
        exchange.control.change_account(AccountChange(DEFAULT_KEY.key, permissions=("read_only",)))
        try:
            assert check()["account desk1"]["level"] == "FAIL"
        finally:
            exchange.control.change_account(AccountChange(DEFAULT_KEY.key, permissions=("read_only", "trade")))

    def test_orders_that_no_account_serves_any_more(self, check: Check, redis_client: Redis) -> None:
        """The UID setting was changed while they waited: nobody sends them, and somebody must be told."""
        redis_client.zadd("bc:lanes", {"former/BTC-USDT": 1})
        redis_client.zadd("bc:ready:former/BTC-USDT", {"former/BTC-USDT/o1": 1})
        point = check()["lanes"]
        assert (point["level"], point["text"]) == ("FAIL", "1 orders wait for UID former, which no account has")

    def test_everything_away(self, check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
        """What could not be asked is a warning, what does not answer FAILs; no secret is shown."""
        monkeypatch.setenv("BULK_CANCEL_REDIS_URL", "redis://me:pa55word@127.0.0.1:1/0")
        monkeypatch.setenv("BULK_CANCEL_OKX_BASE_URL", "http://127.0.0.1:1")
        points = check()
        levels = {name: point["level"] for name, point in points.items()}
        assert levels == {
            "settings": "ok",
            "redis": "FAIL", "rights": "warn", "windows": "warn", "persistence": "warn", "memory": "warn",
            "broker": "FAIL", "exchange": "FAIL",
            "account desk1": "warn", "workers": "warn", "lanes": "warn", "formats": "warn",
            **dict.fromkeys(map(str, Condition), "warn"), "redis_lost": "ACT",
        }  # fmt: skip
        assert "pa55word" not in json.dumps(points)

    def test_it_is_read_by_people_too(self, desk: Desk, check: Check) -> None:
        """One line per point, and how to mend what is not ok."""
        assert check()
        _, out, _ = desk("check")
        assert "ok   redis: Redis" in out
        assert "     → start one: celery -A bulk_cancel.worker worker" in out


class TestProcess:
    """The program as a process."""

    def test_orders_come_from_standard_input_and_leave_through_a_pipe(self, desk: Desk) -> None:
        """`… | bulk-cancel submit - …`, `bulk-cancel outcomes … | head`."""
        desk.worker_reports()
        done = _spawn("submit", "-", "--account", "desk1", "--batch-id", "b1", given=GOOD)
        assert (done.returncode, done.stderr) == (0, "")
        assert desk.store.batches.state("b1").size == 3

    @pytest.mark.usefixtures("desk")
    def test_skipped_rows_do_not_spoil_the_json(self) -> None:
        """Nothing but one document on stdout, whatever the parts log."""
        done = _spawn("submit", "bad.csv", "--account", "desk1", "--skip-bad", "--json")
        assert [row["line"] for row in json.loads(done.stdout)["skipped"]] == [3, 4]

    def test_a_reader_that_leaves_is_no_error(self, desk: Desk) -> None:
        """`| head -1`: quiet, as other programs are."""
        Path("many.csv").write_text("instId,ordId\n" + "".join(f"BTC-USDT,{n}\n" for n in range(1, 3000)))
        desk("submit", "many.csv", "--account", "desk1", "--batch-id", "b1")
        command = [sys.executable, "-m", "bulk_cancel.worker.cli", "outcomes", "b1"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            assert process.stdout.readline()
            process.stdout.close()
            assert process.stderr.read() == b""
        assert process.returncode == 141

    @pytest.mark.parametrize("arguments", [(), ("--json",), ("b1",), ("b1", "--json")])
    def test_a_watch_ends_when_its_reader_goes(self, desk: Desk, arguments: tuple[str, ...]) -> None:
        """`status --watch | head -1`: also when nothing changes, so that nothing more is written."""
        desk("submit", "good.csv", "--account", "desk1", "--batch-id", "b1")
        command = [sys.executable, "-m", "bulk_cancel.worker.cli", "status", "--watch", *arguments]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline()
            process.stdout.close()
            _, err = process.communicate(timeout=PATIENCE_S)
        assert (process.returncode, err) == (141, b"")

    @pytest.mark.usefixtures("desk")
    def test_ctrl_c_ends_a_wait_cleanly(self) -> None:
        """130, no traceback, and how to look at the batch later."""
        command = [sys.executable, "-m", "bulk_cancel.worker.cli", "submit", "good.csv", "--account", "desk1", "--wait"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            told = [process.stderr.readline() for _ in range(2)]
            assert told == ["bulk-cancel: no worker is alive\n", "0 of 3 ended\n"]
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 130
        assert "the batch goes on without us" in err
        assert "Traceback" not in err

    @pytest.mark.usefixtures("desk")
    def test_the_exchange_alone_says_how_to_use_it(self) -> None:
        """Its lines are an environment that works; its orders are on the book."""
        command = [sys.executable, "-m", "bulk_cancel.worker.cli", "exchange", "--orders", "30"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(8)]
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0
        assert lines[0].startswith("the simulated exchange listens on http://127.0.0.1:")
        assert lines[1].startswith("export BULK_CANCEL_OKX_BASE_URL=http://127.0.0.1:")
        assert lines[5].startswith("export BULK_CANCEL_OKX_WS_URL=ws://127.0.0.1:")
        assert lines[6].startswith("# 30 orders are on the book")


def _spawn(*arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bulk_cancel.worker.cli", *arguments]
    return subprocess.run(command, input=given, capture_output=True, text=True, check=False, timeout=30)
