"""The words for a mass cancel and its scope. Pure."""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from bulk_cancel.worker.books.able import Survey
from bulk_cancel.worker.books.mass.products import Kind, Products
from bulk_cancel.worker.books.mass.scope import Scope
from bulk_cancel.worker.books.mass.state import Mass
from bulk_cancel.worker.cli.screen.output import clean, number
from bulk_cancel.worker.okx.sources import kind_words

_PRODUCTS: Final = {"bots": "bot (coins and positions kept)", "spreads": "spread order", "rfqs": "RFQ and quote"}

_FILTER_WORDS: Final = {"min_age_s": "age at least {:g} s", "clOrdId_prefix": "clOrdId beginning with {}"}


def scope_words(scope: Scope) -> str:
    """`every open order`, or with its filters: `every open order with instType SWAP, side sell`."""
    algos = f" and algo order, {_stops(scope)}," if scope.with_algos else ""
    others = [words for kind, words in _PRODUCTS.items() if kind in scope.with_]
    what = "every open order" + algos + "".join(f" and {words}" for words in others)
    filters = {name: value for name, value in scope.asked.items() if name not in {"with", "protective", "bots"}}
    return (what + f" with {filters_words(filters)}" if filters else what).rstrip(",")


def _stops(scope: Scope) -> str:
    return "protective ones too" if scope.protective == "cancel" else "protective ones kept"


def product_facts(products: Products) -> list[tuple[str, str, str]]:
    """The products that were found, and those that are left: name, words, style."""
    return [
        (f"{kind_words(name)}s", _product_words(kind), "bold red" if kind.left or kind.unproven else "")
        for name, kind in products.kinds.items()
        if kind.found or kind.unproven
    ]


def _product_words(kind: Kind) -> str:
    left = [f"{each.inst or ident}: {each.why or 'not asked yet'}" for ident, each in kind.left.items()]
    counts = Counter(filter(None, [*left, kind.unproven]))
    why = ", ".join(words + (f" ({number(count)})" if count > 1 else "") for words, count in counts.items())
    return f"{number(kind.found)} found, {number(kind.stopped)} stopped" + (f"; left: {why}" if why else "")


def filters_words(filters: Mapping[str, object]) -> str:
    """`instType SWAP, age at least 30 s`."""
    return ", ".join(_FILTER_WORDS.get(name, f"{name} {{}}").format(value) for name, value in filters.items())


def survey_facts(survey: Survey) -> list[tuple[str, str, str]]:
    """What can still place orders, what is not known, what the account does not have: name, words, style."""
    unknown = "; ".join(f"{kind_words(name)}s: {why}" for name, why in survey.unknown.items())
    barred = ", ".join(f"{kind_words(name)}s" for name in survey.unavailable)
    facts = (
        ("not affected", survey.left, "bold red"),
        ("not known", unknown, "bold red"),
        ("not available to this account", barred, ""),
    )
    return [fact for fact in facts if fact[1]]


def listing_words(mass: Mass) -> str:
    """What its listings say: how it ended, or how much is open and what keeps it from being read."""
    if mass.ended:
        return listed_words(mass.listings) if mass.state == "done" else mass.state
    if mass.trouble:
        return f"account {mass.account}: {clean(mass.trouble)}"
    if mass.hold and mass.flat:
        return "flat"
    if not mass.listings:
        return "the first listing is not complete"
    if mass.flat_at:
        return f"empty for {empty_s(mass):.0f} of {mass.until_flat_s:g} s"
    return f"{number(mass.matching)} open at the last listing"


def listed_words(listings: int) -> str:
    """How often all of it was listed: with algo orders more than once, until nothing is left that they placed."""
    return f"listed {number(listings)} times" if listings > 1 else "listed once"


def empty_s(mass: Mass) -> float:
    """For how long the scope has been empty."""
    if mass.flat_at is None:
        return 0.0
    return min(mass.until_flat_s, (datetime.now(UTC) - mass.flat_at).total_seconds())
