"""Do `bulk-cancel all` and `drill` say what happened, in words, JSON and exit status, wrong input included?"""

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bulk_cancel.worker.books.mass.masses import Masses
from bulk_cancel.worker.cli import run
from bulk_cancel.worker.operators.decisions import Asked, Decisions
from bulk_cancel.worker.operators.drill.rules import ASKED
from bulk_cancel.worker.simulator.book import Behaviour
from bulk_cancel.worker.simulator.config import Config
from bulk_cancel.worker.simulator.messages import PlaceOrders
from tests.support.placing import Placing
from tests.support.rig import Rig

UID = "1001"
Answer = tuple[int, str, str]
Command = Callable[..., Answer]


@pytest.fixture(scope="module")
def shared() -> Iterator[Rig]:
    """Two workers and a book whose cancels take 20 ms."""
    with Rig(workers=2, config=Config(behaviour=Behaviour(cancel_lag_ms=20))) as running:
        yield running


@pytest.fixture
def rig(shared: Rig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Rig:
    """The shared one, in its environment, with an empty book."""
    shared.adopt(monkeypatch, tmp_path)
    shared.exchange.control.set_behaviour(Behaviour(cancel_lag_ms=20))
    assert run(["all", "--account", "desk1", "--json"]) == 0
    return shared


@pytest.fixture
def command(rig: Rig, capsys: pytest.CaptureFixture[str]) -> Command:  # noqa: ARG001 (its environment)
    """Runs a command; its exit status, stdout and stderr."""
    capsys.readouterr()

    def call(*arguments: str) -> Answer:
        status = run(arguments)
        return (status, *capsys.readouterr())

    return call


def live(rig: Rig) -> int:
    """Open orders at the exchange."""
    return rig.exchange.control.summary().live_orders


def test_the_report_says_what_fix_would(rig: Rig, command: Command) -> None:
    """Scope asked and applied, matched, outcomes, not affected and why, started, flat at."""
    rig.exchange.control.place_orders(PlaceOrders(UID, "BTC-USDT-SWAP", 30, side="sell"))
    rig.exchange.control.place_orders(PlaceOrders(UID, "BTC-USDT-SWAP", 4, side="buy"))
    asked = ("--account", "desk1", "--inst-type", "swap", "--side", "sell", "--until-flat", "0.4")
    status, out, err = command("all", *asked, "--reason", "limit breach", "--by", "ann")
    assert status == 0
    for words in (
        "every open order with instType SWAP, side sell; until empty for 0.4 s",
        "by the exchange: instType SWAP; by us: side sell",
        "30 = 30 canceled",
        "4 orders: side is not sell",
        "s after the start",
        "limit breach",
        "ann",
    ):
        assert words in out
    assert "result         flat" in out
    assert "30 of 30 found ended: 30 canceled; flat" in err
    assert live(rig) == 4


def test_the_report_for_programs_adds_up(rig: Rig, command: Command) -> None:
    """One object, whether one account was asked for or all; the same id again gives the same report."""
    rig.exchange.control.place(UID, "BTC-USDT", 10)
    status, out, _ = command("all", "--all-accounts", "--json", "--batch-id", "json")
    said = json.loads(out)
    (report,) = said["reports"]
    assert (status, said["succeeded"], report["adds_up"]) == (0, True, True)
    assert (report["batch_id"], report["matched"], report["outcomes"]) == ("json-desk1", 10, {"canceled": 10})
    assert json.loads(command("all", "--all-accounts", "--json", "--batch-id", "json")[1]) == said
    status, out, _ = command("status", "json-desk1", "--json")
    assert (status, json.loads(out)) == (0, {"schema": "mass/1", **report})
    assert "every open order of desk1, urgent" in command("audit", "json-desk1")[1]


def test_a_dry_run_lists_and_changes_nothing(rig: Rig, command: Command) -> None:
    """A table with totals, or a line of JSON for each order."""
    rig.exchange.control.place_orders(PlaceOrders(UID, "ETH-USDT", 3, side="sell", px="7", sz="2", tag="mm3", age_s=90))
    rig.exchange.control.place(UID, "BTC-USDT", 150)
    status, out, err = command("all", "--account", "desk1", "--dry-run", "--tag", "mm3")
    assert (status, err) == (0, "")
    head, left_out, _, names, *rows = out.splitlines()
    assert head == "account desk1, every open order with tag mm3: 3 orders would be cancelled"
    assert left_out == "150 orders not affected: tag is not mm3"
    assert names.split() == ["instrument", "order", "side", "price", "size", "age", "tag"]
    assert [row.split()[2:5] for row in rows[:3]] == [["sell", "7", "2"]] * 3
    assert rows[-1].split() == ["ETH-USDT", "3", "0", "3"]
    status, out, _ = command("all", "--account", "desk1", "--dry-run", "--json")
    lines = [json.loads(line) for line in out.splitlines()]
    assert (status, len(lines), lines.pop()["schema"]) == (0, 154, "survey/1")
    assert 90 <= lines[-1]["age_s"] < 120
    assert live(rig) == 153


def test_an_order_that_stays_is_named(rig: Rig, command: Command) -> None:
    """Exit 1, with what the exchange said of it."""
    (order_id,) = rig.exchange.control.place(UID, "BTC-USDT", 1)
    rig.exchange.control.script(order_id, ["51403"])
    status, out, _ = command("all", "--account", "desk1", "--until-flat", "0.3", "--deadline", "6")
    assert status == 1
    assert "NOT FLAT: the deadline passed first; 1 order without a confirmed end" in out
    assert f"BTC-USDT          {order_id}             rejected  51403" in out
    assert "1 order still open at the last complete listing" in out


def test_waiting_can_end_before_the_mass_cancel_does(rig: Rig, command: Command) -> None:
    """Exit 3; it goes on until an operator calls it off, after which nothing more is found."""
    with Placing(rig, every_s=0.02) as placing:
        said = command("all", "--account", "desk1", "--until-flat", "5", "--timeout", "1", "--batch-id", "long")
        assert said[0] == 3
        assert "going on without us" in said[2]
        assert not Masses(rig.store).state("long").ended
        assert command("withdraw", "long", "--reason", "enough")[0] == 0
        assert Masses(rig.store).state("long").state == "withdrawn"
        size, placed = rig.done("long").size, placing.placed
        rig.wait_for(lambda: placing.placed > placed + 10)
    assert rig.store.batches.state("long").size == size
    assert live(rig) > 0
    status, out, _ = command("status", "long")
    assert (status, "withdrawn by an operator" in out) == (0, True)
    assert "called_off  no further listing, no further order; by" in command("audit", "long")[1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "--account or --all-accounts is required"),
        (("--account", "desk1", "--all-accounts"), "contradict each other"),
        (("--account", "nobody"), "unknown account 'nobody'; known accounts: desk1"),
        (("--account", "nobody", "--dry-run"), "account nobody: no credentials here"),
        (("--account", "desk1", "--side", "long"), "side: should be 'buy' or 'sell'"),
        (
            ("--account", "desk1", "--inst-type", "spot", "--inst-family", "A-B"),
            "--inst-family has no meaning for SPOT",
        ),
        (("--account", "desk1", "--inst-type", "spots"), "--inst-type: should be 'SPOT', "),
        (("--account", "desk1", "--inst-id", ""), "--inst-id: should be an instrument"),
        (("--account", "desk1", "--min-age", "0"), "--min-age: should be greater than 0"),
        (("--account", "desk1", "--until-flat", "soon"), "unable to parse string as a number"),
        (("--account", "desk1", "--until-flat", "900"), "does not fit into the deadline of 900 s"),
        (("--account", "desk1", "--by", " "), "--by: should say who decides"),
        (("--account", "desk1", "--symbol", "x"), "No such option"),
    ],
)
def test_wrong_input_is_named_and_nothing_is_cancelled(
    rig: Rig, command: Command, arguments: tuple[str, ...], words: str
) -> None:
    """Exit 2, one line, no mass cancel."""
    masses = len(rig.store.redis.keys("*:mass:*"))
    status, out, err = command("all", *arguments)
    assert (status, out) == (2, "")
    assert words in err
    assert "Traceback" not in err
    assert len(rig.store.redis.keys("*:mass:*")) == masses


