"""The file of settings that is read besides the environment: `.env` of the working directory, or a chosen one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Final

_default = ".env"
_chosen: Final[ContextVar[str]] = ContextVar("env_file", default="")


def choose_env_file(path: str) -> None:
    """Reads this file instead of `.env` from now on; an empty path stands for `.env`."""
    _chosen.set(path)


@contextmanager
def no_env_file() -> Iterator[None]:
    """Within the block this process reads no `.env`, in any thread; a file that somebody chooses is read."""
    global _default  # noqa: PLW0603 (a thread that a test starts has a context of its own)
    before, _default = _default, os.devnull
    try:
        yield
    finally:
        _default = before


def env_file() -> Path:
    """The file that is to be read; only one that was chosen has to be there."""
    return Path(_chosen.get() or _default)


def is_chosen() -> bool:
    """Whether somebody named the file."""
    return bool(_chosen.get())
