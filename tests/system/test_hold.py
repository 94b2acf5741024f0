"""Does a mass cancel on hold cancel whatever comes, whoever dies, until somebody lets go, and nothing after that?"""

import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from bulk_cancel.tasks.mass import parse_cancel_all
from bulk_cancel.worker.books.mass.masses import Masses
from bulk_cancel.worker.books.mass.state import Mass
from bulk_cancel.worker.cli import run
from bulk_cancel.worker.operators.decisions import Asked
from bulk_cancel.worker.operators.holds import release
from bulk_cancel.worker.simulator.book import Behaviour
from bulk_cancel.worker.simulator.config import Config
from bulk_cancel.worker.simulator.faults import Network
from bulk_cancel.worker.simulator.messages import PlaceAlgos, PlaceOrders
from tests.support.answering import answers
from tests.support.placing import Placing
from tests.support.rig import Rig

UID = "1001"
SLOW_BOOK = Config(network=Network(delay_ms=5, jitter_ms=5), behaviour=Behaviour(cancel_lag_ms=50))
Command = Callable[..., tuple[int, str, str]]


def mass(rig: Rig, batch_id: str) -> Mass:
    """How it stands."""
    return Masses(rig.store).state(batch_id)


def live(rig: Rig) -> int:
    """Open orders at the exchange."""
    return rig.exchange.control.summary().live_orders


@pytest.mark.timeout(120)
def test_whatever_comes_is_cancelled_whoever_dies() -> None:
    """A strategy goes on, a worker is killed, Redis restarts: flat all the same, without one refusal for speed.

    Every order ever placed has its true outcome. Released, the hold leaves alone what comes.
    """
    settings = {"HTTP_TIMEOUT_S": "1"}
    durable = {"appendonly": "yes", "appendfsync": "always"}
    with Rig(workers=2, config=SLOW_BOOK, redis=durable, settings=settings) as rig:
        inst_ids = rig.exchange.config.instruments[:4]
        for inst_id in inst_ids:
            rig.exchange.control.place(UID, inst_id, 200)
        Masses(rig.store).take(parse_cancel_all({"account": "desk1", "batch_id": "h", "hold": True, "deadline_s": 60}))
        with Placing(rig, every_s=0.05, inst_ids=inst_ids) as placing:
            rig.wait_for(lambda: rig.store.batches.state("h").counts.get("canceled", 0) > 820)
            rig.workers[0].kill()
            rig.workers[0].wait()
            killed_at = placing.placed
            rig.wait_for(lambda: rig.store.batches.state("h").size > 800 + killed_at + 20)
            rig.redis.restart()
            rig.wait_for(lambda: answers(rig.store.redis))
            restarted_at = placing.placed
            rig.wait_for(lambda: rig.store.batches.state("h").size > 800 + restarted_at + 20)
            assert not mass(rig, "h").ended
        rig.wait_for(lambda: mass(rig, "h").flat and not rig.store.batches.state("h").waiting)
        assert live(rig) == 0
        assert release(rig.store, "h", Asked("ann")).changed
        later = rig.exchange.control.place(UID, "BTC-USDT", 5)
        state = rig.done("h")
        listings = mass(rig, "h").listings
        true = {order.ordId: order.state for order in rig.exchange.control.orders(uid=UID)}
        assert {row.ordId: row.status for row in rig.store.batches.rows("h")} | dict.fromkeys(later, "live") == true
        assert (state.size, state.counts) == (800 + placing.placed, {"canceled": 800 + placing.placed})
        assert {order.ordId for order in rig.exchange.control.orders(state="live")} == set(later)
        assert (mass(rig, "h").state, mass(rig, "h").listings) == ("released", listings)
        assert rig.exchange.control.summary().refusals == 0


@pytest.fixture(scope="module")
def shared() -> Iterator[Rig]:
    """Two workers and a book whose cancels take 50 ms."""
    with Rig(workers=2, config=SLOW_BOOK) as running:
        yield running


