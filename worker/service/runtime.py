"""What runs in a worker process? Builds the parts over one store, starts and stops them in order."""

import os
import random
import socket
import time
from collections.abc import Mapping
from threading import Event
from typing import Final

import structlog

from bulk_cancel.worker.alerts.alerts import Alerts
from bulk_cancel.worker.alerts.watch import Watch
from bulk_cancel.worker.alerts.webhook import Webhook
from bulk_cancel.worker.books.book import Book
from bulk_cancel.worker.books.confirm.confirmations import Confirmations
from bulk_cancel.worker.books.confirm.confirmer import Confirmer
from bulk_cancel.worker.books.confirm.witness import NO_ADDRESS, Witness
from bulk_cancel.worker.books.identity import Identity
from bulk_cancel.worker.books.mass.canceller import MassCanceller
from bulk_cancel.worker.books.mass.masses import Masses
from bulk_cancel.worker.config.settings import Settings
from bulk_cancel.worker.config.users import User, users_of
from bulk_cancel.worker.okx.client import OkxClient
from bulk_cancel.worker.sending.conclude import Turns
from bulk_cancel.worker.sending.reachability import Reach
from bulk_cancel.worker.sending.retry import Policy
from bulk_cancel.worker.sending.sender import Sender
from bulk_cancel.worker.sending.waker import Waker
from bulk_cancel.worker.sending.warmer import Warmer
from bulk_cancel.worker.service.deadman import DISARM_S, DeadMansSwitch
from bulk_cancel.worker.state.board import Board
from bulk_cancel.worker.state.connection import check_redis
from bulk_cancel.worker.state.lanes import Lanes
from bulk_cancel.worker.state.store import Store, open_store
from bulk_cancel.worker.state.window import Timing

log = structlog.get_logger(__name__)

LEAVE_S: Final = 1.0


