"""Loads and runs the Lua verbs, each with the shared parts it uses; a lost reply is safe.

Every verb takes the runner's prefix as `KEYS[1]` and one JSON object as `ARGV[1]`. All verbs may be given twice (see
their headers), so a call whose reply was lost is made again with the same argument; redis-py's own retry is off.
"""

import json
import re
from collections.abc import Callable, Mapping
from functools import cache
from hashlib import sha1
from importlib.resources import files
from typing import Any, Final, cast

from redis import Redis, exceptions

from bulk_cancel.tasks.asking import Asking, Pause, answered
from bulk_cancel.worker.state import keys, scopes, statuses
from bulk_cancel.worker.state.formats import FORMATS, KINDS, Formats, guard, unreadable
from bulk_cancel.worker.state.redis_errors import ELSEWHERE, LATER, REFUSES_WRITES, code_of

LIBRARY: Final = (
    "base", "lease", "window", "board", "rest", "job", "mover", "totals", "finish", "join", "news", "decision", "batch",
)  # fmt: skip
"""The shared parts, in the order in which they build on each other; in each, blank lines part its functions."""

VERBS: Final = (
    "admit",
    "claim",
    "record",
    "wake",
    "expire",
    "repair",
    "lease_take",
    "beat",
    "note",
    "register",
    "own",
    "disown",
    "adopt",
    "look_begin",
    "look_end",
    "slot_take",
    "slot_settle",
    "confirm",
    "channel_lease",
    "mass_begin",
    "listing_begin",
    "listing_end",
    "listing_hasten",
    "opened_tell",
    "survey_begin",
    "survey_end",
    "withdraw",
    "retry",
    "pause",
    "resume",
    "switch_hold",
    "switch_leave",
    "format_raise",
)

_NOT_A_NAME: Final = re.compile(r"--.*|'[^'\n]*'|(?<!\.)\.\w+")
"""Comments, strings, and fields: `K.board` is a key, not the function `board`."""

_WORD: Final = re.compile(r"\w+")
_NUMBER: Final = re.compile(r"^local ([A-Z_]+) = (\d[\d^e ]*?)(?: *--.*)?\n", re.MULTILINE)
_DEFINED: Final = re.compile(r"^local (?:function )?(\w+(?:, \w+)*)", re.MULTILINE)

_encode: Final = json.JSONEncoder(separators=(",", ":")).encode

TRANSIENT: Final = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.BusyLoadingError,
    exceptions.ReadOnlyError,
)
"""What Redis answers, or does not, while it is away, loading, failing over, busy or without a disk."""


def is_away(error: exceptions.RedisError) -> bool:
    """Whether Redis is not there, or takes no writes; a full one is there."""
    return isinstance(error, TRANSIENT) or code_of(error) in REFUSES_WRITES


@cache
def source(verb: str) -> str:
    """The whole text of one verb, as Redis gets it: with what it uses of the shared parts, and nothing else.

    Redis makes every function of a script anew at each run, which costs a tenth of a record.
    """
    body = (files("bulk_cancel.worker.state") / "lua" / f"{verb}.lua").read_text("utf-8")
    used = _words(body)
    for part, defined, words in reversed(_shared()):
        if defined & used:
            body = f"{part}\n\n{body}"
            used = used | words
    body = keys.lua_inlined(body)
    return _numbered("".join(module.lua_preamble(body) for module in (keys, scopes, statuses)) + body)


def _numbered(text: str) -> str:
    """The text with numbers in the place of their names: each name is one more value that a function is made with."""
    numbers = dict(_NUMBER.findall(text))
    return re.sub(r"\b[A-Z_]+\b", lambda found: numbers.get(found[0], found[0]), _NUMBER.sub("", text))


@cache
def _shared() -> list[tuple[str, frozenset[str], frozenset[str]]]:
    """The parts of the library, each with the names that it defines and the words that it uses."""
    root = files("bulk_cancel.worker.state") / "lua" / "lib"
    parts = [part for name in LIBRARY for part in (root / f"{name}.lua").read_text("utf-8").split("\n\n")]
    return [(part, frozenset(", ".join(_DEFINED.findall(part)).split(", ")), _words(part)) for part in parts]


