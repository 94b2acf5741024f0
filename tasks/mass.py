"""The fields of a mass cancel: everything that is open, less what its filters leave out.

Nothing here imports `worker`.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Final, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from bulk_cancel.tasks.errors import InvalidOrders
from bulk_cancel.tasks.faults import found_in
from bulk_cancel.tasks.messages import CL_ORD_ID, Envelope, InstId, Number, account_name, refuse

ALL_ACCOUNTS: Final = "*"
WITH_FAMILY: Final = ("SWAP", "FUTURES", "OPTION")
"""The instTypes whose instruments have a family."""

WITH: Final = ("algos", "spreads", "rfqs", "bots")
"""What a mass cancel ends besides orders, if it is asked to."""

_FILTERS: Final = ("instType", "instFamily", "instId", "side", "tag", "clOrdId_prefix", "min_age_s")
_NOT_WITH: Final[Mapping[str, frozenset[str]]] = {
    "spreads": frozenset(_FILTERS) - {"instType", "instFamily"},
    "rfqs": frozenset(_FILTERS),
    "bots": frozenset(_FILTERS) - {"instType", "instFamily", "instId"},
}
"""The filters that each of them cannot keep to: the exchange ends all at once, or its rows do not say it."""

_TAG = re.compile(r"[A-Za-z0-9]{1,16}")

InstType = Literal["SPOT", "MARGIN", "SWAP", "FUTURES", "OPTION", "EVENTS"]


def _account_or_all(value: object) -> str:
    return ALL_ACCOUNTS if value == ALL_ACCOUNTS else account_name(value)


def _tag(value: object) -> str | None:
    if not isinstance(value, str) or not _TAG.fullmatch(value):
        refuse("should be text of 1 to 16 letters and digits")
    return value


def _prefix(value: object) -> str | None:
    if not isinstance(value, str) or not CL_ORD_ID.fullmatch(value):
        refuse("should be text of 1 to 32 letters and digits, as clOrdIds have them")
    return value


def _with(value: object) -> tuple[str, ...]:
    """What is ended besides orders, as a list or as text with commas."""
    named = value.split(",") if isinstance(value, str) else value
    if not isinstance(named, list | tuple) or not all(isinstance(each, str) for each in named):
        refuse(f"should be a list, of {', '.join(WITH)}")
    kinds = [each.strip() for each in named]
    unknown = [kind for kind in kinds if kind not in WITH]
    if unknown:
        refuse(f"should be of {', '.join(WITH)}; not {', '.join(map(repr, unknown))}")
    return tuple(sorted(set(kinds)))


class CancelAll(Envelope):
    """`tasks.cancel_all`: cancel what is open and fits every filter, and again until nothing does for `until_flat_s`.

    `hold`: and whatever comes later, until an operator releases it. `account` may be `*`, all accounts.
    `clOrdId_prefix`: orders whose clOrdId begins so, case and all. `min_age_s`: orders placed longer ago than that.
    `with`: what is ended besides orders. `algos`, algo orders: of them `protective` ones, which can only reduce a
    position, are kept unless it is `cancel`. `spreads`, spread orders; `rfqs`, RFQs and quotes; `bots`, which takes
    `bots` `keep-positions`, too: nothing is sold or closed, and bots that cannot be stopped so are left.
    """

    model_config = ConfigDict(populate_by_name=True)

    account: Annotated[str, BeforeValidator(_account_or_all)]
    urgent: bool = True
    instType: InstType | None = None
    instFamily: InstId | None = None
    instId: InstId | None = None
    side: Literal["buy", "sell"] | None = None
    tag: Annotated[str | None, BeforeValidator(_tag)] = None
    clOrdId_prefix: Annotated[str | None, BeforeValidator(_prefix)] = None
    min_age_s: Annotated[Number, Field(gt=0, le=31_536_000)] | None = None
    until_flat_s: Annotated[Number, Field(gt=0, le=3600)] | None = None
    hold: bool = False

    with_: Annotated[tuple[str, ...], BeforeValidator(_with), Field(alias="with")] = ()
    protective: Literal["keep", "cancel"] | None = None
    bots: Literal["keep-positions"] | None = None

    @model_validator(mode="after")
    def _filters_agree(self) -> Self:
        """Filters that contradict each other match nothing, which would look as if nothing were open."""
        if self.instFamily and self.instType not in {None, *WITH_FAMILY}:
            refuse(f"instFamily has no meaning for {self.instType}, only for {', '.join(WITH_FAMILY)}")
        if self.instId and self.instType and not may_be(self.instId, self.instType):
            refuse(f"instId {self.instId} is no {self.instType}")
        if self.instId and self.instFamily and not self.instId.startswith(f"{self.instFamily}-"):
            refuse(f"instId {self.instId} is not of instFamily {self.instFamily}")
        if self.protective and "algos" not in self.with_:
            refuse("protective: has a meaning only if algos are cancelled, too (with: algos)")
        if self.bots and "bots" not in self.with_:
            refuse("bots: has a meaning only if bots are stopped (with: bots)")
        if "bots" in self.with_ and not self.bots:
            refuse("bots: should be 'keep-positions': bots are stopped in no other way, nothing is sold or closed")
        return self

    @model_validator(mode="after")
    def _filters_are_kept_to(self) -> Self:
        """What cannot be told apart by a filter must not be ended with what it means."""
        for kind in self.with_:
            unkept = [name for name in _FILTERS if name in _NOT_WITH.get(kind, ()) and getattr(self, name) is not None]
            if unkept:
                refuse(f"{unkept[0]}: {kind} cannot be told apart by it: leave it out, or {kind} out of with")
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
        raise InvalidOrders([fault.bare for fault in found_in(error)]) from None
