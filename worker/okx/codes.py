"""The table of the exchange's codes and what each means for us.

One row per meaning; a row lists its codes, `51016-51020` stands for five. A new code is a row. `scope` says
who waits until a retry can help; a verdict that ends an order concerns that order only.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What an answer means for one order."""

    ACCEPTED = "accepted"  # the exchange took the cancel, which is not yet a cancel
    GONE = "gone"  # nothing left to cancel
    PENDING = "pending"  # a cancel is at work already: its end is the book's to tell
    RETRY = "retry"  # not now
    AMBIGUOUS = "ambiguous"  # may have taken effect; a repeated cancel is harmless
    REJECTED = "rejected"  # never, for this order
    CREDENTIALS = "credentials"  # never, with these credentials
    CLOCK = "clock"  # measure the clock and ask again
    BUG = "bug"  # our request is malformed: as REJECTED, but somebody must look
    UNAVAILABLE = "unavailable"  # of products: the account has nothing of it, since it may not
    UNKNOWN = "unknown"  # a code without a row


class Scope(StrEnum):
    """Who waits before a retry can help."""

    ORDER = "order"
    LANE = "lane"
    WORKER = "worker"  # the one that asked: others, at other addresses, may be let in
    ACCOUNT = "account"
    EXCHANGE = "exchange"


@dataclass(frozen=True, slots=True)
class Code:
    """One code; `slow`: what has to pass takes minutes rather than seconds."""

    code: str
    verdict: Verdict
    scope: Scope
    slow: bool
    meaning: str


_ACCEPTED, _GONE = (Verdict.ACCEPTED, Scope.ORDER, False), (Verdict.GONE, Scope.ORDER, False)
_PENDING = (Verdict.PENDING, Scope.ORDER, False)
_REJECTED, _BUG = (Verdict.REJECTED, Scope.ORDER, False), (Verdict.BUG, Scope.ORDER, False)
_AMBIGUOUS, _AMBIGUOUS_EXCHANGE = (
    (Verdict.AMBIGUOUS, Scope.ORDER, False),
    (Verdict.AMBIGUOUS, Scope.EXCHANGE, False),
)
_CREDENTIALS, _CLOCK = (Verdict.CREDENTIALS, Scope.ACCOUNT, False), (Verdict.CLOCK, Scope.ORDER, False)
_BARRED = (Verdict.CREDENTIALS, Scope.WORKER, False)
_RETRY, _UNKNOWN = (Verdict.RETRY, Scope.ORDER, False), (Verdict.UNKNOWN, Scope.ORDER, False)
_RETRY_LANE, _RETRY_LANE_SLOW = (Verdict.RETRY, Scope.LANE, False), (Verdict.RETRY, Scope.LANE, True)
_RETRY_ACCOUNT, _RETRY_ACCOUNT_SLOW = (
    (Verdict.RETRY, Scope.ACCOUNT, False),
    (Verdict.RETRY, Scope.ACCOUNT, True),
)
_RETRY_EXCHANGE, _RETRY_EXCHANGE_SLOW = (
    (Verdict.RETRY, Scope.EXCHANGE, False),
    (Verdict.RETRY, Scope.EXCHANGE, True),
)

