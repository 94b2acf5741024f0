"""The program `bulk-cancel`: runs one command, and turns every error into lines and an exit status.

Only what every command needs is imported at the start, so that `--help` is there at once.
"""

import json
import logging
import sys
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from bulk_cancel.worker.cli.encoding import speak_any_encoding
from bulk_cancel.worker.cli.errors import Exit, joined, quiet_stdout, usage_lines
from bulk_cancel.worker.cli.interrupts import interrupts
from bulk_cancel.worker.config.dotenv import choose_env_file
from bulk_cancel.worker.config.extras import needing

NAME: Final = "bulk-cancel"


def main() -> None:
    """The program `bulk-cancel`; ends with the exit status."""
    structlog.configure(  # what the parts log while a person looks at our own words
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    speak_any_encoding()
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Runs one command; returns its exit status, whatever happens."""
    with interrupts() as interrupted:
        try:
            return _run(arguments, interrupted)
        except KeyboardInterrupt:
            return Exit.INTERRUPTED
        finally:
            choose_env_file("")  # what one command line names is no matter of the next


def _run(arguments: Sequence[str], interrupted: Callable[[], bool]) -> int:
    try:
        status = _call(arguments, interrupted)
        sys.stdout.flush()
    except (
        BrokenPipeError,
        SystemExit,
    ) as end:  # typer exits by itself when a reader went away
        if isinstance(end, SystemExit) and not end.code:  # and when it has told a shell what may follow
            return Exit.OK
        quiet_stdout(sys.stdout.fileno())
        return Exit.PIPE
    except Exception as error:  # noqa: BLE001 (a person is told in plain words, whatever it was)
        if interrupted():
            return Exit.INTERRUPTED
        return _told(_lines(error), Exit.BAD, arguments)
    return status


def _call(arguments: Sequence[str], interrupted: Callable[[], bool]) -> int:
    with needing("cli"):
        import typer

        from bulk_cancel.worker.cli.app import make_app

        try:
            status = make_app(arguments)(list(arguments) or ["--help"], prog_name=NAME, standalone_mode=False)
        except typer.Abort:  # a question was answered with no, or with Ctrl-C
            if interrupted():
                raise KeyboardInterrupt from None
            return _told(["nothing was done"], Exit.DEAD, arguments)
    return status if isinstance(status, int) else Exit.OK


def _lines(error: Exception) -> list[str]:
    # usage errors of typer, which hides the class that they share
    wording = getattr(error, "format_message", None)
    if callable(wording):
        return usage_lines(str(wording()), getattr(getattr(error, "ctx", None), "command_path", NAME))
    from bulk_cancel.worker.cli.error_lines import lines_of, redis_url

    return lines_of(error, redis_url())


def _told(lines: Sequence[str], status: Exit, arguments: Sequence[str]) -> Exit:
    """Tells them on stderr; returns the status."""
    sys.stderr.write(_document(lines, status) if "--json" in arguments else joined(lines))
    return status


def _document(lines: Sequence[str], status: Exit) -> str:
    return json.dumps({"schema": "error/1", "error": list(lines), "exit": int(status)}) + "\n"
