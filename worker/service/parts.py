"""Builds the parts of one worker process from its settings, each over what all of them share."""

import os
import random
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Event

from bulk_cancel.worker.alerts.alerts import Alerts
from bulk_cancel.worker.alerts.unread import Unread
from bulk_cancel.worker.alerts.watch import Watch
from bulk_cancel.worker.alerts.webhook import Webhook
from bulk_cancel.worker.books.book import Book
from bulk_cancel.worker.books.confirm.confirmations import Confirmations
from bulk_cancel.worker.books.confirm.confirmer import Confirmer
from bulk_cancel.worker.books.confirm.pushes import Pushes
from bulk_cancel.worker.books.confirm.witness import Witness
from bulk_cancel.worker.books.identity import Identity
from bulk_cancel.worker.books.mass.canceller import MassCanceller
from bulk_cancel.worker.books.mass.contradictions import Contradictions
from bulk_cancel.worker.books.mass.hastener import Hastener
from bulk_cancel.worker.books.mass.masses import Masses
from bulk_cancel.worker.books.mass.opened import Opened, ToldOrders
from bulk_cancel.worker.books.mass.surveyor import Surveyor
from bulk_cancel.worker.config.gate import Gate
from bulk_cancel.worker.config.settings import Settings
from bulk_cancel.worker.config.users import User, algos_of, users_of
from bulk_cancel.worker.okx.answers import Row
from bulk_cancel.worker.okx.client import OkxClient
from bulk_cancel.worker.okx.frames import SUBSCRIBE_ALGOS
from bulk_cancel.worker.sending.caller import Caller
from bulk_cancel.worker.sending.conclude import Concluder
from bulk_cancel.worker.sending.reachability import Reachability
from bulk_cancel.worker.sending.retry import Policy
from bulk_cancel.worker.sending.sender import Sender
from bulk_cancel.worker.sending.warmer import Warmer
from bulk_cancel.worker.service.deadman import DeadMansSwitches
from bulk_cancel.worker.state.board import Board
from bulk_cancel.worker.state.connection import connect_broker
from bulk_cancel.worker.state.formats import Formats
from bulk_cancel.worker.state.lanes import Lanes
from bulk_cancel.worker.state.owners import Owners
from bulk_cancel.worker.state.shards import Shards
from bulk_cancel.worker.state.store import Store, open_store
from bulk_cancel.worker.state.strays import Stray, strays
from bulk_cancel.worker.state.window import Timing


@dataclass(frozen=True, slots=True)
class Base:
    """What the parts share; `name` is the worker's, and `stopping` ends what waits between two reading calls.

    `idle` is set while no call is in flight.
    """

    settings: Settings
    """Those of its shard."""
    name: str
    shards: Shards
    store: Store
    client: OkxClient
    gate: Gate
    reachability: Reachability
    timing: Timing
    stopping: Event
    idle: Event

    @property
    def confirm(self) -> bool:
        """Whether the book must tell the same before an order is off it."""
        return self.settings.confirm != "off"

    @property
    def accounts(self) -> dict[str, str]:
        """The uid of each account, by name."""
        return {account.name: user.uid for user in self.gate.users.values() for account in user.accounts}


def base_of(settings: Settings, formats: Formats) -> Base:
    """Nothing is connected yet. Of a runner's shards it serves the one that the settings choose."""
    shards = Shards(settings, lambda one: open_store(one, formats))
    store = shards.of(settings.shard).store
    settings = store.settings
    gate = Gate(users_of(settings))
    return Base(
        settings,
        f"{socket.gethostname()}:{os.getpid()}",
        shards,
        store,
        OkxClient(timeout_s=settings.http_timeout_s, pool=settings.http_concurrency, barred=gate.bar),
        gate,
        Reachability(),
        Timing(settings.window_s, settings.http_timeout_s),
        Event(),
        Event(),
    )


def identity_of(base: Base) -> Identity:
    """Asks whose accounts these are, and registers each User ID for this Redis alone."""
    owners = Owners(base.shards, base.settings.shard) if base.shards.several else None
    return Identity(base.store.scripts, base.store.keys, base.client, base.gate, owners)


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
    return Sender(
        lanes,
        caller,
        base.gate,
        base.reachability,
        concurrency=settings.http_concurrency,
        freed=freed,
        idle=base.idle,
    )


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
    store, retention_s = base.store, base.settings.retention_s
    return Confirmations(store.redis, store.keys, store.scripts, base.gate.users.__getitem__, retention_s=retention_s)


