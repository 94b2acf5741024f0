"""A runner without workers whose command line the test calls, and whose orders it ends."""

import json
from collections.abc import Mapping
from typing import Any, Self

import pytest

from bulk_cancel.tasks.mass import parse_cancel_all
from bulk_cancel.worker.books.confirm.confirmations import Confirmations
from bulk_cancel.worker.books.mass.flat import Seen, Verdict
from bulk_cancel.worker.books.mass.masses import Masses
from bulk_cancel.worker.cli import run
from bulk_cancel.worker.config.settings import load_settings
from bulk_cancel.worker.config.users import users_of
from bulk_cancel.worker.state.claims import Claim, Done, Result
from bulk_cancel.worker.state.lanes import Lanes
from bulk_cancel.worker.state.store import Store, adopt, open_store
from bulk_cancel.worker.state.window import Timing
from tests.support.lane_rig import finished

STAYS_S = 60
"""Longer than any test needs a worker."""

GOOD = "instId,ordId\nBTC-USDT,1\nBTC-USDT,2\nETH-USDT,3\n"


def set_environment(
    monkeypatch: pytest.MonkeyPatch,
    accounts: Mapping[str, Mapping[str, str]],
    **settings: str,
) -> None:
    """These settings, by their contract names without the prefix, and of each account what is not "secret"."""
    told = dict(settings)
    for account, own in accounts.items():
        fields = dict.fromkeys(("API_KEY", "API_SECRET", "PASSPHRASE"), "secret") | dict(own)
        told |= {f"ACCOUNTS__{account}__{name}": value for name, value in fields.items()}
    for name, value in told.items():
        monkeypatch.setenv(f"BULK_CANCEL_{name}", value)


class Worker:
    """What a worker does for one User ID, done by a test."""

    def __init__(self, store: Store, uid: str, *, window_s: float = 2.0) -> None:
        self._user = users_of(store.settings)[uid]
        self._lanes = Lanes(store.scripts, Timing(window_s, 3.0), max_attempts=3, retention_s=600)

    def claim(self, meter: str, permits: int = 60) -> Claim:
        """As many orders of the lane as that are on their way."""
        return self._lanes.claim(f"{self._user.uid}/{meter}", self._user, permits=permits)

    def finish(self, meter: str, status: str = "accepted", code: str = "0") -> None:
        """Every order of the lane ends."""
        claimed = self.claim(meter)
        for call in claimed.calls:
            decided = tuple(finished(job, status, code) for job in call.jobs)
            result = Result(slots="settle", decided=decided, elapsed_s=0.01, answered=True)
            self._lanes.record([Done(claimed, call, result)])


def report_worker(store: Store, **facts: object) -> None:
    """As if a worker that serves every account of the store reported itself for a while, with these facts, too."""
    seconds = store.redis.time()[0]
    beat = {"at": seconds + STAYS_S, "started": seconds, "in_flight": 0, "permits": 64, "problems": {}}
    accounts = sorted(store.settings.accounts)
    store.redis.hset(store.keys.of("workers"), "host:1", json.dumps({**beat, "accounts": accounts, **facts}))


class Desk:
    """A runner without workers: the test itself claims and records."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.store: Store = open_store(load_settings())
        adopt(self.store)
        self.store.directory.publish(self.store.scripts)
        self._capsys = capsys
        self._worker = Worker(self.store, "desk1")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.store.redis.close()

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        """Runs a command; its exit status, stdout and stderr."""
        status = run(arguments)
        out, err = self._capsys.readouterr()
        return status, out, err

    def json(self, *arguments: str) -> dict[str, Any]:
        """Runs a command that succeeds; what it prints as JSON."""
        status, out, err = self(*arguments, "--json")
        assert (status, err) == (0, "")
        return dict(json.loads(out))

    def worker_reports(self) -> None:
        """As if a worker that serves every account reported itself from now on."""
        report_worker(self.store)

    def record_for(self, *, window_s: float) -> None:
        """What is sent from now on counts for so long."""
        self._worker = Worker(self.store, "desk1", window_s=window_s)

    def claim(self, meter: str, permits: int = 60) -> Claim:
        """As many orders of the lane as that are on their way."""
        return self._worker.claim(meter, permits)

    def finish(self, meter: str, status: str = "accepted", code: str = "0") -> None:
        """Every order of the lane ends."""
        self._worker.finish(meter, status, code)

    def hold_flat(self, batch_id: str) -> None:
        """A mass cancel is put on hold, and its first listing finds nothing."""
        masses = Masses(self.store)
        masses.take(parse_cancel_all({"account": "desk1", "batch_id": batch_id, "hold": True}))
        listing = masses.begin(batch_id, lease_s=7.0)
        assert listing is not None
        at = listing.now_us, listing.wall_us
        masses.end(listing, Seen(*at, calls=1), Verdict("running", *at, next_s=0.2, flat=True))

    def push(self, inst_id: str, ord_id: str, state: str) -> None:
        """The exchange tells that an order ended so."""
        store = self.store
        user = users_of(store.settings)
        told = Confirmations(store.redis, store.keys, store.scripts, user.__getitem__, retention_s=600)
        told.pushed("desk1", [{"instId": inst_id, "ordId": ord_id, "state": state, "accFillSz": "0"}])
