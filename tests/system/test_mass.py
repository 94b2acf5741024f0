"""Does a mass cancel leave nothing of its scope on the book, and touch nothing else, whatever happens meanwhile?"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from celery import Celery

from bulk_cancel.tasks.errors import BatchConflictError
from bulk_cancel.tasks.mass import parse_cancel_all
from bulk_cancel.worker.books.mass.masses import Masses
from bulk_cancel.worker.books.mass.state import Mass
from bulk_cancel.worker.simulator.book import Behaviour
from bulk_cancel.worker.simulator.config import Config
from bulk_cancel.worker.simulator.faults import Fault, Network
from bulk_cancel.worker.simulator.messages import PlaceOrders
from bulk_cancel.worker.state.batches import BatchState
from tests.support.placing import Placing
from tests.support.rig import Rig
from tests.support.waiting import PATIENCE_S

UID = "1001"
LONG = os.environ.get("CHAOS") == "long"


@pytest.fixture(scope="module")
def shared() -> Iterator[Rig]:
    """Two workers and a book whose cancels take 50 ms."""
    with Rig(workers=2, config=Config(behaviour=Behaviour(cancel_lag_ms=50))) as running:
        yield running


@pytest.fixture
def rig(shared: Rig) -> Iterator[Rig]:
    """The shared one, its book empty before and after."""
    yield shared
    shared.exchange.control.set_behaviour(Behaviour(cancel_lag_ms=50))
    clear(shared)


def clear(rig: Rig) -> None:
    """Whatever a test left open goes."""
    ask(rig, f"clear-{time.monotonic_ns()}", until_flat_s=0.3)


def ask(rig: Rig, batch_id: str, timeout_s: float = 30, **asked: object) -> tuple[Mass, BatchState]:
    """A mass cancel of account desk1, once it ended and each of its orders did."""
    Masses(rig.store).take(parse_cancel_all({"account": "desk1", "batch_id": batch_id, **asked}))
    rig.wait_for(lambda: Masses(rig.store).state(batch_id).ended, timeout_s)
    state = rig.done(batch_id, timeout_s)
    return Masses(rig.store).state(batch_id), state


def live(rig: Rig) -> int:
    """Open orders at the exchange."""
    return rig.exchange.control.summary().live_orders


def test_everything_open_is_cancelled(rig: Rig) -> None:
    """One listing without filters: every order has its outcome, and the book is empty."""
    for inst_id in ("BTC-USDT", "BTC-USDT-SWAP", "ETH-USDT"):
        rig.exchange.control.place(UID, inst_id, 120)
    mass, state = ask(rig, "plain")
    assert (mass.state, mass.listings, mass.matching) == ("done", 1, 360)
    assert (state.size, state.counts) == (360, {"canceled": 360})
    assert live(rig) == 0


@pytest.mark.parametrize("page_rows", [1, 50])
def test_an_exchange_of_short_pages_is_listed_to_its_end(rig: Rig, page_rows: int) -> None:
    """Fewer rows than were asked for may be all that it gives at once: only an empty page is the last one."""
    rig.exchange.control.set_behaviour(Behaviour(page_rows=page_rows))
    rig.exchange.control.place(UID, "BTC-USDT", orders := page_rows + 5)
    mass, state = ask(rig, f"short-{page_rows}")
    assert (mass.listings, mass.matching, state.counts) == (1, orders, {"canceled": orders})
    assert live(rig) == 0


def test_only_what_fits_every_filter_is_cancelled(rig: Rig) -> None:
    """Instrument type at the exchange; side, tag and age by us. What is left out is counted by its reason."""
    control = rig.exchange.control
    meant = control.place_orders(PlaceOrders(UID, "BTC-USDT-SWAP", 5, side="sell", tag="mm3", age_s=60))
    others = [
        PlaceOrders(UID, "BTC-USDT", 4, side="sell", tag="mm3", age_s=60),
        PlaceOrders(UID, "BTC-USDT-SWAP", 3, side="buy", tag="mm3", age_s=60),
        PlaceOrders(UID, "BTC-USDT-SWAP", 2, side="sell", tag="mm4", age_s=60),
        PlaceOrders(UID, "BTC-USDT-SWAP", 1, side="sell", tag="mm3", age_s=5),
    ]
    kept = [order_id for wanted in others for order_id in control.place_orders(wanted)]
    mass, state = ask(rig, "filters", instType="SWAP", side="sell", tag="mm3", min_age_s=30)
    assert state.counts == {"canceled": 5}
    assert mass.left_out == {"side is not sell": 3, "tag is not mm3": 2, "younger than 30 s": 1}
    assert (mass.scope.by_exchange, mass.scope.by_us) == (
        {"instType": "SWAP"},
        {"side": "sell", "tag": "mm3", "min_age_s": 30.0},
    )
    assert {order.ordId for order in control.orders(uid=UID, state="live")} == set(kept)
    assert {row.ordId for row in rig.store.batches.rows("filters")} == set(meant)


def test_the_orders_of_one_program_are_told_by_their_client_ids(rig: Rig) -> None:
    """Several programs trade on one account: those of the others, and those without such an id, stay."""
    control = rig.exchange.control
    meant = control.place_orders(PlaceOrders(UID, "BTC-USDT", 40, prefix="mm3"))
    kept = control.place_orders(PlaceOrders(UID, "BTC-USDT", 5, prefix="mM3"))
    kept += control.place(UID, "BTC-USDT", 5)
    mass, state = ask(rig, "program", clOrdId_prefix="mm3", until_flat_s=0.3)
    assert (mass.state, state.counts) == ("flat", {"canceled": 40})
    assert mass.left_out == {"clOrdId does not begin with mm3": 10}
    assert {order.ordId for order in control.orders(uid=UID, state="live")} == set(kept)
    assert {row.ordId for row in rig.store.batches.rows("program")} == set(meant)


@pytest.mark.parametrize("offset_s", [25.0, -25.0])
def test_age_is_told_by_the_exchanges_clock(offset_s: float) -> None:
    """However wrong the worker's own is."""
    with Rig(workers=1, config=Config(clock_offset_s=offset_s)) as rig:
        control = rig.exchange.control
        old = control.place_orders(PlaceOrders(UID, "BTC-USDT", 5, age_s=40))
        young = control.place_orders(PlaceOrders(UID, "BTC-USDT", 5, age_s=15))
        _, state = ask(rig, "age", min_age_s=30)
        assert {order.ordId for order in control.orders(uid=UID, state="live")} == set(young)
        assert {row.ordId for row in rig.store.batches.rows("age")} == set(old)
        assert state.counts == {"canceled": 5}


