"""The points of `check`: whether all that a runner needs is in order, and how to mend what is not.

Nothing is changed: Redis is read, a key of `check` itself written and deleted, and slots of reading calls are taken;
the exchange is asked for its time, each account's own configuration, and what can place orders besides programs.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from redis.exceptions import RedisError

from bulk_cancel.tasks.errors import UnreadableFormatError
from bulk_cancel.worker.books.identity import conflicts
from bulk_cancel.worker.config.faults import PREFIX
from bulk_cancel.worker.config.settings import Settings, redacted
from bulk_cancel.worker.config.shards import redis_setting
from bulk_cancel.worker.config.users import User, users_of
from bulk_cancel.worker.okx.client import AccountConfig, OkxClient
from bulk_cancel.worker.okx.codes import Scope, lookup
from bulk_cancel.worker.okx.credentials import Credentials
from bulk_cancel.worker.okx.errors import ExchangeError, NotAuthorised
from bulk_cancel.worker.okx.regions import UNKNOWN_KEY, other_regions
from bulk_cancel.worker.operators.able_check import able_points
from bulk_cancel.worker.operators.broker_check import broker_points
from bulk_cancel.worker.operators.formats import format_points
from bulk_cancel.worker.operators.moving import moving_points
from bulk_cancel.worker.operators.other_dbs import other_dbs
from bulk_cancel.worker.operators.point import Point, brief
from bulk_cancel.worker.operators.pressing import conditions
from bulk_cancel.worker.operators.status import read_snapshot
from bulk_cancel.worker.state.admission import FULL_AT
from bulk_cancel.worker.state.connection import UnfitRedisError, check_redis, lacking
from bulk_cancel.worker.state.fleet import START_WORKER, read_workers
from bulk_cancel.worker.state.rights import Role, try_rights
from bulk_cancel.worker.state.store import Store

CLOCK_OK_S: Final = 1.0
NEARLY_FULL: Final = 0.7


def run_checks(store: Store, client: OkxClient) -> Iterator[Point]:
    """Every point, as it is answered."""
    settings = store.settings
    yield from _redis(store)
    yield from _asked("rights", lambda: _rights(store))
    yield from _asked("windows", lambda: other_dbs(store))
    yield from broker_points(settings)
    told: dict[str, str] = {}
    yield from _exchange(settings, client, told)
    yield from _asked("can trade", lambda: list(able_points(store, client, told)))
    yield from _asked("workers", lambda: _workers(store))
    yield from _asked("shards", lambda: moving_points(store))
    yield from _asked("formats", lambda: format_points(store))
    yield from _asked("lanes", lambda: [_lanes(store)])
    yield from conditions(store)


def _lanes(store: Store) -> Point:
    """Orders whose UID no account has any more are sent by nobody."""
    served = {info.uid for info in store.directory.all().values()}
    stranded = [lane for lane in read_snapshot(store).lanes if lane.waiting and lane.uid not in served]
    if not stranded:
        return Point("lanes", "ok", "every lane with orders has an account")
    uids = ", ".join(sorted({lane.uid for lane in stranded}))
    orders = sum(lane.waiting for lane in stranded)
    return Point(
        "lanes",
        "FAIL",
        f"{orders} orders wait for UID {uids}, which no account has",
        "set UID back until they are done",
    )


def _asked(name: str, ask: Callable[[], list[Point]]) -> list[Point]:
    try:
        return ask()
    except RedisError as error:
        return [Point(name, "warn", f"not asked: {brief(error)}", "mend Redis first")]
    except UnreadableFormatError as error:
        return [Point(name, "warn", f"not asked: {error}", "see formats")]


def _redis(store: Store) -> list[Point]:
    where = redacted(store.settings.redis_url)
    try:
        info: Mapping[str, Any] = store.redis.info()
    except RedisError as error:
        mend = f"start Redis there, or correct {redis_setting(store.settings)} (address, user, password)"
        away = Point("redis", "FAIL", f"no answer from {where}: {brief(error)}", mend)
        return [away, *(Point(name, "warn", "not asked: Redis is away", "") for name in ("persistence", "memory"))]
    return [_version(info, where), *redis_points(info)]


def _version(info: Mapping[str, Any], where: str) -> Point:
    try:
        check_redis(info)
    except UnfitRedisError as error:
        return Point("redis", "FAIL", f"{where}: {error}", "workers refuse to start on it")
    return Point("redis", "ok", f"Redis {info['redis_version']} at {where} answers and evicts nothing")


def _rights(store: Store) -> list[Point]:
    """Tried by writing a key that is deleted at once: a producer's rights, where there are accounts a worker's."""
    role: Role = "worker" if store.settings.accounts else "producer"
    trial = try_rights(store.redis, store.keys, role, waits=store.settings.wait_replicas > 0)
    if trial.refused and not trial.missing:
        mend = "mend Redis (its replicas, its disk): until then nothing is cancelled"
        return [Point("rights", "FAIL", f"Redis refuses to write: {trial.refused}", mend)]
    if not trial.missing:
        return [Point("rights", "ok", "this Redis user may do all that it needs")]
    if store.settings.accounts or try_rights(store.redis, store.keys, "reader").missing:
        return [Point("rights", "FAIL", lacking(trial.missing), "grant them, or use the worker's user")]
    return [Point("rights", "warn", "this Redis user may read, not submit or decide", lacking(trial.missing))]


def redis_points(info: Mapping[str, Any]) -> list[Point]:
    """Pure: persistence and memory, judged by what INFO says."""
    return [_persistence(info), _memory(info)]


def _persistence(info: Mapping[str, Any]) -> Point:
    if info.get("aof_last_write_status", "ok") != "ok":
        return Point("persistence", "FAIL", "the last write of the append-only file failed", "free the disk of Redis")
    if not int(info.get("aof_enabled", 0)):
        mend = "CONFIG SET appendonly yes, and in redis.conf; orders are lost otherwise when Redis restarts"
        return Point("persistence", "warn", "appendonly is off: a restart forgets what was enqueued", mend)
    return Point("persistence", "ok", "appendonly is on")


def _memory(info: Mapping[str, Any]) -> Point:
    limit, used = int(info.get("maxmemory", 0)), int(info["used_memory"])
    if not limit:
        mend = "set maxmemory below what the machine has: Redis then refuses instead of being killed"
        return Point("memory", "warn", f"{_mib(used)} used, no maxmemory", mend)
    share = used / limit
    text = f"{_mib(used)} of {_mib(limit)} used ({share:.0%})"
    if share >= FULL_AT:
        return Point("memory", "FAIL", f"{text}: submit refuses from {FULL_AT:.0%}", "raise maxmemory")
    return Point("memory", "warn" if share >= NEARLY_FULL else "ok", text, "raise maxmemory in time")


def _mib(size: int) -> str:
    return f"{size / 2**20:,.0f} MiB"


def _exchange(settings: Settings, client: OkxClient, told: dict[str, str]) -> Iterator[Point]:
    """Fills `told`: the User ID of each account that the exchange lets in."""
    users = users_of(settings)
    if not users:
        mend = f"workers need {PREFIX}ACCOUNTS__<NAME>__API_KEY and so on; producers do not"
        yield Point("accounts", "warn", "no account is set up here", mend)
    away: set[str] = set()
    for address in sorted({user.base_url for user in users.values()}):
        point = _clock(client, address)
        yield point
        away |= {address} if point.level == "FAIL" else set()
    yield from _accounts(client, users, away, told)


def _clock(client: OkxClient, address: str) -> Point:
    try:
        offset_s = client.clock.measure(address)
    except ExchangeError as error:
        return away_point(address, error)
    return clock_point(address, offset_s)


def away_point(address: str, error: ExchangeError) -> Point:
    """Pure: nobody there tells the time."""
    mend = f"correct {PREFIX}OKX_BASE_URL (or the account's BASE_URL)"
    if error.redirects:
        return Point("exchange", "FAIL", f"{address}: {_redirected(error)}", mend + _other_regions(address))
    return Point("exchange", "FAIL", f"{address}: {error.told}", f"{mend}, or open the way there")


def _redirected(error: ExchangeError) -> str:
    """What is signed goes only where the settings say."""
    return f"{error.told}: a redirect, which is not followed"


def _other_regions(base_url: str) -> str:
    others = other_regions(base_url)
    return f"; the other regions are {others}" if others else ""


def clock_point(address: str, offset_s: float) -> Point:
    """Pure: the exchange's clock minus ours; requests are corrected by it, so it is a warning at most."""
    text = f"{address} answers; its clock is {offset_s:+.3f} s from ours"
    if abs(offset_s) > CLOCK_OK_S:
        return Point("exchange", "warn", text, "have NTP set this machine's clock")
    return Point("exchange", "ok", text)


