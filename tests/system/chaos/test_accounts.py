"""Does an account that the exchange turns away keep its orders, say why, and resume by itself, all others untouched?"""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

import pytest

from bulk_cancel.worker.config.users import fingerprint, users_of
from bulk_cancel.worker.simulator.config import DEFAULT_KEY, Config
from bulk_cancel.worker.simulator.log import CANCELS
from bulk_cancel.worker.simulator.messages import AccountChange
from bulk_cancel.worker.state.fleet import read_workers
from tests.support.desks import HOUSE, Desk, cli, desk, hand_in, last, let_pass, rest, settings_of
from tests.support.rig import Rig, orders
from tests.support.waiting import PATIENCE_S
from tests.system.chaos.report import Witness

PROBE_S: Final = 30.0
MANY: Final = 80
REVOKED, WRONG, NEVER = desk(2), desk(4), desk(5)
"""What becomes of each; the passphrase of `NEVER` is wrong from the start."""

Change = Callable[[Rig], None]
BREAK: Final[dict[Desk, tuple[str, Change]]] = {
    REVOKED: ("50111", lambda rig: rig.exchange.control.change_account(AccountChange(REVOKED.key.key, revoked=True))),
    WRONG: ("50105", lambda rig: rig.exchange.control.put_account(replace(WRONG.key, passphrase="another"))),
}


def cancels(rig: Rig, uid: str) -> int:
    """Cancel requests of this user so far; those turned away count."""
    return sum(row.endpoint in CANCELS for row in rig.exchange.control.log(uid=uid))


def status(rig: Rig) -> str:
    """What a person is shown."""
    shown = cli(rig, "status")
    assert shown.returncode == 0, shown.stderr
    return " ".join(shown.stdout.split())


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    """Two workers for four accounts; the exchange knows one of them with another passphrase."""
    keys = (DEFAULT_KEY, *(each.key for each in BREAK), replace(NEVER.key, passphrase="another"))
    with Rig(workers=0, config=Config(accounts=keys)) as running:
        for each in (*BREAK, NEVER):
            running.configure(**each.settings())
        running.start_workers(2)
        yield running


def test_credentials_wrong_from_the_start(rig: Rig, witness: Witness, *, long: bool) -> None:
    """`status` names the account and the reason, all workers together ask once in 30 s, and it starts when mended."""
    ids = rig.exchange.control.place(NEVER.uid, "BTC-USDT", MANY)
    hand_in(rig, "late", orders("BTC-USDT", ids), account=NEVER.name)
    hand_in(rig, "first", orders("BTC-USDT", rig.exchange.control.place(HOUSE, "BTC-USDT", MANY)))
    witness.injected()
    assert rig.done("first").counts == {"canceled": MANY}
    rig.wait_for(lambda: "50105" in json.dumps(problems(rig)))
    assert f"{NEVER.name}: credentials refused: HTTP 401 50105" in status(rig)
    last(rig, 2)
    assert [row.endpoint for row in rig.exchange.control.log(uid=NEVER.uid)] == ["config"]
    rig.exchange.control.put_account(NEVER.key)
    witness.ended()
    if not long:  # the 30 s are a key's time to live
        rig.store.redis.delete(rig.store.keys.of("asking", mark(rig)))
    assert rig.done("late", 60 if long else PATIENCE_S).counts == {"canceled": MANY}
    rig.wait_for(lambda: problems(rig) == {})
    witness.judge(rig, batches=2)


def test_credentials_that_stop_working(rig: Rig, witness: Witness, *, long: bool) -> None:
    """Revoked key, wrong passphrase: each account pauses, is probed every 30 s, resumes when mended."""
    rig.wait_for(lambda: rig.store.redis.hlen(rig.store.keys.of("identity")) == len(BREAK) + 2)
    for each, (_, spoil) in BREAK.items():
        spoil(rig)
        ids = rig.exchange.control.place(each.uid, "BTC-USDT", MANY)
        hand_in(rig, each.name, orders("BTC-USDT", ids), account=each.name)
    hand_in(rig, "well", orders("BTC-USDT", rig.exchange.control.place(HOUSE, "BTC-USDT", MANY)))
    witness.injected(len(BREAK))
    assert rig.done("well").counts == {"canceled": MANY}
    rig.wait_for(lambda: all(rest(rig, f"account:{each.name}") for each in BREAK))
    let_pass(rig, 0)  # whatever was on its way when the first was refused has come
    shown = status(rig)
    for each, (code, _) in BREAK.items():
        resting = rest(rig, f"account:{each.name}")
        assert resting["reason"].startswith(code)
        assert int(resting["next_wall"]) - int(resting["since"]) == PROBE_S * 1e6
        assert f"account:{each.name} until" in shown
        assert f": {code} " in shown
    check_one_probe(rig, long=long)
    for each in BREAK:
        rig.exchange.control.put_account(each.key)
    witness.ended()
    let_pass(rig, PROBE_S)
    for each in BREAK:
        assert rig.done(each.name).counts == {"canceled": MANY}
        assert {row.attempts for row in rig.store.batches.rows(each.name)} == {1}
    assert "rests" not in status(rig)
    witness.judge(rig)
    for each, (code, _) in BREAK.items():
        witness.part(rig, code, each.name, each.uid)


