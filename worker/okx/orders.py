"""How is an order named to the exchange?"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OrderRef:
    """One order: its instrument and one id; `ordId` wins and is then the only one sent, as at the exchange.

    Raises:
        ValueError: neither id is given.
    """

    instId: str
    ordId: str | None = None
    clOrdId: str | None = None

    def __post_init__(self) -> None:
        if not (self.ordId or self.clOrdId):
            raise ValueError(f"an order of {self.instId} needs ordId or clOrdId")

    def fields(self) -> dict[str, str]:
        """What a request says of this order: `instId` and exactly one id."""
        if self.ordId:
            return {"instId": self.instId, "ordId": self.ordId}
        return {"instId": self.instId, "clOrdId": self.clOrdId or ""}
