"""What the Redis user may do, tried: each command that a role needs, on a key of its own that is deleted at once.

Redis tells beforehand only from 7.0 on (ACL DRYRUN), and within a script not at all: there a refusal has no code. The
key holds text, so that a command for another type is refused for that (WRONGTYPE) and changes nothing.
"""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from redis import Redis
from redis.exceptions import RedisError, ResponseError

from bulk_cancel.tasks.queues import QUEUES
from bulk_cancel.worker.state.keys import Keys
from bulk_cancel.worker.state.queues import lists_of
from bulk_cancel.worker.state.redis_errors import FORBIDDEN, REFUSES_WRITES, code_of

Role = Literal["reader", "producer", "worker", "broker"]
"""`broker`: a worker at its broker, where it reads the queues."""

_READ: Final = """
TIME; GET K; MGET K; PTTL K; HGET K f; HMGET K f; HGETALL K; HLEN K; HKEYS K; HEXISTS K f; HSCAN K 0; ZRANGE K 0 0;
ZRANGEBYSCORE K 0 0; ZREVRANGEBYSCORE K 0 0; ZCARD K; ZCOUNT K 0 0; ZSCORE K m; ZSCAN K 0; SMEMBERS K; SISMEMBER K m;
XLEN K; XRANGE K - +; XREVRANGE K + -; XREAD STREAMS K 0; LLEN K
"""
_PRODUCE: Final = """
TIME; GET K; MGET K; PTTL K; MSET K 1; INCRBY K 1; EXPIRE K 5; PEXPIRE K 5000; PERSIST K; EXPIRE K 5; HGET K f;
HMGET K f; HGETALL K; HSET K f 1; HSETNX K f 1; HDEL K f; HINCRBY K f 1; HLEN K; HKEYS K; HEXISTS K f; HSCAN K 0;
ZADD K 0 m; ZREM K m; ZRANGE K 0 0; ZRANGEBYSCORE K 0 0; ZREMRANGEBYSCORE K 0 0; ZCARD K; ZSCORE K m; SADD K m;
SREM K m; SMEMBERS K; SISMEMBER K m; XADD K * f 1; XTRIM K MAXLEN 9; XRANGE K - +; XREVRANGE K + -; XREAD STREAMS K 0;
LPUSH K m; LLEN K; EVAL return(1) 0; EVALSHA 0 0; INFO server
"""
_WORK: Final = f"""
{_READ}; {_PRODUCE}; INCR K; BLPOP K 0.01
"""
_CONSUME: Final = """
LLEN K; BRPOP K 0.01; LPUSH K m; RPUSH K m; ZADD K 0 m; ZREM K m; ZRANGE K 0 0; HSET K f 1; HGET K f; HDEL K f; WATCH K;
UNWATCH; EVAL return(1) 0; EVALSHA 0 0; SCRIPT LOAD return(1); INFO server; PERSIST K;
SET K 1 PX 5000
"""
_WAIT: Final = "WAIT 0 1"
"""Of who hands in, where replicas are waited for."""

_TRIALS: Final[dict[Role, str]] = {"reader": _READ, "producer": _PRODUCE, "worker": _WORK, "broker": _CONSUME}

_ALONE: Final = frozenset({"WATCH", "UNWATCH"})
"""redis-py gives them a meaning of their own within a pipeline."""

_OF_A_KEY: Final = " key"
"""In the words of every server that refuses for the key; in the others stands the name of a command in quotes."""


@dataclass(frozen=True, slots=True)
class Trial:
    """`missing`: the rights that an ACL must grant, as it spells them; `refused`: why a write is not taken, or ""."""

    missing: tuple[str, ...]
    refused: str


def try_rights(redis: Redis, keys: Keys, role: Role, *, waits: bool = False) -> Trial:
    """Tries them in one round trip; raises redis-py's errors if there is no answer.

    `waits`: what is handed in is waited for until replicas have it.
    """
    trials = [*_own(keys.of("trial", uuid.uuid4().hex), role), *_elsewhere(keys, role)]
    trials += [("", _WAIT.split())] if waits else []
    with redis.pipeline(transaction=False) as pipe:
        for _, words in trials:
            if words[0] not in _ALONE:
                pipe.execute_command(*words)  # type: ignore[no-untyped-call]
        piped = iter(pipe.execute(raise_on_error=False))
    replies = [_alone(redis, words) if words[0] in _ALONE else next(piped) for _, words in trials]
    found = list(zip(trials, replies, strict=True))
    missing = dict.fromkeys(_right(pattern, words, reply) for (pattern, words), reply in found if _forbidden(reply))
    return Trial(tuple(missing), _why_refused(reply for (_, words), reply in found if words[0] == "SET"))


def _alone(redis: Redis, words: list[str]) -> object:
    try:
        return redis.execute_command(*words)  # type: ignore[no-untyped-call]
    except ResponseError as error:
        return error


def _own(key: str, role: Role) -> list[tuple[str, list[str]]]:
    """The commands on a key of this trial, each with the pattern that allows the key."""
    pattern = f"~{key.partition(':')[0]}:*"
    said = [words for line in _TRIALS[role].split(";") if (words := line.split())]
    first, last = ["SET", "K", "1", "PX", "5000"], ["DEL", "K"]
    every = said if role == "reader" else [first, *said, last]
    return [(pattern, [key if word == "K" else word for word in words]) for words in every]


def _elsewhere(keys: Keys, role: Role) -> list[tuple[str, list[str]]]:
    """The other keys that the role reads or writes, by a command that changes nothing."""
    if role == "broker":
        return [(f"~{queue}*", ["LLEN", name]) for queue in QUEUES for name in lists_of(queue)]
    clock = keys.of("clock")
    prefix = [] if role == "reader" else [(f"~{keys.prefix}", ["HLEN", keys.prefix])]  # KEYS[1] of every verb
    return [*prefix, (f"~{clock.partition(':')[0]}:*", ["HLEN", clock])]


def _forbidden(reply: object) -> bool:
    return isinstance(reply, RedisError) and code_of(reply) == FORBIDDEN


def _right(pattern: str, words: list[str], reply: object) -> str:
    if _OF_A_KEY in str(reply):
        return pattern
    return "+" + ("script|load" if words[0] == "SCRIPT" else words[0].lower())


def _why_refused(replies: Iterable[object]) -> str:
    """With the code in front, whether or not redis-py left it in the text."""
    errors = [reply for reply in replies if isinstance(reply, RedisError) and code_of(reply) in REFUSES_WRITES]
    return next((f"{code_of(error)} {str(error).removeprefix(code_of(error)).strip()}" for error in errors), "")
