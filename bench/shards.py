"""What do several Redis bring, and what does the death of one cost? `python -m bench.shards`."""

import argparse
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Final

from bench.cpu import cpu_s
from bench.report import UNKEPT, is_whole, keep
from bench.rigs import DEPLOYED, SETTLE_S, until
from bulk_cancel.tasks import BulkCancel
from bulk_cancel.worker.simulator.config import DEFAULT_KEY, Config
from bulk_cancel.worker.simulator.embedded import EmbeddedRedis
from bulk_cancel.worker.state.shards import Shards
from bulk_cancel.worker.state.store import Store, adopt
from tests.support.desks import Desk, desk, settings_of
from tests.support.rig import Rig, orders

COUNTS: Final = (1, 2, 4)
ACCOUNTS: Final = 100
INSTRUMENTS: Final = tuple(f"COIN{number}-USDT" for number in range(8))
ORDERS: Final = 50
WORKERS: Final = 4
"""In all, whatever the number of Redis."""

ROUNDS: Final = 3
OUTAGE_S: Final = 20
NAMES: Final = ("default", "a", "b", "c")


@dataclass(frozen=True, slots=True)
class Spread:
    """One bulk over so many Redis: CPU seconds of each, in the order of `NAMES`, and seconds until all were off."""

    shards: int
    orders: int
    redis_cpu_s: tuple[float, ...]
    flat_s: float
    refusals: int


@dataclass(frozen=True, slots=True)
class Outage:
    """Two Redis, one dead for `outage_s`: seconds to flat of one bulk a second on the other, before and meanwhile.

    `kept`: orders of the dead one that were handed in before and meanwhile; `live`: those of all that were left.
    """

    outage_s: float
    before_s: tuple[float, ...]
    meanwhile_s: tuple[float, ...]
    kept: int
    live: int
    refusals: int


@dataclass(frozen=True, slots=True)
class Found:
    """All of it."""

    spreads: tuple[Spread, ...]
    outage: Outage


class Runner:
    """Several Redis with their workers, one exchange, and a producer."""

    def __init__(
        self, rig: Rig, others: Mapping[str, EmbeddedRedis], desks: Mapping[str, str], client: BulkCancel
    ) -> None:
        self.rig = rig
        self.redis = {"default": rig.redis, **others}
        self.shard_of = desks
        """Account to shard."""
        self.client = client

    def cpu_s(self) -> list[float]:
        """CPU seconds of each Redis so far."""
        return [cpu_s([server.pid]) for server in self.redis.values()]

    def place(self, account: str, count: int) -> list[dict[str, str]]:
        """So many new orders on each instrument, as a producer hands them in."""
        uid, control = _uid(account), self.rig.exchange.control
        return [row for name in INSTRUMENTS for row in orders(name, control.place(uid, name, count))]

    def live(self) -> int:
        """Orders on the exchange's books."""
        return self.rig.exchange.control.summary().live_orders

    def flat_s(self, began: float) -> float:
        """Waits until no order is left; seconds since `began`. The exchange is asked, not a Redis."""
        until(lambda: not self.live())
        return time.monotonic() - began


