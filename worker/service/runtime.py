"""What runs in one worker process: its parts, and the order in which they start and stop."""

from collections.abc import Callable
from typing import Final

import structlog

from bulk_cancel.worker.books.confirm.pushes import Pushes
from bulk_cancel.worker.config.settings import Settings
from bulk_cancel.worker.sending.sweeper import Sweeper
from bulk_cancel.worker.sending.waker import Waker
from bulk_cancel.worker.service import parts
from bulk_cancel.worker.service.facts import Facts
from bulk_cancel.worker.service.forwarder import Forwarder
from bulk_cancel.worker.service.pulse import Pulse
from bulk_cancel.worker.state.board import Board
from bulk_cancel.worker.state.connection import check_broker, check_redis, check_rights
from bulk_cancel.worker.state.formats import Formats
from bulk_cancel.worker.state.loop import join_all

log = structlog.get_logger(__name__)

LEAVE_S: Final = 1.0
"""For the last rounds of waker and sweeper; longer ones are cut off."""


class Runtime:
    """One worker's parts; `end` is called when it can do nothing more."""

    def __init__(self, settings: Settings, formats: Formats, end: Callable[[], None]) -> None:
        self._base = base = parts.base_of(settings, formats)
        self.name, self.store = base.name, base.store
        self.forwarder = Forwarder(base.shards, base.store)
        self._sender = parts.sender_of(base, freed=self._wake_for_room)
        self._warmer = parts.warmer_of(base, regained=self._wake_for_room)
        book, confirmations = parts.book_of(base), parts.confirmations_of(base)
        self._confirmer = parts.confirmer_of(base, confirmations, book)
        self._canceller = parts.canceller_of(base, book)
        self._surveyor = parts.surveyor_of(base, book)
        self._pushes, self._hastener = Pushes(confirmations), parts.hastener_of(base)
        self._opened = parts.opened_of(base)
        self._witness = parts.witness_of(base, self._pushes, self._hastener, self._opened)
        self._business = parts.business_witness_of(base, self._pushes, self._hastener)
        self._identity = parts.identity_of(base)
        self._switches = parts.switches_of(base)
        self._alerts, self._watch = parts.alerts_of(base), parts.watch_of(base)
        self._unread = parts.unread_of(base)
        board = parts.board_of(base)
        self._sweeper, self._waker = Sweeper(board), self._waker_of(board, end)
        self._pulse = Pulse((self._waker, self._sweeper))
        # in this order: a switch begins to be armed before the first claim of its user
        base.gate.tell(self._switches.opened)
        base.gate.tell(self._sender.opened)

    def start(self) -> None:
        """Raises UnfitRedisError, UnreadableFormatError or redis-py's errors."""
        self.store.scripts.make_all()
        check_rights(self.store.redis, self.store.keys, "worker", waits=self.store.settings.wait_replicas > 0)
        check_redis(self.store.redis.info())
        check_broker(self.store.settings)
        self._waker.beat()  # first of all verbs: from now on no format is raised that it cannot read
        self.store.directory.publish(self.store.scripts)
        for part in (
            *([self._alerts] if self._alerts else []),  # first: the others raise alerts
            self._warmer,
            self._identity,
            self._pushes,
            self._hastener,
            self._opened,
            self._witness,
            self._business,
            self._waker,
            self._sweeper,
            self._watch,
            self._unread,
            self._pulse,
        ):
            part.start()
        log.info("worker_ready", worker=self.name, accounts=self.store.directory.names())

    def close(self) -> None:
        """No new claims from now on."""
        for end in (
            self._sender.close,
            self._warmer.stop,
            self._identity.stop,
            self._waker.stop,
            self._sweeper.stop,
            self._witness.stop,
            self._business.stop,
            self._base.stopping.set,  # before those who wait for slots of reading calls: it ends their waiting
            self._pushes.stop,
            self._hastener.stop,
            self._opened.stop,
            self._confirmer.stop,
            self._canceller.stop,
            self._surveyor.stop,
        ):
            end()

    def stop(self) -> None:
        """Waits for the calls in flight, at most the HTTP timeout and a second, then lets go of the switches."""
        done = self._sender.stop(self.store.settings.http_timeout_s + 1.0)
        self._watch.stop()
        self._unread.stop()
        join_all((self._waker, self._sweeper), within_s=LEAVE_S)
        self._pulse.stop()
        join_all((self._pulse,), within_s=LEAVE_S)
        self._pulse.leave()
        self._waker.leave()  # not before it has ended: its last round may beat once more
        self._switches.stop()  # not before all is recorded: until then they protect what may be live
        if self._alerts:
            self._alerts.stop()  # last: what the others ended is still to be told
        log.info("worker_stopped", worker=self.name, all_recorded=done)

    def _waker_of(self, board: Board, end: Callable[[], None]) -> Waker:
        facts = Facts(
            self._base,
            self._sender,
            self._identity,
            self._switches,
            (self._witness, self._business),
            unread=self._unread,
            alerts=self._alerts,
        )
        return Waker(
            board,
            self._sender,
            self.name,
            facts=facts.read,
            look=self._look,
            mass=self._canceller.take_up,
            end=end,
            survey=self._surveyor.take_up,
        )

    def _wake_for_room(self) -> None:
        self._waker.wake_for_room()

    def _look(self, uid: str) -> None:
        """A book out of our reach is left to other workers: it is due again in a second."""
        gate = self._base.gate
        if not gate.serves(uid) or self._base.reachability.reaches(gate.user(uid).base_url):
            self._confirmer.look(uid)


_current: Runtime | None = None


def current() -> Runtime | None:
    """This process's runtime, None outside a started worker."""
    return _current


def set_current(runtime: Runtime | None) -> None:
    """For the worker's bootstep alone."""
    global _current  # noqa: PLW0603 (Celery tasks have no other way to what their process runs)
    _current = runtime
