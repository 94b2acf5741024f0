"""Builds the parts of one worker process from its settings, each over what all of them share."""

import os
import random
import socket
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event

from bulk_cancel.worker.alerts.alerts import Alerts
from bulk_cancel.worker.alerts.watch import Watch
from bulk_cancel.worker.alerts.webhook import Webhook
from bulk_cancel.worker.books.book import Book
from bulk_cancel.worker.books.confirm.confirmations import Confirmations
from bulk_cancel.worker.books.confirm.confirmer import Confirmer
from bulk_cancel.worker.books.confirm.pushes import Pushes
from bulk_cancel.worker.books.confirm.witness import Witness
from bulk_cancel.worker.books.mass.canceller import MassCanceller
from bulk_cancel.worker.books.mass.masses import Masses
from bulk_cancel.worker.config.gate import Gate
from bulk_cancel.worker.config.settings import Settings
from bulk_cancel.worker.config.users import users_of
from bulk_cancel.worker.okx.client import OkxClient
from bulk_cancel.worker.sending.caller import Caller
from bulk_cancel.worker.sending.conclude import Concluder
from bulk_cancel.worker.sending.reachability import Reachability
from bulk_cancel.worker.sending.retry import Policy
from bulk_cancel.worker.sending.sender import Sender
from bulk_cancel.worker.sending.warmer import Warmer
from bulk_cancel.worker.service.deadman import DeadMansSwitches
from bulk_cancel.worker.state.board import Board
from bulk_cancel.worker.state.lanes import Lanes
from bulk_cancel.worker.state.store import Store, open_store
from bulk_cancel.worker.state.window import Timing


@dataclass(frozen=True, slots=True)
class Base:
    """What the parts share; `name` is the worker's, and `stopping` ends what waits between two reading calls."""

    settings: Settings
    name: str
    store: Store
    client: OkxClient
    gate: Gate
    reachability: Reachability
    timing: Timing
    stopping: Event

    @property
    def confirm(self) -> bool:
        """Whether the book must tell the same before an order is off it."""
        return self.settings.confirm != "off"

    @property
    def accounts(self) -> dict[str, str]:
        """The uid of each account, by name."""
        return {account.name: user.uid for user in self.gate.users.values() for account in user.accounts}


def base_of(settings: Settings) -> Base:
    """Nothing is connected yet."""
    return Base(
        settings,
        f"{socket.gethostname()}:{os.getpid()}",
        open_store(settings),
        OkxClient(timeout_s=settings.http_timeout_s, pool=settings.http_concurrency),
        Gate(users_of(settings)),
        Reachability(),
        Timing(settings.window_s, settings.http_timeout_s),
        Event(),
    )


def sender_of(base: Base, freed: Callable[[], None]) -> Sender:
    """Claims, calls and records; `freed` is called when there may be more room."""
    settings, attempts = base.settings, base.settings.max_attempts
    lanes = Lanes(
        base.store.scripts,
        base.timing,
        max_attempts=attempts,
        retention_s=settings.retention_s,
        confirm=base.confirm,
    )
    concluder = Concluder(Policy(max_attempts=attempts), base.name, random.random, confirm=base.confirm)
    caller = Caller(base.client, concluder, base.reachability)
    return Sender(lanes, caller, base.gate, base.reachability, concurrency=settings.http_concurrency, freed=freed)


def board_of(base: Base) -> Board:
    """Which lanes, books and mass cancels are due."""
    return Board(
        base.store.redis,
        base.store.scripts,
        base.store.keys,
        retention_s=base.settings.retention_s,
        blackout_us=base.timing.blackout_us,
        abandon_s=2 * base.settings.confirm_deadline_s,
    )


def book_of(base: Base) -> Book:
    """The reading calls, for confirmation and mass cancels."""
    return Book(base.store.scripts, base.client, base.timing, base.stopping)


def confirmations_of(base: Base) -> Confirmations:
    """The unconfirmed jobs, for looks and pushes."""
    store = base.store
    return Confirmations(store.redis, store.keys, store.scripts, retention_s=base.settings.retention_s)


def confirmer_of(base: Base, confirmations: Confirmations, book: Book) -> Confirmer:
    """Looks at books."""
    return Confirmer(confirmations, book, base.gate, base.stopping, deadline_s=base.settings.confirm_deadline_s)


def witness_of(base: Base, pushes: Pushes) -> Witness:
    """Listens to the private channels."""
    return Witness(
        base.store.scripts,
        base.gate.users,
        base.name,
        saw=pushes.saw,
        gap=pushes.missed,
        now=base.client.time_s,
        on=base.settings.confirm == "on",
    )


def canceller_of(base: Base, book: Book) -> MassCanceller:
    """Lists for mass cancels."""
    return MassCanceller(
        Masses(base.store),
        book,
        base.gate,
        base.stopping,
        lease_s=base.timing.open_us / 1e6,
        exchange_ms=lambda user: base.client.clock_ms(user.base_url),
    )


def warmer_of(base: Base, regained: Callable[[], None]) -> Warmer:
    """Keeps connections open; `regained` is called when an address is within reach again."""
    urls = [user.base_url for user in base.gate.users.values()]
    concurrency = base.settings.http_concurrency
    return Warmer(base.store.redis, base.client, urls, base.reachability, concurrency=concurrency, regained=regained)


def switches_of(base: Base) -> DeadMansSwitches:
    """Keeps the dead man's switches armed."""
    timeout_s = base.settings.dead_mans_switch_s
    return DeadMansSwitches(base.store.scripts, base.client, base.gate.users, worker=base.name, timeout_s=timeout_s)


def watch_of(base: Base) -> Watch:
    """Notices what no call tells."""
    return Watch(base.store.scripts, base.store.keys, base.accounts, worker=base.name)


def alerts_of(base: Base) -> Alerts | None:
    """Delivers to the webhook, if there is one."""
    url, secret = base.settings.alert_webhook_url, base.settings.alert_webhook_secret
    if url is None or secret is None:
        return None
    webhook = Webhook(url.get_secret_value(), secret.get_secret_value())
    return Alerts(webhook, runner=base.settings.key_prefix, worker=base.name)
