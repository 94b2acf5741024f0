"""The commands of `bulk-cancel`, by name; a command is imported when the arguments name it, not to be listed."""

import os
import sys
from collections.abc import Callable, Collection, Mapping
from importlib import import_module
from inspect import getdoc
from typing import Annotated, Final, NamedTuple

import typer

from bulk_cancel.worker.cli.arguments import Checked
from bulk_cancel.worker.config.dotenv import choose_env_file

_HELP: Final = "Cancels OKX orders in bulk, as fast as the exchange allows, and keeps what became of each."
_EPILOG: Final = (
    "Exit status: 0 all orders done, 1 some rejected or exhausted, 2 bad usage, input or configuration, "
    "3 waiting timed out."
)

_COMPLETED: Final = ("COMP_WORDS", "_TYPER_COMPLETE_ARGS")
"""In these variables a shell hands over the words of a command line that is to be completed: bash, and the others."""


class Command(NamedTuple):
    """Where a command is, as module and function of `cli/commands`; `summary` is the first line of its docstring."""

    place: str
    summary: str

    def load(self) -> Callable[..., int]:
        """The function that is the command."""
        module, function = self.place.split(".")
        loaded: Callable[..., int] = getattr(import_module(f"bulk_cancel.worker.cli.commands.{module}"), function)
        return loaded


COMMANDS: Final[Mapping[str, Command]] = {
    "demo": Command(
        "demo.demo",
        "One bulk cancel against a simulated exchange, with real workers, and what it did to the exchange's limits.",
    ),
    "submit": Command("submit.submit", "Hand in the orders of the files as one batch."),
    "drill": Command(
        "drill.drill",
        "Prove the kill switch: place far-off orders, cancel exactly those until flat, check each, and report "
        "with times.",
    ),
    "all": Command("cancel_all.all_", "Cancel everything that is open and fits every filter, wait for it and report."),
    "status": Command("show.status", "Lanes, rates, workers, what rests and why; or one batch."),
    "batches": Command(
        "batches.batches", "Past and present batches, the newest first: by account, by time, by what became of them."
    ),
    "outcomes": Command(
        "show.outcomes",
        "What became of each order of a batch, one line each, in the order in which they were handed in.",
    ),
    "retry": Command(
        "decide.retry",
        "Let orders of a batch go again that ended rejected or exhausted; withdrawn or gone ones if --status says so.",
    ),
    "withdraw": Command(
        "decide.withdraw", "Take a batch back, as far as it was not sent; or the orders of any batch that fit a filter."
    ),
    "release": Command(
        "release.release",
        "End the hold of mass cancels: what they found is cancelled, and what comes from now on is left alone.",
    ),
    "pause": Command(
        "decide.pause",
        "Send nothing more for an account, or in a lane, until it is resumed; what is in flight finishes.",
    ),
    "resume": Command(
        "decide.resume",
        "Send again for an account, or in a lane, at once: ends a pause, and a rest for whatever other reason.",
    ),
    "disown": Command(
        "disown.disown",
        "Give the User ID of a moved account up on one shard (BULK_CANCEL_SHARD), so that another one may have it.",
    ),
    "audit": Command(
        "audit.audit",
        "What was decided, by whom, when and why: the story of a batch, or every decision, the oldest first.",
    ),
    "refused": Command(
        "show.refused", "What could not be admitted: messages and rows with every reason, newest first."
    ),
    "check": Command(
        "check.check",
        "Redis, broker, exchange, accounts, workers, and what people must act on: what is wrong and how to mend it.",
    ),
    "formats": Command(
        "formats.formats",
        "The formats of what stands in Redis, and which each worker reads; raise them when an upgrade is done.",
    ),
    "gateway": Command(
        "gateway.gateway",
        "The HTTP door and the page, until Ctrl-C: requests, events and metrics; see GATEWAY_TOKENS_FILE.",
    ),
    "sandbox": Command(
        "sandbox.sandbox", "Redis, the simulated exchange and a worker, until Ctrl-C: prints what to type next."
    ),
    "exchange": Command(
        "exchange.exchange",
        "The simulated exchange alone, until Ctrl-C: prints its URL and the settings that point workers at it.",
    ),
}


def make_app(arguments: Collection[str]) -> typer.Typer:
    """The command line for these arguments; commands that they do not name are only listed."""
    app = typer.Typer(
        help=_HELP,
        epilog=_EPILOG,
        context_settings={"help_option_names": ["--help", "-h"]},
        pretty_exceptions_enable=False,
    )
    named = {*arguments, *_being_completed()}
    app.callback()(_group)
    for name, command in COMMANDS.items():
        if name in named:
            function = command.load()
            app.command(name, cls=Checked, help=_paragraphs(function))(function)
        else:
            app.command(name, help=command.summary)(_listed)
    return app


def _paragraphs(function: Callable[..., int]) -> str:
    """Its docstring without the ends of lines that editors need: a terminal has a width of its own."""
    return "\n\n".join(" ".join(each.split()) for each in (getdoc(function) or "").split("\n\n"))


def _being_completed() -> list[str]:
    """The words of the command line for which a shell asks what may follow."""
    words = (os.environ.get(name, "") for name in _COMPLETED)
    return " ".join(words).split()


def _version(asked: bool) -> None:  # noqa: FBT001 (typer calls it so)
    if asked:
        from bulk_cancel.worker.config.version import release  # noqa: PLC0415 (takes longer than all that help needs)

        sys.stdout.write(f"bulk-cancel {release()}\n")
        raise typer.Exit


def _group(
    *,
    env_file: Annotated[
        str, typer.Option(metavar="FILE", callback=choose_env_file, help="Settings from this file instead of .env.")
    ] = "",
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Options of the program itself."""


def _listed() -> None:
    """Stands for a command that is not run."""
