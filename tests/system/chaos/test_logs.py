"""Does the log say what matters, with the ids that one needs, and nothing where all goes well?"""

from pathlib import Path
from typing import Any, Final

from tests.system.chaos.desks import HOUSE, hand_in, logged
from tests.system.chaos.report import Witness
from tests.system.rig import Rig, orders
from worker.simulator.faults import Fault, maintenance

MANY: Final = 400
LANE: Final = "desk1/BTC-USDT"


def started(rig: Rig, log_file: Path) -> int:
    """Starts two workers that log there; how many lines they have logged when they are ready."""
    rig.log_file = log_file
    rig.start_workers(2)
    rig.wait_for(lambda: sum(line["event"] == "worker_ready" for line in logged(rig)) == 2)
    rig.wait_for(lambda: sum(line["event"].endswith(" ready.") for line in logged(rig)) == 2)
    return len(logged(rig))


def test_quiet_while_all_goes_well(witness: Witness, tmp_path: Path) -> None:
    """400 orders in two batches: one line for the one that came as a message, none for an order, a call or a turn."""
    with Rig(workers=0) as rig:
        before = started(rig, tmp_path / "workers.log")
        ids = rig.exchange.control.place(HOUSE, "BTC-USDT", MANY)
        hand_in(rig, "b", orders("BTC-USDT", ids))
        assert rig.done("b").counts == {"accepted": MANY}
        assert logged(rig)[before:] == []
        for worker in rig.workers:
            assert rig.stop_worker(worker) == 0
        assert {line["level"] for line in logged(rig)} == {"info"}
        assert not any(order_id in rig.log_file.read_text("utf-8") for order_id in ids[:5])
        witness.judge(rig)


def test_loud_where_somebody_must_look(witness: Witness, tmp_path: Path) -> None:
    """A rest once and its end once, each order that was refused or is strange, with batch, lane and order; a turn at DEBUG."""
    with Rig(workers=0, settings={"LOG_LEVEL": "DEBUG"}) as rig:
        started(rig, tmp_path / "workers.log")
        ids = rig.exchange.control.place(HOUSE, "BTC-USDT", MANY)
        for order_id, code in zip(ids, ("51000", "51407", "59999"), strict=False):
            rig.exchange.control.script(order_id, [code])
        hand_in(rig, "b", orders("BTC-USDT", ids))
        assert rig.done("b").counts == {"accepted": MANY - 2, "rejected": 2}
        check(rig, "order_rejected", "error", ids[:2], ["51000", "51407"])
        check(rig, "code_unknown", "warning", ids[2:3], ["59999"])
        (strange,) = (line for line in found(rig, "order_rejected") if line["sCode"] == "51407")
        assert strange["needs_us"]
        outage(rig, "50001", maintenance())
        outage(rig, "no answer", Fault(action="reset", when="after"))
        turns = found(rig, "call")
        assert all(line["level"] == "debug" and line["lane"].startswith("desk1/") and line["batches"] for line in turns)
        assert sum(line["jobs"] for line in turns) >= MANY
        witness.injected(2).judge(rig)


def outage(rig: Rig, batch: str, fault: Fault) -> None:
    """However many calls meet it: one line when the address rests, one for each probe that fails, one when it resumes."""
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
    assert [line["job"] for line in lines] == [f"{LANE}/o{order_id}" for order_id in ids]
    assert [line["sCode"] for line in lines] == codes
    assert {(line["level"], line["lane"], *line["batches"]) for line in lines} == {(level, LANE, "b")}
