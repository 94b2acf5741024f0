"""The instruments of the simulated exchange, and which of them share a meter.

Deliberately no import from the runner's own rules: an oracle that shares the code under test proves nothing.
"""

import re
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime

_DATE = re.compile(r"\d{6}")
_OPTION_PARTS = 5
_FUTURE_PARTS = 3


@dataclass(frozen=True, slots=True)
class Instrument:
    """One listed instrument, spelt as OKX spells it; `instFamily` is empty for spot and events."""

    instId: str
    instType: str
    instFamily: str

    @property
    def meter_scope(self) -> str:
        """What order meters count by: the instrument, or the family for options."""
        return f"{self.instFamily}:option" if self.instType == "OPTION" else self.instId


def instrument(inst_id: str) -> Instrument:
    """Read type and family off an instrument id, by the shapes of OKX's documentation."""
    parts = inst_id.split("-")
    family = "-".join(parts[:2])
    if len(parts) == _OPTION_PARTS and parts[-1] in {"C", "P"}:
        return Instrument(inst_id, "OPTION", family)
    if len(parts) == _FUTURE_PARTS and parts[-1] == "SWAP":
        return Instrument(inst_id, "SWAP", family)
    if len(parts) == _FUTURE_PARTS and _DATE.fullmatch(parts[-1]):
        return Instrument(inst_id, "FUTURES", family)
    return Instrument(inst_id, "SPOT" if len(parts) <= 2 else "EVENTS", "")  # noqa: PLR2004 - base-quote


def currencies(listed: Instrument) -> tuple[str, ...]:
    """Base and quote currency, without margin suffixes such as `_UM`."""
    return tuple(part.split("_")[0] for part in listed.instId.split("-")[:2])


_UNSET = (
    "alias", "auctionEndTime", "baseCcy", "contTdSwTime", "ctMult", "ctType", "ctVal", "ctValCcy", "expTime",
    "maxPlatOILmt", "openType", "optType", "posLmtAmt", "posLmtPct", "preMktSwTime", "quoteCcy", "settleCcy", "stk",
    "uly",
)  # fmt: skip
_MOST = "1000000"
_COMMON: dict[str, object] = dict.fromkeys(_UNSET, "") | {
    "category": "1", "futureSettlement": False, "lever": "10", "listTime": "1548133413000",
    "lotSz": "1", "minSz": "1", "ruleType": "normal", "state": "live", "tickSz": "0.1", "tradeQuoteCcyList": [],
    "maxIcebergSz": _MOST, "maxLmtAmt": _MOST, "maxLmtSz": _MOST, "maxMktAmt": _MOST, "maxMktSz": _MOST,
    "maxStopSz": _MOST, "maxTriggerSz": _MOST, "maxTwapSz": _MOST,
}  # fmt: skip


def row(listed: Instrument) -> dict[str, object]:
    """One row of `GET public/instruments`, with every field of OKX's: clients refuse a row that lacks one."""
    base, quote = (*currencies(listed), "", "")[:2]
    parts = listed.instId.split("-")
    common = _COMMON | {
        "instId": listed.instId, "instType": listed.instType, "instFamily": listed.instFamily,
        "instIdCode": zlib.crc32(listed.instId.encode()),
    }  # fmt: skip
    if listed.instType not in {"SWAP", "FUTURES", "OPTION"}:
        return {**common, "baseCcy": base, "quoteCcy": quote, "tradeQuoteCcyList": [quote]}
    linear = quote != "USD" or "_UM" in parts[1]
    contract = {
        **common, "uly": f"{base}-{quote}", "ctMult": "1", "ctVal": "0.01" if linear else "100",
        "ctType": "linear" if linear else "inverse", "ctValCcy": base if linear else quote,
        "settleCcy": quote if linear else base,
    }  # fmt: skip
    return {**contract, **_expiry(listed, parts)}


def _expiry(listed: Instrument, parts: list[str]) -> dict[str, str]:
    if listed.instType == "SWAP":
        return {}
    day = datetime.strptime(parts[2], "%y%m%d").replace(hour=8, tzinfo=UTC)
    fields = {"expTime": str(int(day.timestamp() * 1000))}
    if listed.instType == "OPTION":
        fields |= {"stk": parts[3], "optType": parts[4]}
    return fields
