"""`bulk-cancel all --dry-run`: reads the books under the workers' windows, and changes nothing."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from bulk_cancel.tasks.mass import ALL_ACCOUNTS, CancelAll
from bulk_cancel.worker.books.mass.scope import Scope
from bulk_cancel.worker.books.reader import Reader, reading
from bulk_cancel.worker.cli.errors import CommandError, Exit
from bulk_cancel.worker.cli.screen.mass_words import scope_words
from bulk_cancel.worker.cli.screen.output import clean, number, plural, print_lines, show, table
from bulk_cancel.worker.okx.client import Row
from bulk_cancel.worker.okx.errors import ExchangeError
from bulk_cancel.worker.state.store import Store

ORDERS_SHOWN: Final = 1_000
_FIELDS: Final = ("instType", "instId", "ordId", "clOrdId", "tag", "side", "ordType", "px", "sz", "accFillSz")


@dataclass(frozen=True, slots=True)
class Meant:
    """What a mass cancel would do on one account: the orders with their age in seconds, and why others are left out."""

    account: str
    scope: Scope
    orders: Sequence[tuple[Row, float | None]]
    left_out: Mapping[str, int]


def dry_run(store: Store, asked: Sequence[CancelAll], *, as_json: bool) -> int:
    """Lists what would be cancelled; raises CommandError when a book cannot be read."""
    with reading(store) as reader:
        found = [_read(reader, name, Scope.of(each)) for each in asked for name in _accounts(reader, each)]
    for meant in found:
        if as_json:
            print_lines("open-order", _json(meant))
        else:
            show(*_parts(meant))
    return Exit.OK


def _accounts(reader: Reader, asked: CancelAll) -> list[str]:
    return reader.accounts if asked.account == ALL_ACCOUNTS else [asked.account]


def _read(reader: Reader, account: str, scope: Scope) -> Meant:
    user = reader.user(account)
    orders: list[tuple[Row, float | None]] = []
    left_out: Counter[str] = Counter()
    try:
        for page in reader.book.open_orders(user, scope.by_exchange):
            now_ms = reader.now_ms(user)
            for row in page:
                if why := scope.leaves_out(row, now_ms=now_ms):
                    left_out[why] += 1
                else:
                    orders.append((row, _age_s(row, now_ms)))
    except ExchangeError as error:
        raise CommandError(f"account {account}: the exchange did not tell its open orders: {error}") from error
    return Meant(account, scope, orders, left_out)


def _age_s(row: Row, now_ms: float) -> float | None:
    placed_ms = row.get("cTime", "")
    return (now_ms - int(placed_ms)) / 1000 if placed_ms.isascii() and placed_ms.isdigit() else None


def _json(meant: Meant) -> Iterator[dict[str, object]]:
    for row, age_s in meant.orders:
        said = {name: row.get(name, "") for name in _FIELDS}
        yield {"account": meant.account, **said, "age_s": None if age_s is None else round(age_s, 3)}


def _parts(meant: Meant) -> list[RenderableType]:
    count = len(meant.orders)
    head = f"account {meant.account}, {scope_words(meant.scope)}: {plural(count, 'order')} would be cancelled"
    left = (f"{plural(orders, 'order')} not affected: {clean(why)}" for why, orders in sorted(meant.left_out.items()))
    unseen = [f"not listed and not counted: {meant.scope.not_listed}"] if meant.scope.not_listed else []
    parts: list[RenderableType] = [Text(head, style="bold"), *map(Text, [*left, *unseen])]
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
