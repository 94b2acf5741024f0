"""`withdraw`, `retry`, `pause` and `resume`: each keeps who and why, and may be repeated."""

import getpass
import os
import socket
from collections.abc import Sequence
from typing import Annotated

import typer

from bulk_cancel.tasks.errors import InvalidOrders
from bulk_cancel.worker.books.mass.masses import Masses
from bulk_cancel.worker.cli import context
from bulk_cancel.worker.cli.commands.by_filter import (
    Accounts,
    CameSince,
    Codes,
    EndedSince,
    InstIds,
    Yes,
    filter_of,
    retry_matching,
    withdraw_matching,
)
from bulk_cancel.worker.cli.context import Json
from bulk_cancel.worker.cli.errors import CommandError, Exit
from bulk_cancel.worker.cli.screen.output import print_json, show
from bulk_cancel.worker.cli.screen.words import (
    paused_words,
    resumed_words,
    retried_matching_words,
    retried_words,
    withdrawn_matching_words,
    withdrawn_words,
)
from bulk_cancel.worker.operators.decisions import RETRIED, Asked, Decisions, asked_of
from bulk_cancel.worker.operators.matching import Filter
from bulk_cancel.worker.operators.shapes import (
    document,
    paused_json,
    resumed_json,
    retried_json,
    retried_matching_json,
    withdrawn_json,
    withdrawn_matching_json,
)
from bulk_cancel.worker.state.statuses import Again
from bulk_cancel.worker.state.store import Store

Batch = Annotated[str | None, typer.Argument(metavar="[BATCH]", help="The batch's id; with a filter, of any batch.")]
Target = Annotated[
    str, typer.Argument(metavar="ACCOUNT|LANE", help="An account, or a lane as status shows it: 446/BTC-USDT.")
]
By = Annotated[str | None, typer.Option("--by", metavar="WHO", help="Who decides; you (user@host) without it.")]
Why = Annotated[str, typer.Option("--reason", help="Why, for people who look at the audit.")]


def withdraw(
    batch: Batch = None,
    *,
    account: Accounts = None,
    inst_id: InstIds = None,
    since: CameSince = None,
    yes: Yes = False,
    by: By = None,
    reason: Why = "",
    as_json: Json = False,
) -> int:
    """Take a batch back, as far as it was not sent; or the orders of any batch that fit a filter.

    An order that was sent goes on; one for which another batch waits is still cancelled for that one.

    By filter it asks first, and a mass cancel goes on without these orders.
    """
    asked, wanted = asked_by(by, reason), filter_of(account, inst_id, None, since)
    with context.whole() as whole:
        if batch is not None and not wanted.asked:
            with whole.at_batch(batch) as shard:
                return _withdraw(shard.store, batch, asked, as_json=as_json)
        _some(batch, wanted, "--account, --inst-id or --since")
        chosen, done = withdraw_matching(whole, wanted, asked, batch=batch, ask=not yes)
    if as_json:
        print_json(document("withdraw-matching", done.placed(withdrawn_matching_json(chosen.orders, done.rows))))
    else:
        show(*withdrawn_matching_words(done.rows))
    return context.tell_failed(done.failed, as_json=as_json)


def _withdraw(store: Store, batch: str, asked: Asked, *, as_json: bool) -> int:
    done = Decisions(store).withdraw(batch, asked)
    called_off = done.state.mass and Masses(store).state(batch).state == "withdrawn"
    if as_json:
        print_json(document("withdraw", withdrawn_json(done)))
    else:
        show(*withdrawn_words(done, called_off=called_off))
    return Exit.OK


def retry(
    batch: Batch = None,
    *,
    only: Annotated[list[Again] | None, typer.Option("--status", help="Orders that ended so (repeatable).")] = None,
    account: Accounts = None,
    inst_id: InstIds = None,
    code: Codes = None,
    since: EndedSince = None,
    deadline: Annotated[
        int | None, typer.Option(metavar="S", min=1, max=86_400, help="Seconds; without it as long as before.")
    ] = None,
    yes: Yes = False,
    by: By = None,
    reason: Why = "",
    as_json: Json = False,
) -> int:
    """Let orders of a batch go again that ended rejected or exhausted; withdrawn or gone ones if --status says so.

    By filter (--account, --inst-id, --code, --since, or --status without a batch) those of any batch; it asks first.
    """
    asked, wanted, statuses = asked_by(by, reason), filter_of(account, inst_id, code, since), only or RETRIED
    with context.whole() as whole:
        if batch is not None and not wanted.asked:
            with whole.at_batch(batch) as shard:
                decisions = Decisions(shard.store, shard.ask_where)
                return _retry(decisions, batch, asked, statuses, deadline, as_json=as_json)
        if not only:
            _some(batch, wanted, "--account, --inst-id, --code, --since or --status")
        chosen, done = retry_matching(
            whole, wanted, asked, batch=batch, statuses=statuses, deadline_s=deadline, ask=not yes
        )
    if as_json:
        left_out = [batch.batch_id for batch, _ in chosen.left_out]
        print_json(document("retry-matching", done.placed(retried_matching_json(chosen.orders, done.rows, left_out))))
    else:
        show(*retried_matching_words(done.rows, chosen.left_out, statuses))
    return context.tell_failed(done.failed, *chosen.unserved, as_json=as_json)


def _retry(
    decisions: Decisions,
    batch: str,
    asked: Asked,
    statuses: Sequence[Again],
    deadline_s: int | None,
    *,
    as_json: bool,
) -> int:
    done = decisions.retry(batch, asked, statuses=statuses, deadline_s=deadline_s)
    if as_json:
        print_json(document("retry", retried_json(done)))
    else:
        show(*retried_words(done, statuses))
    return Exit.OK


def _some(batch: str | None, wanted: Filter, filters: str) -> None:
    """Everything is never meant by saying nothing."""
    if batch is None and not wanted.asked:
        raise CommandError(f"name a BATCH, or say whose orders with {filters}")


def pause(target: Target, *, by: By = None, reason: Why = "", as_json: Json = False) -> int:
    """Send nothing more for an account, or in a lane, until it is resumed; what is in flight finishes.

    Orders wait and keep their deadlines. An account is paused with all accounts of its User ID: they share lanes.
    """
    asked = asked_by(by, reason)
    with context.whole() as whole, whole.at_target(target) as shard:
        done = Decisions(shard.store).pause(target, asked)
    if as_json:
        print_json(document("pause", paused_json(done)))
    else:
        show(*paused_words(done))
    return Exit.OK


def resume(target: Target, *, by: By = None, reason: Why = "", as_json: Json = False) -> int:
    """Send again for an account, or in a lane, at once: ends a pause, and a rest for whatever other reason."""
    asked = asked_by(by, reason)
    with context.whole() as whole, whole.at_target(target) as shard:
        done = Decisions(shard.store).resume(target, asked)
    if as_json:
        print_json(document("resume", resumed_json(done)))
    else:
        show(*resumed_words(done))
    return Exit.OK


def asked_by(by: str | None, reason: str) -> Asked:
    """Who and why; without `by`, whoever calls. Raises CommandError."""
    who = whoever() if by is None else by.strip()
    if not who:
        raise CommandError("--by: should say who decides; leave it out for your own name")
    yours = f"; is {who!r:.60}, your own name: give one with --by" if by is None else ""
    try:
        return asked_of(who, reason.strip())
    except InvalidOrders as error:
        raise CommandError(*(f"--{line}{yours * line.startswith('by:')}" for line in error.errors)) from None


def whoever() -> str:
    """`user@host`."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        user = f"user {os.getuid()}"
    return f"{user}@{socket.gethostname()}"
