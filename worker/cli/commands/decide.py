"""`withdraw`, `retry`, `pause` and `resume`: each keeps who and why, and may be repeated."""

import getpass
import os
import socket
from typing import Annotated, Final

import typer
from pydantic import TypeAdapter, ValidationError

from bulk_cancel.tasks.messages import Text, faults_in
from bulk_cancel.worker.books.mass.masses import Masses
from bulk_cancel.worker.cli import context
from bulk_cancel.worker.cli.context import Json
from bulk_cancel.worker.cli.errors import CommandError, Exit
from bulk_cancel.worker.cli.screen.output import document, print_json, show
from bulk_cancel.worker.cli.screen.render import batch_json
from bulk_cancel.worker.cli.screen.words import paused_words, resumed_words, retried_words, withdrawn_words
from bulk_cancel.worker.operators.decisions import RETRIED, Asked, Decisions
from bulk_cancel.worker.state.statuses import Again

Batch = Annotated[str, typer.Argument(metavar="BATCH", help="The batch's id.")]
Target = Annotated[
    str, typer.Argument(metavar="ACCOUNT|LANE", help="An account, or a lane as status shows it: 446/BTC-USDT.")
]
By = Annotated[str | None, typer.Option("--by", metavar="WHO", help="Who decides; you (user@host) without it.")]
Why = Annotated[str, typer.Option("--reason", help="Why, for people who look at the audit.")]

_TEXT: Final = TypeAdapter(Text)


def withdraw(batch: Batch, *, by: By = None, reason: Why = "", as_json: Json = False) -> int:
    """Take a batch back, as far as it was not sent.

    An order that was sent goes on; one for which another batch waits is still cancelled for that one.
    """
    asked = asked_by(by, reason)
    with context.opened() as store:
        done = Decisions(store).withdraw(batch, asked)
        called_off = done.state.mass and Masses(store).state(batch).state == "withdrawn"
    if as_json:
        said = {"batch_id": batch, "withdrawn": done.withdrawn, "sent": done.sent, "ended": done.ended}
        print_json(document("withdraw", said | {"state": batch_json(done.state)}))
    else:
        show(*withdrawn_words(done, called_off=called_off))
    return Exit.OK


def retry(
    batch: Batch,
    *,
    only: Annotated[list[Again] | None, typer.Option("--status", help="Orders that ended so (repeatable).")] = None,
    deadline: Annotated[
        int | None, typer.Option(metavar="S", min=1, max=86_400, help="Seconds; without it as long as before.")
    ] = None,
    by: By = None,
    reason: Why = "",
    as_json: Json = False,
) -> int:
    """Let orders of a batch go again that ended rejected or exhausted; withdrawn or gone ones if --status says so."""
    asked = asked_by(by, reason)
    statuses = only or RETRIED
    with context.opened() as store:
        done = Decisions(store).retry(batch, asked, statuses=statuses, deadline_s=deadline)
    if as_json:
        said = {"batch_id": batch, "opened": done.opened, "joined": done.joined, "remembered": done.remembered}
        print_json(document("retry", said | {"state": batch_json(done.state)}))
    else:
        show(*retried_words(done, statuses))
    return Exit.OK


def pause(target: Target, *, by: By = None, reason: Why = "", as_json: Json = False) -> int:
    """Send nothing more for an account, or in a lane, until it is resumed; what is in flight finishes.

    Orders wait and keep their deadlines. An account is paused with all accounts of its User ID: they share lanes.
    """
    asked = asked_by(by, reason)
    with context.opened() as store:
        done = Decisions(store).pause(target, asked)
    if as_json:
        said = {"scope": done.target.scope, "accounts": done.target.accounts, "changed": done.changed}
        said |= {"paused_by": done.by, "reason": done.reason, "since": done.since}
        print_json(document("pause", said))
    else:
        show(*paused_words(done))
    return Exit.OK


def resume(target: Target, *, by: By = None, reason: Why = "", as_json: Json = False) -> int:
    """Send again for an account, or in a lane, at once: ends a pause, and a rest for whatever other reason."""
    asked = asked_by(by, reason)
    with context.opened() as store:
        done = Decisions(store).resume(target, asked)
    if as_json:
        said = {"scope": done.target.scope, "accounts": done.target.accounts, "ended": done.ended}
        print_json(document("resume", said))
    else:
        show(*resumed_words(done))
    return Exit.OK


def asked_by(by: str | None, reason: str) -> Asked:
    """Who and why; without `by`, whoever calls. Raises CommandError."""
    given = {"--by": whoever() if by is None else by.strip(), "--reason": reason.strip()}
    if not given["--by"]:
        raise CommandError("--by: should say who decides; leave it out for your own name")
    for option, text in given.items():
        try:
            _TEXT.validate_python(text)
        except ValidationError as error:
            raise CommandError(*faults_in(error, within=option)) from None
    return Asked(given["--by"], given["--reason"])


def whoever() -> str:
    """`user@host`."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        user = f"user {os.getuid()}"
    return f"{user}@{socket.gethostname()}"
