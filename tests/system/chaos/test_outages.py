"""Does an exchange that is away, in whatever way, cost nothing but time: no attempts, no storm, no order?"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

import pytest

from bulk_cancel.worker.simulator.config import DEFAULT_KEY, Config
from bulk_cancel.worker.simulator.faults import Fault, envelope, maintenance
from bulk_cancel.worker.simulator.log import CANCELS, Arrival
from bulk_cancel.worker.state.fleet import read_workers
from tests.support.desks import Desk, desk, hand_in, last, logged, rest, spelt
from tests.support.rig import Rig, orders
from tests.system.chaos.report import Witness

TIMEOUT_S: Final = 3.0
WAVE_US: Final = round(2 * TIMEOUT_S * 1e6)
"""How long calls that began before the address rests, and their first retries, may arrive."""

INSTRUMENTS: Final = ("BTC-USDT", "ETH-USDT")
EACH: Final = 60
"""Orders per desk and instrument: three batch calls, all in flight before the first answer."""

FAULTS: Final[Mapping[str, Fault]] = {
    "503": maintenance(),
    "system error": envelope("50026", "System error", 500),
    "500 without a code": Fault(status=500, body="<html>oops</html>", content_type="text/html"),
    "garbage": Fault(status=200, body='{"code":"0","data":[{"sCo\\u00'),
    "truncated": Fault(action="truncate", when="after"),
    "empty": Fault(status=200, body=""),
    "text": Fault(status=200, body="Service is on holiday", content_type="text/plain"),
    "hanging": Fault(action="hang"),
    "closed in mid-answer": Fault(action="close", when="after", sent=60),
    "reset in mid-answer": Fault(action="reset", when="after"),
    "a byte a second": Fault(action="dribble", when="after", every_s=1.0),
}
SPOKEN: Final = frozenset({"503", "system error"})
"""An answer that says what it is rests its scope with the first call, so that no attempt is used up at all."""


@pytest.fixture(scope="module")
def desks() -> dict[str, Desk]:
    """One desk for each fault."""
    return {name: desk(number) for number, name in enumerate(FAULTS, 2)}


@pytest.fixture(scope="module")
def rig(desks: dict[str, Desk], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """Each desk at an address of its own, so that every outage is its own; two workers that log all they can."""
    config = Config(accounts=(DEFAULT_KEY, *(each.key for each in desks.values())))
    settings = {"HTTP_TIMEOUT_S": str(TIMEOUT_S), "LOG_LEVEL": "DEBUG", "CONFIRM": "rest"}  # pushes would end them all
    with Rig(workers=0, config=config, settings=settings) as running:
        running.log_file = tmp_path_factory.mktemp("logs") / "workers.log"
        for each in desks.values():
            running.configure(**each.settings(BASE_URL=spelt(running.exchange.url, each.number)))
        running.start_workers(2)
        running.wait_for(lambda: running.store.redis.hlen(running.store.keys.of("identity")) == len(FAULTS) + 1)
        yield running


def place(rig: Rig, uid: str) -> list[dict[str, str]]:
    """Orders on the book of both instruments, as rows."""
    placed = {each: rig.exchange.control.place(uid, each, EACH) for each in INSTRUMENTS}
    return [row for each, ids in placed.items() for row in orders(each, ids)]


def test_every_kind_of_outage(rig: Rig, desks: dict[str, Desk], witness: Witness, *, long: bool) -> None:
    """All kinds at once, each at its own address, for 4 s (long: 20 s), while another address goes on at full speed."""
    outage_s = 20.0 if long else 4.0
    rows = {name: place(rig, each.uid) for name, each in desks.items()}
    well = place(rig, DEFAULT_KEY.uid)
    for name, each in desks.items():
        rig.exchange.control.add_fault(replace(FAULTS[name], uid=each.uid))
    for name, each in desks.items():
        hand_in(rig, f"b{each.number}", rows[name], account=each.name)
    witness.injected(len(FAULTS))
    hand_in(rig, "healthy", well)
    assert rig.done("healthy").counts == {"canceled": 2 * EACH}
    last(rig, outage_s)
    rig.wait_for(lambda: all(probed(rig, each) for each in desks.values()))
    rig.exchange.control.remove_fault()
    witness.ended()

    states = {name: rig.done(f"b{each.number}") for name, each in desks.items()}
    for name, state in states.items():
        assert set(state.counts) <= {"canceled", "gone"}, (name, state)
    for name, each in desks.items():
        check_few_while_down(spoilt_of(rig, each), name)
        check_attempts(rig, f"b{each.number}", name)
    witness.judge(rig, batches=len(FAULTS) + 1)
    for name, each in desks.items():
        witness.part(rig, name, f"b{each.number}", each.uid)


def spoilt_of(rig: Rig, of: Desk) -> list[Arrival]:
    """The desk's cancels that met the fault, oldest first."""
    return [row for row in rig.exchange.control.log(uid=of.uid) if row.endpoint in CANCELS and row.fault]


def after_wave(spoilt: list[Arrival]) -> list[int]:
    """When those arrived, in µs since the first, that came when all had heard that the address rests."""
    return [after for row in spoilt if (after := row.at_us - spoilt[0].at_us) > WAVE_US]


def probed(rig: Rig, of: Desk) -> bool:
    """Whether somebody has looked if the desk's address is back."""
    return bool(after_wave(spoilt_of(rig, of)))


def check_few_while_down(spoilt: list[Arrival], name: str) -> None:
    """One wave when it began; from then on at most two probes in any second, further and further apart."""
    later = after_wave(spoilt)
    assert len(spoilt) - len(later) <= 2 * EACH / 20 * 2 + 4, (name, len(spoilt))
    per_second = Counter(after // 1_000_000 for after in later)
    assert max(per_second.values()) <= 2, (name, per_second)


def check_attempts(rig: Rig, batch: str, name: str) -> None:
    """None while the address rests; before, one of the first wave and perhaps one of a retry that was under way."""
    attempts = Counter(row.attempts for row in rig.store.batches.rows(batch))
    assert max(attempts) <= (1 if name in SPOKEN else 3), (name, attempts)


def missed(rig: Rig) -> list[str]:
    """What each worker that misses the exchange says of it."""
    said = [worker.problems for worker in read_workers(rig.store.redis, rig.store.keys)]
    return [problems[name] for problems in said if (name := f"exchange {rig.exchange.url}") in problems]


def test_refused_connections(rig: Rig, witness: Witness, *, long: bool) -> None:
    """For 3 s (long: 20 s) nobody listens: what was not sent costs no attempt, and each worker says what it misses."""
    outage_s = 20.0 if long else 3.0
    before, rows = len(logged(rig)), place(rig, DEFAULT_KEY.uid)
    rig.exchange.control.refuse_connections(600)
    hand_in(rig, "refused", rows)
    witness.injected()
    last(rig, outage_s)
    rig.wait_for(lambda: len(missed(rig)) == len(rig.workers))
    told = missed(rig)
    assert all(why.startswith("no connection: Connection refused") for why in told)
    assert not rest(rig, f"exchange:{rig.exchange.url}")
    rig.exchange.control.accept_connections()
    witness.ended()
    assert rig.done("refused").counts == {"canceled": 2 * EACH}
    assert {row.attempts for row in rig.store.batches.rows("refused")} == {1}
    lines = [line for line in logged(rig)[before:] if line["event"] == "call" and line["slots"] == "release"]
    assert len(lines) <= 2 * EACH  # the first wave; whoever found nobody claims nothing until a connection stands
    witness.judge(rig)
