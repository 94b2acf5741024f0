"""Which bulks are raced, and by whom? So many accounts, instruments and orders, and the legal minimum of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bench.before import COMMIT
from bench.figures import Confirm
from bulk_cancel.worker.okx.limits import BATCH_SIZE, Limits
from bulk_cancel.worker.simulator.accounts import ApiKey
from bulk_cancel.worker.simulator.faults import Network
from bulk_cancel.worker.state.window import LaneLoad, earliest_s

LIMITS: Final = Limits(single=60, batch=300)
WINDOW_S: Final = 2.0
NETWORK: Final = Network(delay_ms=2.0, jitter_ms=6.0)
"""One way: 5 ms ± 3 ms, uniform."""

OPTION_ORDERS: Final = 300
"""Orders on one option of a family; the exchange allows 500."""

OURS: Final[Mapping[Confirm, str]] = {"off": "us ×2", "on": "us ×2, confirming"}
"""The contenders that the bars are for, by `CONFIRM`."""

BEFORE: Final[Mapping[Confirm, str]] = {"off": f"{COMMIT[:7]} ×2", "on": f"{COMMIT[:7]} ×2, confirming"}
"""The build before, to which some bars are ratios."""

LIBRARIES: Final = ("ccxt", "python-okx")
US: Final = ("us ×1", OURS["off"], "us ×4", OURS["on"])
CELERY: Final = "plain Celery"
TUNED: Final = "plain Celery, tuned"


def option_names(count: int) -> tuple[str, ...]:
    """So many options of one family, which is one lane."""
    return tuple(f"BTC-USD-271231-{100_000 + 1_000 * number}-C" for number in range(count))


def legal_minimum_s(in_lane: int, *, single: bool) -> float:
    """Seconds from the first cancel's arrival to the last one's, at least, for so many orders in one free lane."""
    return earliest_s(LaneLoad(in_lane, 0, 0, 0.0), LIMITS, 1 if single else BATCH_SIZE, WINDOW_S)


@dataclass(frozen=True, slots=True)
class Account:
    """One account of the race: its name here and its key and User ID at the exchange."""

    name: str
    key: ApiKey


@dataclass(frozen=True, slots=True)
class Scenario:
    """`accounts` × `instruments` × `orders`; `option`: all instruments are one family, so one lane.

    `single`: only the single endpoint may be used. `rounds` is None where the command line decides.
    """

    name: str
    accounts: int
    instruments: int
    orders: int
    option: bool = False
    single: bool = False
    rounds: int | None = None
    contenders: Sequence[str] = (*LIBRARIES, CELERY, *US)

    @property
    def total(self) -> int:
        """All orders."""
        return self.accounts * self.instruments * self.orders

    @property
    def inst_ids(self) -> tuple[str, ...]:
        """The instruments, the same for every account."""
        if self.option:
            return option_names(self.instruments)
        return tuple(f"COIN{number}-USDT" for number in range(self.instruments))

    @property
    def people(self) -> tuple[Account, ...]:
        """The accounts, each a User ID of its own."""
        return tuple(_account(number) for number in range(self.accounts))

    @property
    def minimum_s(self) -> float:
        """The legal minimum from the first cancel's arrival to the last one's."""
        in_lane = self.orders * (self.instruments if self.option else 1)
        return legal_minimum_s(in_lane, single=self.single)

    def cap_s(self, patience_s: float) -> float:
        """When whoever is not done is stopped, the same for everybody."""
        return self.minimum_s + patience_s


def _account(number: int) -> Account:
    name = f"risk{number}"
    return Account(name, ApiKey(f"{name}-key", f"{name}-secret", f"{name}-pass", uid=str(10_001 + number)))


WITH_TUNED: Final = (*LIBRARIES, CELERY, TUNED, *US)
"""Elsewhere its one rate for all orders says nothing that this scenario does not."""

SCENARIOS: Final = (
    Scenario("1×300", 1, 1, 300, contenders=WITH_TUNED),
    Scenario("1×500", 1, 1, 500),
    Scenario("8×500", 1, 8, 500),
    Scenario("20×200", 1, 20, 200),
    Scenario("200×50", 1, 200, 50, contenders=("ccxt", *US)),
    Scenario("100 accounts × 8 × 50", 100, 8, 50, contenders=(*LIBRARIES, CELERY, *US, *BEFORE.values())),
    Scenario("3,000 on one option family", 1, 10, OPTION_ORDERS, option=True, rounds=1),
    Scenario("8×120, single endpoint", 1, 8, 120, single=True, contenders=("python-okx", *US)),
)

TINY: Final = (
    Scenario("1×40", 1, 1, 40, contenders=WITH_TUNED),
    Scenario("2 accounts × 2 × 20", 2, 2, 20, contenders=(*LIBRARIES, *US)),
    Scenario(
        "60 on one option family, single endpoint", 1, 2, 30, option=True, single=True, contenders=("python-okx", *US)
    ),
)
"""Shows that everything works, in a minute or two; measures nothing."""