def _accounts(client: OkxClient, users: Mapping[str, User], away: set[str], told: dict[str, str]) -> Iterator[Point]:
    for account in (account for user in users.values() for account in user.accounts):
        name = f"account {account.name}"
        if account.base_url in away:
            yield Point(name, "warn", "not asked: the exchange does not answer", "mend the way to the exchange first")
            continue
        try:
            config = client.account_config(account)
        except ExchangeError as error:
            yield refusal_point(account, error)
            continue
        told[account.name] = config.uid
        yield account_point(name, config)
    for conflict in conflicts(users, told):
        yield Point("uid", "FAIL", conflict.text, "until then nothing is sent for these accounts")


def refusal_point(account: Credentials, error: ExchangeError) -> Point:
    """Pure: why the exchange does not tell whose key it is. Other regions are named; no key is tried there."""
    name, field = f"account {account.name}", f"{PREFIX}ACCOUNTS__{account.name.upper()}__"
    regions = _other_regions(account.base_url)
    if error.redirects:
        return Point(name, "FAIL", _redirected(error), f"correct {field}BASE_URL{regions}")
    if error.code in UNKNOWN_KEY and regions:
        mend = f"correct {field}API_KEY, or set {field}BASE_URL to the account's own region{regions}"
        return Point(name, "FAIL", error.told, mend)
    if lookup(error.code).scope is Scope.WORKER:
        mend = "workers elsewhere are not concerned; else add this machine's address to the key's list at the exchange"
        return Point(name, "warn", f"not from this machine: {error.told}", mend)
    if isinstance(error, NotAuthorised):
        mend = f"correct {field}API_KEY, {field}API_SECRET, {field}PASSPHRASE, its DEMO or its BASE_URL (region)"
        return Point(name, "FAIL", error.told, f"{mend}; or the key's IP list at the exchange")
    return Point(name, "warn", f"not asked: {error.told}", "try again")


