"""What can still place orders, as a value. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Self

from bulk_cancel.worker.okx.sources import UNSEEN, kind_words

FIRED: Final = "fired_order"
"""The kind of open orders that an algo order placed after the last listing: they trade by themselves."""


@dataclass(frozen=True, slots=True)
class Able:
    """So many sources of one kind, and of how many the instrument is known, by instrument (of a spread `a/b`)."""

    kind: str
    count: int
    instruments: Mapping[str, int]

    @property
    def words(self) -> str:
        """Such as `2 trigger orders (BTC-USDT 2)`."""
        of_one = kind_words(self.kind)
        where = ", ".join(f"{inst} {count:,}" for inst, count in self.instruments.items())
        return f"{self.count:,} {of_one}{'s' * (self.count != 1)}" + (f" ({where})" if where else "")

    @property
    def said(self) -> dict[str, object]:
        """For programs."""
        return {"kind": self.kind, "count": self.count, "by_instrument": dict(self.instruments)}


@dataclass(frozen=True, slots=True)
class Survey:
    """One look at all sources of an account that a scope means.

    `unknown`: lists that could not be read, and why; `unavailable`: those of products that the account does not have.
    """

    able: tuple[Able, ...] = ()
    unknown: Mapping[str, str] = field(default_factory=dict)
    unavailable: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """All is known, and nothing can place orders any more."""
        return not self.able and not self.unknown

    @property
    def words(self) -> str:
        """What is left, and what is not known; "" if it is complete."""
        names: dict[str, list[str]] = {}
        for name, why in self.unknown.items():
            names.setdefault(why, []).append(f"{kind_words(name)}s")
        unknown = "; ".join(f"{', '.join(kinds)} ({why})" for why, kinds in names.items())
        if self.unknown == UNSEEN:
            unknown = ", ".join(UNSEEN.values())
        return "; ".join(filter(None, (self.left, unknown and f"not known: {unknown}")))

    @property
    def left(self) -> str:
        """What was not cancelled and can trade; "": nothing."""
        fired = ", ".join(able.words for able in self.able if able.kind == FIRED)
        able = ", ".join(able.words for able in self.able if able.kind != FIRED)
        told = (fired and f"{fired}: still open", able and f"{able}: they can still place orders")
        return "; ".join(filter(None, told))

    @property
    def said(self) -> dict[str, object]:
        """For programs."""
        return {
            "complete": self.complete,
            "still_able": [able.said for able in self.able],
            "not_known": dict(self.unknown),
            "not_available": list(self.unavailable),
        }

    @property
    def text(self) -> str:
        """As one line of JSON."""
        return json.dumps(self.said)

    @classmethod
    def of(cls, text: str) -> Self:
        """What `text` was made of."""
        said = json.loads(text)
        able = tuple(Able(each["kind"], each["count"], each["by_instrument"]) for each in said["still_able"])
        return cls(able, said["not_known"], tuple(said["not_available"]))


def said_of(survey: Survey | None) -> dict[str, object]:
    """For programs, also when nobody looked: then nothing is known."""
    return survey.said if survey else NOT_MADE.said


NOT_MADE = Survey(unknown=UNSEEN)
