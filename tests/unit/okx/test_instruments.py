"""Is every instrument metered by the key the exchange uses?"""

import pytest

from bulk_cancel.worker.okx.instruments import family_of, meter_of

NOT_OPTIONS = [
    "BTC-USDT",
    "BTC-USDT-SWAP",
    "BTC-USD-SWAP",
    "BTC-USD_UM-SWAP",
    "BTC-USD-250808",
    "BTC-USD_UM-250808",
    "SUI-USD_UM_XPERP-310404",
    "BTC-ABOVE-DAILY-260224-1600-65000",
    "BTC-UPDOWN-DAILY-260224-1600",
    "BTC-USDT_BTC-USDT-SWAP",
    "BTC-USD-191227-12500-X",
    "C",
    "",
]


@pytest.mark.parametrize("inst_id", NOT_OPTIONS)
def test_other_instruments_are_their_own_meter(inst_id: str) -> None:
    """Spot, swaps, futures and event contracts are metered one by one."""
    assert family_of(inst_id) is None
    assert meter_of(inst_id) == inst_id


@pytest.mark.parametrize(
    ("inst_id", "family"),
    [
        ("BTC-USD-191227-12500-C", "BTC-USD"),
        ("BTC-USD_UM-191227-12500-P", "BTC-USD_UM"),
        ("SOL-USD-260227-12.5-C", "SOL-USD"),
    ],
)
def test_options_share_their_familys_meter(inst_id: str, family: str) -> None:
    """Calls and puts of every strike and expiry of a family count together."""
    assert family_of(inst_id) == family
    assert meter_of(inst_id) == f"{family}:option"


def test_a_family_never_meets_an_instrument() -> None:
    """An instrument named like a family has a meter of its own."""
    assert meter_of("BTC-USD") != meter_of("BTC-USD-191227-12500-C")
