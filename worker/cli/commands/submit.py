"""`bulk-cancel submit`: orders from files; one bad row refuses all, unless `--skip-bad`."""

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer
from redis.exceptions import RedisError

from bulk_cancel.tasks.errors import NotReplicatedError
from bulk_cancel.tasks.messages import MAX_ORDERS, CancelOrders, new_batch_id, parse_cancel_orders
from bulk_cancel.tasks.receipts import Receipt
from bulk_cancel.worker.cli import context
from bulk_cancel.worker.cli.commands.decide import asked_by
from bulk_cancel.worker.cli.context import Json
from bulk_cancel.worker.cli.error_lines import lines_of, redis_url
from bulk_cancel.worker.cli.errors import CommandError, Exit, exit_of, joined
from bulk_cancel.worker.cli.flags import as_flags
from bulk_cancel.worker.cli.orderfile import BadRow, read_orders
from bulk_cancel.worker.cli.screen.live import BatchProgress
from bulk_cancel.worker.cli.screen.output import clock, number, plural, print_json, show
from bulk_cancel.worker.cli.screen.render import batch_parts, rest_line
from bulk_cancel.worker.operators.shapes import batch_json, document
from bulk_cancel.worker.state.batches import BatchState
from bulk_cancel.worker.state.fleet import read_workers, troubles
from bulk_cancel.worker.state.rests import Rest, read_pauses
from bulk_cancel.worker.state.shards import Shard
from bulk_cancel.worker.state.store import Store

SOURCE: Final = "cli"
NAMED: Final = 20
"""Bad rows of a kind that are named one by one."""

_NOTHING: Final = "nothing was enqueued; mend the rows, or leave them out with --skip-bad"

Label = Annotated[list[str] | None, typer.Option("--label", metavar="K=V", help="Kept with the batch (repeatable).")]


def submit(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE…", help="CSV, JSON Lines, JSON of OKX's orders-(algo-)pending; - reads stdin."),
    ],
    *,
    account: Annotated[str, typer.Option(help="Whose orders these are.")],
    batch_id: Annotated[str | None, typer.Option(help="The idempotency key; the same again completes it.")] = None,
    urgent: Annotated[bool, typer.Option("--urgent", help="Before everything that is not urgent.")] = False,
    reason: Annotated[str, typer.Option(help="Why, for people who look at the batch.")] = "",
    by: Annotated[
        str | None, typer.Option("--by", "--requested-by", metavar="WHO", help="Who asks; you (user@host) without it.")
    ] = None,
    deadline: Annotated[int | None, typer.Option(metavar="S", min=1, max=86_400, help="Seconds; then give up.")] = None,
    label: Label = None,
    wait: Annotated[bool, typer.Option("--wait", help="Until every order has its outcome.")] = False,
    timeout: Annotated[float | None, typer.Option(metavar="S", min=0, help="Longest wait; then exit 3.")] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave bad rows out (kept in refused).")] = False,
    as_json: Json = False,
) -> int:
    """Hand in the orders of the files as one batch.

    CSV has a header with instId and ordId or clOrdId, of algo orders algoId or algoClOrdId. Without --wait, 0 means
    that every order is in Redis. 1 also when --skip-bad left rows out: their orders may still be live.
    """
    if timeout is not None and not wait:
        raise CommandError("--timeout needs --wait")
    if files.count("-") > 1:
        raise CommandError("-: stdin can be read once; name it once")
    who = asked_by(by or None, reason)
    found = read_orders(files, account=account)
    if found.none_open:
        return _nothing(account, as_json=as_json)
    _check_rows(found.bad, usable=len(found.orders), skip_bad=skip_bad)
    said: dict[str, Any] = {
        "account": account, "batch_id": batch_id, "requested_by": who.by, "reason": who.reason, "deadline_s": deadline,
    }  # fmt: skip
    with as_flags(said):
        said |= {"batch_id": new_batch_id() if batch_id is None else batch_id}
        asked = parse_cancel_orders(orders=found.orders, urgent=urgent, labels=_labels(label or []), **said)
    with context.whole() as whole, whole.at_account(asked.account) as shard:
        store = shard.store
        with as_flags(said):
            receipt = _admit(shard, asked, found.bad)
        if not as_json:
            show(_receipt_line(receipt), *map(rest_line, _pauses(store, receipt)))
            sys.stderr.write(joined(_troubles(store, receipt)))
        state = _wait(shard, receipt, timeout) if wait else None
    if as_json:
        print_json(document("submit", _json(receipt, found.bad, state)))
    elif state is not None:
        show(*batch_parts(state))
    left_live = len(found.bad)
    return exit_of(dead=left_live + state.dead, complete=state.complete) if state else exit_of(dead=left_live)


def _nothing(account: str, *, as_json: bool) -> Exit:
    """The exchange's answer of an account without open orders is no mistake."""
    if as_json:
        counts = ("size", "lanes", "new", "joined", "remembered", "known", "repeated", "waiting", "duplicates")
        said = {"batch_id": None, "account": account, **dict.fromkeys(counts, 0), "sealed": True, "created_at": None}
        print_json(document("submit", said | {"earliest_done_at": None, "paused": [], "skipped": []}))
    else:
        show("no orders: the files are lists without an order; nothing was enqueued")
    return Exit.OK


