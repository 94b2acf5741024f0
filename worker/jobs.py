"""What do jobs say of themselves? Many read at once, without a verb: whoever acts on it names their generation."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from redis import Redis

from worker.keys import Keys
from worker.parts import parts

_READ: Final = 500


def read_jobs(
    redis: Redis, keys: Keys, jobs: Sequence[str], fields: Sequence[str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each job with these fields as text, None where it has none; raises redis-py's errors."""
    for part in parts(jobs, _READ):
        with redis.pipeline(transaction=False) as pipe:
            for job in part:
                pipe.hmget(keys.of("job", job), fields)
            read = pipe.execute()
        for job, values in zip(part, read, strict=True):
            yield job, dict(zip(fields, values, strict=True))
