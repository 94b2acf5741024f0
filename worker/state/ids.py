"""Ids in Redis: of jobs and lanes."""

from typing import NamedTuple, Self

from bulk_cancel.worker.config.users import ALGOS, owner_of
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
    def is_algo(self) -> bool:
        """Whether it cancels an algo order; its ids are algoId and algoClOrdId then."""
        return self.uid.endswith(ALGOS)

    @property
    def ids(self) -> dict[str, str | None]:
        """Its ids as an outcome tells them: `ordId`, `algoId` and `clOrdId`, of an algo order its algoClOrdId."""
        of_algo = self.is_algo
        return {
            "ordId": None if of_algo else self.ord_id,
            "clOrdId": self.cl_ord_id,
            "algoId": self.ord_id if of_algo else None,
        }

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
    return OrderRef(*names_of(job))


def names_of(job: str) -> tuple[str, str | None, str | None]:
    """As `order_of`: instId, ordId, clOrdId, for who reads 100,000."""
    uid, _, order = job.partition("/")
    inst_id, _, named = order.partition("/")
    ident = named[1:]
    if uid and inst_id and ident and "\n" not in ident:
        if named[0] == "o":
            return inst_id, ident, None
        if named[0] == "c":
            return inst_id, None, ident
    raise ValueError(f"not a job id: {job!r}")


def lane_of(uid: str, inst_id: str) -> str:
    """The lane in which an order of this instrument waits: what the exchange meters."""
    return f"{uid}/{meter_of(inst_id)}"


def holder_of(lane: str) -> str:
    """Whose lane it is: a User ID, of a lane of algo orders with its mark."""
    return lane.partition("/")[0]


def is_of_algos(lane: str) -> bool:
    """Whether algo orders wait in it; of a job, whether it cancels one."""
    return holder_of(lane).endswith(ALGOS)


def uid_of(lane: str) -> str:
    """The User ID to whom a lane belongs, be it of orders or of algo orders."""
    return owner_of(holder_of(lane))