def test_the_family_is_asked_of_the_exchange(rig: Rig) -> None:
    """Swap, futures and options of one family; its neighbour in name stays."""
    control = rig.exchange.control
    family = [name for name in rig.exchange.config.instruments if name.startswith("BTC-USD-")]
    for inst_id in (*family, "BTC-USDT-SWAP", "BTC-USDT"):
        control.place(UID, inst_id, 2)
    mass, state = ask(rig, "family", instFamily="BTC-USD")
    assert (state.size, state.counts) == (2 * len(family), {"canceled": 2 * len(family)})
    assert mass.left_out == {}
    assert control.summary().live[UID] == {"BTC-USDT-SWAP": 2, "BTC-USDT": 2}


def test_orders_placed_meanwhile_do_not_escape(rig: Rig) -> None:
    """Flat only once nothing came for as long as was asked; the batch holds all that were ever seen."""
    rig.exchange.control.place(UID, "BTC-USDT", 200)
    asked = {"account": "desk1", "batch_id": "meanwhile", "until_flat_s": 4.0}
    with Placing(rig, every_s=0.05) as placing:
        Masses(rig.store).take(parse_cancel_all(asked))
        rig.wait_for(lambda: placing.placed >= 30)
        assert not Masses(rig.store).state("meanwhile").ended
    rig.wait_for(lambda: Masses(rig.store).state("meanwhile").ended)
    mass, state = Masses(rig.store).state("meanwhile"), rig.done("meanwhile")
    assert mass.state == "flat"
    assert (state.size, state.counts) == (200 + placing.placed, {"canceled": 200 + placing.placed})
    assert mass.flat_at is not None
    assert mass.ended_at is not None
    assert (mass.ended_at - mass.flat_at).total_seconds() >= 4.0
    assert mass.listings > 5
    assert live(rig) == 0


