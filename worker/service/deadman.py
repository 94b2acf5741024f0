"""Each user's dead man's switch at the exchange: it cancels all orders of the user if all of our workers die.

One worker of all holds a user's switch and refreshes it; whoever asks first after its lease ended takes it over. The
last to stop cleanly disarms it. **It is refreshed only by who could hold it in Redis a moment ago**: without Redis no
order can be cancelled, and that is what the switch is for. So its time is also the longest outage of Redis that an
account's orders survive; it is refreshed so often that nearly all of it is left when Redis goes away.

Its times are those of the verbs' clock: by the wall clock, the last refresh would seem recent for hours after a step
back.
"""

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

import structlog
from redis.exceptions import RedisError

from bulk_cancel.worker.config.gate import Gate
from bulk_cancel.worker.config.users import User
from bulk_cancel.worker.okx.client import OkxClient
from bulk_cancel.worker.okx.credentials import Credentials
from bulk_cancel.worker.okx.errors import ClockSkew, ExchangeError, OutcomeUnknown
from bulk_cancel.worker.state.loop import Loop, join_all
from bulk_cancel.worker.state.scripts import Scripts
from bulk_cancel.worker.state.times import time_of

log = structlog.get_logger(__name__)

ROUND_S: Final = 1.0
"""Also the least time between two calls: the exchange takes one a second of a user."""

REFRESH_CAP_S: Final = 5.0
LEASE_S: Final = 3.0
FRESH_S: Final = 4.0
"""A worker that has not asked for so long is dead: there is nobody to hand over to."""

DISARM_S: Final = 10.0
_DISARMS: Final = 3
"""The first may come too soon after a refresh, or while the exchange is busy."""


class DeadMansSwitch(Loop):
    """Keeps one user's switch armed while this worker runs; `timeout_s` after the last refresh the exchange acts."""

    def __init__(
        self,
        scripts: Scripts,
        client: OkxClient,
        user: User,
        *,
        worker: str,
        timeout_s: int,
        let_in: Callable[[], bool] = lambda: True,
    ) -> None:
        super().__init__(f"switch-{user.uid}", pause_s=ROUND_S)
        self._scripts = scripts
        self._client = client
        self._user = user
        self._worker = worker
        self._timeout_s = timeout_s
        self._let_in = let_in
        self._every_s = min(REFRESH_CAP_S, timeout_s / 3)
        self._failures = 0
        self._problem = ""

    @property
    def problems(self) -> dict[str, str]:
        """Why the switch is not refreshed, for `status`; empty while all is well, or another worker holds it."""
        return {f"dead man's switch {self._user.uid}": self._problem} if self._problem else {}

    def run(self) -> None:
        """Rounds until stopped; then hands over, or disarms if no other worker is left, within `DISARM_S`."""
        super().run()
        self.safely(self._leave)

    def without_redis(self, error: RedisError) -> None:
        """Redis may be gone for good: that is what the switch is for."""
        self._failed(f"not refreshed without Redis: {type(error).__name__}: {error}")

    def round(self) -> None:
        """The exchange is told before anything is noted: whatever becomes of a note, the switch is refreshed."""
        if not self._let_in():  # whoever is lets go of it, so that another worker takes it
            self._problem = ""
            return
        asked_at = time.monotonic()
        held = self._scripts.run("switch_hold", self._me(LEASE_S))
        if not held["mine"]:
            self._problem = ""
            return
        note = self._ran_out(held) if 0 < held["armed_until"] < held["now"] else {}
        if held["now"] - held["refreshed"] >= self._every_s * 1e6:
            note |= self._refresh(held["now"], write_by=asked_at + LEASE_S)
        if note:
            self._scripts.run("switch_hold", self._me(LEASE_S, note))

    def _refresh(self, now_us: int, *, write_by: float) -> dict[str, int]:
        """Tells the exchange; returns what is to be noted, nothing if it failed."""
        try:
            self._tell(self._timeout_s, write_by=write_by)
        except ExchangeError as error:
            self._failed(f"{type(error).__name__}: {error}")
            return {}
        self._problem = ""
        until_us = now_us + self._timeout_s * 1_000_000  # at the earliest: it counts from the call's arrival
        return {"armed_until": until_us, "refreshed": now_us, "timeout_s": self._timeout_s}

    def _leave(self) -> None:
        fresh = {"fresh_us": round(FRESH_S * 1e6)}
        if not self._scripts.run("switch_leave", self._me(DISARM_S) | fresh)["last"]:
            return
        for _ in range(_DISARMS):
            time.sleep(ROUND_S)  # since the last refresh, whoever made it
            try:
                self._tell(0, write_by=time.monotonic() + ROUND_S)
            except ExchangeError as error:
                self._failed(f"not disarmed: {type(error).__name__}: {error}")
            else:
                self._scripts.run("switch_leave", self._me(0, {"armed_until": 0}) | fresh)
                log.info("switch_disarmed", uid=self._user.uid)
                return

    def _tell(self, timeout_s: int, *, write_by: float) -> None:
        """Arms, refreshes or (0) disarms, with the next account after each failure; raises ExchangeError."""
        account, signed_at = self._account(), time.monotonic()
        try:
            armed = self._client.cancel_all_after(account, timeout_s, write_by=write_by)
        except ClockSkew:
            self._client.clock.correct(account.base_url, signed_at=signed_at)
            raise
        if armed != bool(timeout_s):
            raise OutcomeUnknown(f"the exchange says that it is {'armed' if armed else 'off'}")

    def _account(self) -> Credentials:
        return self._user.accounts[self._failures % len(self._user.accounts)]

    def _ran_out(self, held: Mapping[str, int]) -> dict[str, int]:
        """Says so; returns what is to be noted."""
        at_us = held["armed_until"] - held["now"] + held["wall"]
        hint = "the exchange has most likely cancelled all orders of this user"
        log.error("switch_ran_out", uid=self._user.uid, at=time_of(at_us).isoformat(), hint=hint)
        return {"ran_out": at_us, "armed_until": 0}

    def _failed(self, why: str) -> None:
        self._failures += 1
        if why != self._problem:
            self._problem = why
            log.error("switch_fails", uid=self._user.uid, error=why)

    def _me(self, lease_s: float, note: Mapping[str, int] | None = None) -> dict[str, object]:
        told = {name: str(value) for name, value in (note or {}).items()}
        return {"uid": self._user.uid, "worker": self._worker, "lease_us": round(lease_s * 1e6), "note": told}


class DeadMansSwitches:
    """The switches of this worker's users, none where `timeout_s` is 0; `worker` names their holder."""

    def __init__(self, scripts: Scripts, client: OkxClient, gate: Gate, *, worker: str, timeout_s: int) -> None:
        self._switches = {
            uid: DeadMansSwitch(
                scripts, client, user, worker=worker, timeout_s=timeout_s, let_in=partial(gate.is_open, uid)
            )
            for uid, user in gate.users.items()
            if timeout_s
        }

    @property
    def problems(self) -> dict[str, str]:
        """Why switches are not refreshed, for `status`."""
        return {name: why for switch in self._switches.values() for name, why in switch.problems.items()}

    def opened(self, uid: str) -> None:
        """The gate is open for this user: its switch is kept armed from now on."""
        switch = self._switches.get(uid)
        if switch and switch.ident is None:
            switch.start()

    def stop(self) -> None:
        """Lets go of all at once, and waits for that: a switch alone may need `DISARM_S`."""
        started = [switch for switch in self._switches.values() if switch.ident is not None]
        for switch in started:
            switch.stop()
        join_all(started, within_s=DISARM_S)
