"""Does a mass cancel with algo orders leave nothing that can trade, whatever fires, replaces or is left meanwhile?"""

import json
from collections import Counter
from pathlib import Path

import pytest

from bulk_cancel.tasks.mass import parse_cancel_all
from bulk_cancel.worker.books.mass.masses import Masses
from bulk_cancel.worker.books.reader import reading
from bulk_cancel.worker.cli import run
from bulk_cancel.worker.okx.sources import BY_NAME
from bulk_cancel.worker.operators.reports import read_report
from bulk_cancel.worker.simulator.algos import AlgoBehaviour
from bulk_cancel.worker.simulator.messages import PlaceAlgos, PlaceOrders
from bulk_cancel.worker.state.fleet import read_workers
from tests.support.json_shapes import misfits
from tests.support.placing import Placing
from tests.support.rig import Rig
from tests.system.conftest import All

UID, SWAP = "1001", "BTC-USDT-SWAP"

ENDED = {"canceled": "canceled", "effective": "gone"}
"""What is told of an algo order, by its state at the exchange."""


@pytest.fixture
def rig(emptied: Rig) -> Rig:
    """Two workers, and nothing at the exchange."""
    return emptied


def left(rig: Rig) -> Counter[str]:
    """What is open at the exchange, by kind."""
    algos = Counter(algo.ordType for algo in rig.exchange.control.algos() if algo.state == "live")
    return algos + Counter({"order": rig.exchange.control.summary().live_orders})


def fill(rig: Rig) -> list[str]:
    """Orders, some filled in part with a TP/SL attached; triggers, parents with working orders, stops of both sorts.

    The algoIds of protective ones.
    """
    control = rig.exchange.control
    control.place(UID, SWAP, 30)
    control.place_orders(PlaceOrders(UID, SWAP, 3, accFillSz="0.5", attached="true"))
    control.place_orders(PlaceOrders(UID, SWAP, 2, accFillSz="0.5", attached="false"))
    for ord_type, count in (("trigger", 24), ("twap", 2), ("chase", 2), ("smart_iceberg", 1)):
        control.place_algos(PlaceAlgos(UID, SWAP, ord_type, count))
    control.place_algos(PlaceAlgos(UID, "ETH-USDT", "trigger", 3))
    control.place_algos(PlaceAlgos(UID, SWAP, "trigger", 2, advanceOrdType="chase"))
    control.place_algos(PlaceAlgos(UID, SWAP, "move_order_stop", 1))
    stops = control.place_algos(PlaceAlgos(UID, SWAP, "conditional", 4, reduceOnly="true"))
    return stops + control.place_algos(PlaceAlgos(UID, SWAP, "oco", 1, closeFraction="1"))


@pytest.mark.parametrize(
    "behaviour",
    [
        AlgoBehaviour(fire_rate=0.3, fire_sCode="0", attached_lag_ms=100),
        AlgoBehaviour(fire_rate=0.3, fire_sCode="51412", cancel_lag_ms=80, list_lag_ms=80, keeps_child=True),
        AlgoBehaviour(fire_rate=0.3, fire_every_ms=100, replaces_child=False),
    ],
    ids=["acknowledged though fired", "slow", "fires by itself"],
)
def test_nothing_is_left_but_what_is_kept(rig: Rig, all_: All, behaviour: AlgoBehaviour) -> None:
    """Children of what fired are followed, TP/SL that cancels left are found; protective ones stay."""
    rig.exchange.control.set_algo_behaviour(behaviour)
    fill(rig)
    status, report = all_("--with", "algos", "--until-flat", "0.5")
    assert (status, report["state"], report["complete"], report["adds_up"]) == (0, "flat", True, True)
    assert left(rig) == Counter({"conditional": 4 + 3, "oco": 1})
    assert report["not_affected"] == {"protective, and kept": 8}
    algos, orders = report["by_kind"]["algos"], report["by_kind"]["orders"]
    told = {row.algoId: row.status for row in rig.store.batches.rows(report["batch_id"]) if row.algoId}
    ended = {algo.algoId: ENDED[algo.state] for algo in rig.exchange.control.algos() if algo.state != "live"}
    assert told.items() <= ended.items()
    unlisted = {ended[each] for each in ended.keys() - told.keys()}
    assert unlisted <= ({"gone"} if behaviour.fire_every_ms else set())  # it may fire before it is listed
    assert algos == Counter(told.values())
    assert orders["canceled"] == report["matched"] - sum(algos.values())


