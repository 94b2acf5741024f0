"""Does a mass cancel of a whole book with all that trades on it end flat, whoever dies, and say so if it is not?"""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Event, Thread
from typing import Final

import pytest

from bulk_cancel.worker.books.able import FIRED
from bulk_cancel.worker.books.mass.masses import Masses
from bulk_cancel.worker.simulator.algos import AlgoBehaviour
from bulk_cancel.worker.simulator.client import ControlClient
from bulk_cancel.worker.simulator.config import Config
from bulk_cancel.worker.simulator.faults import Network
from bulk_cancel.worker.simulator.messages import PlaceAlgos, PlaceOrders, PlaceProducts
from tests.support.placing import Placing
from tests.support.rig import Rig
from tests.system.chaos.report import long_form
from tests.system.conftest import All

Phase = Callable[[ControlClient], bool]
"""Whether it has come."""

UID: Final = "1001"
SWAPS: Final = ("BTC-USDT-SWAP", "ETH-USDT-SWAP")
INST_IDS: Final = (*SWAPS, "BTC-USDT", "ETH-USDT", "SOL-USDT", "XRP-USDT")
SPREAD: Final = "BTC-USDT_BTC-USDT-SWAP"
FAR: Final = Config(network=Network(delay_ms=20, jitter_ms=20), instruments=INST_IDS)
FIRES: Final = AlgoBehaviour(fire_rate=0.1, fire_sCode="0", attached_lag_ms=50)
WITH: Final = ("--with", "algos,spreads,bots", "--bots", "keep-positions")
WINDOW_S: Final = 2.0
PER_WINDOW: Final = 20


@dataclass(frozen=True, slots=True)
class Book:
    """So many of each on each of the six instruments; of spread orders, grids, and orders placed meanwhile in all."""

    orders: int
    part_filled: int
    triggers: int
    stops: int
    slicing: int
    spreads: int
    grids: int
    until_flat_s: float

    meanwhile: int

    @property
    def least_s(self) -> float:
        """The legal minimum: by the windows of the instruments with the most algo orders."""
        return (math.ceil((self.triggers + self.slicing + 2) / PER_WINDOW) - 1) * WINDOW_S

    @property
    def able(self) -> dict[str, int]:
        """What can place orders when all orders have been cancelled: part-filled ones leave their TP/SL."""
        insts = len(INST_IDS)
        return {
            "trigger": insts * self.triggers,
            "conditional": insts * (self.stops + self.part_filled),
            "twap": insts * self.slicing,
            "smart_iceberg": insts,
            "chase": len(SWAPS),
            "spread": self.spreads,
            "contract_grid": self.grids,
        }


SHORT: Final = Book(30, 2, 22, 2, 1, 4, 1, until_flat_s=5, meanwhile=15)
LONG: Final = Book(316, 17, 50, 10, 2, 40, 2, until_flat_s=3, meanwhile=60)


def place_orders(control: ControlClient, book: Book) -> None:
    """Orders, some of them filled in part, with a TP/SL that can only reduce the position."""
    for inst_id in INST_IDS:
        control.place(UID, inst_id, book.orders)
        control.place_orders(PlaceOrders(UID, inst_id, book.part_filled, accFillSz="0.5", attached="true"))


def fill(control: ControlClient, book: Book) -> None:
    """Puts the book on."""
    place_orders(control, book)
    for inst_id in INST_IDS:
        control.place_algos(PlaceAlgos(UID, inst_id, "conditional", book.stops, reduceOnly="true"))
        control.place_algos(PlaceAlgos(UID, inst_id, "twap", book.slicing))
        control.place_algos(PlaceAlgos(UID, inst_id, "smart_iceberg"))
    for inst_id in SWAPS:
        control.place_algos(PlaceAlgos(UID, inst_id, "chase"))
    for _ in range(book.triggers):  # in turns: those of no instrument stand all behind another one's
        for inst_id in INST_IDS:
            control.place_algos(PlaceAlgos(UID, inst_id, "trigger"))
    control.place_products(PlaceProducts(UID, "sprd", SPREAD, book.spreads))
    control.place_products(PlaceProducts(UID, "contract_grid", SWAPS[0], book.grids))


