"""A runner without workers whose command line the test calls, and whose orders it ends."""

import json
from typing import Any

import pytest

from bulk_cancel.worker.cli import run
from bulk_cancel.worker.config.settings import load_settings
from bulk_cancel.worker.config.users import users_of
from bulk_cancel.worker.state.claims import Claim, Decided, Done, Result
from bulk_cancel.worker.state.lanes import Lanes
from bulk_cancel.worker.state.store import Store, adopt, open_store
from bulk_cancel.worker.state.window import Timing

GOOD = "instId,ordId\nBTC-USDT,1\nBTC-USDT,2\nETH-USDT,3\n"


class Desk:
    """A runner without workers: the test itself claims and records."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.store: Store = open_store(load_settings())
        adopt(self.store)
        self._capsys = capsys
        self._user = users_of(self.store.settings)["desk1"]
        self._lanes = Lanes(self.store.scripts, Timing(2.0, 3.0), max_attempts=3, retention_s=600)

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
        """As if a worker that serves every account had reported itself just now."""
        seconds = self.store.redis.time()[0]
        beat = {"at": seconds, "started": seconds, "in_flight": 0, "permits": 64, "problems": {}}
        accounts = sorted(self.store.settings.accounts)
        self.store.redis.hset(self.store.keys.of("workers"), "host:1", json.dumps({**beat, "accounts": accounts}))

    def claim(self, meter: str, permits: int = 60) -> Claim:
        """As many orders of the lane as that are on their way."""
        return self._lanes.claim(f"desk1/{meter}", self._user, permits=permits)

    def finish(self, meter: str, status: str = "accepted", code: str = "0") -> None:
        """Every order of the lane ends."""
        claimed = self.claim(meter)
        for call in claimed.calls:
            decided = tuple(
                Decided((job,), "finish", code, "", json.dumps({"sCode": code}), status=status) for job in call.jobs
            )
            result = Result(slots="settle", decided=decided, elapsed_s=0.01, answered=True)
            self._lanes.record([Done(claimed, call, result)])
