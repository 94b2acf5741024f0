"""What commands share: the runner that the environment describes, and the options that many take."""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, TypeVar

import typer

from bulk_cancel.worker.cli.errors import CommandError, Exit, joined
from bulk_cancel.worker.config.settings import load_settings
from bulk_cancel.worker.config.shards import chosen, one_shard
from bulk_cancel.worker.operators.whole import Whole
from bulk_cancel.worker.state.shards import Each, Shard, ShardAwayError, Shards
from bulk_cancel.worker.state.store import Store, open_store

T = TypeVar("T")

Json = Annotated[bool, typer.Option("--json", help="JSON on stdout; errors as a JSON object on stderr.")]
Watch = Annotated[bool, typer.Option("--watch", help="Keep it on the screen, refreshed, until Ctrl-C.")]


@contextmanager
def opened() -> Iterator[Store]:
    """One store, closed at the end of the block; raises SettingsError, also for several shards of which none is chosen.

    For what sees one shard: that must not be taken for the whole runner.
    """
    store = open_store(one_shard(load_settings()))
    try:
        yield store
    finally:
        store.redis.close()


@contextmanager
def others(store: Store) -> Iterator[list[Shard]]:
    """All shards of the runner but the one of `store`; closed at the end of the block."""
    shards = Shards(load_settings(), open_store)
    try:
        yield [shards.of(name) for name in shards.names if name != store.settings.shard]
    finally:
        for each in shards.opened:
            each.redis.close()


@contextmanager
def whole() -> Iterator[Whole]:
    """All shards of the runner, or the one that BULK_CANCEL_SHARD chooses; closed at the end; raises SettingsError."""
    shards = Shards(chosen(load_settings()), open_store)
    try:
        yield Whole(shards)
    finally:
        for store in shards.opened:
            store.redis.close()


def answers(told: Each[T]) -> Mapping[str, T]:
    """What shards answered; raises CommandError, a line for each of them, if none did."""
    if told.failed and not told.answers:
        raise CommandError(*failures(told.failed))
    return told.answers


def failures(failed: Mapping[str, Exception]) -> list[str]:
    """Lines that say which shard it is that did not answer, or why it refused."""
    return [
        line if isinstance(error, ShardAwayError) else f"shard {name}: {line}"
        for name, error in failed.items()
        for line in str(error).splitlines()
    ]


def tell_failed(failed: Mapping[str, Exception], *more: str, as_json: bool) -> Exit:
    """What of the runner is missing, and what else was not done, on stderr; the exit status of that."""
    lines = [*failures(failed), *more]
    if not lines:
        return Exit.OK
    document = {"schema": "error/1", "error": lines, "exit": int(Exit.DEAD)}
    sys.stderr.write(json.dumps(document) + "\n" if as_json else joined(lines))
    return Exit.DEAD
