"""The exchange's regions: which REST hosts each has, and where its private channels are. Pure.

A key is known in its own region alone. What is no host of the exchange is a test exchange or a proxy: it has no region.
"""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

UNKNOWN_KEY: Final = frozenset({"50119", "60032"})
"""The key does not exist, as REST and the channels say it: in another region it may."""

_PRIVATE: Final = "wss://{}:8443/ws/v5/private"
_PATH, _BUSINESS_PATH = "/ws/v5/private", "/ws/v5/business"
_HTTPS: Final = 443


@dataclass(frozen=True, slots=True)
class Region:
    """One region; the first of its REST hosts is the one to name, `ws` and `demo_ws` are hosts of its channels."""

    name: str
    hosts: tuple[str, ...]
    ws: str
    demo_ws: str

    @property
    def base_url(self) -> str:
        """Where its REST calls go."""
        return f"https://{self.hosts[0]}"

    def private_url(self, *, demo: bool) -> str:
        """The private channel's address."""
        return _PRIVATE.format(self.demo_ws if demo else self.ws)


REGIONS: Final = (
    Region("global", ("openapi.okx.com", "www.okx.com"), "ws.okx.com", "wspap.okx.com"),
    Region("EEA, my.okx.com", ("eea.okx.com", "my.okx.com"), "wseea.okx.com", "wseeapap.okx.com"),
    Region("US and Australia, app.okx.com", ("us.okx.com", "app.okx.com"), "wsus.okx.com", "wsuspap.okx.com"),
)


def region_of(base_url: str) -> Region | None:
    """The region of a REST address; None for one that is not the exchange's."""
    parts = urlsplit(base_url)
    if parts.scheme != "https" or parts.port not in {None, _HTTPS} or parts.path:
        return None
    return next((region for region in REGIONS if parts.hostname in region.hosts), None)


def same_exchange(base_url: str) -> tuple[str, ...]:
    """All base URLs under which the same users are found, in one order whichever of them is given."""
    region = region_of(base_url)
    return tuple(f"https://{host}" for host in region.hosts) if region else (base_url,)


def business_url(private_url: str | None) -> str | None:
    """Where the channels of algo orders are, beside the private channel; None where that has an address of its own."""
    if private_url is None or not private_url.endswith(_PATH):
        return None
    return private_url.removesuffix(_PATH) + _BUSINESS_PATH


def other_regions(base_url: str) -> str:
    """The base URLs of the other regions, in words; "" for an address that is not the exchange's."""
    own = region_of(base_url)
    others = (f"{region.base_url} ({region.name})" for region in REGIONS if region is not own)
    return " or ".join(others) if own else ""
