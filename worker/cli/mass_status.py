"""How one mass cancel stands: what `all` and `status` show of it."""

import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from bulk_cancel.worker.books.mass.masses import Masses
from bulk_cancel.worker.books.mass.report import MassReport, report_json
from bulk_cancel.worker.books.mass.state import Mass
from bulk_cancel.worker.cli.errors import exit_of
from bulk_cancel.worker.cli.screen.live import present, watch
from bulk_cancel.worker.cli.screen.mass import report_parts
from bulk_cancel.worker.cli.screen.output import as_text, clean, number
from bulk_cancel.worker.cli.screen.render import counts_text, rest_line
from bulk_cancel.worker.operators.reports import read_report
from bulk_cancel.worker.operators.shapes import document
from bulk_cancel.worker.state.rests import read_clock, read_rests
from bulk_cancel.worker.state.scopes import account_scope
from bulk_cancel.worker.state.store import Store

REFRESH_S: Final = 1.0


def held_words(store: Store, masses: Sequence[Mass]) -> str:
    """What is paused, or rests for its credentials: a mass cancel finds orders there and cancels none."""
    names = {mass.account for mass in masses}
    rests = read_rests(store, read_clock(store.redis, store.keys), store.directory.all(), [])
    scopes = set(map(account_scope, names))
    held = (rest for rest in rests if rest.scope in scopes or names & {*rest.accounts})
    return "".join(as_text(rest_line(rest)) for rest in held)


def mass_status(store: Store, batch_id: str, *, follow: bool, as_json: bool) -> int:
    """The report as it stands; with `follow` again and again until the mass cancel is over.

    The exit status is 1 too if it ended in vain, or is on hold and was not flat in time; who withdrew it knows.
    """
    if follow:
        reports = _reports(store, batch_id)
        last = watch(reports, draw=report_parts, line=_progress, tell=_told, as_json=as_json)
    else:
        last = present(read_report(store, batch_id), draw=report_parts, tell=_told, as_json=as_json)
    if not (as_json or last.over):
        sys.stdout.write(held_words(store, [Masses(store).state(batch_id)]))
    late = last.on_hold and not last.held_flat and datetime.now(UTC) > last.deadline_at
    in_vain = late or (last.over and not last.succeeded and last.state != "withdrawn")
    return exit_of(dead=last.dead + in_vain)


def _told(report: MassReport) -> dict[str, object]:
    return document("mass", report_json(report))


def _progress(report: MassReport) -> str:
    """How far it is; the report at the end is shown as a whole."""
    if report.over:
        return ""
    ended = report.matched - report.waiting
    said = f"{clean(report.batch_id)}: {number(ended)} of {number(report.matched)} found ended"
    return "; ".join(
        filter(
            None, (said, str(counts_text(report.outcomes, partly_filled=report.partly_filled)), clean(report.trouble))
        )
    )


def _reports(store: Store, batch_id: str) -> Iterator[MassReport]:
    while True:
        report = read_report(store, batch_id)
        yield report
        if report.over:
            return
        time.sleep(REFRESH_S)