@pytest.fixture
def rig(shared: Rig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Rig:
    """The shared one, in its environment."""
    return shared.adopt(monkeypatch, tmp_path)


@pytest.fixture
def command(rig: Rig, capsys: pytest.CaptureFixture[str]) -> Command:  # noqa: ARG001 (its environment)
    """Runs a command; its exit status, stdout and stderr."""
    capsys.readouterr()

    def call(*arguments: str) -> tuple[int, str, str]:
        status = run(arguments)
        return (status, *capsys.readouterr())

    return call


def test_a_hold_keeps_to_its_scope_and_goes_on_after_its_deadline(rig: Rig) -> None:
    """What does not fit its filters stays; an order that comes after the hold's deadline has a time of its own."""
    control = rig.exchange.control
    kept = control.place_orders(PlaceOrders(UID, "BTC-USDT", 3, prefix="other"))
    asked = {"account": "desk1", "batch_id": "scope", "hold": True, "clOrdId_prefix": "mm", "deadline_s": 1}
    Masses(rig.store).take(parse_cancel_all(asked))
    rig.wait_for(lambda: mass(rig, "scope").flat)
    ends = mass(rig, "scope").deadline_at + timedelta(seconds=1)
    rig.wait_for(lambda: rig.store.redis.time()[0] > ends.timestamp())
    control.place_orders(PlaceOrders(UID, "BTC-USDT", 4, prefix="mm"))
    rig.wait_for(lambda: rig.store.batches.state("scope").counts == {"canceled": 4})
    assert {order.ordId for order in control.orders(state="live")} == set(kept)
    release(rig.store, "scope", Asked("ann"))
    assert rig.done("scope").counts == {"canceled": 4}


def test_a_hold_with_algos_cancels_those_that_come(rig: Rig) -> None:
    """Whatever type they are of, and what they place, with a channel that is opened for it and closed after it."""
    control, heard = rig.exchange.control, rig.store.keys.of("heard", "desk1:algo")
    assert not rig.store.redis.exists(heard)
    Masses(rig.store).take(parse_cancel_all({"account": "desk1", "batch_id": "algos", "hold": True, "with": ["algos"]}))
    rig.wait_for(lambda: mass(rig, "algos").flat and bool(rig.store.redis.exists(heard)))
    kinds = ("trigger", "oco", "move_order_stop", "chase", "twap", "smart_iceberg")
    for kind in kinds:
        control.place_algos(PlaceAlgos(UID, "BTC-USDT-SWAP", kind))
    fired = control.place_algos(PlaceAlgos(UID, "BTC-USDT-SWAP", "trigger", 3))
    control.fire_algos(fired)
    rig.wait_for(lambda: not live(rig) and all(algo.state != "live" for algo in control.algos()))
    rig.wait_for(lambda: mass(rig, "algos").flat and not rig.store.batches.state("algos").waiting)
    ended = {row.algoId: row.status for row in rig.store.batches.rows("algos") if row.algoId}
    assert ended.items() >= {algo.algoId: "canceled" for algo in control.algos() if algo.algoId not in fired}.items()
    release(rig.store, "algos", Asked("ann"))
    rig.done("algos")
    rig.wait_for(lambda: not rig.store.redis.exists(heard))
    assert control.summary().refusals == 0


def test_the_commands_say_what_is_held(rig: Rig, command: Command) -> None:
    """`all --hold` returns when flat and says how it ends; status, batches and audit tell; `release` ends it."""
    rig.exchange.control.place(UID, "ETH-USDT", 30)
    asked = ("all", "--account", "desk1", "--inst-id", "ETH-USDT", "--hold", "--batch-id", "cli")
    status, out, err = command(*asked, "--until-flat", "0.3", "--by", "ann", "--reason", "halt")
    assert status == 0
    assert "mass cancel cli of account desk1, on hold until: bulk-cancel release cli" in err
    assert "30 = 30 canceled" in out
    assert "on hold, and flat: whatever comes is cancelled, until bulk-cancel release cli" in out
    assert re.search("^complete +yes$", out, re.MULTILINE)
    rig.exchange.control.place(UID, "ETH-USDT", 10)
    rig.wait_for(lambda: rig.store.batches.state("cli").counts == {"canceled": 40})
    rig.wait_for(lambda: mass(rig, "cli").flat)
    assert "with instId ETH-USDT, until empty for 0.3 s, on hold until released; flat" in command("status")[1]
    assert "mass cancel, on hold, urgent, by ann, halt" in command("batches")[1]
    status, out, _ = command("status", "cli", "--json")
    said = json.loads(out)
    assert (status, said["state"]) == (0, "running")
    assert said["hold"] is said["held_flat"] is said["succeeded"] is True
    assert command("retry", "cli")[2].endswith("still runs, and lets its orders go again by itself\n")
    status, out, _ = command("release", "cli", "--by", "bob", "--reason", "over")
    assert (status, out) == (
        0,
        "mass cancel cli of desk1 released: nothing more is listed or found; its scope was flat\n",
    )
    assert command("release", "cli")[1].startswith("mass cancel cli of desk1 is on hold no more: released ")
    status, out, _ = command("status", "cli")
    assert (status, "released by an operator; it was flat" in out) == (0, True)
    told = command("audit", "cli")[1]
    assert "on hold until released, urgent" in told
    assert "no longer on hold: nothing more is listed, what was found is cancelled; by bob: over" in told
    assert not list(rig.exchange.control.orders(instId="ETH-USDT", state="live"))


def test_a_hold_that_is_not_flat_in_time_says_so(rig: Rig, command: Command) -> None:
    """Exit 1 at its deadline, and it goes on; with --timeout exit 3 before."""
    (order_id,) = rig.exchange.control.place(UID, "SOL-USDT", 1)
    rig.exchange.control.script(order_id, ["51403"] * 9)
    asked = ("all", "--account", "desk1", "--inst-id", "SOL-USDT", "--hold", "--deadline", "6", "--batch-id", "stuck")
    status, _, err = command(*asked, "--timeout", "0.3")
    assert status == 3
    assert "to stop: bulk-cancel release stuck" in err
    status, out, _ = command(*asked)
    assert status == 1
    assert "on hold, NOT FLAT by " in out
    assert command("status", "stuck")[0] == 1
    assert not mass(rig, "stuck").ended
    assert command("release", "stuck")[1].endswith("its scope was NOT FLAT\n")
    rig.exchange.control.clear_scripts()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("release",), "Missing argument 'ID'"),
        (("release", "nope"), "'nope' is no mass cancel"),
        (("release", "once"), "mass cancel 'once' is not on hold: it has ended (done)"),
        (("release", "once", "--by", " "), "--by: should say who decides"),
        (("all", "--account", "desk1", "--hold", "--batch-id", "once"), "known with another scope or orders"),
        (("all", "--hold"), "--account or --all-accounts is required"),
        (("all", "--account", "desk1", "--hold", "--until-flat", "5", "--deadline", "5"), "does not fit into the dead"),
    ],
)
def test_what_makes_no_sense_is_refused(rig: Rig, command: Command, arguments: tuple[str, ...], words: str) -> None:
    """Exit 2 and one line."""
    Masses(rig.store).take(parse_cancel_all({"account": "desk1", "batch_id": "once", "instId": "XRP-USDT"}))
    rig.wait_for(lambda: mass(rig, "once").ended)
    status, out, err = command(*arguments)
    assert (status, out) == (2, "")
    assert words in err
