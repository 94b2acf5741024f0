"""How an order is named to the exchange, and the words for its state."""

from typing import Final, NamedTuple

OPEN: Final = frozenset({"live", "partially_filled"})
ENDED: Final = frozenset({"canceled", "mmp_canceled", "filled"})
"""Values of an order's `state`; of one that is neither, nothing is known."""


class OrderRef(NamedTuple):
    """One order: its instrument and one id; `ordId` wins and is then the only one sent, as at the exchange."""

    instId: str
    ordId: str | None = None
    clOrdId: str | None = None

    def fields(self) -> dict[str, str]:
        """What a request says of this order: `instId` and exactly one id; raises ValueError if it has none."""
        if self.ordId:
            return {"instId": self.instId, "ordId": self.ordId}
        if self.clOrdId:
            return {"instId": self.instId, "clOrdId": self.clOrdId}
        raise ValueError(f"an order of {self.instId} needs ordId or clOrdId")
