"""Where are the channels of algo orders?"""

import pytest

from bulk_cancel.worker.okx.regions import REGIONS, business_url, same_exchange


@pytest.mark.parametrize(
    ("private", "business"),
    [
        ("wss://ws.okx.com:8443/ws/v5/private", "wss://ws.okx.com:8443/ws/v5/business"),
        ("ws://127.0.0.1:9/ws/v5/private", "ws://127.0.0.1:9/ws/v5/business"),
        ("wss://proxy.example/okx", None),
        (None, None),
    ],
)
def test_the_business_channels_are_beside_the_private_one(private: str | None, business: str | None) -> None:
    """An address of another form says nothing of another one."""
    assert business_url(private) == business


def test_hosts_of_one_region_are_one_exchange() -> None:
    """Whichever is given, in one order; every other address is one by itself."""
    hosts = ("https://openapi.okx.com", "https://www.okx.com")
    assert {same_exchange(each) for each in hosts} == {hosts}
    assert same_exchange("https://my.okx.com") == ("https://eea.okx.com", "https://my.okx.com")
    assert same_exchange("http://www.okx.com") == ("http://www.okx.com",)


def test_each_region_has_them() -> None:
    """On its own host, and on that of demo trading."""
    for region in REGIONS:
        for demo, host in ((False, region.ws), (True, region.demo_ws)):
            assert business_url(region.private_url(demo=demo)) == f"wss://{host}:8443/ws/v5/business"
