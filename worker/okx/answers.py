"""What the exchange answers, as values; `bodies.py` reads them. Producers import these, without a parser's package."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

Row = Mapping[str, str]


class Item(NamedTuple):
    """What the exchange says of one order; "" for what it does not say. Sub-codes are cut off `sCode`."""

    ordId: str
    clOrdId: str
    sCode: str
    sMsg: str


@dataclass(frozen=True, slots=True)
class Answer:
    """One readable answer to a cancel; the gateway's clock in unix µs, None if it is not told."""

    http_status: int
    code: str
    msg: str
    items: tuple[Item, ...]
    in_time_us: int | None = None
    out_time_us: int | None = None