class Runtime:
    """One worker's parts."""

    def __init__(self, settings: Settings) -> None:
        self.store: Store = open_store(settings)
        self.name = f"{socket.gethostname()}:{os.getpid()}"
        store, users = self.store, users_of(settings)
        timing = Timing(settings.window_s, settings.http_timeout_s)
        confirm = settings.confirm != "off"
        lanes = Lanes(
            store.scripts,
            timing,
            max_attempts=settings.max_attempts,
            retention_s=settings.retention_s,
            confirm=confirm,
        )
        turns = Turns(Policy(max_attempts=settings.max_attempts), self.name, random.random, confirm=confirm)
        self._client = OkxClient(timeout_s=settings.http_timeout_s, pool=settings.http_concurrency)
        self._users, self._reach = users, Reach()
        self.sender = Sender(
            lanes,
            self._client,
            turns,
            users,
            self._reach,
            concurrency=settings.http_concurrency,
            freed=self._rouse,
        )
        board = Board(
            store.redis,
            store.scripts,
            store.keys,
            retention_s=settings.retention_s,
            blackout_us=timing.blackout_us,
            abandon_s=2 * settings.confirm_deadline_s,
        )
        self._identity = Identity(store.scripts, store.keys, self._client, users, self._admit_user)
        self._stopping = Event()
        book = Book(store.scripts, self._client, timing, self._stopping)
        confirmations = Confirmations(
            store.redis,
            store.keys,
            store.scripts,
            max_attempts=settings.max_attempts,
            retention_s=settings.retention_s,
        )
        self.confirmer = Confirmer(confirmations, book, users, self._stopping, deadline_s=settings.confirm_deadline_s)
        self._witness = Witness(
            store.scripts,
            users,
            self.name,
            saw=self.confirmer.saw,
            gap=self.confirmer.missed,
            now=self._client.time_s,
            on=settings.confirm == "on",
        )
        self._masses = MassCanceller(
            Masses(store),
            book,
            users,
            self._stopping,
            lease_s=timing.open_us / 1e6,
            exchange_ms=lambda user: self._client.time_s(user.base_url) * 1000,
        )
        self._waker = Waker(
            board,
            self.sender,
            self.name,
            facts=self._facts,
            look=self._look,
            mass=self._masses.take_up,
        )
        self._warmer = Warmer(
            store.redis,
            self._client,
            [user.base_url for user in users.values()],
            self._reach,
            concurrency=settings.http_concurrency,
            regained=self._rouse,
        )
        self._alerts = _alerts(settings, self.name)
        accounts = {account.name: user.uid for user in users.values() for account in user.accounts}
        self._accounts = sorted(accounts)
        self._watch = Watch(store.scripts, store.keys, accounts, worker=self.name)
        self._switches = {uid: self._switch(user) for uid, user in users.items() if settings.dead_mans_switch_s}
        self._started_at = time.time()

    def start(self) -> None:
        """Raises UnfitRedisError, or redis-py's errors."""
        check_redis(self.store.redis.info())
        self.store.directory.publish()
        if self._alerts:
            self._alerts.start()
        self._warmer.start()
        self._identity.start()
        self.confirmer.start()
        self._witness.start()
        self._waker.start()
        self._watch.start()
        log.info("worker_ready", worker=self.name, accounts=self.store.directory.names())

    def close(self) -> None:
        """No new claims from now on."""
        self.sender.close()
        self._warmer.stop()
        self._identity.stop()
        self._waker.stop()
        self._witness.stop()
        self._stopping.set()
        self.confirmer.stop()
        self._masses.stop()

    def stop(self) -> None:
        """Waits for the calls in flight, at most the HTTP timeout and a second, then lets go of the switches."""
        done = self.sender.stop(self.store.settings.http_timeout_s + 1.0)
        self._watch.stop()
        self._waker.join(LEAVE_S)
        self._waker.leave()
        switches = [switch for switch in self._switches.values() if switch.ident is not None]
        for switch in switches:
            switch.stop()
        ends = time.monotonic() + DISARM_S
        for switch in switches:
            switch.join(max(0.0, ends - time.monotonic()))
        if self._alerts:
            self._alerts.stop()
        log.info("worker_stopped", worker=self.name, all_recorded=done)

    def _admit_user(self, uid: str) -> None:
        """The exchange has told that our credentials are this user's: nothing is asked of it for him before."""
        self.confirmer.admit_user(uid)
        if (switch := self._switches.get(uid)) and switch.ident is None:
            switch.start()
        self.sender.admit_user(uid)
        self._masses.admit_user(uid)

    def _rouse(self) -> None:
        self._waker.rouse()

    def _look(self, uid: str) -> None:
        """A book out of our reach is left to other workers: it is due again in a second."""
        user = self._users.get(uid)
        if user is None or self._reach.has(user.base_url):
            self.confirmer.look(uid)

    def _switch(self, user: User) -> DeadMansSwitch:
        timeout_s = self.store.settings.dead_mans_switch_s
        return DeadMansSwitch(self.store.scripts, self._client, user, worker=self.name, timeout_s=timeout_s)

    def _facts(self) -> Mapping[str, object]:
        return {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "started": self._started_at,
            "in_flight": self.sender.in_flight,
            "permits": self.store.settings.http_concurrency,
            "problems": self._problems(),
            "accounts": self._accounts,
        }

    def _problems(self) -> dict[str, str]:
        """What does not work, and why."""
        found = {f"account {name}": why for name, why in self._identity.problems.copy().items()}
        for switch in self._switches.values():
            found |= switch.problems
        found |= {f"channel of {uid}": why for uid, why in self._witness.problems.items() if why != NO_ADDRESS}
        found |= {f"exchange {base_url}": f"no connection: {why}" for base_url, why in self._reach.lost().items()}
        return found | (self._alerts.problems if self._alerts else {})


def _alerts(settings: Settings, worker: str) -> Alerts | None:
    if settings.alert_webhook_url is None or settings.alert_webhook_secret is None:
        return None
    webhook = Webhook(settings.alert_webhook_url.get_secret_value(), settings.alert_webhook_secret.get_secret_value())
    return Alerts(webhook, runner=settings.key_prefix, worker=worker)


_current: Runtime | None = None


def current() -> Runtime | None:
    """This process's runtime, None outside a started worker."""
    return _current


def set_current(runtime: Runtime | None) -> None:
    """For the worker's bootstep alone."""
    global _current  # noqa: PLW0603 (Celery tasks have no other way to what their process runs)
    _current = runtime
