"""The fields of a cancel message, checked: what a producer may ask for, and in which words.

Frozen models of every message, field names as the contract spells them, and `parse_cancel_orders` for Python
producers, which names every bad row before anything is enqueued. `tasks/reading.py` reads messages from
elsewhere and keeps what is good in them. Nothing here imports `worker`.
"""

import re
import uuid
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Annotated, NoReturn, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic_core import PydanticCustomError

from bulk_cancel.tasks.errors import InvalidOrders as InvalidOrders  # noqa: PLC0414 (producers import it from here, too)
from bulk_cancel.tasks.faults import faults_in

VERSION = 1
"""What a message's fields mean; a message that does not say it is of this one."""

MAX_ORDERS = 100_000
ORDER_FIELDS = ("instId", "ordId", "clOrdId", "algoId", "algoClOrdId", "ordType")
ORDER_IDS = ("ordId", "clOrdId")
ALGO_IDS = ("algoId", "algoClOrdId")
ALGO_TYPES = frozenset(
    {"conditional", "oco", "trigger", "move_order_stop", "chase", "twap", "smart_iceberg", "iceberg"}
)
"""The `ordType`s of algo orders; no other order has one of them."""

_NO_ID = "ordId or clOrdId is required, or of an algo order algoId or algoClOrdId"
_BOTH = (
    "names both an order and an algo order; leave out the ids of the one that is not meant, or add the ordType of the "
    "exchange's row, which tells: a child names its parent, an algo order its latest child"
)

_INST_ID = re.compile(r"[A-Z0-9]+(?:[_.][A-Z0-9]+)*(?:-[A-Z0-9]+(?:[_.][A-Z0-9]+)*)+")
_INST_ID_LENGTH = 64
_INSTRUMENTS = 10_000
"""Of which the name is remembered: a batch names few of them, thousands of times."""

_ORD_ID = re.compile(r"[1-9][0-9]{0,19}")
_ORD_ID_END = 10**20
EXACT = 2**53 - 1
"""Up to here every program reads the same number; JavaScript rounds greater ones, without a word."""

CL_ORD_ID = re.compile(r"[A-Za-z0-9]{1,32}")
_ACCOUNT = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_BATCH_ID = re.compile(r"[\x21-\x7e]{1,128}")
_ROUNDED = re.compile(r"[0-9]+[.,][0-9]*(?:[eE]\+?[0-9]+)?|[0-9]+[eE]\+?[0-9]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_BLANK = " \t\r\n"


def refuse(words: str) -> NoReturn:
    """A field's validator says in its own words what the value should be."""
    raise PydanticCustomError("contract", "{words}", {"words": words})


def _inst_id(value: object) -> str:
    return _instrument(value.strip(_BLANK) if isinstance(value, str) else "")


@lru_cache(_INSTRUMENTS)
def _instrument(text: str) -> str:
    # ASCII first: upper() turns some letters beyond it into ASCII ones
    text = text.upper() if text.isascii() else ""
    if len(text) > _INST_ID_LENGTH or not _INST_ID.fullmatch(text):
        refuse("should be an instrument such as BTC-USDT or BTC-USDT-SWAP")
    if f"_{text.partition('-')[0]}-" in text:
        refuse("is a spread, which this endpoint cannot cancel")
    return text


def _ord_id(value: object) -> str | None:
    if type(value) is str and _ORD_ID.fullmatch(value):
        return value
    if type(value) is int and 0 < value <= EXACT:
        value = str(value)
    if value is not None and not isinstance(value, str):
        refuse("should be text of 1 to 20 digits; a number above 2^53 may have lost digits on its way")
    text = (value or "").strip(_BLANK)
    if _ROUNDED.fullmatch(text):
        refuse("was rounded, most likely by a spreadsheet; export it again with the column as text")
    if text and not _ORD_ID.fullmatch(text):
        refuse("should be 1 to 20 digits, the first not 0")
    return text or None


def _cl_ord_id(value: object, info: ValidationInfo) -> str | None:
    # the exchange's id names the order: a client id that OKX would not take says nothing
    if info.data.get("algoId" if info.field_name == "algoClOrdId" else "ordId"):
        return value if isinstance(value, str) and CL_ORD_ID.fullmatch(value := value.strip(_BLANK)) else None
    if value is not None and not isinstance(value, str):
        refuse("should be text of 1 to 32 letters and digits")
    text = (value or "").strip(_BLANK)
    if text and not CL_ORD_ID.fullmatch(text):
        refuse("should be 1 to 32 letters and digits")
    return text or None


def account_name(value: object) -> str:
    """The name as it is used: lower case."""
    text = value.strip(_BLANK).lower() if isinstance(value, str) else ""
    if not _ACCOUNT.fullmatch(text):
        refuse("should be an account's name: 1 to 64 of a-z 0-9 _ -")
    return text


def _batch_id(value: object) -> str:
    text = str(value) if type(value) is int and abs(value) < _ORD_ID_END else value
    if not isinstance(text, str) or not _BATCH_ID.fullmatch(text):
        refuse("should be 1 to 128 visible ASCII characters without spaces")
    return text


def _sized(value: object) -> object:
    if not isinstance(value, list | tuple) or not 0 < len(value) <= MAX_ORDERS:
        refuse(f"should be a list of 1 to {MAX_ORDERS:,} orders{_of_php(value)}")
    return value


def _of_php(value: object) -> str:
    """What helps if PHP wrote it: an array with holes becomes an object with numbers for names."""
    is_array = isinstance(value, dict) and bool(value) and all(str(name).isdecimal() for name in value)
    return "; of an array with holes PHP makes an object: give array_values() of it" if is_array else ""


def _number_as_text(value: object) -> object:
    return str(value) if type(value) is int else value


def _number(value: object) -> object:
    if isinstance(value, bool):  # pydantic would read true as 1
        refuse("should be a number, not true or false")
    return value


def _printable(value: str) -> str:
    if _CONTROL.search(value):
        refuse("should hold no control characters")
    return value


def _version(value: int) -> int:
    if value != VERSION:
        refuse(
            f"should be {VERSION}: this release reads no other version of messages; upgrade workers before producers"
        )
    return value


InstId = Annotated[str, BeforeValidator(_inst_id)]
AccountName = Annotated[str, BeforeValidator(account_name)]
BatchId = Annotated[str, BeforeValidator(_batch_id)]
Whole = Annotated[int, BeforeValidator(_number)]
Number = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False)]
Text = Annotated[str, Field(max_length=256), AfterValidator(_printable)]
LabelName = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_printable)]
LabelValue = Annotated[str, Field(max_length=256), AfterValidator(_printable), BeforeValidator(_number_as_text)]


