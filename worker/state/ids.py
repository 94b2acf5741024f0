"""Ids in Redis: of jobs and lanes."""

from typing import NamedTuple, Self

from bulk_cancel.worker.okx.instruments import meter_of
from bulk_cancel.worker.okx.orders import OrderRef


class JobId(NamedTuple):
    """Which order a job cancels: User ID, instrument and one id. Its text is the job's id in Redis."""

    uid: str
    inst_id: str
    ord_id: str | None
    cl_ord_id: str | None

    def __str__(self) -> str:
        """The id in Redis, such as `446/BTC-USDT/o2510789768709120`."""
        return f"{self.uid}/{self.inst_id}/" + (f"o{self.ord_id}" if self.ord_id else f"c{self.cl_ord_id}")

    @property
    def lane(self) -> str:
        """The lane in which the job waits."""
        return lane_of(self.uid, self.inst_id)

    @classmethod
    def parse(cls, text: str) -> Self:
        """The inverse of `str`; raises ValueError for anything else."""
        return cls(text.partition("/")[0], *order_of(text))


def order_of(job: str) -> OrderRef:
    """The order that a job cancels, as the exchange is told of it; raises ValueError for what is no job's id."""
    uid, _, order = job.partition("/")
    inst_id, _, named = order.partition("/")
    ident = named[1:]
    if uid and inst_id and ident and "\n" not in ident:
        if named[0] == "o":
            return OrderRef(inst_id, ident)
        if named[0] == "c":
            return OrderRef(inst_id, None, ident)
    raise ValueError(f"not a job id: {job!r}")


def lane_of(uid: str, inst_id: str) -> str:
    """The lane in which an order of this instrument waits: what the exchange meters."""
    return f"{uid}/{meter_of(inst_id)}"


def uid_of(lane: str) -> str:
    """The User ID to whom a lane belongs."""
    return lane.partition("/")[0]