def confirmer_of(base: Base, confirmations: Confirmations, book: Book) -> Confirmer:
    """Looks at books."""
    return Confirmer(
        confirmations,
        book,
        base.gate,
        base.stopping,
        deadline_s=base.settings.confirm_deadline_s,
        exchange_at=base.client.clock.span,
    )


def hastener_of(base: Base) -> Hastener:
    """Has what is on hold listed when an order is told of."""
    return Hastener(Masses(base.store))


def opened_of(base: Base) -> Opened:
    """Remembers what is told of as open."""
    return Opened(ToldOrders(base.store))


def witness_of(base: Base, pushes: Pushes, hastener: Hastener, opened: Opened) -> Witness:
    """Listens to the private channels."""

    def saw(uid: str, rows: Sequence[Row]) -> None:
        opened.saw(uid, rows)
        hastener.saw(uid, rows)
        pushes.saw(uid, rows)

    def gap(uid: str) -> None:
        opened.began(uid)
        pushes.missed(uid)

    return Witness(
        base.store.scripts,
        base.gate,
        base.name,
        saw=saw,
        gap=gap,
        left=opened.left,
        now=base.client.clock.time_s,
        idle=base.idle,
        on=base.settings.confirm == "on",
    )


def business_witness_of(base: Base, pushes: Pushes, hastener: Hastener) -> Witness:
    """Listens to the channels of algo orders, while mass cancels cancel them."""

    def saw(uid: str, rows: Sequence[Row]) -> None:
        hastener.saw(uid, rows)
        pushes.saw(uid, rows)

    def gap(uid: str) -> None:
        hastener.missed(uid)
        pushes.missed(uid)

    owners = map(algos_of, base.gate.users.values())
    return Witness(
        base.store.scripts,
        base.gate,
        base.name,
        saw=saw,
        gap=gap,
        now=base.client.clock.time_s,
        idle=base.idle,
        on=base.settings.confirm == "on",
        name="business",
        users={owner.uid: owner for owner in owners if owner.ws_url},
        wanted=Masses(base.store).with_algos,
        subscribe=SUBSCRIBE_ALGOS,
    )


def canceller_of(base: Base, book: Book) -> MassCanceller:
    """Lists for mass cancels."""
    masses, lease_s = Masses(base.store), base.timing.open_us / 1e6

    def exchange_ms(user: User) -> float:
        return base.client.clock.time_ms(user.base_url)

    told = ToldOrders(base.store)
    return MassCanceller(
        masses,
        book,
        base.gate,
        base.stopping,
        lease_s=lease_s,
        exchange_ms=exchange_ms,
        contradictions=Contradictions(masses, told, book, lease_s=lease_s, exchange_ms=exchange_ms),
    )


def surveyor_of(base: Base, book: Book) -> Surveyor:
    """Looks at what else can place orders, after mass cancels."""
    return Surveyor(Masses(base.store), book, base.gate, base.stopping, lease_s=base.timing.open_us / 1e6)


def warmer_of(base: Base, regained: Callable[[], None]) -> Warmer:
    """Keeps connections open; `regained` is called when an address is within reach again."""
    urls = [user.base_url for user in base.gate.users.values()]
    concurrency = base.settings.http_concurrency
    return Warmer(base.store.redis, base.client, urls, base.reachability, concurrency=concurrency, regained=regained)


def switches_of(base: Base) -> DeadMansSwitches:
    """Keeps the dead man's switches armed."""
    timeout_s = base.settings.dead_mans_switch_s
    return DeadMansSwitches(base.store.scripts, base.client, base.gate, worker=base.name, timeout_s=timeout_s)


def watch_of(base: Base) -> Watch:
    """Notices what no call tells."""
    return Watch(base.store.scripts, base.store.keys, base.accounts, worker=base.name)


def unread_of(base: Base) -> Unread:
    """Notices messages that nobody reads."""

    def find() -> list[Stray]:
        with connect_broker(base.settings) as broker:
            return strays(broker)

    return Unread(base.store.scripts, find)


def alerts_of(base: Base) -> Alerts | None:
    """Delivers to the webhook, if there is one."""
    url, secret = base.settings.alert_webhook_url, base.settings.alert_webhook_secret
    if url is None or secret is None:
        return None
    webhook = Webhook(url.get_secret_value(), secret.get_secret_value())
    return Alerts(webhook, runner=base.settings.key_prefix, worker=base.name)