def test_it_says_that_no_worker_is_alive() -> None:
    """What was asked for is kept, and done as soon as one runs."""
    with Rig(workers=0) as rig:
        (order_id,) = rig.exchange.control.place(UID, "BTC-USDT", 1)
        said = _as_process(rig, "all", "--account", "desk1", "--timeout", "0.2", "--batch-id", "early")
        assert said[0] == 2
        assert "unknown account" in said[2]
        rig.store.directory.publish(rig.store.scripts)
        said = _as_process(rig, "all", "--account", "desk1", "--timeout", "0.2", "--batch-id", "early")
        assert said[0] == 3
        assert "no worker is alive: nothing is cancelled until one runs" in said[2]
        rig.start_worker()
        assert rig.done("early").counts == {"canceled": 1}
        assert order_id


def _as_process(rig: Rig, *arguments: str) -> Answer:
    """The command in a process of its own, which has no account's credentials."""
    told = {"BULK_CANCEL_REDIS_URL": rig.redis.url}
    command = [sys.executable, "-m", "bulk_cancel.worker.cli", *arguments]
    done = subprocess.run(command, env=os.environ | told, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


def test_a_drill_passes_and_leaves_only_its_report(rig: Rig, command: Command, tmp_path: Path) -> None:
    """Its orders alone are cancelled, each step has its time."""
    rig.exchange.control.place(UID, "BTC-USDT", 5)
    path = tmp_path / "drill.txt"
    arguments = ("--account", "desk1", "--orders", "25", "--until-flat", "0.4", "--output", str(path), "--yes")
    status, out, _ = command("drill", *arguments, "--by", "ann")
    assert status == 0
    assert out.startswith("drill of the kill switch: PASSED\n")
    assert path.read_text() == out
    for words in (
        "25 of 25 far-off orders placed",
        "scope empty from here on",
        "ann",
        "buy 1 at 500 (post_only)",
        f"desk1, User ID {UID}\n",
    ):
        assert words in out
    assert live(rig) == 5


def test_a_drill_that_fails_cleans_up(rig: Rig, command: Command) -> None:
    """Nothing is sent for the account, so the drill cancels its orders itself and says what was wrong."""
    Decisions(rig.store).pause("desk1", Asked("test"))
    try:
        status, out, _ = command(
            "drill", "--account", "desk1", "--until-flat", "1", "--timeout", "2", "--json", "--yes"
        )
    finally:
        Decisions(rig.store).resume("desk1", Asked("test"))
    said: dict[str, Any] = json.loads(out)
    assert (status, said["passed"], said["uid"]) == (1, False, UID)
    assert said["faults"][0].startswith("not over after 2 s")
    assert said["steps"][-1]["step"] == "cleaned up: none of the drill's orders is on the book"
    assert live(rig) == 0


def test_a_drill_that_nobody_agreed_to_places_nothing(rig: Rig, command: Command) -> None:
    """Without a terminal nobody can be asked."""
    status, out, err = command("drill", "--account", "desk1", "--orders", "3")
    assert (status, out) == (2, "")
    assert "a drill would place 3 orders of BTC-USDT at http://127.0.0.1" in err
    assert "give --yes" in err
    assert live(rig) == 0


@pytest.mark.parametrize(("answer", "status", "left"), [("n\n", 1, 3), ("y\n", 0, 0)])
def test_all_accounts_in_a_terminal_are_asked_for(rig: Rig, answer: str, status: int, left: int) -> None:
    """With the count; a program, and whoever says --yes, is not asked."""
    rig.exchange.control.place(UID, "BTC-USDT", 3)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "bulk_cancel.worker.cli", "all", "--all-accounts"]
    with subprocess.Popen(command, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as asking:
        os.write(ours, answer.encode())
        _, err = asking.communicate(timeout=30)
    for end in (ours, theirs):
        os.close(end)
    assert "cancel what is open of 1 account (1 User ID): desk1? [y/N]" in err
    assert (asking.returncode, live(rig)) == (status, left)
    assert _as_process(rig, "all", "--all-accounts", "--yes")[0] == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_drill_that_is_told_to_end_cleans_up(rig: Rig, number: signal.Signals) -> None:
    """Between placing and cancelling: exit 130, and none of its orders is left at the exchange."""
    Decisions(rig.store).pause("desk1", Asked("test"))
    arguments = [
        sys.executable,
        "-m",
        "bulk_cancel.worker.cli",
        "drill",
        "--account",
        "desk1",
        "--orders",
        "25",
        "--yes",
    ]
    try:
        with subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True) as drill:
            assert drill.stderr is not None
            while drill.stderr.readline() != f"{ASKED}\n":
                assert drill.poll() is None
            assert live(rig) == 25
            drill.send_signal(number)
            _, err = drill.communicate(timeout=30)
    finally:
        Decisions(rig.store).resume("desk1", Asked("test"))
    assert (drill.returncode, "Traceback" in err) == (130, False), err
    assert live(rig) == 0


