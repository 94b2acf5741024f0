"""What a mass cancel would do: reads the books under the workers' windows, and changes nothing."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bulk_cancel.tasks.mass import ALL_ACCOUNTS, CancelAll
from bulk_cancel.worker.books.able import Able, Survey
from bulk_cancel.worker.books.mass.scope import Scope
from bulk_cancel.worker.books.reader import Reader
from bulk_cancel.worker.books.survey import counted, survey
from bulk_cancel.worker.config.users import User, algos_of
from bulk_cancel.worker.okx.answers import Row
from bulk_cancel.worker.okx.sources import ALGO_TYPES, PARENTS, STOPS, SourceList, as_order
from bulk_cancel.worker.okx.stops import found

_FIELDS: Final = ("instType", "instId", "ordId", "clOrdId", "tag", "side", "ordType", "px", "sz", "accFillSz", "algoId")


@dataclass(frozen=True, slots=True)
class Meant:
    """What a mass cancel would do on one account: the orders with their age in seconds, and why others are left out.

    `survey`: what else can place orders in the scope, and would be left, too; `stopped`: what would be ended besides.
    """

    account: str
    scope: Scope
    orders: Sequence[tuple[Row, float | None]]
    left_out: Mapping[str, int]
    survey: Survey
    stopped: tuple[Able, ...] = ()


def accounts_of(reader: Reader, asked: CancelAll) -> list[str]:
    """The accounts whose books are meant: of `*` one for each User ID."""
    return reader.accounts if asked.account == ALL_ACCOUNTS else [asked.account]


def read_meant(reader: Reader, account: str, scope: Scope) -> Meant:
    """What is open on the account and fits; raises NotReadableError, the exchange's errors and redis-py's."""
    user = reader.user(account)
    orders: list[tuple[Row, float | None]] = []
    left_out: Counter[str] = Counter()
    for page in _pages(reader, user, scope):
        now_ms = reader.now_ms(user)
        for row in page:
            if why := scope.leaves_out(row, now_ms=now_ms):
                left_out[why] += 1
            else:
                orders.append((row, _age_s(row, now_ms)))
    now_ms = reader.now_ms(user)
    ended: list[tuple[SourceList, Row]] = []

    def stays(listed: SourceList, row: Row) -> bool:
        if _ends(listed, row, scope):
            ended.append((listed, row))
            return False
        return scope.leaves_able(row) and not _goes(row, scope, now_ms)

    seen = survey(reader.book, user, stays)
    return Meant(account, scope, orders, left_out, seen, counted(ended))


def _pages(reader: Reader, user: User, scope: Scope) -> Iterator[list[Row]]:
    yield from reader.book.open_orders(user, scope.by_exchange)
    if scope.with_algos:
        yield from reader.book.algo_orders(algos_of(user), (*PARENTS, *STOPS), scope.for_algos)


def _goes(row: Row, scope: Scope, now_ms: float) -> bool:
    """Whether it is an algo order that would be cancelled, too."""
    is_algo = scope.with_algos and row.get("ordType") in ALGO_TYPES
    return is_algo and not scope.leaves_out(as_order(row), now_ms=now_ms)


def _ends(listed: SourceList, row: Row, scope: Scope) -> bool:
    """Whether it is a product that would be asked to end."""
    return scope.stops(listed.name, row) and listed.is_able(row) and found(listed.name, row).held != "human"


def open_orders_json(meant: Meant) -> Iterator[dict[str, object]]:
    """Each order that is meant."""
    for row, age_s in meant.orders:
        said = {name: row.get(name, "") for name in _FIELDS}
        said |= {"ordId": "", "clOrdId": ""} if said["ordType"] in ALGO_TYPES else {}  # a child names its parent
        yield {"account": meant.account, **said, "age_s": None if age_s is None else round(age_s, 3)}


def survey_json(meant: Meant) -> dict[str, object]:
    """What would be left that can place orders."""
    return {"account": meant.account, **meant.survey.said, "would_stop": would_stop(meant)}


def would_stop(meant: Meant) -> list[dict[str, object]]:
    """What would be ended besides orders, by kind, for programs."""
    return [able.said for able in meant.stopped]


def _age_s(row: Row, now_ms: float) -> float | None:
    placed_ms = row.get("cTime", "")
    return (now_ms - int(placed_ms)) / 1000 if placed_ms.isascii() and placed_ms.isdigit() else None