_ROWS = (
    ("0", _ACCEPTED, "the exchange took the request"),
    # cancel class and order states
    ("51400", _GONE, "filled, canceled or unknown"),
    ("51401", _GONE, "already canceled"),
    ("51402", _GONE, "already completed"),
    ("51403", _REJECTED, "this order type cannot be canceled"),
    ("51404", _RETRY_LANE_SLOW, "second phase of a call auction"),
    ("51405", _GONE, "no pending orders"),
    ("51406", _BUG, "too many orders in one request"),
    ("51407", _BUG, "ordId or clOrdId required"),
    ("51408 51409", _REJECTED, "the instrument does not match the order"),
    ("51410", _PENDING, "already being canceled or about to settle"),
    ("51411", _REJECTED, "no mass-cancel permission"),
    ("51412", _AMBIGUOUS, "the cancel timed out (with `triggered` in its text: as 51416)"),
    ("51413", _REJECTED, "order type not supported by this endpoint"),
    ("51416", _REJECTED, "triggered, cannot be canceled"),
    ("51503", _GONE, "already filled or canceled"),
    ("51509 51510", _GONE, "already canceled or completed"),
    ("51603", _GONE, "order does not exist"),
    ("51063", _GONE, "ordId does not exist"),
    ("54048", _RETRY, "in a speed bump"),
    # general class
    ("50000 50002 50006", _BUG, "body empty, not JSON or of another content type"),
    ("50001", _RETRY_EXCHANGE, "service temporarily unavailable"),
    ("50004", _AMBIGUOUS, "endpoint timed out, outcome unknown"),
    ("50005", _RETRY_EXCHANGE_SLOW, "endpoint inactive"),
    ("50007 50008 50010", _CREDENTIALS, "user blocked, unknown or empty"),
    ("50009", _CREDENTIALS, "account frozen by a stop-out"),
    ("50011", _RETRY_LANE, "too many requests"),
    ("50012", _CREDENTIALS, "account status invalid"),
    ("50013", _RETRY_EXCHANGE, "systems busy"),
    ("50014-50016 50024 50025", _REJECTED, "a parameter is missing, at odds with another or too many"),
    ("50017 50020", _RETRY_LANE_SLOW, "position frozen by ADL or liquidation"),
    ("50018 50021", _RETRY_LANE_SLOW, "currency frozen by ADL or liquidation"),
    ("50019 50022 50023", _RETRY_ACCOUNT_SLOW, "account or its funding fee frozen"),
    ("50026", _AMBIGUOUS_EXCHANGE, "system error"),
    ("50027 50029", _CREDENTIALS, "account restricted by risk control"),
    ("50030", _CREDENTIALS, "no permission for this endpoint"),
    ("50032 50033", _REJECTED, "currency or instrument blocked for this account"),
    ("50035", _CREDENTIALS, "the key must be bound to an IP"),
    ("50038 50053", _CREDENTIALS, "wrong environment, demo or live"),
    ("50040", _RETRY_ACCOUNT, "too frequent operations"),
    ("50041 50051 50059 50060 50067", _CREDENTIALS, "barred by allow-list, region, regulator, KYC or site"),
    ("50042", _AMBIGUOUS, "repeated request"),
    ("50046 50062", _RETRY_EXCHANGE_SLOW, "feature unavailable for now"),
    ("50052 50075", _REJECTED, "this crypto may not be traded here"),
    ("50061", _RETRY_ACCOUNT, "the account's order rate limit is reached"),
    ("50028 50036 50037 50039 50044 50045 50047-50050", _REJECTED, "not expected on a cancel"),
    ("50055-50058 50063 50064 50069 50071 50072 50076 50077", _REJECTED, "not expected on a cancel"),
    # API class
    ("50100", _CREDENTIALS, "API frozen"),
    ("50101", _CREDENTIALS, "the key does not match the environment, demo or live"),
    ("50102", _CLOCK, "timestamp expired"),
    ("50103 50104 50106 50107", _CREDENTIALS, "a header of the credentials is empty"),
    ("50105", _CREDENTIALS, "wrong passphrase"),
    ("50108 50109", _CREDENTIALS, "broker id or domain unknown"),
    ("50110", _BARRED, "IP not on the key's allow-list"),
    ("50111", _CREDENTIALS, "invalid key"),
    ("50112", _CLOCK, "invalid timestamp"),
    ("50113", _CREDENTIALS, "invalid signature"),
    ("50114", _CREDENTIALS, "invalid authorization"),
    ("50115", _BUG, "wrong HTTP method"),
    ("50116 50118 50122", _REJECTED, "not expected on a cancel"),
    ("50119", _CREDENTIALS, "the key does not exist, or not at this region's address"),
    ("50120", _CREDENTIALS, "the key lacks this permission"),
    ("50121", _BARRED, "no access from this IP"),
    # parameters and instruments
    ("51000", _REJECTED, "parameter error"),
    ("51001", _REJECTED, "instrument does not exist"),
    ("51002 51014 51015 51026", _REJECTED, "instrument, index and type do not match"),
    ("51003", _BUG, "ordId or clOrdId required"),
    ("51004-51008 51011 51016-51020", _REJECTED, "of order placement only"),
    ("51009", _CREDENTIALS, "order function blocked by the exchange"),
    ("51010", _REJECTED, "unsupported in this account mode"),
    ("51012", _REJECTED, "token does not exist"),
    ("51021 51087", _REJECTED, "not listed yet, or listing withdrawn"),
    ("51022", _RETRY_LANE_SLOW, "contract suspended"),
    ("51024", _CREDENTIALS, "account blocked"),
    ("51027", _GONE, "contract expired, and its orders with it"),
    ("51028-51030", _RETRY_LANE_SLOW, "under delivery or settlement"),
    ("51054", _AMBIGUOUS, "request timed out"),
    ("51056", _REJECTED, "action not allowed"),
    ("51149", _AMBIGUOUS, "order timed out, outcome unknown"),
    # one barred instrument must not stop the account's others, so these reject their order
    ("51155 51734", _REJECTED, "barred by compliance or country"),
    ("54007 54072", _REJECTED, "instrument not supported or view-only"),
    ("54009 54029", _REJECTED, "out of range"),
    ("54012", _REJECTED, "thin book, should not hit cancels"),
    ("54008", _REJECTED, "mass-cancel lock, of order placement only"),
    (
        "54000-54006 54010 54011 54013-54028 54030-54047 54049-54071 54073-54094",
        _REJECTED,
        "of placement only",
    ),
)


