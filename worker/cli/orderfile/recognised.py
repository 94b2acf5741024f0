"""Formats that are known and cannot be taken: what each is, and what to change. Pure."""

import re
from typing import Final

from bulk_cancel.tasks.messages import ALGO_IDS, ORDER_IDS

TEXTS: Final = (
    (re.compile(r"\s*<(?:!doctype|html|\?xml)", re.IGNORECASE), "is a web page or XML, perhaps a login; export orders"),
    (re.compile(r"\s*8=FIX"), "is a log of FIX messages; write each order as instId and ordId or clOrdId"),
    (re.compile(r"\s*(?:---\s|- +\w+:)"), "is YAML; write it as JSON"),
    (re.compile(r"\s*(?:\[\s*)?\{\s*'"), "is a value as Python prints it; write it with json.dumps"),
    (
        re.compile(r"\s*[^\s{\[][^\n{\[]*\{\s*\"(?:arg|event|code)\""),
        "has text before its JSON, as logs do; keep the JSON alone",
    ),
)
"""What a file begins with, and what it is then."""

ROWS: Final = (
    ("venue_order_id", "is an order of nautilus-trader; write instId (without .OKX) and ordId, its venue_order_id"),
    ("instrument_id", "is a row of OKX's API v3; ask v5, whose rows have instId and ordId"),
    ("instIdCode", "names its instrument by instIdCode; write its instId"),
    ("sprdId", "is a spread order; `bulk-cancel all --with spreads` cancels those"),
    ("posId", "is a position; only orders are cancelled"),
    ("body", "is a message as it lies in a broker; hand in the object in its body that has `orders`"),
    ("orderId", "is a row of another exchange; OKX's have instId and ordId"),
    ("symbol", "is a row of ccxt without OKX's own row in `info`; keep `info`, or write instId and ordId"),
)
"""A field of a row that names no order, and what the row is then."""


def why_no_file(text: str) -> str:
    """What the file is; empty if that is not known."""
    return next((words for begins, words in TEXTS if begins.match(text)), "")


def why_no_order(row: object) -> str:
    """What the row is; empty if that is not known, or if it names an order all the same."""
    if not isinstance(row, dict) or (row.get("instId") and any(row.get(name) for name in (*ORDER_IDS, *ALGO_IDS))):
        return ""
    return next((words for field, words in ROWS if field in row), "")