def left(control: ControlClient) -> Counter[str]:
    """What is open at the exchange, by kind."""
    found = Counter(algo.ordType for algo in control.algos() if algo.state == "live")
    found += Counter(each.kind for each in control.products() if each.state in {"live", "running"})
    return found + Counter({"order": control.summary().live_orders})


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Rig]:
    """Four workers, one for each death, in the environment of the commands; no window is exceeded."""
    with Rig(workers=4, config=FAR, settings={"HTTP_TIMEOUT_S": "1"}) as running:
        running.adopt(monkeypatch, tmp_path)
        running.exchange.control.set_algo_behaviour(FIRES)
        yield running
        assert running.exchange.control.summary().refusals == 0


@contextmanager
def deaths(rig: Rig, phases: Sequence[Phase]) -> Iterator[list[int]]:
    """Kills a worker as soon as each of the phases has come, in this order; the numbers of those that were killed."""
    killed, over, control = list[int](), Event(), ControlClient(rig.exchange.url)

    def kill() -> None:
        for number, has_come in enumerate(phases):
            while not has_come(control):
                if over.wait(0.01):
                    return
            rig.workers[number].kill()
            rig.workers[number].wait()
            killed.append(number)

    thread = Thread(target=kill)
    thread.start()
    try:
        yield killed
    finally:
        over.set()
        thread.join()
        control.close()


def arrived(control: ControlClient, endpoint: str) -> int:
    """How many such calls have come."""
    return sum(1 for _ in control.log(endpoint=endpoint))


def test_whoever_dies_nothing_is_left_but_what_is_kept(rig: Rig, all_: All, *, long: bool) -> None:
    """A worker is killed while parents are cancelled, then orders, then while the scope is empty; a strategy goes on.

    Children of what fires, TP/SL that cancels leave, what is replaced: all is followed, and adds up by kind. A mass
    cancel of orders alone says what it leaves.
    """
    book, control = (LONG if long else SHORT), rig.exchange.control
    fill(control, book)
    status, report = all_()
    assert (status, report["state"], report["complete"], report["succeeded"]) == (1, "done", False, False)
    able = {each["kind"]: each["count"] for each in report["still_able"]}
    able.pop(FIRED, None)  # what parents have placed again since the last listing
    assert able == book.able

    control.reset_log()
    place_orders(control, book)
    masses = Masses(rig.store)
    phases: list[Phase] = [
        lambda control: arrived(control, "cancel-algos") > PER_WINDOW,
        lambda control: arrived(control, "cancel-batch-orders") > len(INST_IDS),
        lambda _: any(mass.flat_at for mass in masses.running()),
    ]
    with deaths(rig, phases) as killed, Placing(rig, every_s=0.05, inst_ids=INST_IDS, at_most=book.meanwhile):
        status, report = all_(*WITH, "--until-flat", f"{book.until_flat_s}", "--batch-id", "m")
        assert killed == [0, 1, 2]
    assert (status, report["state"], report["complete"], report["adds_up"]) == (0, "flat", True, True)
    kept = book.able["conditional"] + len(INST_IDS) * book.part_filled
    assert left(control) == Counter({"conditional": kept})
    assert report["not_affected"] == {"protective, and kept": kept}
    algos, orders = report["by_kind"]["algos"], report["by_kind"]["orders"]
    ended = Counter(algo.state for algo in control.algos())
    assert (algos["canceled"], algos.get("gone", 0)) == (ended["canceled"], ended["effective"])
    assert report["matched"] == sum(algos.values()) + sum(orders.values())
    assert {each["kind"]: each["stopped"] for each in report["products"] if each["found"]} == {
        kind: book.able[kind] for kind in ("spread", "contract_grid")
    }
    assert not any(each.traded for each in control.products())


@pytest.mark.skipif(not long_form(), reason="a time, which a busy machine would miss: make chaos")
def test_flat_comes_as_soon_as_the_limits_allow(rig: Rig, all_: All) -> None:
    """1.14 of what the windows of algo orders take, on a machine that does nothing else; one window more is 1.5."""
    fill(rig.exchange.control, LONG)
    with Placing(rig, every_s=0.05, inst_ids=INST_IDS, at_most=LONG.meanwhile):
        _, report = all_(*WITH, "--until-flat", f"{LONG.until_flat_s}")
    took_s = (datetime.fromisoformat(report["flat_at"]) - datetime.fromisoformat(report["started_at"])).total_seconds()
    assert took_s <= 1.25 * LONG.least_s
