"""`release`: lets mass cancels go that are on hold."""

from typing import Annotated

import typer

from bulk_cancel.worker.cli import context
from bulk_cancel.worker.cli.commands.decide import By, Why, asked_by
from bulk_cancel.worker.cli.context import Json
from bulk_cancel.worker.cli.screen.output import print_lines, show
from bulk_cancel.worker.cli.screen.words import released_words
from bulk_cancel.worker.operators.holds import of_holds
from bulk_cancel.worker.operators.holds import release as let_go
from bulk_cancel.worker.operators.shapes import placed, released_json
from bulk_cancel.worker.state.shards import ShardAwayError


def release(
    masses: Annotated[list[str], typer.Argument(metavar="ID", help="Mass cancels that are on hold, by their ids.")],
    *,
    by: By = None,
    reason: Why = "",
    as_json: Json = False,
) -> int:
    """End the hold of mass cancels: what they found is cancelled, and what comes from now on is left alone.

    If one of several is not on hold, none is released; those of a Redis that is away keep no others.
    """
    asked = asked_by(by, reason)
    with context.whole() as whole:
        held = whole.then(whole.by_batch(masses), lambda shard, ids: of_holds(shard.store, ids))
        for error in held.failed.values():
            if not isinstance(error, ShardAwayError):
                raise error
        told = whole.then(held, lambda shard, ids: [let_go(shard.store, each, asked) for each in ids])
        done = [(whole.label(name), each) for name, released in context.answers(told).items() for each in released]
    if as_json:
        print_lines("release", (placed(shard, released_json(each)) for shard, each in done))
    else:
        show(*(line for _, each in done for line in released_words(each)))
    return context.tell_failed(told.failed, as_json=as_json)