def account_point(name: str, config: AccountConfig) -> Point:
    """Pure: what the exchange tells of a key."""
    if "trade" not in config.permissions:
        has = ", ".join(config.permissions) or "none"
        return Point(name, "FAIL", f"the key may not trade (permissions: {has})", "give the key the Trade permission")
    if "withdraw" in config.permissions:
        mend = "take the Withdraw permission from the key: nothing here needs it, and whoever steals it could"
        return Point(name, "warn", f"the key works for User ID {config.uid}, but may withdraw funds", mend)
    bound = f"bound to {len(config.ip)} addresses" if config.ip else "not bound to an address"
    return Point(name, "ok", f"the key works for User ID {config.uid}, may trade, {bound}")


def _workers(store: Store) -> list[Point]:
    workers = read_workers(store.redis, store.keys)
    alive = sum(worker.alive for worker in workers)
    problems = sorted({(name, why) for worker in workers for name, why in worker.problems.items()})
    found = [Point("workers", "ok", f"{alive} alive")]
    if not alive:
        found = [Point("workers", "ACT", "none is alive: nothing is sent", f"start one: {START_WORKER}")]
    served = {name for worker in workers if worker.alive for name in worker.accounts}
    unserved = sorted(store.settings.accounts.keys() - served) if alive else []
    found += [
        Point("workers", "ACT", f"none serves account {name}: nothing is sent for it", "every worker needs it")
        for name in unserved
    ]
    return found + [_problem(name, why) for name, why in problems]


def _problem(name: str, why: str) -> Point:
    """What a worker says of itself."""
    return Point("workers", "warn", f"{'nothing is sent for ' * name.startswith('account ')}{name}: {why}", "")
