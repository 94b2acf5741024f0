"""`bulk-cancel all --dry-run`: reads the books under the workers' windows, and changes nothing."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from bulk_cancel.tasks.asking import answered
from bulk_cancel.tasks.mass import CancelAll
from bulk_cancel.worker.books.mass.scope import Scope
from bulk_cancel.worker.books.reader import Reader, reading
from bulk_cancel.worker.cli.context import answers, tell_failed
from bulk_cancel.worker.cli.errors import CommandError, Exit
from bulk_cancel.worker.cli.screen.mass_words import scope_words, survey_facts
from bulk_cancel.worker.cli.screen.output import clean, number, plural, print_lines, show, table
from bulk_cancel.worker.okx.client import Row
from bulk_cancel.worker.okx.errors import ExchangeError
from bulk_cancel.worker.operators.dry_run import Meant, accounts_of, open_orders_json, read_meant, survey_json
from bulk_cancel.worker.operators.shapes import placed
from bulk_cancel.worker.operators.whole import Whole
from bulk_cancel.worker.state.shards import Shard

ORDERS_SHOWN: Final = 1_000


def dry_run(whole: Whole, asked: Sequence[CancelAll], *, as_json: bool) -> int:
    """Lists what would be cancelled; raises CommandError when a book cannot be read.

    Exit 1, as the mass cancel itself: something would be left that can place orders.
    """
    told = whole.then(whole.mass_cancels(asked), lambda shard, mine: _meant(whole, shard, mine))
    found = [(whole.label(name), meant) for name, each in answers(told).items() for meant in each]
    for shard, meant in found:
        if as_json:
            print_lines("open-order", (placed(shard, row) for row in open_orders_json(meant)))
            print_lines("survey", [placed(shard, survey_json(meant))])
        else:
            show(*_parts(meant))
    missing = tell_failed(told.failed, as_json=as_json)
    return missing or (Exit.OK if all(meant.survey.complete for _, meant in found) else Exit.DEAD)


def _meant(whole: Whole, shard: Shard, asked: Sequence[CancelAll]) -> list[Meant]:
    if answered(whole.shards.ask_is_empty(shard)):
        return []
    with reading(shard.store) as reader:
        return [_read(reader, name, Scope.of(each)) for each in asked for name in accounts_of(reader, each)]


def _read(reader: Reader, account: str, scope: Scope) -> Meant:
    try:
        return read_meant(reader, account, scope)
    except ExchangeError as error:
        raise CommandError(f"account {account}: the exchange did not tell its open orders: {error}") from error


def _parts(meant: Meant) -> list[RenderableType]:
    count = len(meant.orders)
    head = f"account {meant.account}, {scope_words(meant.scope)}: {plural(count, 'order')} would be cancelled"
    left = (f"{plural(orders, 'order')} not affected: {clean(why)}" for why, orders in sorted(meant.left_out.items()))
    unseen = [f"not listed and not counted: {meant.scope.not_listed}"] if meant.scope.not_listed else []
    parts: list[RenderableType] = [Text(head, style="bold"), *map(Text, [*left, *unseen])]
    parts += [Text(f"{able.words} would be stopped") for able in meant.stopped]
    parts += [Text(f"{name}: {clean(words)}", style=style) for name, words, style in survey_facts(meant.survey)]
    if not count:
        return parts
    more = count - ORDERS_SHOWN
    shown: list[RenderableType] = [_orders(meant.orders[:ORDERS_SHOWN])]
    if more > 0:
        shown += [Text(f"and {number(more)} more; --json lists all")]
    return [*parts, Text(), *shown, Text(), _totals(row for row, _ in meant.orders)]


def _orders(orders: Iterable[tuple[Row, float | None]]) -> Table:
    made = table("instrument", "order", "side", "price", "size", "age", "tag", right=("price", "size", "age"))
    for row, age_s in orders:
        age = "" if age_s is None else f"{age_s:,.0f} s"
        figures = (clean(row.get(name, "")) for name in ("side", "px", "sz"))
        made.add_row(clean(row.get("instId", "")), row.get("ordId", ""), *figures, age, clean(row.get("tag", "")))
    return made


def _totals(rows: Iterable[Row]) -> Table:
    """Orders per instrument and side."""
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        counts[row.get("instId", "")][row.get("side", "")] += 1
    made = table("instrument", "orders", "buy", "sell", right=("orders", "buy", "sell"))
    for inst_id, sides in sorted(counts.items()):
        made.add_row(clean(inst_id), number(sides.total()), number(sides["buy"]), number(sides["sell"]))
    return made
