"""Does the log say what matters, with the ids that one needs, and nothing where all goes well?"""

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import pytest

from bulk_cancel.worker.simulator.faults import Fault, maintenance
from tests.support.desks import HOUSE, hand_in, logged
from tests.support.rig import Rig, orders
from tests.system.chaos.report import Witness

MANY: Final = 200
LANE: Final = "desk1/BTC-USDT"


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """Two workers that log all they can, and are ready."""
    with Rig(workers=0, settings={"LOG_LEVEL": "DEBUG"}) as running:
        running.log_file = tmp_path_factory.mktemp("logs") / "workers.log"
        running.start_workers(2)
        running.wait_for(lambda: Counter(map(_kind, logged(running))) >= Counter(worker=2, channel=1))
        yield running


def _kind(line: dict[str, Any]) -> str:
    """Which of those things a line tells that come once at the start, in any order."""
    if line["event"].endswith(" ready."):
        return "worker"
    return "channel" if line["event"] == "channel_ready" else "other"


def test_quiet_while_all_goes_well(rig: Rig, witness: Witness) -> None:
    """200 orders: one line above DEBUG for the batch, when it is complete; none for an order, a call or a turn."""
    before = len(logged(rig))
    ids = rig.exchange.control.place(HOUSE, "SOL-USDT", MANY)
    hand_in(rig, "quiet", orders("SOL-USDT", ids))
    assert rig.done("quiet").counts == {"canceled": MANY}
    rig.wait_for(lambda: sum(line["jobs"] for line in found(rig, "call")) == MANY)
    rig.wait_for(lambda: bool(found(rig, "batch_completed")))
    (ended,) = (line for line in logged(rig)[before:] if line["level"] != "debug")
    assert (ended["event"], ended["batch"], ended["outcomes"]) == ("batch_completed", "quiet", {"canceled": MANY})
    assert {line["level"] for line in logged(rig)} == {"debug", "info"}
    witness.judge(rig)


def test_loud_where_somebody_must_look(rig: Rig, witness: Witness) -> None:
    """A rest and its end once, each order refused or strange with batch, lane and order; each call at DEBUG."""
    ids = rig.exchange.control.place(HOUSE, "BTC-USDT", MANY)
    for order_id, code in zip(ids, ("51000", "51407", "59999"), strict=False):
        rig.exchange.control.script(order_id, [code])
    hand_in(rig, "b", orders("BTC-USDT", ids))
    assert rig.done("b").counts == {"canceled": MANY - 2, "rejected": 2}
    check(rig, "order_rejected", "error", ids[:2], ["51000", "51407"])
    check(rig, "code_unknown", "warning", ids[2:3], ["59999"])
    (strange,) = (line for line in found(rig, "order_rejected") if line["sCode"] == "51407")
    assert strange["needs_us"]
    outage(rig, "50001", maintenance())
    outage(rig, "no answer", Fault(action="reset"))
    turns = found(rig, "call")
    assert all(line["level"] == "debug" and line["lane"].startswith("desk1/") and line["batches"] for line in turns)
    witness.injected(2).judge(rig)


def outage(rig: Rig, batch: str, fault: Fault) -> None:
    """However many calls meet it: a line when the address rests, one for each failed probe, one when it resumes."""
    before = len(logged(rig))
    fault_id = rig.exchange.control.add_fault(fault)
    ids = rig.exchange.control.place(HOUSE, "ETH-USDT", MANY // 2)
    hand_in(rig, batch.replace(" ", "-"), orders("ETH-USDT", ids))
    scope = f"exchange:{rig.exchange.url}"
    rig.wait_for(lambda: int(rig.store.redis.hget(rig.store.keys.of("rest", scope), "level") or 0) >= 1)
    rig.exchange.control.remove_fault(fault_id)
    rig.done(batch.replace(" ", "-"))
    rig.wait_for(lambda: any(line["event"] == "scope_resumes" for line in logged(rig)[before:]))
    news = [line for line in logged(rig)[before:] if line["event"] in {"scope_rests", "scope_resumes"}]
    assert {line["scope"] for line in news} == {scope}
    assert [line["event"] for line in news].count("scope_resumes") == 1
    assert 2 <= [line["event"] for line in news].count("scope_rests") <= 4
    assert batch in str(news[0]["reason"])


def found(rig: Rig, event: str) -> list[dict[str, Any]]:
    """The lines of this event."""
    return [line for line in logged(rig) if line["event"] == event]


def check(rig: Rig, event: str, level: str, ids: list[str], codes: list[str]) -> None:
    """One line for each of these orders, at that level, with all that one needs to find it."""
    rig.wait_for(lambda: len(found(rig, event)) >= len(ids))
    lines = sorted(found(rig, event), key=lambda line: str(line["sCode"]))
    assert [line["order"] for line in lines] == [f"{LANE}/o{order_id}" for order_id in ids]
    assert [line["sCode"] for line in lines] == codes
    assert {(line["level"], line["lane"], *line["batches"]) for line in lines} == {(level, LANE, "b")}