def test_lies_and_fills_are_told_apart(rig: Rig) -> None:
    """Cancels that were accepted and never happened are found; an order that filled first is never called canceled."""
    control = rig.exchange.control
    control.set_behaviour(Behaviour(cancel_lag_ms=50, lie_rate=0.1, fill_rate=0.2))
    ids = control.place(UID, "BTC-USDT", 200)
    mass, state = ask(rig, "lies", until_flat_s=0.5)
    assert mass.state == "flat"
    assert sum(state.counts.values()) == state.size == 200
    rows = {row.ordId: row.status for row in rig.store.batches.rows("lies")}
    assert rows == {order.ordId: order.state for order in control.orders(uid=UID) if order.ordId in set(ids)}
    assert 0 < state.counts["filled"] < 200
    assert live(rig) == 0


def test_the_same_id_again_does_nothing_but_answer(rig: Rig) -> None:
    """Other filters under it are refused, and so are orders."""
    rig.exchange.control.place(UID, "BTC-USDT", 3)
    first, _ = ask(rig, "twice", instId="BTC-USDT")
    rig.exchange.control.place(UID, "BTC-USDT", 2)
    asked = {"account": "desk1", "batch_id": "twice", "instId": "BTC-USDT"}
    assert Masses(rig.store).take(parse_cancel_all(asked)) == [first]
    assert live(rig) == 2
    with pytest.raises(BatchConflictError, match="another scope"):
        Masses(rig.store).take(parse_cancel_all({"account": "desk1", "batch_id": "twice"}))


def test_a_rejected_order_keeps_the_scope_from_being_flat(rig: Rig) -> None:
    """It is asked for once, and the report says that it is on the book."""
    control = rig.exchange.control
    (order_id,) = control.place(UID, "BTC-USDT", 1)
    control.script(order_id, ["51403"] * 5)
    mass, state = ask(rig, "stuck", until_flat_s=0.3, deadline_s=6)
    assert (mass.state, mass.matching) == ("not flat", 1)
    assert (state.counts, live(rig)) == ({"rejected": 1}, 1)
    order = control.order(order_id)
    assert order is not None
    assert order.cancels == 1
    control.clear_scripts()


def test_an_order_that_was_given_up_goes_again_while_it_is_open() -> None:
    """Its attempts were used up; a later listing shows it, so it is no dead row but a new generation."""
    with Rig(settings={"MAX_ATTEMPTS": "2"}) as rig:
        control = rig.exchange.control
        (order_id,) = control.place(UID, "BTC-USDT", 1)
        control.script(order_id, ["51412"] * 3)
        mass, state = ask(rig, "given-up", timeout_s=40, until_flat_s=0.5)
        assert (mass.state, state.counts) == ("flat", {"canceled": 1})
        assert control.summary().cancels_per_order == {4: 1}  # more than one generation has
        assert live(rig) == 0


def test_all_accounts_are_one_mass_cancel_for_each_user(rig: Rig) -> None:
    """Named after the account."""
    rig.exchange.control.place(UID, "BTC-USDT", 3)
    (mass,) = Masses(rig.store).take(parse_cancel_all({"account": "*", "batch_id": "everybody"}))
    assert (mass.batch_id, mass.account) == ("everybody-desk1", "desk1")
    assert rig.done("everybody-desk1").counts == {"canceled": 3}


