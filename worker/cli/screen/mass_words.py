"""The words for a mass cancel and its scope. Pure."""

from collections.abc import Mapping
from datetime import UTC, datetime

from bulk_cancel.worker.books.mass.scope import Scope
from bulk_cancel.worker.books.mass.state import Mass
from bulk_cancel.worker.cli.screen.output import clean, number


def scope_words(scope: Scope) -> str:
    """`every open order`, or with its filters: `every open order with instType SWAP, side sell`."""
    return "every open order" + (f" with {filters_words(scope.asked)}" if scope.asked else "")


def filters_words(filters: Mapping[str, object]) -> str:
    """`instType SWAP, at least 30 s old`."""
    return ", ".join(
        f"at least {value:g} s old" if name == "min_age_s" else f"{name} {value}" for name, value in filters.items()
    )


def listing_words(mass: Mass) -> str:
    """What its listings say: how it ended, or how much is open and what keeps it from being read."""
    if mass.ended:
        return "listed once" if mass.state == "done" else mass.state
    if mass.trouble:
        return f"account {mass.account}: {clean(mass.trouble)}"
    if not mass.listings:
        return "the first listing is not complete"
    if mass.flat_at:
        return f"empty for {empty_s(mass):.0f} of {mass.until_flat_s:g} s"
    return f"{number(mass.matching)} open at the last listing"


def empty_s(mass: Mass) -> float:
    """For how long the scope has been empty."""
    if mass.flat_at is None:
        return 0.0
    return min(mass.until_flat_s, (datetime.now(UTC) - mass.flat_at).total_seconds())
