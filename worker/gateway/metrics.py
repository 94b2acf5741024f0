"""What Prometheus is told: read from Redis when it asks, so it is right whatever the number of workers and doors.

Gauges are how the runner stands. Counters and histograms are those that the verbs keep in the hash `totals`, with the
times that they write anyway: no process has to live until it is asked, and they outlive what they count.
"""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from threading import Lock
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from redis.exceptions import RedisError

from bulk_cancel.tasks.errors import UnreadableFormatError
from bulk_cancel.worker.config.users import ALGOS
from bulk_cancel.worker.gateway.parts import Desk, Desks
from bulk_cancel.worker.operators.pressing import all_not_flat
from bulk_cancel.worker.operators.status import Lane, Snapshot
from bulk_cancel.worker.state.scopes import parse_scope
from bulk_cancel.worker.state.statuses import OUTCOMES
from bulk_cancel.worker.state.totals import BOUNDS_US, Totals, read_totals

LANES: Final = 50
"""Lanes that are told by name; what all others use is told as `other`."""

FRESH_S: Final = 1.0
"""What was read serves every scrape for so long, unless something was done at this door."""

_STAGES: Final = {
    "sent": ("submit_to_sent", "From the admission of an order to the first byte of its first cancel"),
    "accepted": ("sent_to_accepted", "From its first cancel to the exchange's acceptance"),
    "confirmed": ("accepted_to_confirmed", "From the acceptance until the order is proved to be off the book"),
}


class Whole(Collector):
    """The metrics of a runner; where it has several shards, each sample says of which one it is."""

    def __init__(self, desks: Desks) -> None:
        self._desks = desks
        self._figures: dict[str, Figures] = {}

    def collect(self) -> Iterator[Metric]:
        """All of them; a shard that is away has `up` alone, and the others have theirs."""
        told = self._desks.each(lambda desk: self._of(desk).collect()).answers
        return iter(_labelled(told) if self._desks.several else next(iter(told.values())))

    def _of(self, desk: Desk) -> "Figures":
        return self._figures.setdefault(desk.shard.name, Figures(desk))


