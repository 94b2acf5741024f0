"""Ends a command on Ctrl-C, SIGTERM or a closed terminal, which are the same interrupt."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def interrupts() -> Iterator[Callable[[], bool]]:
    """Each of them raises KeyboardInterrupt, so that everything cleans up; what it gives says whether one came.

    Who was interrupted need not see a KeyboardInterrupt: it is raised wherever the program stands, and a library may
    turn it into an error of its own, as pydantic does while it builds a schema. A signal that whoever started us
    ignores (nohup) stays ignored. Only for the main thread.
    """
    came: list[int] = []

    def interrupt(number: int, _frame: FrameType | None) -> None:
        came.append(number)
        raise KeyboardInterrupt

    heard = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = [signal.signal(number, interrupt) for number in heard]
    try:
        yield lambda: bool(came)
    finally:
        for number, handler in zip(heard, before, strict=True):
            signal.signal(number, handler)
