"""A client of one runner: hands orders in, waits for them, reads what became of them. `aio.py` has one for asyncio.

The import costs next to nothing: what a client needs (pydantic, redis-py, parts of `worker`) is imported for the first.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, Unpack

from bulk_cancel.tasks.asking import answered
from bulk_cancel.tasks.fields import BatchFields, MassFields
from bulk_cancel.tasks.handles import Batch, MassSubmitted, Submitted, values_of
from bulk_cancel.tasks.outcomes import Outcome

if TYPE_CHECKING:
    from bulk_cancel.tasks.messages import Order
    from bulk_cancel.worker.config.settings import Settings
    from bulk_cancel.worker.state.shards import Shards

LISTEN_S: Final = 1.0
"""How long one question waits for outcomes: less than the 2 s after which Redis counts as silent."""

_EPOCH: Final = datetime.fromtimestamp(0, UTC)


class Client:
    """What a client is, whoever asks: the desks of a runner's shards, and whose."""

    def __init__(self, shards: "Shards") -> None:
        from bulk_cancel.worker.operators.desks import Desks

        self._desks = Desks(shards)

    def __repr__(self) -> str:
        """Without the passwords of the URLs."""
        from bulk_cancel.worker.config.shards import on_shard
        from bulk_cancel.worker.config.urls import redacted

        shards = self._desks.shards
        told = ", ".join(repr(redacted(on_shard(shards.settings, name).redis_url)) for name in shards.names)
        return f"{type(self).__name__}({told}, key_prefix={shards.settings.key_prefix!r})"


class ToldClient(Client):
    """One that is told of its runner; how its Redis is spoken to, a kind of it says."""

    def __init__(
        self,
        redis_url: str | None = None,
        *,
        key_prefix: str | None = None,
        deadline_s: int | None = None,
        retention_s: int | None = None,
        wait_replicas: int | None = None,
        shards: Mapping[str, str] | None = None,
    ) -> None:
        told = {"key_prefix": key_prefix, "deadline_s": deadline_s, "retention_s": retention_s}
        told_too = {"wait_replicas": wait_replicas, "shards": shards}
        super().__init__(self._shards(settings(redis_url, {**told, **told_too})))

    @staticmethod
    def _shards(told: "Settings") -> "Shards":
        raise NotImplementedError


class BulkCancel(ToldClient):
    """A client of one runner, for any number of threads; `with` closes its connections.

    Told a `redis_url`, it reads no environment, so that a process may have a client for each of its runners. The other
    arguments are the settings of these names (README.md), and need it; `shards` are its further Redis, by name.
    Told nothing, it has the environment's settings.

    Raises SettingsError. Nothing is sent to Redis before something is asked for.
    """

    @staticmethod
    def _shards(told: "Settings") -> "Shards":
        from bulk_cancel.worker.state.shards import Shards

        return Shards(told)

    def submit(
        self, orders: Iterable["Order | Mapping[str, object]"], *, account: str, **fields: Unpack[BatchFields]
    ) -> Submitted:
        """Hands in one batch, as `tasks.submit` does."""
        desk = answered(self._desks.of_account(account))
        receipt = answered(desk.submit(orders, {"account": account, **fields}))
        return Submitted(**values_of(receipt), _desk=desk)

    def submit_all(self, account: str, **fields: Unpack[MassFields]) -> list[MassSubmitted]:
        """Asks for everything to be cancelled that is open, as `tasks.submit_all` does."""
        taken = answered(self._desks.submit_all({"account": account, **fields}))
        return [MassSubmitted(**values_of(receipt), _desk=desk) for desk, receipt in taken]

    def batch(self, batch_id: str) -> Batch:
        """The batch with this id; nothing is asked yet."""
        return Batch(batch_id, self._desks)

    def outcomes_since(self, position: str | datetime = "0", *, timeout_s: float = 0) -> list[Outcome]:
        """Outcomes of all batches after `position`, in their order, at most 1,000 at once; see `follow`.

        None are there after `timeout_s` (at most a second) if the list is empty.
        """
        return answered(self._desks.since(as_position(position), min(timeout_s, LISTEN_S)))

    def follow(self, position: str | datetime = "0") -> Iterator[Outcome]:
        """Outcomes of all batches after `position`, in their order, as they come; it never ends by itself.

        `position` is that of the last outcome that you are done with: keep it with what you did about it, and whoever
        is stopped goes on from there without missing one. `0` is all that Redis keeps, a time all from then on.

        Raises:
            LostPositionError: this outcome is not in Redis any more, so others after it may be missing.
            NotAPositionError: this text is no position.
            UnreadableFormatError: Redis holds a format that a later release has raised; upgrade this one.
            redis.exceptions.RedisError: Redis did not answer; follow again from your last position.
        """
        position = as_position(position)
        while True:
            for outcome in self.outcomes_since(position, timeout_s=LISTEN_S):
                position = outcome.position
                yield outcome

    def newest(self) -> str:
        """The position after which outcomes are still to come."""
        return answered(self._desks.newest())

    def close(self) -> None:
        """Closes the connections; the client may be used again."""
        for store in self._desks.shards.opened:
            store.redis.close()
            store.admission.redis.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def settings(redis_url: str | None, told: Mapping[str, Any]) -> "Settings":
    """What a client was told, or what the environment says."""
    from bulk_cancel.worker.config.settings import load_settings, settings_of

    given = {name: value for name, value in told.items() if value is not None}
    if redis_url is not None:
        shards = {name: {"redis_url": url} for name, url in dict(given.pop("shards", {})).items()}
        return settings_of(redis_url=redis_url, shards=shards, **given)
    if given:
        raise TypeError(f"{', '.join(given)}: give redis_url, too; without it the environment says everything")
    return load_settings()


def as_position(position: str | datetime) -> str:
    """Where to read from: a time is one that knows its zone, in ms since the epoch."""
    if isinstance(position, str):
        return position
    if position.tzinfo is None:
        raise ValueError("the time has no zone; give one such as datetime.now(UTC)")
    # down: what ended in this ms may have ended after it
    return str((position - _EPOCH) // timedelta(milliseconds=1))
