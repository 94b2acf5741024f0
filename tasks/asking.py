"""Code that asks Redis, written once for both clients of redis-py: the plain one, and that of asyncio.

It is a generator that yields what a method of the client returned, `raw = yield redis.hgetall(key)`, and gets Redis's
answer. Of the plain client that is what was yielded; of the other one it is awaited meanwhile. Errors of Redis are
raised at the `yield` either way.
"""

import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any, TypeVar

T = TypeVar("T")

Asking = Generator[Any, Any, T]
"""What ends with a T once Redis has answered all that it asks."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Yielded in the place of a question: nothing is asked for so long."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Together:
    """Yielded in the place of a question: all of them are asked at once, each of another Redis.

    The answer is a list of what they end with, in their order; one that failed ends with its error, and stops no other.
    """

    askings: Sequence[Asking[Any]]


def answered(asking: Asking[T]) -> T:
    """What it ends with, asked over the plain client."""
    answer: object = None
    try:
        while True:
            answer = asking.send(answer)
            if isinstance(answer, Pause):
                time.sleep(answer.seconds)
            elif isinstance(answer, Together):
                answer = _at_once(answer.askings)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


def _at_once(askings: Sequence[Asking[Any]]) -> list[Any]:
    """A thread for each: one that waits for a silent Redis keeps no other waiting."""
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 (who asks one Redis need not import it)

    with ThreadPoolExecutor(len(askings), "together") as pool:
        return list(pool.map(_end_of, askings))


def _end_of(asking: Asking[Any]) -> Any:  # noqa: ANN401 (of any kind)
    try:
        return answered(asking)
    except Exception as error:  # noqa: BLE001 (told to who asked)
        return error


async def awaited(asking: Asking[T]) -> T:
    """What it ends with, asked over asyncio's client."""
    go_on, value = asking.send, None
    try:
        while True:
            question = go_on(value)
            try:
                go_on, value = asking.send, await _answer(question)
            except BaseException as error:  # noqa: BLE001 (raised within, where it was asked for)
                go_on, value = asking.throw, error
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


async def _answer(question: Any) -> Any:  # noqa: ANN401 (whatever a command of Redis answers)
    """Some methods of asyncio's client answer at once, as a pipeline does when it is filled."""
    if isinstance(question, Pause):
        from asyncio import sleep  # noqa: PLC0415 (who does not wait need not import it)

        return await sleep(question.seconds)
    if isinstance(question, Together):
        from asyncio import gather  # noqa: PLC0415 (the same)

        return await gather(*map(awaited, question.askings), return_exceptions=True)
    return await question if isawaitable(question) else question