def _expand(codes: str) -> Iterator[str]:
    for part in codes.split():
        first, _, last = part.partition("-")
        yield from map(str, range(int(first), int(last or first) + 1))


_NOT_OPEN = (Verdict.UNAVAILABLE, Scope.ACCOUNT, True)
_STOP_ROWS = (
    ("51291 51293", _GONE, "the bot is gone, or has stopped"),
    ("59216 59267", _GONE, "the position is gone, or the trader is not copied"),
    ("70207 70409", _GONE, "no RFQ, or quote, of this user is active"),
    ("70000 70001 70200 70400", _GONE, "unknown, or its state forbids it: its list tells"),
    ("51288 51342 59278", _PENDING, "stopping already"),
    ("51056 51059", _PENDING, "its state does not allow it now"),
    ("51289 51290 70208", _RETRY, "the bots' engine, or the service, is not there for now"),
    ("51001", _REJECTED, "the instrument or spread does not exist"),
    ("51220", _REJECTED, "led or copied: only a stop that trades is accepted"),
    ("51292 51345 50016 51000 70203 70408", _BUG, "the request does not fit the product"),
    ("50030 50038 50041 59263 59285 70006", _NOT_OPEN, "the product is not open to this account, or not on demo"),
)
"""What codes mean of a product (a bot, a spread order, an RFQ or quote) that is to end; others as of an order."""

RATE_CODES = frozenset({"50011", "50061", "50040"})
"""Refused for speed: they tell of the meter, whatever else the answer says."""

TIMED_OUT = frozenset({"50004", "51054", "51149"})
"""The exchange says that it did not manage in time: as good as no answer, and most likely not this order's fault."""

_Rows = Iterable[tuple[str, tuple[Verdict, Scope, bool], str]]


def _table(rows: _Rows) -> dict[str, Code]:
    return {code: Code(code, *kind, meaning) for codes, kind, meaning in rows for code in _expand(codes)}


CODES: dict[str, Code] = _table(_ROWS)
STOP_CODES: dict[str, Code] = _table(_STOP_ROWS)


ENVELOPES = frozenset({"0", "1", "2"})
"""Of a whole answer: look at the items. All, none, or some of them succeeded."""

_OWN = re.compile("[0-9]{5}")


def is_own(code: str) -> bool:
    """Whether it is written as the exchange's codes are; `403` or `AccessDenied` is the word of a CDN or a proxy."""
    return code in ENVELOPES or _OWN.fullmatch(code) is not None


def lookup(code: str) -> Code:
    """The row of a base code; one without a row is retried with backoff, as often as attempts allow."""
    return CODES.get(code) or Code(code, *_UNKNOWN, "not in the table")


def lookup_stop(code: str) -> Code:
    """The same, said of a product that is to end."""
    return STOP_CODES.get(code) or lookup(code)
