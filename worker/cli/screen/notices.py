"""The notices at the top of `status`: orders that may be live, urgent work that waits, dead man's switches."""

from datetime import datetime

from rich.text import Text

from bulk_cancel.worker.alerts.conditions import URGENT_TOO_OLD_S
from bulk_cancel.worker.books.mass.state import Mass
from bulk_cancel.worker.cli.screen.mass_words import listing_words, scope_words
from bulk_cancel.worker.cli.screen.output import clean, clock, on_shard, plural
from bulk_cancel.worker.operators.status import Snapshot
from bulk_cancel.worker.state.switches import Switch


def notices(snapshot: Snapshot) -> list[Text]:
    """A line for each, none where there is nothing to say."""
    lines = []
    if snapshot.may_be_live:
        given_up = "its cancel was" if snapshot.may_be_live == 1 else "their cancels were"
        may = f"{plural(snapshot.may_be_live, 'order')} may be live: {given_up} given up (see bulk-cancel check)"
        lines.append(Text(may, style="bold red"))
    if snapshot.oldest_urgent:
        urgent = snapshot.oldest_urgent
        style = "bold red" if urgent.waits_s > URGENT_TOO_OLD_S else ""
        said = f"waits {urgent.waits_s:.1f} s in lane {urgent.lane}, of batch {clean(urgent.batch)}"
        lines.append(Text.assemble(("urgent    ", "bold"), (said, style)))
    lines += [on_shard(_mass(mass), shard) for shard, mass in snapshot.placed("masses")]
    return lines + [on_shard(_switch(switch, snapshot.at), shard) for shard, switch in snapshot.placed("switches")]


def _mass(mass: Mass) -> Text:
    flat = f", until empty for {mass.until_flat_s:g} s" if mass.until_flat_s else ""
    flat += ", on hold until released" if mass.hold else ""
    said = f"{clean(mass.batch_id)} of {mass.account}: {scope_words(mass.scope)}{flat}; {listing_words(mass)}"
    return Text.assemble(("mass      ", "bold"), said)


def _switch(switch: Switch, now: datetime) -> Text:
    head = (f"switch    {switch.uid}: ", "bold")
    if switch.armed_until is None or switch.armed_until < now:
        ran_out = switch.armed_until or switch.ran_out
        if ran_out is None:
            return Text.assemble(head, "off")
        said = f"ran out at {clock(ran_out)}: the exchange has most likely cancelled all orders"
        return Text.assemble(head, (said, "bold red"))
    last = clock(switch.refreshed_at) if switch.refreshed_at else "never"
    said = f"all orders go at {clock(switch.armed_until)} unless refreshed; last {last} by {clean(switch.holder)}"
    return Text.assemble(head, said)