def _words(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(_NOT_A_NAME.sub("", text)))


class Scripts:
    """Runs verbs on one Redis, `redis`; `attempts` bounds how often a call without a reply is made again.

    `text_of` gives a verb's text; tests put another clock into it. `formats` is what the verbs can read: in a state of
    another format each raises UnreadableFormatError and does nothing.
    """

    def __init__(
        self,
        redis: Redis,
        prefix: str,
        *,
        attempts: int = 3,
        formats: Formats = FORMATS,
        text_of: Callable[[str], str] = source,
    ) -> None:
        self.redis = redis
        self.formats = formats
        self._prefix = prefix
        self._attempts = attempts
        self._guard, self._text_of = guard(formats), text_of
        self._made: dict[str, tuple[str, str]] = {}

    def make_all(self) -> None:
        """Makes every verb now, for who must not wait for it at the first use: all of them take 60 ms."""
        for verb in VERBS:
            self._verb(verb)

    def _verb(self, verb: str) -> tuple[str, str]:
        """Its name in Redis and its text, made once; most processes run few of them."""
        if verb not in self._made:
            text = self._guard + self._text_of(verb)
            self._made[verb] = sha1(text.encode()).hexdigest(), text  # noqa: S324 (Redis's)
        return self._made[verb]

    def run_once(self, verb: str, argument: Mapping[str, object]) -> dict[str, Any]:
        """The object that the verb answers; raises redis-py's errors at the first attempt."""
        return answered(self._call(verb, _encode(argument)))

    def run(self, verb: str, argument: Mapping[str, object]) -> dict[str, Any]:
        """The object that the verb answers; raises redis-py's errors once `attempts` are used up."""
        return answered(self.ask(verb, argument))

    def ask(self, verb: str, argument: Mapping[str, object]) -> Asking[dict[str, Any]]:
        """As `run`, over either client."""
        text = _encode(argument)
        for attempt in range(1, self._attempts + 1):
            try:
                return (yield from self._call(verb, text))
            except TRANSIENT:
                if attempt == self._attempts:
                    raise
                yield Pause(0.05 * attempt)
        raise AssertionError("unreachable")

    def _call(self, verb: str, text: str) -> Asking[dict[str, Any]]:
        """One call; a primary that was demoted, or lost its replicas to another, is left for whoever is primary now."""
        yield from self._connect()
        try:
            return self._read(_parse((yield from self._evaluate(verb, text))))
        except exceptions.ResponseError as error:
            code = code_of(error)
            if code in LATER:
                raise exceptions.BusyLoadingError(str(error)) from error
            if code not in ELSEWHERE:
                raise
            yield from self._disconnect()
            raise exceptions.ReadOnlyError(str(error)) from error

    def _read(self, reply: dict[str, Any]) -> dict[str, Any]:
        """The answer; raises UnreadableFormatError if the verb said that it could not read the state."""
        if marks := reply.get("unreadable"):
            raise cast("Exception", unreadable(self.formats, dict(zip(KINDS, marks, strict=True))))
        return reply

    def _evaluate(self, verb: str, text: str) -> Asking[object]:
        """By name, as long as this Redis knows it; redis-py's object for a script costs a third of such a call."""
        name, body = self._verb(verb)
        try:
            return (yield self.redis.evalsha(name, 1, self._prefix, text))
        except exceptions.NoScriptError:
            return (yield self.redis.eval(body, 1, self._prefix, text))

    def _connect(self) -> Asking[None]:
        """A connection of the client's own does not ask Sentinel by itself: it would go where it was before."""
        if self.redis.connection and not self.redis.connection.is_connected:
            yield self.redis.connection.connect()  # type: ignore[no-untyped-call]

    def _disconnect(self) -> Asking[None]:
        if self.redis.connection:
            yield self.redis.connection.disconnect()  # type: ignore[no-untyped-call]
        else:
            yield self.redis.connection_pool.disconnect(inuse_connections=False)  # type: ignore[func-returns-value]


def _parse(reply: object) -> dict[str, Any]:
    parsed = json.loads(reply) if isinstance(reply, str | bytes) else reply
    if not isinstance(parsed, dict):
        raise TypeError(f"a verb answered {type(parsed).__name__}, not an object")
    return parsed