def check_one_probe(rig: Rig, *, long: bool) -> None:
    """After 30 s (long: real ones) one call each, by one worker of all, and all jobs kept."""
    before = {each: (cancels(rig, each.uid), rest(rig, f"account:{each.name}")["until"]) for each in BREAK}
    if long:
        last(rig, PROBE_S - 5)
        assert {each: cancels(rig, each.uid) for each in BREAK} == {each: count for each, (count, _) in before.items()}
    else:
        let_pass(rig, PROBE_S / 2)
        last(rig, 1.5)
        assert {each: cancels(rig, each.uid) for each in BREAK} == {each: count for each, (count, _) in before.items()}
        let_pass(rig, PROBE_S / 2)
    for each, (_, until) in before.items():
        rig.wait_for(lambda each=each: rest(rig, f"account:{each.name}")["level"] == "1")  # type: ignore[misc]
        assert int(rest(rig, f"account:{each.name}")["until"]) - int(until) >= PROBE_S * 1e6
    last(rig, 1.5)
    for each, (count, _) in before.items():
        assert cancels(rig, each.uid) == count + 1
        assert rig.store.batches.state(each.name).waiting == MANY


def problems(rig: Rig) -> dict[str, str]:
    """What does not work → why, of all workers."""
    workers = read_workers(rig.store.redis, rig.store.keys)
    told = [item for worker in workers for item in worker.problems.items()]
    return {name: why for name, why in told if not name.startswith("channel of ")}  # tries again by itself, later


def mark(rig: Rig) -> str:
    """The wrong account's name in the key that says that its uid was asked for."""
    users = users_of(settings_of(rig))
    (account,) = users[NEVER.name].accounts
    return fingerprint(account)


def test_a_clock_a_minute_off(witness: Witness) -> None:
    """From the start, and again in the middle of a run, the other way: measured, and the orders go on."""
    with Rig(workers=2, config=Config(clock_offset_s=60)) as rig:
        witness.injected()
        hand_in(rig, "late", orders("BTC-USDT", rig.exchange.control.place(DEFAULT_KEY.uid, "BTC-USDT", MANY)))
        assert rig.done("late").counts == {"canceled": MANY}
        rig.exchange.control.set_clock_offset(-60)
        witness.injected()
        rows = [
            row
            for each in rig.exchange.config.instruments[:6]
            for row in orders(each, rig.exchange.control.place(DEFAULT_KEY.uid, each, 2 * MANY))
        ]
        hand_in(rig, "early", rows)
        assert rig.done("early").counts == {"canceled": len(rows)}
        ended = rig.store.batches.rows("early")
        assert max(row.attempts for row in ended) <= 3
        assert any(entry["sCode"] == "50102" for row in ended for entry in row.log)
        assert sum(row.endpoint == "time" for row in rig.exchange.control.log()) <= 4
        witness.judge(rig, batches=2)


def test_two_accounts_that_are_one_user(witness: Witness) -> None:
    """Refused by name before anything is sent; with the right key in the settings both accounts' orders are done."""
    other, mixed_up = desk(2), replace(DEFAULT_KEY, key="second-key")
    config = Config(accounts=(DEFAULT_KEY, mixed_up, other.key))
    with Rig(workers=0, config=config) as rig:
        rig.configure(**replace(other, key=mixed_up).settings())
        (refused,) = rig.start_workers(1)
        witness.injected()
        for batch, uid in (("desk1", HOUSE), (other.name, other.uid)):
            hand_in(rig, batch, orders("BTC-USDT", rig.exchange.control.place(uid, "BTC-USDT", MANY)), account=batch)
        rig.wait_for(lambda: set(problems(rig)) == {"account desk1", f"account {other.name}"})
        assert all("are one User ID" in why for why in problems(rig).values())
        last(rig, 1.5)
        assert [arrival.endpoint for arrival in rig.exchange.control.log()] == ["config", "config"]
        assert rig.stop_worker(refused) == 0
        rig.workers.remove(refused)
        rig.configure(**other.settings())
        witness.ended()
        rig.start_worker()
        for batch in ("desk1", other.name):
            assert rig.done(batch).counts == {"canceled": MANY}
        witness.judge(rig, batches=2)
