"""Can a drill ever trade? Only far from the market, and never where trading is for real."""

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from bulk_cancel.worker.operators.drill.rules import NotADrillError, check_place, far_off

if TYPE_CHECKING:
    from bulk_cancel.worker.books.reader import Reader
    from bulk_cancel.worker.config.settings import Settings


@pytest.mark.parametrize(
    ("last", "tick", "price"),
    [("67123.4", "0.1", "33561.7"), ("1000", "1", "500"), ("0.00000123", "0.00000001", "0.00000061"), ("1", "5", "5")],
)
def test_the_price_is_half_of_the_last_one(last: str, tick: str, price: str) -> None:
    """In the instrument's own steps, written out, at least one of them."""
    assert far_off(last, tick) == price


@pytest.mark.parametrize(
    ("address", "demo", "allowed"),
    [
        ("https://openapi.okx.com", False, False),
        ("https://OKX.com", False, False),
        ("https://eea.okx.com:443", False, False),
        ("https://openapi.okx.com", True, True),
        ("http://127.0.0.1:8080", False, True),
        ("https://okx.com.example", False, True),
    ],
)
def test_the_real_exchange_is_for_demo_accounts_only(address: str, demo: bool, allowed: bool) -> None:  # noqa: FBT001
    """Every host of its domain."""
    account = SimpleNamespace(demo=demo)
    settings = cast("Settings", SimpleNamespace(base_url_of=lambda _: address, confirm="on"))
    reader = cast("Reader", SimpleNamespace(account=lambda _: account))
    if allowed:
        check_place(settings, reader, "desk1")
        return
    with pytest.raises(NotADrillError, match="trades for real at"):
        check_place(settings, reader, "desk1")