def test_protective_ones_go_last_and_only_if_chosen(rig: Rig, all_: All) -> None:
    """All else has been cancelled when the first of them is; once is enough to have it all."""
    protective = fill(rig)
    status, report = all_("--with", "algos", "--protective", "cancel")
    assert (status, report["state"], left(rig)) == (0, "done", Counter())
    log = list(rig.exchange.control.log())
    kinds = {algo.algoId: algo.ordType for algo in rig.exchange.control.algos()}
    stops = [row.at_us for row in log if set(row.ordIds) & set(protective)]
    others = [row.at_us for row in log if kinds.get((row.ordIds or ("",))[0]) in {"trigger", "twap", "chase"}]
    assert max(others) < min(stops)
    assert report["by_kind"]["algos"]["canceled"] == len(kinds)


@pytest.mark.parametrize("code", ["0", "51400", "51412", "51416"])
def test_children_are_followed_by_what_their_parent_tells(rig: Rig, all_: All, code: str) -> None:
    """No listing shows them in this scope: a child does not bear its parent's client id."""
    control = rig.exchange.control
    control.set_algo_behaviour(AlgoBehaviour(fire_rate=1.0, fire_sCode=code))
    (other,) = control.place(UID, SWAP, 1)
    for number in range(5):
        control.place_algos(PlaceAlgos(UID, SWAP, "trigger", algoClOrdId=f"mm{number}"))
    control.place_algos(PlaceAlgos(UID, SWAP, "trigger", algoClOrdId="mm9", advanceOrdType="chase"))
    status, report = all_("--with", "algos", "--cl-ord-id-prefix", "mm", "--until-flat", "0.5")
    assert (status, report["state"], report["complete"], report["adds_up"]) == (0, "flat", True, True)
    assert [order.ordId for order in control.orders(state="live")] == [other]
    assert left(rig) == Counter({"order": 1})
    assert report["by_kind"] == {"algos": {"gone": 6, "canceled": 1}, "orders": {"canceled": 5}}


def test_new_ones_do_not_escape(rig: Rig, all_: All) -> None:
    """Until nothing has come for so long."""
    rig.exchange.control.place_algos(PlaceAlgos(UID, SWAP, "trigger", 5))
    with Placing(rig, every_s=0.05) as placing:
        rig.wait_for(lambda: placing.placed > 5)
        placing.stop()
        status, report = all_("--with", "algos", "--until-flat", "0.5")
    assert (status, report["state"], left(rig)) == (0, "flat", Counter())