def new_batch_id() -> str:
    """A batch_id nobody has used: 32 hex digits. A producer that may send again has to keep it."""
    return uuid.uuid4().hex


class Order(BaseModel):
    """One order to cancel, or one algo order: the exchange's id wins when its client's is given, too.

    Rows of the exchange name both a child and its parent: which of the two the row is, its `ordType` says. The ids of
    the other one are left out, and fields beyond these are ignored.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    instId: InstId
    ordId: Annotated[str | None, BeforeValidator(_ord_id)] = None
    clOrdId: Annotated[str | None, BeforeValidator(_cl_ord_id)] = None
    algoId: Annotated[str | None, BeforeValidator(_ord_id)] = None
    algoClOrdId: Annotated[str | None, BeforeValidator(_cl_ord_id)] = None

    @model_validator(mode="before")
    @classmethod
    def _is_of_one_kind(cls, row: object) -> object:
        """Without the ids of a parent, or of a child."""
        if not isinstance(row, Mapping) or not _says(row, ALGO_IDS) or not _says(row, ORDER_IDS):
            return row
        if not _says(row, ("ordType",)):
            refuse(_BOTH)
        others = ORDER_IDS if str(row["ordType"]).strip() in ALGO_TYPES else ALGO_IDS
        return {name: value for name, value in row.items() if name not in others}

    @model_validator(mode="after")
    def _has_an_id(self) -> Self:
        if not (self.ordId or self.clOrdId or self.algoId or self.algoClOrdId):
            refuse(_NO_ID)
        return self

    @property
    def is_algo(self) -> bool:
        """Whether it is an algo order."""
        return bool(self.algoId or self.algoClOrdId)


def _says(row: Mapping[object, object], names: Iterable[str]) -> bool:
    for name in names:
        value = row.get(name)
        if value.strip(_BLANK) if isinstance(value, str) else value is not None:
            return True
    return False


class Envelope(BaseModel):
    """What every message may say besides its orders; `v` is its version. `deadline_s` None: the runner's own."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    v: Annotated[Whole, AfterValidator(_version)] = VERSION
    batch_id: BatchId = Field(default_factory=new_batch_id)
    account: AccountName
    urgent: bool = False
    reason: Text = ""
    requested_by: Text = ""
    deadline_s: Annotated[Whole, Field(ge=1, le=86_400)] | None = None
    labels: Annotated[dict[LabelName, LabelValue], Field(max_length=16)] = Field(default_factory=dict)


class CancelOrders(Envelope):
    """`tasks.cancel_orders`: cancel these orders of this account, as one batch."""

    orders: Annotated[tuple[Order, ...], BeforeValidator(_sized)]


def parse_cancel_orders(
    *,
    account: str,
    orders: Iterable[Order | Mapping[str, object]],
    batch_id: str | None = None,
    urgent: bool = False,
    reason: str = "",
    requested_by: str = "",
    deadline_s: int | None = None,
    labels: Mapping[str, str] | None = None,
) -> CancelOrders:
    """The batch as a message, or every reason why it is none.

    Raises:
        InvalidOrders: one line per fault; rows as `orders[3].ordId: …`, counted from 0.
    """
    said = {"account": account, "urgent": urgent, "reason": reason, "requested_by": requested_by}
    said |= {"deadline_s": deadline_s, "labels": labels or {}, "orders": tuple(orders)}
    if batch_id is not None:
        said["batch_id"] = batch_id
    try:
        return CancelOrders.model_validate(said)
    except ValidationError as error:
        raise InvalidOrders(faults_in(error)) from None
