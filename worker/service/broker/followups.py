"""What a message asks to be run after it: a chain, callbacks (`link`), errbacks (`link_error`), a chord.

They are sent as Celery's own worker does once its task has returned: chain and callbacks with the result (None, there
are no results here) in front of their arguments, errbacks with the message's id, each to the queue that it names, or to
Celery's default one. Nothing vanishes: what cannot be sent is returned with the reason, for the refused sink. A message
that comes again sends its follow-ups again, as with Celery.
"""

# mypy: allow-untyped-calls
from __future__ import annotations

import warnings
from functools import cache
from typing import TYPE_CHECKING, Final

from celery import Celery
from celery.canvas import signature
from celery.exceptions import CDeprecationWarning
from kombu.exceptions import OperationalError
from redis.exceptions import ConnectionError as AwayError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as SilentError

from bulk_cancel.worker.service.broker.config import celery_config
from bulk_cancel.worker.state.redis_errors import FORBIDDEN, WRONG_TYPE, code_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

UNREACHABLE: Final = (OperationalError, AwayError, SilentError, OSError)
"""The broker does not answer: the message is to come again."""

_NEVER: Final = frozenset({FORBIDDEN, WRONG_TYPE})
"""The queue is not ours to write to, or no list: the message would come again for ever, and be followed each time."""

_OURS: Final = frozenset({"connection", "producer", "publisher", "retry", "retry_policy"})
"""Options of a signature that say how its sender publishes: these are ours to say."""

_NO_CHORD: Final = "chord: no results are kept here, so a chord cannot be completed; use a chain"


@cache
def sending_app(broker_url: str) -> Celery:
    """Publishes to any queue, by Celery's defaults where a signature names none; never tries long."""
    ours = celery_config(broker_url=broker_url, key_prefix="")
    app = Celery("bulk-cancel-follow-ups", set_as_current=False)
    told = ("broker_url", "broker_use_ssl", "broker_transport_options", "task_publish_retry", "task_ignore_result")
    app.config_from_object({**{name: ours[name] for name in told}, "task_routes": {"tasks.cancel_*": "cancel"}})
    # other programs' workers read the lists of kombu's own priorities alone
    app.conf.broker_transport_options.pop("priority_steps")
    # Celery's own is said of our tasks' queue, which producers need
    warnings.filterwarnings("ignore", r"\s*The 'queue' task attribute", CDeprecationWarning)
    app.finalize()
    return app


def send(app: Celery, asked: Mapping[str, object], *, task_id: str, done: bool) -> list[str]:
    """Sends what follows a task that was `done`, or else its errbacks; returns what could not be sent, and why.

    Raises:
        UNREACHABLE: the broker did not answer; some may have been sent.
    """
    faults = [_NO_CHORD] if asked.get("chord") else []
    options = {"parent_id": task_id, "root_id": task_id, "retry": False}
    for what, said, chain in _wanted(asked, done=done):
        try:
            _check_shape(said)
            follows = {"chain": chain} if chain else {}
            signature(_cleaned(said), app=app).apply_async((None if done else task_id,), **options, **follows)
        except UNREACHABLE as error:
            if (why := _refused(error)) is None:
                raise
            faults.append(f"{what}: cannot be sent: {why}"[:500])
        except Exception as error:  # noqa: BLE001 (whatever a sender can think of)
            faults.append(f"{what}: cannot be sent: {type(error).__name__}: {error}"[:500])
    return faults


def _refused(error: BaseException) -> RedisError | None:
    """Why the broker answered that it does not take it, and never will: kombu calls that an OperationalError, too."""
    cause = error.__cause__
    return cause if isinstance(cause, RedisError) and code_of(cause) in _NEVER else None


def _check_shape(said: object) -> None:
    """Celery would make a task of any text or number."""
    shapes = {"task": str, "args": list | None, "kwargs": dict | None, "options": dict | None}
    if not isinstance(said, dict) or not all(isinstance(said.get(name), shape) for name, shape in shapes.items()):
        raise TypeError("should be a signature: an object with task, args, kwargs and options")


def _wanted(asked: Mapping[str, object], *, done: bool) -> Iterator[tuple[str, object, list[object]]]:
    """Each signature to send now, with what is chained behind it; Celery writes a chain last one first."""
    if not done:
        yield from ((f"errbacks[{index}]", said, []) for index, said in enumerate(_errbacks(asked)))
        return
    yield from ((f"callbacks[{index}]", said, []) for index, said in enumerate(_listed(asked.get("callbacks"))))
    chain = [_cleaned(said) for said in _listed(asked.get("chain"))]
    if chain:
        yield "chain", chain[-1], chain[:-1]


def _errbacks(asked: Mapping[str, object]) -> list[object]:
    """Those of the message, and those of each link of its chain, which will not run."""
    links = [said.get("options") for said in _listed(asked.get("chain")) if isinstance(said, dict)]
    of_links = [options.get("link_error") for options in links if isinstance(options, dict)]
    return [said for errbacks in (asked.get("errbacks"), *of_links) for said in _listed(errbacks)]


def _listed(said: object) -> list[object]:
    """What is no list is one thing, which no signature can be made of: it is refused by name."""
    if said is None:
        return []
    return said if isinstance(said, list) else [said]


def _cleaned(said: object) -> object:
    """The same without `_OURS` in the options of any signature within."""
    if isinstance(said, list):
        return [_cleaned(each) for each in said]
    if not isinstance(said, dict):
        return said
    return {name: _cleaned(_without(value) if name == "options" else value) for name, value in said.items()}


def _without(options: object) -> object:
    return {name: options[name] for name in options if name not in _OURS} if isinstance(options, dict) else options