def test_a_paused_account_keeps_its_algo_orders(rig: Rig, all_: All, capsys: pytest.CaptureFixture[str]) -> None:
    """A pause of the account, or of the instrument, holds them like orders; they go when it ends."""
    for name in ("desk1", f"desk1/{SWAP}"):
        rig.exchange.control.place(UID, SWAP, 1)
        rig.exchange.control.place_algos(PlaceAlgos(UID, SWAP, "trigger", 2))
        assert all_("--with", "algos")[0] == 0
        rig.exchange.control.place_algos(PlaceAlgos(UID, SWAP, "trigger", 2))
        assert run(["pause", name]) == 0
        capsys.readouterr()
        assert all_("--with", "algos", "--timeout", "1")[0] == 3
        assert left(rig) == Counter({"trigger": 2})
        assert run(["resume", name]) == 0
        rig.wait_for(lambda: not (left(rig) or Masses(rig.store).running()))
        capsys.readouterr()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--with", "stops"], "--with: should be of algos, spreads, rfqs, bots; not 'stops'"),
        (["--protective", "cancel"], "--protective: has a meaning only if algos are cancelled, too"),
        (["--with", "algos", "--protective", "yes"], "--protective: should be 'keep' or 'cancel'"),
    ],
)
def test_wrong_input_is_told(rig: Rig, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be done is refused, not ignored."""
    rig.exchange.control.place(UID, SWAP, 1)
    assert run(["all", "--account", "desk1", *arguments]) == 2
    assert said in capsys.readouterr().err
    assert rig.exchange.control.summary().live_orders == 1


def answered(rig: Rig, ord_type: str) -> str:
    """What the exchange answers to `orders-algo-pending`."""
    with reading(rig.store) as reader:
        rows = list(reader.book.sources(reader.user("desk1"), BY_NAME[ord_type]))
    return json.dumps({"code": "0", "msg": "", "data": rows})


def test_a_file_of_algo_orders_is_cancelled(rig: Rig, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By either id, and no other; what has fired meanwhile is gone, and known to the exchange."""
    control = rig.exchange.control
    fired = control.place_algos(PlaceAlgos(UID, SWAP, "trigger", 2))
    triggers = control.place_algos(PlaceAlgos(UID, SWAP, "trigger", 12))
    (named,) = control.place_algos(PlaceAlgos(UID, "ETH-USDT", "oco", algoClOrdId="t7"))
    twap, *_ = control.place_algos(PlaceAlgos(UID, SWAP, "twap", 1))
    (other,) = control.place_algos(PlaceAlgos(UID, SWAP, "conditional", 1))
    files = [tmp_path / name for name in ("triggers.json", "twap.json", "named.csv")]
    for file, text in zip(
        files, [answered(rig, "trigger"), answered(rig, "twap"), "instId,algoClOrdId\nETH-USDT,t7\n"], strict=True
    ):
        file.write_text(text)
    control.fire_algos(fired)
    capsys.readouterr()
    assert run(["submit", *map(str, files), "--account", "desk1", "--batch-id", "files", "--wait", "--json"]) == 0
    state = json.loads(capsys.readouterr().out)["state"]
    assert (state["counts"], state["never_known"]) == ({"canceled": 12 + 2, "gone": 2}, 0)
    rows = rig.store.batches.rows("files")
    assert {row.algoId: row.status for row in rows if row.algoId} == {
        **dict.fromkeys([*triggers, twap], "canceled"), **dict.fromkeys(fired, "gone")
    }  # fmt: skip
    assert [(row.clOrdId, row.status) for row in rows if not row.algoId] == [("t7", "canceled")]
    assert {algo.algoId for algo in control.algos() if algo.state == "live"} == {other}
    assert next(algo.state for algo in control.algos() if algo.algoId == named) == "canceled"
    sent = [row for row in control.log() if row.endpoint == "cancel-algos"]
    assert len(sent) == len(rows)


def test_a_type_that_cannot_be_cancelled_so_is_named(rig: Rig) -> None:
    """Whether `cancel-algos` takes each type is stated nowhere: the others go, and what it refuses is never flat."""
    control, masses = rig.exchange.control, Masses(rig.store)
    control.set_algo_behaviour(AlgoBehaviour(refused_types=("twap", "smart_iceberg"), replaces_child=False))
    control.place_algos(PlaceAlgos(UID, SWAP, "trigger", 3))
    refused = {
        *control.place_algos(PlaceAlgos(UID, SWAP, "twap")),
        *control.place_algos(PlaceAlgos(UID, SWAP, "smart_iceberg")),
    }
    masses.take(parse_cancel_all({"account": "desk1", "batch_id": "m", "until_flat_s": 0.5, "with": ["algos"]}))
    rig.wait_for(lambda: rig.store.batches.state("m").counts.get("rejected") == len(refused))
    before = masses.state("m").listings
    rig.wait_for(lambda: masses.state("m").listings > before + 2)
    assert masses.state("m").flat_at is None
    assert run(["withdraw", "m"]) == 0
    rig.wait_for(lambda: read_report(rig.store, "m").over)
    report = read_report(rig.store, "m")
    assert {(each.ordId, each.sCode) for each in report.not_off} == {(each, "51000") for each in refused}
    assert report.survey is not None
    assert {each.kind: each.count for each in report.survey.able} == {"twap": 1, "smart_iceberg": 1}
    assert left(rig) == Counter({"twap": 1, "smart_iceberg": 1})


def test_a_dry_run_lists_what_would_go(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """Algo orders that are kept are neither meant nor left over; nothing changes."""
    protective = fill(rig)
    capsys.readouterr()
    assert run(["all", "--account", "desk1", "--with", "algos", "--dry-run", "--json"]) == 0
    *orders, survey = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [misfits(each) for each in (*orders, survey)] == [[]] * (len(orders) + 1)
    algos = {algo.algoId for algo in rig.exchange.control.algos()}
    kinds = {algo.algoId: (algo.ordType, algo.instId) for algo in rig.exchange.control.algos()}
    assert [kinds[each] for each in algos - {*protective} - {each["algoId"] for each in orders}] == []
    assert {each["algoId"] for each in orders} - {""} == algos - {*protective}
    assert (survey["complete"], len(orders)) == (True, 35 + 5 + len(algos) - len(protective))
    assert left(rig).total() == 35 + 5 + len(algos)


def test_a_channel_of_algo_orders_that_is_off_is_told() -> None:
    """While a mass cancel listens to it; what is fired is found later then, by listings alone."""
    with Rig(workers=1) as rig:
        asked = {"account": "desk1", "batch_id": "h", "hold": True, "with": ["algos"]}
        Masses(rig.store).take(parse_cancel_all(asked))
        rig.exchange.control.drop_channels(refuse_for_s=60.0)
        off = {"channel of desk1", "channel of algo orders of desk1"}
        rig.wait_for(lambda: off <= problems(rig).keys())
        rig.exchange.control.drop_channels()
        rig.wait_for(lambda: not off & problems(rig).keys(), 30)


def problems(rig: Rig) -> dict[str, str]:
    """What the worker says of itself in `status`."""
    (worker,) = read_workers(rig.store.redis, rig.store.keys)
    return dict(worker.problems)
