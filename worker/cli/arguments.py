"""Values on a command line that are no text in UTF-8: refused here, for every command, before anything is done."""

from collections.abc import Iterator
from typing import Any, Final

import typer
from typer.core import TyperCommand

from bulk_cancel.tasks.utf8 import NOT_UTF8, is_writable
from bulk_cancel.worker.cli.errors import CommandError

_FILE: Final = "FILE"
"""Begins the metavar of a file's name, which may be any bytes."""


class Checked(TyperCommand):
    """A command of `bulk-cancel`."""

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]  # noqa: ANN401 (what the command returns)
        """Runs it; raises CommandError, a line for each value."""
        texts = [
            (param, value) for param in self.params if not _is_file(param) for value in _texts(ctx.params[param.name])
        ]
        wrong = [(_name(param), value) for param, value in texts if not is_writable(value)]
        if wrong:
            mend = "give it in UTF-8, or without such letters"
            raise CommandError(*(f"{name}: {NOT_UTF8}; is {value!r:.60}: {mend}" for name, value in wrong))
        return super().invoke(ctx)


def _is_file(param: Any) -> bool:  # noqa: ANN401 (typer hides the class)
    return (param.metavar or "").startswith(_FILE)


def _name(param: Any) -> str:  # noqa: ANN401 (the same)
    """As a person types it: the option, or what the usage calls the argument."""
    if param.param_type_name == "option":
        return str(param.opts[0])
    return str(param.metavar or param.name.upper()).strip("[]")


def _texts(value: object) -> Iterator[str]:
    values = value if isinstance(value, list | tuple) else [value]
    yield from (each for each in values if isinstance(each, str))