class Figures:
    """One shard's metrics; `up` is 0 while its Redis does not answer or cannot be read: then there is nothing else."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._store = desk.store
        self._lock = Lock()
        self._told: Sequence[Metric] = ()
        self._read_at = 0.0
        self._changes = 0

    def collect(self) -> Sequence[Metric]:
        """All of them, at most `FRESH_S` old; raises nothing of Redis's. Those who ask at once are told the same."""
        with self._lock:
            changes = self._desk.changes
            if not self._told or changes != self._changes or time.monotonic() - self._read_at > FRESH_S:
                self._told, self._changes, self._read_at = [*self._read()], changes, time.monotonic()
            return self._told

    def _read(self) -> Iterator[Metric]:
        try:
            found = [*self._gauges(self._desk.snapshot()), *_counters(read_totals(self._store.redis, self._store.keys))]
        except (RedisError, UnreadableFormatError):
            found = []
        yield _gauge("up", "Redis answers, in a format that this release reads", float(bool(found)))
        yield from found

    def _gauges(self, snapshot: Snapshot) -> Iterator[Metric]:
        yield _by("orders", "Orders without an outcome", "state", self._orders(snapshot))
        yield _gauge("batches_waiting", "Batches with orders that wait", snapshot.batches_waiting)
        yield _gauge("mass_cancels_running", "Mass cancels that still list", len(snapshot.masses))
        flawed = len(all_not_flat(self._store, snapshot.masses))
        yield _gauge("mass_cancels_not_flat", "Mass cancels whose scope was not found flat, nor since", flawed)
        yield _gauge("orders_may_be_live", "Orders whose cancel was given up", snapshot.may_be_live)
        yield _gauge("refused_kept", "Messages and rows that could not be admitted, as far as kept", snapshot.refused)
        urgent = snapshot.oldest_urgent
        oldest = {"yes": urgent.waits_s if urgent else 0.0, "no": self._oldest_s(snapshot.at)}
        yield _by("oldest_waiting_seconds", "How long the longest waits: urgent order, other batch", "urgent", oldest)
        yield from _windows(snapshot.lanes)
        yield _by("rests", "Scopes that may not be sent for", "kind", _rests(snapshot, paused=False))
        yield _by("pauses", "Scopes that an operator paused", "kind", _rests(snapshot, paused=True))
        yield from _workers(snapshot)
        yield _gauge("channels", "Users whose private channel a worker attends", self._channels(snapshot))
        yield from _switches(snapshot)
        marks = {str(kind): float(mark) for kind, mark in snapshot.formats.items()}
        yield _by("format", "Marked formats of what stands in Redis", "kind", marks)

    def _oldest_s(self, now: datetime) -> float:
        """Of all batches that wait: a snapshot has those whose deadlines are next, and they may be the youngest."""
        waiting = (state for state in self._store.batches.recent(0) if state.waiting and not state.urgent)
        return max((_seconds(now, state.created_at) for state in waiting), default=0.0)

    def _orders(self, snapshot: Snapshot) -> dict[str, float]:
        counts = Counter[str]()
        for lane in snapshot.lanes:
            counts.update(queued=lane.queued, sending=lane.sending, retrying=lane.retrying)
        return {**counts, "unconfirmed": self._unconfirmed(snapshot)}

    def _unconfirmed(self, snapshot: Snapshot) -> float:
        """Algo orders, too: they wait apart from the user's orders."""
        with self._store.redis.pipeline(transaction=False) as pipe:
            for uid in sorted(set(snapshot.accounts.values())):
                for holder in (uid, uid + ALGOS):
                    pipe.zcard(self._store.keys.of("unconfirmed", holder))
            return float(sum(pipe.execute()))

    def _channels(self, snapshot: Snapshot) -> float:
        keys = [self._store.keys.of("witness", uid) for uid in sorted(set(snapshot.accounts.values()))]
        return float(sum(value is not None for value in self._store.redis.mget(keys))) if keys else 0.0