def test_a_foreign_celery_client_asks_by_name(rig: Rig) -> None:
    """Null means absent; a message with a filter that nobody knows is kept, and nothing of it is done."""
    rig.exchange.control.place(UID, "BTC-USDT", 3)
    rig.exchange.control.place(UID, "ETH-USDT", 2)
    with Celery(broker=rig.redis.url) as app:
        asked = {"account": "desk1", "instId": "BTC-USDT", "side": None}
        app.send_task("tasks.cancel_all", kwargs={"batch_id": "wrong", **asked, "symbol": "BTC"}, queue="cancel")
        app.send_task("tasks.cancel_all", kwargs={"batch_id": "foreign", **asked}, queue="cancel")
        rig.taken("foreign")
    assert rig.done("foreign").counts == {"canceled": 3}
    rig.wait_for(lambda: rig.store.refusals.count() == 1)
    (refused,) = rig.store.refusals.newest(5)
    assert (refused.batch_id, refused.source) == ("wrong", "tasks.cancel_all")
    assert refused.errors == ("symbol: is no field of this message",)
    assert not rig.store.redis.exists(rig.store.keys.of("mass", "wrong"))
    assert live(rig) == 2


def test_flat_is_proven_without_confirmation_too() -> None:
    """With CONFIRM=off an accepted cancel is an outcome, but the listings are what says flat: lies are found."""
    config = Config(behaviour=Behaviour(cancel_lag_ms=50, lie_rate=0.1))
    with Rig(workers=1, config=config, settings={"CONFIRM": "off"}) as rig:
        rig.exchange.control.place(UID, "BTC-USDT", 200)
        mass, state = ask(rig, "off", until_flat_s=0.5)
        assert (mass.state, live(rig)) == ("flat", 0)
        assert set(state.counts) <= {"accepted", "gone"}
        assert sum(state.counts.values()) == state.size == 200


def test_another_worker_goes_on_when_one_is_killed() -> None:
    """The listing's lease lapses; nothing that was found is lost, and what was not is found. It lists for seconds."""
    config = Config(network=Network(delay_ms=20), behaviour=Behaviour(cancel_lag_ms=50, page_rows=10))
    with Rig(workers=1, config=config, settings={"HTTP_TIMEOUT_S": "1"}) as rig:
        for inst_id in ("BTC-USDT", "ETH-USDT", "BTC-USDT-SWAP"):
            rig.exchange.control.place(UID, inst_id, 500)
        Masses(rig.store).take(parse_cancel_all({"account": "desk1", "batch_id": "b", "until_flat_s": 1}))
        rig.wait_for(lambda: rig.store.batches.state("b").size >= 300)
        rig.workers[0].kill()
        rig.workers[0].wait()
        assert not Masses(rig.store).state("b").ended
        assert rig.store.batches.state("b").size < 1500
        rig.exchange.control.set_behaviour(Behaviour(cancel_lag_ms=50))
        rig.start_worker()
        rig.wait_for(lambda: Masses(rig.store).state("b").ended, 2 * PATIENCE_S)
        assert Masses(rig.store).state("b").state == "flat"
        state = rig.done("b")
        assert (state.size, sum(state.counts.values())) == (1500, 1500)
        summary = rig.exchange.control.summary()
        assert (summary.live_orders, summary.refusals) == (0, 0)


def test_a_worker_that_stops_hands_its_listing_over_at_once() -> None:
    """SIGTERM amid many pages: the next worker need not wait for the lease to lapse."""
    config = Config(network=Network(delay_ms=100), behaviour=Behaviour(page_rows=20))
    with Rig(workers=1, config=config) as rig:
        rig.exchange.control.place(UID, "BTC-USDT", 1500)
        Masses(rig.store).take(parse_cancel_all({"account": "desk1", "batch_id": "b"}))
        rig.wait_for(lambda: rig.store.batches.state("b").size > 0)
        assert rig.stop_worker(rig.workers[0]) == 0
        assert not Masses(rig.store).state("b").ended
        due_us = rig.store.redis.zscore(rig.store.keys.of("masses"), "b")
        now_us = int(str(rig.store.redis.hget(rig.store.keys.of("clock"), "last")))
        assert due_us is not None
        assert due_us <= now_us
        assert rig.store.redis.get(rig.store.keys.of("listing", "b")) is None


