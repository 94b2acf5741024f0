"""The doors for Celery messages: valid orders are admitted, all else is kept as refused."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import structlog
from celery.exceptions import Reject
from redis.exceptions import RedisError

from bulk_cancel.tasks.errors import BulkCancelError
from bulk_cancel.tasks.mass import ALL_ACCOUNTS, CancelAll
from bulk_cancel.tasks.messages import CancelOrders
from bulk_cancel.tasks.reading import Refusal, as_json, read_cancel_all, read_cancel_order, read_cancel_orders
from bulk_cancel.worker.books.mass.masses import Masses
from bulk_cancel.worker.books.mass.state import Mass
from bulk_cancel.worker.service.broker.followups import UNREACHABLE, send, sending_app
from bulk_cancel.worker.service.broker.qos import PUT_OFF
from bulk_cancel.worker.service.forwarder import NOT_NOW, Forwarder, NotNowError
from bulk_cancel.worker.service.runtime import current
from bulk_cancel.worker.state.seldom import Seldom
from bulk_cancel.worker.state.store import Store

log = structlog.get_logger(__name__)

PAUSE_S: Final = 0.5
"""How long a message waits in hand before it goes back to the queue while Redis is away or full."""

_PASSES: Final = (RedisError, NotNowError, *NOT_NOW)
"""The message comes again."""

_goes_back: Final = Seldom()

Read = tuple[CancelOrders | None, list[Refusal]]


def take_cancel_orders(
    args: Sequence[object], kwargs: Mapping[str, object], *, message_id: str, urgent_queue: bool
) -> bool:
    """Admits a `tasks.cancel_orders` message; whether any of its orders was."""
    read = read_cancel_orders(args, kwargs, message_id=message_id)
    return _take(read, source="tasks.cancel_orders", urgent_queue=urgent_queue)


def take_cancel_order(
    args: Sequence[object], kwargs: Mapping[str, object], *, message_id: str, urgent_queue: bool
) -> bool:
    """Admits a `tasks.cancel_order` message; whether its order was."""
    read = read_cancel_order(args, kwargs, message_id=message_id)
    return _take(read, source="tasks.cancel_order", urgent_queue=urgent_queue)


def take_cancel_all(args: Sequence[object], kwargs: Mapping[str, object], *, message_id: str) -> bool:
    """Takes a `tasks.cancel_all` message, as a whole or not at all; whether it did. That of `*` is every shard's."""
    asked, refusals = read_cancel_all(args, kwargs, message_id=message_id)
    return _or_requeue(lambda forwarder: _take_all(forwarder, asked, refusals))


def carry_on(asked: Mapping[str, object] | None, *, message_id: str, source: str, done: bool) -> None:
    """Sends what the message asked to be run after it, or its errbacks if nothing was taken; faults are kept."""
    if asked:
        _or_requeue(lambda forwarder: _follow(forwarder.own, asked, message_id, source, done=done))


def _follow(store: Store, asked: Mapping[str, object], message_id: str, source: str, *, done: bool) -> bool:
    app = sending_app(store.settings.broker_url.get_secret_value())
    faults = send(app, asked, task_id=message_id, done=done)
    if faults:
        store.refusals.add(as_json(asked), faults, source=f"{source}: follow-ups")
    return not faults


def _take_all(forwarder: Forwarder, asked: CancelAll | None, refusals: Sequence[Refusal]) -> bool:
    taken = False
    if asked:
        try:
            _masses(forwarder, asked)
            taken = True
        except _PASSES:
            raise
        except BulkCancelError as error:
            refusals = [_whole(asked, str(error))]
    forwarder.own.refusals.add_all(refusals, source="tasks.cancel_all")
    return taken


def _masses(forwarder: Forwarder, asked: CancelAll) -> None:
    """Each shard takes what it can; what kept one from it is raised then, and the same again takes the rest."""

    def take(store: Store) -> list[Mass]:
        found = Masses(store).take(asked)
        for mass in found:
            log.info("mass_taken", batch=mass.batch_id, account=mass.account, scope=mass.scope.asked)
        return found

    if asked.account != ALL_ACCOUNTS:
        forwarder.run(forwarder.of_account(asked.account), take)
        return
    _, errors = forwarder.run_each(take)
    for error in sorted(
        errors, key=lambda error: not isinstance(error, _PASSES)
    ):  # these first: nothing is refused yet
        raise error


def _take(read: Read, *, source: str, urgent_queue: bool) -> bool:
    asked, refusals = read
    if asked and urgent_queue:
        asked = asked.model_copy(update={"urgent": True})
    return _or_requeue(lambda forwarder: _admit(forwarder, asked, refusals, source))


def _admit(forwarder: Forwarder, asked: CancelOrders | None, refusals: Sequence[Refusal], source: str) -> bool:
    shard, taken = None, False
    if asked:
        try:
            shard = forwarder.of_account(asked.account)
            rows = sum(refusal.is_row for refusal in refusals)
            receipt = forwarder.run(shard, lambda store: store.admission.admit(asked, refused=rows))
            log.info(
                "batch_admitted",
                batch=receipt.batch_id,
                account=receipt.account,
                orders=receipt.size,
                new=receipt.new,
            )
            taken = True
        except _PASSES:
            raise
        except BulkCancelError as error:
            refusals = [*refusals, _whole(asked, str(error))]
    if shard is None:
        forwarder.own.refusals.add_all(refusals, source=source)
    elif refusals:  # beside the batch that they are rows of
        forwarder.run(shard, lambda store: store.refusals.add_all(refusals, source=source))
    return taken


def _whole(asked: CancelOrders | CancelAll, why: str) -> Refusal:
    return Refusal(asked.model_dump_json(), (why,), batch_id=asked.batch_id, account=asked.account)


def _or_requeue(work: Callable[[Forwarder], bool]) -> bool:
    """What `work` returns; the message goes back to its queue when state or broker cannot take it now.

    What another shard cannot take is put off without waiting here: messages for all others go on.
    """
    runtime = current()
    if runtime is None:
        raise Reject("the worker is still starting", requeue=True)
    try:
        return work(runtime.forwarder)
    except NotNowError as error:
        _goes_back.say(log.warning, "message_put_off", kind=error.shard, error=str(error))
        raise Reject(str(error), requeue=PUT_OFF) from error
    except (RedisError, *NOT_NOW, *UNREACHABLE) as error:
        _goes_back.say(log.warning, "message_goes_back", kind=type(error).__name__, error=str(error))
        time.sleep(PAUSE_S)
        raise Reject(str(error), requeue=True) from error
