"""The key by which the exchange meters an instrument's cancels.

By the instrument itself, except options, which share one meter per instrument family. Spot and margin
orders of a pair have the same `instId` and so the same meter. Pure.
"""

from functools import lru_cache

TYPES = ("SPOT", "MARGIN", "SWAP", "FUTURES", "OPTION", "EVENTS")
"""Every instType."""

_PAIR_PARTS = 2
_DATED_PARTS = 3
_OPTION_PARTS = 5
_OPTION_MARK = ":option"


def family_of(inst_id: str) -> str | None:
    """The family of an option, `BTC-USD` of `BTC-USD-191227-12500-C`; None for everything else.

    An option has five dash parts and ends in C or P; event contracts have as many, but never that end.
    """
    parts = inst_id.split("-")
    if len(parts) != _OPTION_PARTS or parts[-1] not in {"C", "P"}:
        return None
    return "-".join(parts[:2])


@lru_cache(10_000)
def meter_of(inst_id: str) -> str:
    """What the exchange counts by: `BTC-USDT-SWAP` for itself, `BTC-USD:option` for all options of BTC-USD.

    The mark keeps a family apart from an instrument of the same name; no canonical instId holds a colon.
    """
    family = family_of(inst_id)
    return f"{family}{_OPTION_MARK}" if family else inst_id


def type_of(inst_id: str) -> str:
    """The instType under which the exchange most likely lists it; a margin order of a pair has the pair's `instId`."""
    parts = inst_id.split("-")
    if family_of(inst_id):
        return "OPTION"
    if parts[-1] == "SWAP":
        return "SWAP"
    if len(parts) == _DATED_PARTS and parts[-1].isdigit():
        return "FUTURES"
    return "SPOT" if len(parts) == _PAIR_PARTS else "EVENTS"
