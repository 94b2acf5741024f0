"""The file of settings that is read besides the environment: `.env` of the working directory, or a chosen one."""

from contextvars import ContextVar
from pathlib import Path
from typing import Final

DEFAULT: Final = ".env"
_chosen: Final[ContextVar[str]] = ContextVar("env_file", default="")


def choose_env_file(path: str) -> None:
    """Reads this file instead of `.env` from now on; an empty path stands for `.env`."""
    _chosen.set(path)


def env_file() -> Path:
    """The file that is to be read; only one that was chosen has to be there."""
    return Path(_chosen.get() or DEFAULT)


def is_chosen() -> bool:
    """Whether somebody named the file."""
    return bool(_chosen.get())
