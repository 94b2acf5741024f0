"""Listens to the private channels of users, one worker to each, by leases in Redis that workers share out.

A worker that dies is replaced when its lease lapses. Two that listen for a moment do no harm: they see the same.
"""

import time
from collections.abc import Callable, Container, Mapping, Sequence
from functools import partial
from threading import Event
from typing import Any, Final

import structlog
from redis.exceptions import RedisError

from bulk_cancel.worker.config.gate import Gate
from bulk_cancel.worker.config.users import User
from bulk_cancel.worker.okx.answers import Row
from bulk_cancel.worker.okx.channel import Channel
from bulk_cancel.worker.okx.credentials import Credentials
from bulk_cancel.worker.okx.frames import SUBSCRIBE
from bulk_cancel.worker.okx.session import PATIENCE, Patience
from bulk_cancel.worker.state.loop import Loop
from bulk_cancel.worker.state.scripts import Scripts

log = structlog.get_logger(__name__)

LEASE_S: Final = 3.0
"""Three rounds: one that fails loses no channel."""

ROUND_S: Final = 1.0
ALONE_S: Final = 3.0
"""What nobody has had for so long is taken by who has its share already: some other worker may not listen to it."""

KEEP_S: Final = 30.0
"""Without Redis nothing can be recorded, but it is back soon more often than not: channels are kept that long."""

NO_ADDRESS: Final = "off: the exchange's address is none of OKX's own, and OKX_WS_URL names no channel of it"
_STOP_S: Final = 1.5
_SOON_S: Final = 0.01
"""After the instant at which another's lease ends: it has surely ended by then."""


class Witness(Loop):
    """Keeps the channels whose leases this worker has. `saw` and `gap` are called with the uid, on a channel's thread.

    `saw` gets the orders pushed; `gap` means that pushes may be missing, so the book must be read; `left`, on the
    loop's own thread, that no more come. `now` is the exchange's clock (unix seconds) at a base URL. `on`: whether
    there are to be channels at all.

    `users` are those of the gate unless told; `wanted` says each round for which of them there is to be a channel now
    (None: all); `subscribe` is what is asked for. Pushes wait a little while `idle` is not set.
    """

    def __init__(
        self,
        scripts: Scripts,
        gate: Gate,
        worker: str,
        *,
        saw: Callable[[str, Sequence[Row]], None],
        gap: Callable[[str], None],
        left: Callable[[str], None] = lambda _: None,
        now: Callable[[str], float],
        on: bool = True,
        name: str = "witness",
        users: Mapping[str, User] | None = None,
        wanted: Callable[[], Container[str]] | None = None,
        subscribe: str = SUBSCRIBE,
        idle: Event | None = None,
        lease_s: float = LEASE_S,
        round_s: float = ROUND_S,
        patience: Patience = PATIENCE,
    ) -> None:
        super().__init__(name, pause_s=round_s)
        self._scripts = scripts
        self._gate = gate
        self._users = (gate.users if users is None else users) if on else {}
        self._wanted = wanted
        self._subscribe = subscribe
        self._idle = idle
        self._worker = worker
        self._saw = saw
        self._gap = gap
        self._left = left
        self._now = now
        self._lease_s = lease_s
        self._patience = patience
        self._channels: dict[str, Channel] = {}
        self._refused_at: dict[str, float] = {}
        self._free_since: dict[str, float] = {}
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
        without = [uid for uid, user in self._users.items() if user.ws_url is None]
        if without:
            log.info("channel_off", channel=self.name, users=without, reason=NO_ADDRESS)
        if len(without) < len(self._users):
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
        """Of those that are not let in from here, another worker's channel hears."""
        wanted = self._users if self._wanted is None else self._wanted()
        return [
            uid
            for uid, user in self._users.items()
            if user.ws_url is not None and uid in wanted and not self._gate.is_out(uid)
        ]

    def round(self) -> float:
        """Keeps what is ours and takes what is free; returns the seconds until the next round."""
        listed = self._listed()
        if not (listed or self._channels):
            return self.pause_s
        answer = self._attend(listed, self._lease_s)
        held = {str(uid) for uid in answer["held"]}
        now = self._attended_at = time.monotonic()
        self._without_redis = False
        self._free_since = {str(uid): self._free_since.get(uid, now) for uid in answer["free"]}
        for uid in self._channels.keys() - held:
            self._drop(uid)
        for uid in sorted(held):
            self._keep(self._users[uid])
        free_ms = answer["next_ms"]
        return self.pause_s if free_ms < 0 else min(self.pause_s, free_ms / 1000 + _SOON_S)

    def without_redis(self, error: RedisError) -> None:
        """Channels are kept for a while."""
        if not self._without_redis:
            self._without_redis = True
            super().without_redis(error)
        if time.monotonic() - self._attended_at > KEEP_S:
            for uid in list(self._channels):
                self._drop(uid)

    def _give_back(self) -> None:
        self._attend([*self._users], 0.0)

    def _attend(self, uids: list[str], lease_s: float) -> dict[str, Any]:
        since = time.monotonic() - ALONE_S
        argument = {
            "worker": self._worker,
            "kind": self.name,
            "uids": uids,
            "lease_ms": round(lease_s * 1000),
            "heard": [uid for uid, channel in self._channels.items() if channel.alive],
            "alone": [uid for uid, free_at in self._free_since.items() if free_at <= since],
        }
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
            subscribe=self._subscribe,
            idle=self._idle,
        )
        channel.start()
        return channel

    def _drop(self, uid: str) -> Channel:
        channel = self._channels.pop(uid)
        channel.close()
        self._left(uid)
        return channel
