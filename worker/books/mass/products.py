"""What a mass cancel knows of the products that it ends: bots, spread orders, RFQs and quotes. Pure.

A product is *found* when a complete list shows it, and *stopped* when a later one does not: what the exchange answers
to a stop is no end. All of it is kept with the mass cancel, so another worker goes on where one died.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, Self

from bulk_cancel.worker.okx.answers import Answer
from bulk_cancel.worker.okx.codes import ENVELOPES, Verdict, lookup_stop
from bulk_cancel.worker.okx.stops import SETTLES, Found

AGAIN_US: Final = 500_000
AGAIN_MOST_US: Final = 16_000_000
"""A product that stays listed is asked to end again after this, doubled each time up to the second: as for orders."""

ACCEPTED: Final = "its end was accepted, and it is still listed"
NOT_TOLD: Final = "asked to end all of them; that none is left is not told yet"
PAUSED: Final = "an operator paused its account or instrument"

_FOR_GOOD: Final = frozenset({Verdict.REJECTED, Verdict.BUG, Verdict.UNAVAILABLE})
_ONCE: Final = frozenset({"51056", "51059"})
"""Codes that are waited for once: said again of the same product, they are for good."""

_NONE_ACTIVE: Final = frozenset({"70207", "70409"})
"""What alone says that no RFQ, or quote, of this user is left."""


@dataclass(frozen=True, slots=True)
class Product:
    """One that has not ended: how often it was asked to, when last (µs), and what was said of that.

    `human`: it is not asked again, somebody has to decide.
    """

    inst: str
    times: int = 0
    asked_us: int = 0
    code: str = ""
    why: str = ""
    human: bool = False
    held: bool = False

    def is_due(self, now_us: int) -> bool:
        """Whether it is to be asked to end."""
        if self.human or self.held:
            return False
        wait_us = min(AGAIN_MOST_US, AGAIN_US * 2 ** min(self.times - 1, 10))
        return not self.times or now_us - self.asked_us >= wait_us

    def as_found(self, found: Found) -> "Product":
        """As the list shows it now."""
        held = found.held == "waits"
        if self.human or not found.note:
            return replace(self, held=held)
        return replace(self, why=found.note, code="", human=found.held == "human", held=held)


@dataclass(frozen=True, slots=True)
class Kind:
    """The products of one list: how many have ended, and those `left`, by id.

    Of RFQs and quotes, which others send to this user, too: `others` are those listed that are not this user's.
    `asked`: the exchange took a call that ends all of them. `unproven`: nothing has told since that there is none.
    """

    stopped: int = 0
    left: Mapping[str, Product] = field(default_factory=dict)
    others: tuple[str, ...] = ()
    asked: bool = False
    unproven: str = ""

    @property
    def found(self) -> int:
        """All that were ever listed."""
        return self.stopped + len(self.left)

    @property
    def open(self) -> int:
        """Those that keep the scope from being flat: not those that are left to people."""
        return sum(not each.human for each in self.left.values()) or int(bool(self.unproven))

    def listed(self, rows: Mapping[str, Found]) -> "Kind":
        """After a complete list of those that are at work and meant."""
        mine = {ident: found for ident, found in rows.items() if ident not in self.others}
        ended = sum(ident not in mine for ident in self.left)
        left = {ident: self.left.get(ident, Product(found.inst)).as_found(found) for ident, found in mine.items()}
        others = tuple(ident for ident in self.others if ident in rows)
        unproven = "" if self.asked and not mine else self.unproven  # this list began after that call
        return Kind(self.stopped + ended, left, others, self.asked, unproven)

    def due(self, now_us: int) -> list[str]:
        """The ids of those that are to be asked to end now."""
        return [ident for ident, each in self.left.items() if each.is_due(now_us)]

    def held_back(self, idents: Iterable[str], why: str) -> "Kind":
        """They are not asked this time."""
        return self._with({ident: replace(self.left[ident], why=why) for ident in idents})

    def answered(self, idents: Sequence[str], answer: Answer, now_us: int) -> "Kind":
        """They were asked to end, and this was said, of each by itself or of all."""
        items = {item.ordId: (item.sCode, item.sMsg) for item in answer.items if item.sCode}
        whole = (answer.code, answer.msg)
        return self._with({each: _said(self.left[each], items.get(each, whole), now_us) for each in idents})

    def unanswered(self, idents: Iterable[str], why: str, now_us: int) -> "Kind":
        """They were asked to end, and nothing was said that tells: they may have been."""
        return self._with({each: _asked(self.left[each], now_us, "", why) for each in idents})

    def not_asked(self, why: str) -> "Kind":
        """Whether there is any is not known: nothing was asked."""
        return replace(self, unproven=why)

    def all_answered(self, answer: Answer, now_us: int) -> "Kind":
        """All RFQs, or quotes, of this user were asked to end, whichever those are: those listed may be others'.

        Only "none is active" proves that there is none, or a list without any, if it begins after an accepted call.
        """
        if answer.code in _NONE_ACTIVE:
            return Kind(self.stopped, {}, (*self.others, *self.left), asked=True)
        if lookup_stop(answer.code).verdict is Verdict.UNAVAILABLE:  # what is listed all the same is people's to judge
            return replace(self.answered(list(self.left), answer, now_us), asked=True, unproven="")
        unproven = "" if self.left else answer.msg or NOT_TOLD
        told = self.answered(list(self.left), answer, now_us)
        return replace(told, asked=self.asked or answer.code == "0", unproven=unproven)

    def all_unanswered(self, why: str, now_us: int) -> "Kind":
        """The same, and nothing was said that tells."""
        told = self.unanswered(list(self.left), why, now_us)
        return told if self.left else replace(told, unproven=why)

    def unnamed(self) -> "Kind":
        """The same with numbers for ids, for those who may see no order."""
        left = {str(number): each for number, each in enumerate(self.left.values(), 1)}
        return replace(self, left=left, others=("",) * len(self.others))

    def _with(self, changed: Mapping[str, Product]) -> "Kind":
        return replace(self, left={**self.left, **changed})


def _asked(product: Product, now_us: int, code: str, why: str) -> Product:
    return replace(product, times=product.times + 1, asked_us=now_us, code=code, why=why)


def _said(product: Product, said: tuple[str, str], now_us: int) -> Product:
    code, msg = said
    if code == "0":
        return _asked(product, now_us, "", SETTLES if product.why == SETTLES else ACCEPTED)
    if code in ENVELOPES:
        return _asked(product, now_us, "", msg or "the exchange said nothing of it")
    row = lookup_stop(code)
    for_good = row.verdict in _FOR_GOOD or (code in _ONCE and product.code == code)
    return replace(_asked(product, now_us, code, msg or row.meaning), human=for_good)


@dataclass(frozen=True, slots=True)
class Products:
    """All of them, by the name of their list; `swept_us`: when the last complete sweep of all began (0: none was)."""

    kinds: Mapping[str, Kind] = field(default_factory=dict)
    swept_us: int = 0

    @property
    def open(self) -> int:
        """How many keep the scope from being flat."""
        return sum(kind.open for kind in self.kinds.values())

    def of(self, name: str) -> Kind:
        """The products of one list."""
        return self.kinds.get(name, Kind())

    def put(self, name: str, kind: Kind) -> Self:
        """With these products of a list."""
        return replace(self, kinds={**self.kinds, name: kind})

    def unnamed(self) -> Self:
        """The same without ids."""
        return replace(self, kinds={name: kind.unnamed() for name, kind in self.kinds.items()})

    def is_others(self, name: str, ident: str) -> bool:
        """Whether the exchange has told that this RFQ or quote is not this user's."""
        return ident in self.of(name).others

    @property
    def text(self) -> str:
        """As one line of JSON."""
        kinds = {name: {**asdict(kind), "left": _packed(kind.left)} for name, kind in self.kinds.items()}
        return json.dumps({"swept_us": self.swept_us, "kinds": kinds}, separators=(",", ":"))

    @classmethod
    def read(cls, text: str) -> Self:
        """What `text` was made of; of "" nothing is known."""
        said = json.loads(text or "{}")
        kinds = {name: _kind(each) for name, each in said.get("kinds", {}).items()}
        return cls(kinds, said.get("swept_us", 0))

    @property
    def said(self) -> list[dict[str, object]]:
        """For programs: of each kind how many were found and ended, and which are left and why."""
        return [
            {
                "kind": name,
                "found": kind.found,
                "stopped": kind.stopped,
                "left": _left(kind),
                "not_known": kind.unproven,
            }
            for name, kind in self.kinds.items()
        ]


def _packed(left: Mapping[str, Product]) -> dict[str, list[object]]:
    return {ident: list(asdict(each).values()) for ident, each in left.items()}


def _kind(said: Mapping[str, Any]) -> Kind:
    left = {ident: Product(*values) for ident, values in said["left"].items()}
    return Kind(**{**said, "left": left, "others": tuple(said["others"])})


def _left(kind: Kind) -> list[dict[str, object]]:
    return [
        {"id": ident, "instrument": each.inst, "sCode": each.code or None, "why": each.why, "needs_human": each.human}
        for ident, each in kind.left.items()
    ]
