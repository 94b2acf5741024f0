"""What does `bulk-cancel` understand? Every command, and the one place where errors become lines and exit statuses."""

import json
import logging
import sys
from collections.abc import Callable, Sequence

import structlog
import typer

from bulk_cancel.worker.cli import context
from bulk_cancel.worker.cli.commands import cancel_all, decide, demo, drill, exchange, show, submit
from bulk_cancel.worker.cli.commands.audit import audit
from bulk_cancel.worker.cli.commands.check import check
from bulk_cancel.worker.cli.errors import Exit, joined, lines_of, quiet_stdout, usage_lines
from bulk_cancel.worker.cli.interrupts import interrupts

NAME = "bulk-cancel"

app = typer.Typer(
    name=NAME,
    help="Cancels OKX orders in bulk, as fast as the exchange allows, and keeps what became of each.",
    epilog="Exit status: 0 all orders done, 1 some rejected or exhausted, 2 bad usage, input or configuration, "
    "3 waiting timed out.",
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(demo.demo)
app.command()(submit.submit)
app.command()(drill.drill)
app.command("all")(cancel_all.all_)
app.command()(show.status)
app.command()(show.outcomes)
app.command()(decide.retry)
app.command()(decide.withdraw)
app.command()(decide.pause)
app.command()(decide.resume)
app.command()(audit)
app.command()(show.refused)
app.command()(check)
app.command()(exchange.exchange)


@app.callback()
def _commands() -> None:
    """Keeps the commands named even if there is only one."""


def main() -> None:
    """The program `bulk-cancel`; ends with the exit status."""
    structlog.configure(  # what the parts log while a person looks at our own words
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Runs one command; returns its exit status, whatever happens."""
    with interrupts() as interrupted:
        return _run(arguments, interrupted)


def _run(arguments: Sequence[str], interrupted: Callable[[], bool]) -> int:
    try:
        status = app(list(arguments) or ["--help"], prog_name=NAME, standalone_mode=False)
        sys.stdout.flush()
    except (BrokenPipeError, SystemExit):  # typer exits by itself when a reader went away, and only then
        quiet_stdout(sys.stdout.fileno())
        return Exit.PIPE
    except (KeyboardInterrupt, typer.Abort):
        return Exit.INTERRUPTED
    except Exception as error:  # noqa: BLE001 (a person is told in plain words, whatever it was)
        if interrupted():
            return Exit.INTERRUPTED
        _tell(_lines(error), as_json="--json" in arguments)
        return Exit.BAD
    return status if isinstance(status, int) else Exit.OK


def _lines(error: Exception) -> list[str]:
    # usage errors of typer, which hides the class that they share
    wording = getattr(error, "format_message", None)
    if callable(wording):
        return usage_lines(str(wording()), getattr(getattr(error, "ctx", None), "command_path", NAME))
    return lines_of(error, context.redis_url())


def _tell(lines: Sequence[str], *, as_json: bool) -> None:
    sys.stderr.write(json.dumps({"error": list(lines), "exit": int(Exit.BAD)}) + "\n" if as_json else joined(lines))