def test_filled_orders_fail_a_drill(rig: Rig, command: Command) -> None:
    """They were not far off, or the exchange is not what it should be."""
    rig.exchange.control.set_behaviour(Behaviour(cancel_lag_ms=20, fill_rate=1.0))
    status, out, _ = command("drill", "--account", "desk1", "--orders", "3", "--until-flat", "0.3", "--yes")
    assert status == 1
    assert "fault: 3 matched and {'filled': 3}, but 3 should be canceled" in out
    assert "fault: 3 orders are filled at the exchange" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "--account is required"),
        (("--account", "desk1", "--embedded"), "leave --account out"),
        (("--account", "nobody"), "account nobody: no credentials here"),
        (("--account", "desk1", "--inst-id", "NO-SUCH", "--yes"), "no instrument NO-SUCH is listed there"),
        (("--account", "desk1", "--output", "/nowhere/report.txt"), "cannot write there"),
        (("--account", "desk1", "--until-flat", "60"), "--until-flat 60 does not fit into --timeout 60"),
        (("--account", "desk1", "--orders", "0"), "should be greater than or equal to 1"),
    ],
)
def test_a_drill_that_makes_no_sense_places_nothing(
    rig: Rig, command: Command, arguments: tuple[str, ...], words: str
) -> None:
    """Exit 2 and one line."""
    status, out, err = command("drill", *arguments)
    assert (status, out, live(rig)) == (2, "", 0)
    assert words in err


def test_a_drill_refuses_the_real_exchange(rig: Rig, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it asks anything of it."""
    monkeypatch.setenv("BULK_CANCEL_OKX_BASE_URL", "https://www.okx.com")
    status, _, err = command("drill", "--account", "desk1")
    assert status == 2
    assert "account desk1 trades for real at www.okx.com" in err
    assert live(rig) == 0
