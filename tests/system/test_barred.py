"""Does a worker whose address is not on the key's list stay away alone, and come back by itself?"""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from bulk_cancel.worker.simulator.config import DEFAULT_KEY, Config
from bulk_cancel.worker.simulator.log import CANCELS
from bulk_cancel.worker.simulator.messages import AccountChange
from bulk_cancel.worker.state.fleet import read_workers
from tests.support.desks import cli, hand_in
from tests.support.rig import Rig, orders

OUTSIDE = replace(DEFAULT_KEY, key="key-of-the-worker-outside")
"""The exchange tells a worker's address by its key here: the other one is always let in."""

MANY, LANES = 160, 8


@pytest.fixture
def rig() -> Iterator[Rig]:
    """Two workers of one account; one of them will not be let in any more."""
    with Rig(workers=1, config=Config(accounts=(DEFAULT_KEY, OUTSIDE))) as running:
        running.configure(ACCOUNTS__DESK1__API_KEY=OUTSIDE.key)
        running.start_workers(1)
        known = running.store.keys.of("identity")
        running.wait_for(lambda: running.store.redis.hlen(known) == 2)  # both have asked who they are
        yield running


def submit(rig: Rig, batch_id: str) -> None:
    """Orders in many lanes."""
    instruments = rig.exchange.config.instruments[:LANES]
    ids = {each: rig.exchange.control.place(DEFAULT_KEY.uid, each, MANY // LANES) for each in instruments}
    hand_in(rig, batch_id, [order for each, found in ids.items() for order in orders(each, found)])


def barred(rig: Rig) -> int:
    """How many workers say that they are not let in."""
    return sum(bool(worker.barred) for worker in read_workers(rig.store.redis, rig.store.keys))


def refused(rig: Rig) -> int:
    """Cancels that the exchange turned away."""
    return sum(row.endpoint in CANCELS and row.code == "50110" for row in rig.exchange.control.log())


def test_others_go_on_and_it_comes_back(rig: Rig) -> None:
    """No account rests, no attempt is lost; while none is let in, that is a condition to act on."""
    control = rig.exchange.control
    control.change_account(AccountChange(OUTSIDE.key, ip_allowed=False))
    for number in range(50):  # sooner or later it takes a lane
        submit(rig, f"b{number}")
        assert rig.done(f"b{number}").counts == {"canceled": MANY}
        if refused(rig):
            break
    rig.wait_for(lambda: barred(rig) == 1)
    assert not rig.store.redis.exists(rig.store.keys.of("rest", "account:desk1"))
    before = refused(rig)
    submit(rig, "others")
    assert rig.done("others").counts == {"canceled": MANY}
    assert refused(rig) == before
    assert "address of this worker: account desk1: HTTP 401 50110" in " ".join(cli(rig, "status").stdout.split())

    control.change_account(AccountChange(DEFAULT_KEY.key, ip_allowed=False))
    submit(rig, "later")
    rig.wait_for(lambda: barred(rig) == 2)
    said = cli(rig, "check", "--json").stdout
    assert "at every worker: HTTP 401 50110" in said
    control.change_account(AccountChange(OUTSIDE.key, ip_allowed=True))
    assert rig.done("later").counts == {"canceled": MANY}
    assert max(row.attempts for row in rig.store.batches.rows("later")) == 1
