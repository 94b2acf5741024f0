"""The fields of a mass cancel: everything that is open, less what its filters leave out.

Nothing here imports `worker`.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Final, Literal, Self

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from bulk_cancel.tasks.errors import InvalidOrders
from bulk_cancel.tasks.messages import Envelope, InstId, account_name, faults_in, refuse

ALL_ACCOUNTS: Final = "*"
WITH_FAMILY: Final = ("SWAP", "FUTURES", "OPTION")
"""The instTypes whose instruments have a family."""

_TAG = re.compile(r"[A-Za-z0-9]{1,16}")

InstType = Literal["SPOT", "MARGIN", "SWAP", "FUTURES", "OPTION", "EVENTS"]


def _account_or_all(value: object) -> str:
    return ALL_ACCOUNTS if value == ALL_ACCOUNTS else account_name(value)


def _tag(value: object) -> str | None:
    if not isinstance(value, str) or not _TAG.fullmatch(value):
        refuse("should be text of 1 to 16 letters and digits")
    return value


class CancelAll(Envelope):
    """`tasks.cancel_all`: cancel what is open and fits every filter, and again until nothing does for `until_flat_s`.

    `account` may be `*`, all accounts. `min_age_s`: orders placed longer ago than that.
    """

    account: Annotated[str, BeforeValidator(_account_or_all)]
    urgent: bool = True
    instType: InstType | None = None
    instFamily: InstId | None = None
    instId: InstId | None = None
    side: Literal["buy", "sell"] | None = None
    tag: Annotated[str | None, BeforeValidator(_tag)] = None
    min_age_s: Annotated[float, Field(gt=0, le=31_536_000, allow_inf_nan=False)] | None = None
    until_flat_s: Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)] | None = None

    @model_validator(mode="after")
    def _filters_agree(self) -> Self:
        """Filters that contradict each other match nothing, which would look as if nothing were open."""
        if self.instFamily and self.instType not in {None, *WITH_FAMILY}:
            refuse(f"instFamily has no meaning for {self.instType}, only for {', '.join(WITH_FAMILY)}")
        if self.instId and self.instType and not may_be(self.instId, self.instType):
            refuse(f"instId {self.instId} is no {self.instType}")
        if self.instId and self.instFamily and not self.instId.startswith(f"{self.instFamily}-"):
            refuse(f"instId {self.instId} is not of instFamily {self.instFamily}")
        return self


def may_be(inst_id: str, inst_type: str) -> bool:
    """Whether an instrument of this id can be of this instType, by the shape of the id."""
    return inst_type in _types_of(inst_id.split("-"))


def _types_of(parts: list[str]) -> set[str]:
    if len(parts) == 2:  # noqa: PLR2004 (base and quote)
        return {"SPOT", "MARGIN"}
    if parts[-1] == "SWAP":
        return {"SWAP"}
    option = len(parts) == 5 and parts[-1] in {"C", "P"}  # noqa: PLR2004 (base, quote, day, strike, kind)
    return {"OPTION"} if option else {"FUTURES", "EVENTS"}


def parse_cancel_all(said: Mapping[str, object]) -> CancelAll:
    """The mass cancel as a message; fields that are None say nothing.

    Raises:
        InvalidOrders: one line per fault.
    """
    try:
        return CancelAll.model_validate({name: value for name, value in said.items() if value is not None})
    except ValidationError as error:
        raise InvalidOrders([fault.removeprefix("message: ") for fault in faults_in(error)]) from None
