"""The catalogue of keys in Redis: name, type, meaning and time to live; only this module builds one.

The Lua verbs use the same catalogue, as functions of the table `K`, so that a template is written once: `lua_inlined`
puts it in the place of each call. Windows and the clock carry no runner's prefix: the exchange does not know prefixes.
"""

import re
from dataclasses import dataclass
from typing import Final

EXCHANGE_WIDE: Final = "bulk-cancel"
"""Root of the keys that all runners on one Redis share, whatever their prefix."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One kind of key: `template` has `{}` for its id; `writers` are verbs (Lua) or modules."""

    name: str
    template: str
    type: str
    meaning: str
    ttl: str
    writers: str
    shared: bool = False


CATALOGUE: Final[tuple[Entry, ...]] = (
    Entry(
        "clock",
        "clock",
        "hash",
        "last µs, skew µs, run_id, blocked_until µs, blackout µs (the longest that anybody waits), blocked_for",
        "none",
        "all verbs",
        shared=True,
    ),
    Entry(
        "window",
        "window:{}",
        "zset",
        "call/slots → µs at which these are free again",
        "last slot, at least 10 min",
        "claim, record, slot_take, slot_settle",
        shared=True,
    ),
    Entry(
        "accounts",
        "accounts",
        "hash",
        "account → JSON: uid, endpoints, share (no secret)",
        "none",
        "note",
    ),
    Entry(
        "algo_limits",
        "algo-limits",
        "hash",
        "account → algo orders of a lane that it may cancel in one window",
        "none",
        "note",
    ),
    Entry(
        "sources",
        "sources",
        "hash",
        "account → digest of its user's keys and address (no secret): by others, another's orders may be told of",
        "none",
        "note",
    ),
    Entry(
        "identity",
        "identity",
        "hash",
        "fingerprint of a key → its User ID at the exchange",
        "none",
        "note",
    ),
    Entry(
        "user",
        "user:{}",
        "string",
        "User ID → the UID setting it is served under",
        "30 s",
        "register",
        shared=True,
    ),
    Entry(
        "owners",
        "owners",
        "hash",
        "User ID → JSON: by, uid, at (wall µs) of a Redis that owns it alone; ends µs: it is asked for (shards only)",
        "none",
        "own, disown",
        shared=True,
    ),
    Entry(
        "elsewhere",
        "elsewhere",
        "hash",
        "'account batch' of an account that was moved here → the shard on which the batch stayed (shards only)",
        "RETENTION_S after the last move",
        "note",
    ),
    Entry(
        "asking",
        "asking:{}",
        "string",
        "a worker asks the exchange for this key's User ID",
        "2 s",
        "lease_take",
    ),
    Entry(
        "batch",
        "batch:{}",
        "hash",
        "what was asked, counters, sealed, completed",
        "RETENTION_S",
        "admit, mass_begin, listing_end, retry, finish",
    ),
    Entry(
        "rows",
        "rows:{}",
        "hash",
        "job → waiting: 'n enqueued clOrdId' (and JSON of a later release); ended: JSON",
        "RETENTION_S",
        "admit, retry, finish",
    ),
    Entry(
        "job",
        "job:{}",
        "string",
        "live: 'place JSON' (state, generation, attempts, account, batches, deadline, …; of a client id: asked, ord); "
        "ended: JSON (state, generation; result and source, or account and gave_up)",
        "RETENTION_S",
        "the mover",
    ),
    Entry("ready", "ready:{}", "zset", "job of the lane → place in line (urgent first)", "none", "the mover"),
    Entry("later", "later:{}", "zset", "job of the lane → µs of its next attempt", "none", "the mover"),
    Entry("claimed", "claimed:{}", "zset", "job of the lane → µs at which its claim ends", "none", "the mover"),
    Entry(
        "lane",
        "lane:{}",
        "hash",
        "single_at, batch_at, held µs; counters, refused_at (wall µs)",
        "7 days idle",
        "claim, record",
    ),
    Entry(
        "unconfirmed",
        "unconfirmed:{}",
        "zset",
        "job of the user → µs of its cancel's answer",
        "none",
        "the mover",
    ),
    Entry("looks", "board:looks", "zset", "user with unconfirmed jobs → µs of the next look", "none", "board"),
    Entry("looking", "looking:{}", "string", "the look at this user's book that is on", "8 s", "look_begin, look_end"),
    Entry(
        "mass",
        "mass:{}",
        "hash",
        "a mass cancel, by its batch: scope, state, products, what was listed and surveyed, flat_since µs; since",
        "running: none; ended: RETENTION_S",
        "mass_begin, listing_begin, listing_end, survey_begin, survey_end",
    ),
    Entry(
        "held", "held:{}", "string", "a mass cancel on hold was listed completely a moment ago", "15 s", "listing_end"
    ),
    Entry(
        "not_flat",
        "not_flat",
        "zset",
        "mass cancel that ended, or is on hold, without its scope being flat, until one found it flat → wall µs",
        "with the mass cancel",
        "listing_end",
    ),
    Entry(
        "mass_news",
        "mass_news",
        "zset",
        "'event batch' of a mass cancel that no worker has told yet → wall µs",
        "1 day",
        "mass_begin, listing_end, survey_begin, watch",
    ),
    Entry("masses", "board:masses", "zset", "running mass cancel → µs of its next listing", "none", "board"),
    Entry(
        "newer_masses",
        "board:masses-1.1",
        "zset",
        "the same, of mass cancels that version 1.0 cannot read: it does not read this key",
        "none",
        "board",
    ),
    Entry(
        "surveys",
        "board:surveys",
        "zset",
        "mass cancel without a survey → µs at which one may be due",
        "none",
        "board, survey_begin, survey_end",
    ),
    Entry(
        "listing",
        "listing:{}",
        "string",
        "the listing of this mass cancel that is on",
        "7 s",
        "listing_begin, listing_end",
    ),
    Entry(
        "surveying",
        "surveying:{}",
        "string",
        "the survey after this mass cancel that is on",
        "7 s",
        "survey_begin, survey_end",
    ),
    Entry("claim", "claim:{}", "hash", "the grant as given; which calls are recorded", "120 s", "claim, record"),
    Entry(
        "rest",
        "rest:{}",
        "hash",
        "scope at rest: until µs, level, since and next_wall (wall µs), reason, paused (by whom)",
        "60 s after until; paused: none",
        "claim, record, pause, resume",
    ),
    Entry("paused", "paused", "set", "scopes that an operator paused", "none", "pause, resume"),
    Entry("waiting", "waiting:{}", "set", "lanes that wait for the end of a rest", "60 s after until", "claim, record"),
    Entry("strikes", "strikes:{}", "string", "calls in a row that got no answer", "60 s", "record"),
    Entry("urgent", "board:urgent", "zset", "lane with an urgent job in front → due µs", "none", "board"),
    Entry("board", "board:normal", "zset", "any other lane with work → due µs", "none", "board"),
    Entry("bell", "bell", "list", "at most one element: the board is due earlier", "none", "board"),
    Entry("lanes", "lanes", "zset", "every lane → µs of its last admission", "none", "admit, confirm, retry, repair"),
    Entry("seq", "seq", "string", "counter behind the place in line", "none", "admit"),
    Entry("deadlines", "deadlines", "zset", "batch with waiting rows → deadline µs", "none", "admit, expire"),
    Entry(
        "may_be_live",
        "may_be_live",
        "zset",
        "order whose cancel was given up, until one has it off the book → wall µs",
        "RETENTION_S",
        "finish",
    ),
    Entry("ended", "ended", "zset", "complete batch that no worker has logged yet → wall µs", "1 day", "finish, watch"),
    Entry("totals", "totals", "hash", "what was ever counted, and how long it took (µs)", "none", "record, finish"),
    Entry("outcomes", "outcomes", "stream", "one entry per ended job", "RETENTION_S", "finish"),
    Entry("audit", "audit", "stream", "one entry per decision of people", "RETENTION_S", "admit, decision"),
    Entry("decision", "decision:{}", "hash", "step of a decision → what it answered", "120 s", "decision"),
    Entry(
        "refused",
        "refused",
        "stream",
        "messages and rows that could not be admitted",
        "RETENTION_S",
        "the doors",
    ),
    Entry(
        "witness", "witness:{}", "string", "the worker that attends this user's private channel", "3 s", "channel_lease"
    ),
    Entry(
        "listeners",
        "listeners:{}",
        "hash",
        "of a kind of private channels: worker that listens → until when (µs), how many it has, hears and could have",
        "pruned after 3 s",
        "channel_lease",
    ),
    Entry(
        "heard", "heard:{}", "string", "this user's private channel is open and without a gap", "3 s", "channel_lease"
    ),
    Entry(
        "opened",
        "opened:{}",
        "string",
        "with a mass cancel: JSON of this user's orders that the private channel told of as open, and as of when",
        "5 s",
        "opened_tell",
    ),
    Entry("workers", "workers", "hash", "worker → JSON heartbeat", "pruned after 10 s", "beat"),
    Entry(
        "formats",
        "formats",
        "hash",
        "`exchange`, `runner:<prefix>` → the marked format (none: 1); before every verb",
        "none",
        "format_raise",
        shared=True,
    ),
    Entry(
        "fleet",
        "fleet",
        "hash",
        "'prefix worker' of every runner → JSON: at, release, formats",
        "pruned after 10 s",
        "beat",
        shared=True,
    ),
    Entry("sweep", "sweep", "string", "µs until which nobody else begins a sweep", "60 s", "lease_take"),
    Entry("trial", "trial:{}", "string", "nothing: the rights of the user are tried on it", "5 s", "rights"),
    Entry("watch", "watch", "string", "a worker looks for conditions this second", "1 s", "lease_take"),
    Entry(
        "told",
        "told:{}",
        "string",
        "people were told of this condition",
        "60 s",
        "lease_take",
    ),
    Entry(
        "switch",
        "switch:{}",
        "hash",
        "a user's dead man's switch: who holds it until µs, armed_until and refreshed µs, timeout_s, ran_out (wall µs)",
        "1 day",
        "switch_hold, switch_leave",
        shared=True,
    ),
    Entry(
        "switchers",
        "switchers:{}",
        "zset",
        "worker that would hold this user's switch → µs last seen",
        "1 day",
        "switch_hold, switch_leave",
        shared=True,
    ),
)

