"""`bulk-cancel audit`: every decision with who and why, or the story of one batch in order."""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Final

import typer
from rich.text import Text

from bulk_cancel.worker.books.mass.scope import Scope
from bulk_cancel.worker.cli import context
from bulk_cancel.worker.cli.errors import CommandError
from bulk_cancel.worker.cli.screen.mass_words import scope_words
from bulk_cancel.worker.cli.screen.output import clean, number, plural, print_lines, show
from bulk_cancel.worker.cli.screen.render import counts_text
from bulk_cancel.worker.operators.audit import Audit, Decision
from bulk_cancel.worker.operators.formats import legible
from bulk_cancel.worker.operators.shapes import decision_json, iso, placed
from bulk_cancel.worker.operators.story import read_story
from bulk_cancel.worker.operators.whole import Whole
from bulk_cancel.worker.state.batches import UnknownBatchError
from bulk_cancel.worker.state.scopes import ScopeKind, parse_scope
from bulk_cancel.worker.state.shards import Each
from bulk_cancel.worker.state.store import Store

DECISIONS_SHOWN: Final = 100
_STYLES: Final = {"pause": "yellow", "resume": "green", "withdraw": "magenta", "retry": "cyan", "completed": "green"}


def audit(
    batch: Annotated[str | None, typer.Argument(help="A batch; every decision without one.")] = None,
    *,
    count: Annotated[
        int | None, typer.Option("--count", "-n", min=1, help="Only the last so many; 100 without a batch.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
) -> int:
    """What was decided, by whom, when and why: the story of a batch, or every decision, the oldest first.

    A batch's story has its own decisions, those about its account and lanes meanwhile, and its completions.
    """
    if batch is not None and not batch.strip():
        raise UnknownBatchError(batch)
    last = count or DECISIONS_SHOWN
    with context.whole() as whole:
        told = _story(whole, batch) if batch else whole.each(lambda shard: Audit(legible(shard.store)).newest(last + 1))
        found = whole.placed(context.answers(told), lambda decision: decision.at)
    shown = count or (len(found) if batch else last)
    if found or not told.failed:
        _print(found[-shown:], as_json=as_json, in_batch=batch is not None)
    if len(found) > shown and not as_json:
        show(f"the last {number(shown)}; --count shows more")
    return context.tell_failed(told.failed, as_json=as_json)


def _story(whole: Whole, batch: str) -> Each[list[Decision]]:
    """Of the shard that has the batch, or remembers it; what another one may have is not missed then."""
    told = whole.each(lambda shard: _told_of(shard.store, batch))
    found = {name: each for name, each in told.answers.items() if each}
    if found:
        return Each(found, {})
    if told.failed:
        raise CommandError(*context.failures(told.failed))
    raise UnknownBatchError(batch)


def _told_of(store: Store, batch: str) -> list[Decision]:
    try:
        return read_story(store.redis, store.keys, Audit(store), store.batches, batch)
    except UnknownBatchError:
        return []


def _print(told: Sequence[tuple[str, Decision]], *, as_json: bool, in_batch: bool) -> None:
    if as_json:
        print_lines("decision", (placed(shard, decision_json(decision)) for shard, decision in told))
    elif told:
        width = max(len(shard) for shard, _ in told)
        show(*(decision_line(each, in_batch=in_batch, shard=shard.ljust(width)) for shard, each in told))
    else:
        show("no decision yet")


def decision_line(decision: Decision, *, in_batch: bool = False, shard: str = "") -> Text:
    """One line: when, where, what, by whom and why; `in_batch` the batch is known and left out."""
    event = (f"{decision.event:<10}", _STYLES.get(decision.event, "bold"))
    batch = "" if in_batch or not decision.batch_id else f"batch {clean(decision.batch_id)}: "
    who = f"by {decision.by}" if decision.by else ""
    why = clean(": ".join(filter(None, (who, decision.reason))))
    where = (f"{shard}  ", "dim") if shard else ""
    return Text.assemble(iso(decision.at), "  ", where, event, "  ", batch, _what(decision), f"; {why}" if why else "")


def _what(decision: Decision) -> Text:
    if decision.event == "completed":
        return counts_text(decision.facts["counts"]) or Text("no order")
    return Text(clean(_WORDS.get(decision.event, _others)(decision)))


def _submitted(decision: Decision) -> str:
    facts = decision.facts
    deadline = f"deadline {facts['deadline_s']} s" if "deadline_s" in facts else ""
    labels = (f"{name}={value}" for name, value in facts["labels"].items())
    said = (f"{plural(facts['size'], 'order')} of {decision.account}", "urgent" if facts["urgent"] else "", deadline)
    return ", ".join(filter(None, [*said, *labels]))


def _cancel_all(decision: Decision) -> str:
    facts = decision.facts
    flat = f"until empty for {facts['until_flat_s']:g} s" if facts["until_flat_s"] else ""
    hold = "on hold until released" if facts.get("hold") else ""
    what = f"{scope_words(Scope.read(facts['scope']))} of {decision.account}"
    said = (what, flat, hold, "urgent" if facts["urgent"] else "")
    labels = (f"{name}={value}" for name, value in facts["labels"].items())
    return ", ".join(filter(None, [*said, f"deadline {facts['deadline_s']} s", *labels]))


def _withdraw(decision: Decision) -> str:
    facts = decision.facts
    late = f"{number(facts['sent'])} too late" if facts["sent"] else ""
    return ", ".join(filter(None, [f"{plural(facts['withdrawn'], 'order')} withdrawn", late, _chosen(facts)]))


def _retry(decision: Decision) -> str:
    facts = decision.facts
    joined = f"{number(facts['joined'])} joined another batch's" if facts["joined"] else ""
    known = f"{number(facts['remembered'])} off the book already" if facts["remembered"] else ""
    again = f"{plural(facts['opened'] + facts['joined'], 'order')} again, deadline {facts['deadline_s']} s"
    return ", ".join(filter(None, [again, joined, known, _chosen(facts)]))


def _chosen(facts: Mapping[str, Any]) -> str:
    """By which filter the orders were chosen, if it was not all of the batch."""
    if "filter" not in facts:
        return ""
    filters = facts["filter"].items()
    wanted = (f"{name} {value if isinstance(value, str) else ' or '.join(value)}" for name, value in filters)
    return "chosen by " + ", ".join(wanted)


def _scope(decision: Decision) -> str:
    kind, name = parse_scope(decision.scope)
    if kind == ScopeKind.LANE:
        return f"lane {name}"
    others = ", ".join(other for other in decision.facts.get("accounts", ()) if other != decision.account)
    return f"account {decision.account}" + (f" and with it {others}" if others else "")


def _resume(decision: Decision) -> str:
    ended = decision.facts.get("ended", ())
    return ", ".join(
        [_scope(decision), *(f"was paused by {e['by']}" if e["by"] else f"rested: {e['reason']}" for e in ended)]
    )


def _format(decision: Decision) -> str:
    return "{kind}'s state: {from} → {format}".format(**decision.facts)


def _others(decision: Decision) -> str:
    """A decision of which this module knows nothing more."""
    facts = (f"{name}={value}" for name, value in decision.facts.items())
    return ", ".join(filter(None, [decision.account, decision.scope, *facts]))


_WORDS: Final[Mapping[str, Callable[[Decision], str]]] = {
    "submitted": _submitted,
    "cancel_all": _cancel_all,
    "listed": lambda decision: f"nothing more is listed: {decision.facts['state']}",
    "release": lambda _: "no longer on hold: nothing more is listed, what was found is cancelled",
    "called_off": lambda _: "no further listing, no further order",
    "withdraw": _withdraw,
    "retry": _retry,
    "format": _format,
    "pause": _scope,
    "resume": _resume,
    "disown": lambda decision: f"{_scope(decision)}: its User ID was given up here",
}
