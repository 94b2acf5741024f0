"""Listens to the private channels of users, one worker to each, by a lease in Redis.

A worker that dies is replaced when its lease lapses. Two that listen for a moment do no harm: they see the same.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

import structlog

from bulk_cancel.worker.config.users import User
from bulk_cancel.worker.okx.answers import Row
from bulk_cancel.worker.okx.channel import Channel
from bulk_cancel.worker.okx.credentials import Credentials
from bulk_cancel.worker.okx.session import PATIENCE, Patience
from bulk_cancel.worker.state.loop import Loop
from bulk_cancel.worker.state.scripts import Scripts

log = structlog.get_logger(__name__)

LEASE_S: Final = 3.0
"""Three rounds: one that fails loses no channel."""

ROUND_S: Final = 1.0
KEEP_S: Final = 30.0
"""Without Redis nothing can be recorded, but it is back soon more often than not: channels are kept that long."""

NO_ADDRESS: Final = "off: the exchange's address was changed, and OKX_WS_URL names no channel of it"
_STOP_S: Final = 1.5
_SOON_S: Final = 0.01
"""After the instant at which another's lease ends: it has surely ended by then."""


class Witness(Loop):
    """Keeps the channels whose leases this worker has. `saw` and `gap` are called with the uid, on a channel's thread.

    `saw` gets the orders pushed; `gap` means that pushes may be missing, so the book must be read. `now` is the
    exchange's clock (unix seconds) at a base URL. `on`: whether there are to be channels at all.
    """

    def __init__(
        self,
        scripts: Scripts,
        users: Mapping[str, User],
        worker: str,
        *,
        saw: Callable[[str, Sequence[Row]], None],
        gap: Callable[[str], None],
        now: Callable[[str], float],
        on: bool = True,
        lease_s: float = LEASE_S,
        round_s: float = ROUND_S,
        patience: Patience = PATIENCE,
    ) -> None:
        super().__init__("witness", pause_s=round_s)
        self._scripts = scripts
        self._users = users if on else {}
        self._worker = worker
        self._saw = saw
        self._gap = gap
        self._now = now
        self._lease_s = lease_s
        self._patience = patience
        self._channels: dict[str, Channel] = {}
        self._refused_at: dict[str, float] = {}
        self._attended_at = 0.0
        self._without_redis = False

    @property
    def problems(self) -> dict[str, str]:
        """By uid, why a channel is off that could be on."""
        kept = list(self._channels.items())
        troubled = {uid: f"account {channel.account}: {channel.problem}" for uid, channel in kept if channel.problem}
        return {uid: NO_ADDRESS for uid, user in self._users.items() if user.ws_url is None} | troubled

    def start(self) -> None:
        """There is nothing to do where no user has a channel."""
        if without := [uid for uid, user in self._users.items() if user.ws_url is None]:
            log.info("channel_off", users=without, reason=NO_ADDRESS)
        if self._listed():
            super().start()

    def stop(self) -> None:
        """Gives the leases back, so that others take over at once; nothing is called any more."""
        super().stop()
        for channel in list(self._channels.values()):
            channel.close()
        if self.ident is not None:
            self.join(_STOP_S)

    def run(self) -> None:
        """Rounds until stopped; then the leases are given back before the channels have ended."""
        super().run()
        closed = [self._drop(uid) for uid in list(self._channels)]
        self.safely(self._give_back)
        for channel in closed:
            channel.stop()

    def _listed(self) -> list[str]:
        return [uid for uid, user in self._users.items() if user.ws_url is not None]

    def round(self) -> float:
        """Keeps what is ours and takes what is free; returns the seconds until the next round."""
        answer = self._attend(self._lease_s)
        held = {str(uid) for uid in answer["held"]}
        self._attended_at, self._without_redis = time.monotonic(), False
        for uid in self._channels.keys() - held:
            self._drop(uid)
        for uid in sorted(held):
            self._keep(self._users[uid])
        free_ms = answer["next_ms"]
        return self.pause_s if free_ms < 0 else min(self.pause_s, free_ms / 1000 + _SOON_S)

    def without_redis(self, error: Exception) -> None:
        """Channels are kept for a while."""
        if not self._without_redis:
            self._without_redis = True
            super().without_redis(error)
        if time.monotonic() - self._attended_at > KEEP_S:
            for uid in list(self._channels):
                self._drop(uid)

    def _give_back(self) -> None:
        self._attend(0.0)

    def _attend(self, lease_s: float) -> dict[str, Any]:
        argument = {"worker": self._worker, "uids": self._listed(), "lease_ms": round(lease_s * 1000)}
        return self._scripts.run("channel_lease", argument)

    def _keep(self, user: User) -> None:
        """One account of the user listens; one that the exchange refuses makes room for the next."""
        channel = self._channels.get(user.uid)
        if channel and channel.refused:
            self._refused_at[channel.account] = time.monotonic()
        elif channel:
            return
        account = self._next(user)
        if account is None or self._stopping.is_set():
            return
        if channel:
            channel.close()
        self._channels[user.uid] = self._start(user, account)

    def _next(self, user: User) -> Credentials | None:
        """The first account that was not refused of late."""
        since = time.monotonic() - self._patience.refused_s
        fresh = (account for account in user.accounts if self._refused_at.get(account.name, since) <= since)
        return next(fresh, None)

    def _start(self, user: User, account: Credentials) -> Channel:
        channel = Channel(
            account,
            user.ws_url or "",
            now=partial(self._now, account.base_url),
            on_orders=partial(self._saw, user.uid),
            on_gap=partial(self._gap, user.uid),
            patience=self._patience,
        )
        channel.start()
        return channel

    def _drop(self, uid: str) -> Channel:
        channel = self._channels.pop(uid)
        channel.close()
        return channel