_BY_NAME: Final = {entry.name: entry for entry in CATALOGUE}


@dataclass(frozen=True, slots=True)
class Keys:
    """Builds the keys of one runner; `prefix` is `KEY_PREFIX`."""

    prefix: str

    def of(self, name: str, ident: str | None = None) -> str:
        """The key of catalogue entry `name`, for `ident` where its template has a place for one."""
        entry = _BY_NAME[name]
        if ("{}" in entry.template) != (ident is not None):
            raise ValueError(f"key {name!r}: {'needs an' if ident is None else 'takes no'} id")
        return f"{self._root(entry)}:{entry.template.format(ident)}"

    def _root(self, entry: Entry) -> str:
        return EXCHANGE_WIDE if entry.shared else self.prefix


_CALL: Final = re.compile(r"\bK\.(\w+)\(((?:[^()]|\([^()]*\))*)\)")


def lua_inlined(body: str) -> str:
    """The Lua text with each key in the place of its call of `K`; `KEYS[1]` is the runner's prefix.

    A function would be made anew at each run, and called for each key.
    """
    return _CALL.sub(lambda call: f"({_lua_key(_BY_NAME[call[1]], call[2])})", body)


def lua_preamble(body: str) -> str:
    """The Lua table `K` of functions, one per catalogue entry that `body` names without a call; "" if it names none."""
    used = set(re.findall(r"\bK\.(\w+)", body))
    functions = [_lua_function(entry) for entry in CATALOGUE if entry.name in used]
    return "\n".join(["local K = {}", *functions]) + "\n" if used else ""


def _lua_function(entry: Entry) -> str:
    argument = "id" if "{}" in entry.template else ""
    return f"function K.{entry.name}({argument}) return {_lua_key(entry, argument)} end"


def _lua_key(entry: Entry, argument: str) -> str:
    head, _, _ = entry.template.partition("{}")
    root = f"'{EXCHANGE_WIDE}:{head}'" if entry.shared else f"KEYS[1] .. ':{head}'"
    return f"{root} .. {argument}" if argument else root