@pytest.mark.timeout(180)
def test_the_kill_switch_ends_flat_while_a_strategy_goes_on() -> None:
    """A full book, 20 new orders/s while it runs, fills that beat 5 % of the cancels and 2 % that never happen.

    The command ends flat once the strategy is stopped, every order ever seen has its true outcome, nothing is on the
    book, and the exchange never refused us for speed.
    """
    count, for_s = (4_000, 20.0) if LONG else (1_200, 5.0)
    behaviour = Behaviour(cancel_lag_ms=50, fill_rate=0.05, lie_rate=0.02)
    config = Config(network=Network(delay_ms=2, jitter_ms=4), behaviour=behaviour)
    with Rig(workers=2, config=config) as rig:
        inst_ids = rig.exchange.config.instruments[:8]
        for inst_id in inst_ids:
            rig.exchange.control.place(UID, inst_id, count // 8)
        with Placing(rig, every_s=0.05, inst_ids=inst_ids) as placing:
            command = [
                sys.executable,
                "-m",
                "bulk_cancel.worker.cli",
                "all",
                "--account",
                "desk1",
                "--until-flat",
                "6",
                "--json",
            ]
            switch = subprocess.Popen(
                command, env=os.environ | rig.environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
            rig.wait_for(lambda: placing.placed >= 15 * for_s, PATIENCE_S + for_s)
            assert switch.poll() is None
        out, _ = switch.communicate(timeout=60)
        (report,) = json.loads(out)["reports"]
        total = count // 8 * 8 + placing.placed
        assert (switch.returncode, report["state"], report["adds_up"]) == (0, "flat", True)
        assert report["matched"] == sum(report["outcomes"].values()) == total
        true = {order.ordId: order.state for order in rig.exchange.control.orders(uid=UID)}
        assert {row.ordId: row.status for row in rig.store.batches.rows(report["batch_id"])} == true
        assert set(true.values()) == {"canceled", "filled"}
        summary = rig.exchange.control.summary()
        assert (summary.live_orders, summary.refusals) == (0, 0)


def test_books_that_are_blind_are_not_taken_for_flat() -> None:
    """For longer than the scope is to be empty no reading call knows of any order; the channel told of those placed.

    It ends flat once they are seen, cancelled, and off.
    """
    blind = (
        Fault(endpoint="orders-pending", status=200, body='{"code":"0","msg":"","data":[]}'),
        Fault(endpoint="orders-history", status=200, body='{"code":"0","msg":"","data":[]}'),
        Fault(endpoint="order", status=200, body='{"code":"51603","msg":"Order does not exist","data":[]}'),
    )
    asked = {"account": "desk1", "batch_id": "blind", "until_flat_s": 6.0}
    with Rig(workers=2) as rig:
        control = rig.exchange.control
        rig.wait_for(lambda: control.summary().channels == 1)
        ids = {control.add_fault(fault) for fault in blind}
        Masses(rig.store).take(parse_cancel_all(asked))
        rig.wait_for(lambda: Masses(rig.store).state("blind").listings > 0)
        orders = control.place(UID, "BTC-USDT", 3)
        rig.wait_for(lambda: orders[0] in Masses(rig.store).state("blind").trouble)
        assert not Masses(rig.store).state("blind").ended
        assert live(rig) == len(orders)
        for each in ids:
            control.remove_fault(each)
        rig.wait_for(lambda: Masses(rig.store).state("blind").ended)
        mass, state = Masses(rig.store).state("blind"), rig.done("blind")
        assert (mass.state, state.counts) == ("flat", {"canceled": len(orders)})
        ended_us = max(order.uTime_us for order in control.orders(uid=UID))
        assert mass.flat_at is not None
        assert mass.flat_at.timestamp() * 1e6 >= ended_us - 1_000
        assert live(rig) == 0