def _check_rows(bad: Sequence[BadRow], *, usable: int, skip_bad: bool) -> None:
    if bad and not skip_bad:
        raise CommandError(*_named(bad), f"{plural(len(bad), 'bad row')} of {number(len(bad) + usable)}: {_NOTHING}")
    if not usable:
        raise CommandError(*_named(bad), "the files hold no usable order; nothing was enqueued")
    if usable > MAX_ORDERS:
        raise CommandError(
            f"{number(usable)} orders are more than one batch holds ({number(MAX_ORDERS)}); nothing was enqueued. Hand "
            f"them in as {-(-usable // MAX_ORDERS)} batches: split the files (a CSV part needs the header, too), and "
            "submit each part by itself"
        )
    if bad:
        sys.stderr.write(
            joined([*_named(bad), f"{plural(len(bad), 'bad row')} left out: these orders may still be live"])
        )


def _named(bad: Sequence[BadRow]) -> Iterator[str]:
    """The rows, no more than `NAMED` of a kind, and how many more there are of it."""
    seen: Counter[str] = Counter()
    for row in bad:
        seen[row.kind] += 1
        if seen[row.kind] <= NAMED:
            yield str(row)
    for kind, count in seen.items():
        if count > NAMED:
            yield f"and {plural(count - NAMED, 'row')} more: {kind}"


def _labels(pairs: Sequence[str]) -> dict[str, str]:
    split = [pair.partition("=") for pair in pairs]
    wrong = [name for name, equals, _ in split if not equals or not name]
    if wrong:
        raise CommandError(*(f"--label {name}: should be name=value" for name in wrong))
    return {name: value for name, _, value in split}


def _admit(shard: Shard, asked: CancelOrders, bad: Sequence[BadRow]) -> Receipt:
    try:
        with shard.named():
            receipt = shard.store.admission.admit(asked)
            _keep(shard.store, asked, bad)
    except (RedisError, NotReplicatedError) as error:
        again = f"submit again with --batch-id {asked.batch_id}: it completes whatever was taken"
        raise CommandError(*lines_of(error, redis_url()), again) from error
    return receipt


def _keep(store: Store, asked: CancelOrders, bad: Sequence[BadRow]) -> None:
    for row in bad:
        errors = [f"{row.source}:{row.line}: {error}" for error in row.errors]
        store.refusals.add(row.payload, errors, source=SOURCE, batch_id=asked.batch_id, account=asked.account)


def _receipt_line(receipt: Receipt) -> str:
    wait_s = max(0.0, (receipt.earliest_done_at - datetime.now(UTC)).total_seconds())
    known = receipt.duplicates + receipt.known
    parts = [
        f"batch {receipt.batch_id}: {plural(receipt.size, 'order')} in {plural(receipt.lanes, 'lane')}",
        f"{plural(known, 'duplicate')} ({_duplicates(receipt)})" if known else "no duplicates",
        f"the exchange's limits allow the last to be sent in {wait_s:.1f} s, at {clock(receipt.earliest_done_at)}",
    ]
    return ", ".join(parts)


def _troubles(store: Store, receipt: Receipt) -> list[str]:
    """What of the workers keeps the orders waiting, whatever the exchange would allow."""
    try:
        return troubles(read_workers(store.redis, store.keys), [receipt.account]) if receipt.waiting else []
    except RedisError:  # the batch is in; that must not look like a failure
        return []


def _pauses(store: Store, receipt: Receipt) -> list[Rest]:
    """What keeps the batch from being sent although the exchange's limits would allow it."""
    if not receipt.paused:
        return []
    return [rest for rest in read_pauses(store, receipt.account) if rest.scope in receipt.paused]


def _duplicates(receipt: Receipt) -> str:
    named = {
        "more than once here": receipt.repeated,
        "in the batch already": receipt.known,
        "being cancelled already": receipt.joined,
        "off the book already": receipt.remembered,
    }
    return ", ".join(f"{number(count)} {words}" for words, count in named.items() if count)


def _wait(shard: Shard, receipt: Receipt, timeout: float | None) -> BatchState:
    try:
        with shard.named():
            state = BatchProgress().follow(shard.store.batches.wait(receipt.batch_id, timeout_s=timeout))
    except KeyboardInterrupt:
        sys.stderr.write(joined([_goes_on(receipt.batch_id)]))
        raise
    except RedisError as error:
        raise CommandError(*lines_of(error, redis_url()), _goes_on(receipt.batch_id)) from error
    if not state.complete:
        late = f"{plural(state.waiting, 'order')} of {number(state.size)} still waiting after {timeout:g} s"
        sys.stderr.write(joined([late, *_troubles(shard.store, receipt), _goes_on(receipt.batch_id)]))
    return state


def _goes_on(batch_id: str) -> str:
    return f"the batch goes on without us; see: bulk-cancel status {batch_id} --watch"


def _json(receipt: Receipt, bad: Sequence[BadRow], state: BatchState | None) -> dict[str, object]:
    skipped = [{"source": row.source, "line": row.line, "errors": row.errors} for row in bad]
    said = asdict(receipt) | {"duplicates": receipt.duplicates, "skipped": skipped}
    return said | ({"state": batch_json(state)} if state else {})