def registry_of(desks: Desks) -> CollectorRegistry:
    """A registry with the runner's metrics, and nothing of this process."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Whole(desks))
    return registry


def _labelled(told: Mapping[str, Sequence[Metric]]) -> list[Metric]:
    """Each metric once, with the samples of all shards."""
    found: dict[str, Metric] = {}
    for shard, metrics in told.items():
        for each in metrics:
            made = found.setdefault(each.name, Metric(each.name, each.documentation, each.type, each.unit))
            made.samples += [sample._replace(labels={"shard": shard, **sample.labels}) for sample in each.samples]
    return [*found.values()]


def _gauge(name: str, about: str, value: float) -> Metric:
    return GaugeMetricFamily(f"bulk_cancel_{name}", about, value=float(value))


def _by(name: str, about: str, label: str, values: Mapping[str, float]) -> Metric:
    made = GaugeMetricFamily(f"bulk_cancel_{name}", about, labels=[label])
    for key, value in sorted(values.items()):
        made.add_metric([str(key)], float(value))
    return made


def _seconds(now: datetime, then: datetime) -> float:
    return max(0.0, (now - then).total_seconds())


def _windows(lanes: Sequence[Lane]) -> Iterator[Metric]:
    used = GaugeMetricFamily("bulk_cancel_window_used", "Slots of any 2 s that are used", labels=["lane", "meter"])
    limit = GaugeMetricFamily("bulk_cancel_window_limit", "Slots of any 2 s that we allow", labels=["lane", "meter"])
    busy = sorted((lane for lane in lanes if lane.waiting), key=lambda lane: -lane.waiting)
    for lane in busy[:LANES]:
        for meter, count, most in _meters(lane):
            used.add_metric([lane.name, meter], count)
            limit.add_metric([lane.name, meter], most)
    if busy[LANES:]:
        for place, meter in enumerate(("single", "batch")):
            rest = [_meters(lane)[place] for lane in busy[LANES:]]
            used.add_metric(["other", meter], sum(count for _, count, _ in rest))
            limit.add_metric(["other", meter], sum(most for _, _, most in rest))
    yield used
    yield limit


def _meters(lane: Lane) -> list[tuple[str, int, int]]:
    return [("single", lane.single_used, lane.limits.single), ("batch", lane.batch_used, lane.limits.batch)]


def _rests(snapshot: Snapshot, *, paused: bool) -> dict[str, float]:
    found = Counter(dict.fromkeys(("lane", "user", "account", "exchange", "redis"), 0))
    found.update(parse_scope(rest.scope)[0] for rest in snapshot.rests if bool(rest.paused_by) == paused)
    return dict(found)


def _workers(snapshot: Snapshot) -> Iterator[Metric]:
    alive = [worker for worker in snapshot.workers if worker.alive]
    yield _gauge("workers", "Workers that are alive", len(alive))
    yield _gauge("worker_problems", "What does not work, over all workers", sum(len(each.problems) for each in alive))
    yield _gauge("calls_in_flight", "Calls under way", sum(worker.in_flight for worker in alive))
    yield _gauge("calls_permitted", "Calls that may be under way", sum(worker.permits for worker in alive))
    served = Counter(dict.fromkeys(snapshot.accounts, 0))
    served.update(account for worker in alive for account in worker.accounts)
    yield _by("account_workers", "Workers that serve the account", "account", served)


def _switches(snapshot: Snapshot) -> Iterator[Metric]:
    left = {s.uid: _seconds(s.armed_until, snapshot.at) for s in snapshot.switches if s.armed_until}
    yield _by("switch_seconds_left", "Until the dead man's switch fires, unless it is refreshed", "uid", left)
    ran_out = {s.uid: s.ran_out.timestamp() for s in snapshot.switches if s.ran_out}
    yield _by("switch_ran_out_timestamp_seconds", "When the switch last ran out", "uid", ran_out)


def _counters(totals: Totals) -> Iterator[Metric]:
    outcomes = CounterMetricFamily("bulk_cancel_outcomes", "Orders that ended, by outcome", labels=["status"])
    for status in OUTCOMES:
        outcomes.add_metric([str(status)], totals.count(f"status:{status}"))
    yield outcomes
    calls = CounterMetricFamily("bulk_cancel_calls", "Cancelling calls that were sent", labels=["endpoint"])
    refused = CounterMetricFamily("bulk_cancel_refused_for_speed", "Of these, refused for speed", labels=["endpoint"])
    took = HistogramMetricFamily("bulk_cancel_call_seconds", "How long answered calls took", labels=["endpoint"])
    for endpoint in ("single", "batch"):
        calls.add_metric([endpoint], totals.count(f"calls:{endpoint}"))
        refused.add_metric([endpoint], totals.count(f"refused:{endpoint}"))
        _add(took, [endpoint], totals, f"call:{endpoint}")
    yield from (calls, refused, took)
    for stage, (name, about) in _STAGES.items():
        made = HistogramMetricFamily(f"bulk_cancel_{name}_seconds", about, labels=[])
        _add(made, [], totals, stage)
        yield made


def _add(to: HistogramMetricFamily, labels: list[str], totals: Totals, name: str) -> None:
    buckets, seen = [], 0
    for bound_us in BOUNDS_US:
        seen += totals.count(f"{name}:{bound_us}")
        buckets.append((str(bound_us / 1e6), float(seen)))
    buckets.append(("+Inf", float(seen + totals.count(f"{name}:inf"))))
    to.add_metric(labels, buckets, totals.count(f"{name}:sum") / 1e6)
