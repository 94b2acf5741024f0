"""`disown`: a shard gives a User ID up, so that another one may have it."""

from dataclasses import asdict
from typing import Annotated

import typer

from bulk_cancel.worker.cli import context
from bulk_cancel.worker.cli.commands.decide import By, Why, asked_by
from bulk_cancel.worker.cli.context import Json
from bulk_cancel.worker.cli.errors import Exit
from bulk_cancel.worker.cli.screen.output import clean, print_json, show
from bulk_cancel.worker.config.settings import load_settings
from bulk_cancel.worker.operators.moving import disown as give_up
from bulk_cancel.worker.operators.shapes import document

Account = Annotated[str, typer.Argument(metavar="ACCOUNT|UID", help="An account that was moved, or its UID setting.")]


def disown(account: Account, *, by: By = None, reason: Why = "", as_json: Json = False) -> int:
    """Give the User ID of a moved account up on one shard (BULK_CANCEL_SHARD), so that another one may have it.

    Refused unless it is paused there, nothing of it is left there, and no worker has served it there for 30 s.
    """
    asked, known = asked_by(by, reason), load_settings().accounts.get(account.lower())
    with context.opened() as store, context.others(store) as others:
        done = give_up(store, account.lower(), known.uid if known else None, asked, others)
    if as_json:
        print_json(document("disown", asdict(done)))
    else:
        show(
            f"shard {clean(done.shard)} has given up UID {clean(done.uid)}; leave it paused there",
            "the shard of its accounts takes it within seconds; resume them there if they are paused there",
        )
    return Exit.OK