@contextmanager
def runner(shards: int, accounts: int) -> Iterator[Runner]:
    """Workers that know every account, on an exchange that has logged nothing yet."""
    desks = [desk(number) for number in range(2, accounts + 2)]
    homes = {each.name: NAMES[number % shards] for number, each in enumerate(desks)}
    with ExitStack() as stack:
        others = {name: stack.enter_context(EmbeddedRedis(options=DEPLOYED)) for name in NAMES[1:shards]}
        config = Config(accounts=(DEFAULT_KEY, *(each.key for each in desks)), instruments=INSTRUMENTS)
        rig = stack.enter_context(Rig(workers=0, config=config, redis=DEPLOYED, settings=_told(desks, homes, others)))
        stores = Shards(settings_of(rig))
        for shard in stores.all():
            adopt(shard.store)
        for name in NAMES[:shards]:
            rig.configure(**({"SHARD": name} if shards > 1 else {}))
            for _ in range(WORKERS // shards):
                rig.start_worker()
        # `desk1` is the rig's own
        until(lambda: sum(_published(shard.store) for shard in stores.all()) > accounts)
        time.sleep(SETTLE_S)
        urls = {name: server.url for name, server in others.items()}
        client = stack.enter_context(BulkCancel(rig.redis.url, shards=urls or None))
        yield Runner(rig, others, homes, client)


def _published(store: Store) -> int:
    """How many accounts workers have told its Redis of; what the settings say proves no worker."""
    return store.redis.hlen(store.keys.of("accounts"))


def _told(desks: Sequence[Desk], homes: Mapping[str, str], others: Mapping[str, EmbeddedRedis]) -> dict[str, str]:
    """The settings of all accounts and all Redis, without the runner's prefix."""
    shards = {f"SHARDS__{name.upper()}__REDIS_URL": server.url for name, server in others.items()}
    accounts = (each.settings(**({"SHARD": homes[each.name]} if others else {})) for each in desks)
    return {**shards, **{name: value for told in accounts for name, value in told.items()}}


def _uid(account: str) -> str:
    return desk(int(account.removeprefix("desk"))).uid


def spread(shards: int, accounts: int, count: int) -> Spread:
    """All accounts at once, `count` orders on each instrument."""
    with runner(shards, accounts) as running:
        placed = {account: running.place(account, count) for account in running.shard_of}
        before, began = running.cpu_s(), time.monotonic()
        taken = [running.client.submit(rows, account=account) for account, rows in placed.items()]
        flat_s = running.flat_s(began)
        for receipt in taken:
            receipt.wait(60)
        used = tuple(after - at for after, at in zip(running.cpu_s(), before, strict=True))
        refusals = running.rig.exchange.control.summary().refusals
        return Spread(shards, sum(map(len, placed.values())), used, flat_s, refusals)


def outage(outage_s: float, count: int) -> Outage:
    """One bulk a second on the Redis that lives; the other one is killed while it has orders."""
    with runner(2, 4) as running:
        here, there = (next(name for name, home in running.shard_of.items() if home == at) for at in ("default", "a"))
        before = _bulks(running, here, outage_s, count)
        waiting = running.client.submit(running.place(there, 10 * count), account=there)
        running.redis["a"].kill()
        kept = running.live()
        meanwhile = _bulks(running, here, outage_s, count, besides=kept)
        running.redis["a"].start()
        running.flat_s(time.monotonic())
        waiting.wait(60)
        summary = running.rig.exchange.control.summary()
        return Outage(outage_s, before, meanwhile, kept, summary.live_orders, summary.refusals)


def _bulks(running: Runner, account: str, lasts_s: float, count: int, besides: int = 0) -> tuple[float, ...]:
    """Seconds to flat of each, apart from the orders `besides`; one a second."""
    found: list[float] = []
    ends = time.monotonic() + lasts_s
    while time.monotonic() < ends:
        running.client.submit(running.place(account, count), account=account)
        began = time.monotonic()
        until(lambda: running.live() <= besides)
        found.append(time.monotonic() - began)
        time.sleep(max(0.0, 1 - found[-1]))
    return tuple(found)


def text(found: Found) -> str:
    """Two tables."""
    return "\n".join([*_spread_rows(found.spreads), "", *_outage_rows(found.outage)])


def _spread_rows(spreads: Sequence[Spread]) -> Iterator[str]:
    yield "| Redis | CPU s of the busiest one | to that of one alone | all of them | flat, s | refusals |"
    yield "|---|---|---|---|---|---|"
    alone = median(max(each.redis_cpu_s) for each in spreads if each.shards == 1)
    for shards in sorted({each.shards for each in spreads}):
        runs = [each for each in spreads if each.shards == shards]
        busiest = [max(each.redis_cpu_s) for each in runs]
        yield (
            f"| {shards} | {_of(busiest, 2)} | {_of([each / alone for each in busiest], 2)} | "
            f"{_of([sum(each.redis_cpu_s) for each in runs], 2)} | {_of([each.flat_s for each in runs], 2)} | "
            f"{sum(each.refusals for each in runs)} |"
        )


def _outage_rows(found: Outage) -> Iterator[str]:
    yield f"| two Redis, one dead for {found.outage_s:.0f} s | bulks on the other | to flat, s |"
    yield "|---|---|---|"
    for when, took_s in (("before", found.before_s), ("meanwhile", found.meanwhile_s)):
        yield f"| {when} | {len(took_s)} | {_of(took_s, 3)} |"
    yield ""
    yield f"{found.kept:,} orders of the dead one waited for it; left live: {found.live}; refusals: {found.refusals}."


def _of(values: Sequence[float], places: int) -> str:
    return f"{median(values):.{places}f} ({min(values):.{places}f}–{max(values):.{places}f})"


def measure(*, rounds: int, accounts: int, count: int, outage_s: float) -> Found:
    """The numbers of Redis by turns, so that a busy minute hits all of them."""
    spreads = []
    for number in range(rounds):
        for shards in COUNTS:
            spreads.append(spread(shards, accounts, count))
            print(f"  {shards} Redis, round {number + 1}: {spreads[-1]}", flush=True)
    return Found(tuple(spreads), outage(outage_s, count))


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures, keeps."""
    parser = argparse.ArgumentParser(description=__doc__, epilog=UNKEPT)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--tiny", action="store_true", help="one round of a few orders")
    told = parser.parse_args(arguments)
    if told.tiny:
        found = measure(rounds=1, accounts=8, count=5, outage_s=3)
    else:
        found = measure(rounds=told.rounds, accounts=ACCOUNTS, count=ORDERS, outage_s=OUTAGE_S)
    print(text(found))
    if is_whole(parser, told):
        keep("shards", text(found), found)


if __name__ == "__main__":
    main()
