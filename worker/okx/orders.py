"""How an order is named to the exchange."""

from typing import NamedTuple


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
