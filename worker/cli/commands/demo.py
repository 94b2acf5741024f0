"""`bulk-cancel demo`: one bulk cancel in which everything but the runner itself is simulated."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from typing import Annotated, Final, Self

import typer
from rich.table import Table
from rich.text import Text

from bulk_cancel.worker.cli.context import Json
from bulk_cancel.worker.cli.demo.plan import LIMITS, Plan, make_plan
from bulk_cancel.worker.cli.demo.report import InstrumentReport, Report
from bulk_cancel.worker.cli.demo.run import Progress as Ended
from bulk_cancel.worker.cli.demo.run import run_demo
from bulk_cancel.worker.cli.demo.stage import Stage, stage
from bulk_cancel.worker.cli.errors import CommandError, exit_of
from bulk_cancel.worker.cli.screen.live import Bars
from bulk_cancel.worker.cli.screen.output import STYLES, number, plural, print_json, show, table
from bulk_cancel.worker.cli.screen.render import counts_text
from bulk_cancel.worker.config.extras import needing
from bulk_cancel.worker.operators.shapes import document

LINE_S: Final = 0.5
_WORDS: Final = (
    f"The exchange takes {LIMITS.batch} orders in batches and {LIMITS.single} single calls per instrument in any 2 s: "
    "batch and single are the most that arrived in any 2 s. Rate used: the least time that these limits allow from an "
    "instrument's first cancel to its last, divided by the time taken; one window: all fitted into the first 2 s, so "
    "that no limit was in the way. 429: refusals for speed. Flat: every cancel answered; canceled and filled are what "
    "the exchange's book told of each order afterwards."
)


def demo(
    *,
    orders: Annotated[int, typer.Option(min=1, max=100_000, help="Orders to cancel.")] = 1000,
    instruments: Annotated[int, typer.Option(min=1, max=200, help="Instruments; the first has 40 % of all.")] = 8,
    workers: Annotated[int, typer.Option(min=1, max=16, help="Worker processes.")] = 2,
    delay_ms: Annotated[float, typer.Option(min=0, max=1000, help="Network delay of each way, ± 60 %.")] = 5.0,
    web: Annotated[
        bool, typer.Option("--web", help="Serve the page of it, too: begins at Enter, and stays until Ctrl-C.")
    ] = False,
    as_json: Json = False,
) -> int:
    """One bulk cancel against a simulated exchange, with real workers, and what it did to the exchange's limits.

    Leaves nothing behind. Exit 0 if every order ended, none may still be live and the exchange never refused us.
    """
    try:
        plan = make_plan(orders, instruments)
    except ValueError as error:
        raise CommandError(f"--instruments {instruments} with --orders {orders}: {error}") from None
    with ExitStack() as stack:
        screen = stack.enter_context(_Screen(plan, workers))
        on = stack.enter_context(stage(plan, workers=workers, delay_ms=delay_ms))
        if web:
            stack.enter_context(_page(on))
        screen.ready(own_redis=on.own_redis)
        report = run_demo(plan, on, screen.update)
        if web:
            _print(report, as_json=as_json)
            _wait()
    if not web:
        _print(report, as_json=as_json)
    return exit_of(dead=report.dead + report.refusals, complete=report.complete)


@contextmanager
def _page(on: Stage) -> Iterator[None]:
    """The HTTP door of the stage, for this machine; the cancel begins when a person at the terminal wants it to."""
    with needing("gateway"):
        from bulk_cancel.worker.gateway.app import create_app  # noqa: PLC0415 (what the extra brings)
        from bulk_cancel.worker.gateway.server import serving  # noqa: PLC0415
    with serving(create_app(on.store)) as url:
        sys.stderr.write(f"the page: {url}/\n")
        sys.stderr.flush()
        if sys.stdin.isatty():
            input("Enter begins the bulk cancel ")
        yield


def _wait() -> None:
    """Until Ctrl-C, which is how it ends, and no fault."""
    sys.stderr.write("the page stays until Ctrl-C\n")
    sys.stderr.flush()
    with suppress(KeyboardInterrupt):
        threading.Event().wait()


def _print(report: Report, *, as_json: bool) -> None:
    if as_json:
        print_json(document("demo", report_json(report)))
    else:
        show(*_report_parts(report))


class _Screen:
    """Progress on stderr: a bar per instrument, or a line now and then without a terminal."""

    def __init__(self, plan: Plan, workers: int) -> None:
        self._plan = plan
        self._workers = workers
        self._bars = Bars()
        self._told_at = 0.0

    def __enter__(self) -> Self:
        self._say(f"starting Redis, the simulated exchange and {plural(self._workers, 'worker')}")
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def ready(self, *, own_redis: bool) -> None:
        """The stage stands: show the bars."""
        where = "" if own_redis else " (on your Redis, under a key prefix of its own)"
        instruments = plural(len(self._plan.orders), "instrument")
        self._say(f"cancelling {plural(self._plan.total, 'order')} on {instruments}{where}")

    def update(self, now: Ended) -> None:
        """Shows how many orders of each instrument have ended."""
        self._bars.draw(now.ended, self._plan.orders, {})
        if self._bars.hidden and time.monotonic() - self._told_at >= LINE_S:
            self._told_at = time.monotonic()
            self._say(f"{number(sum(now.ended.values()))} of {number(self._plan.total)} ended")

    def _say(self, line: str) -> None:
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


def report_json(report: Report) -> dict[str, object]:
    """The report for programs; times in seconds, `share` null where no limit mattered."""
    rows = [asdict(each) | {"share": each.share} for each in report.instruments]
    return asdict(report) | {"dead": report.dead, "line": report.line, "instruments": rows}


def _report_parts(report: Report) -> list[Table | Text]:
    good = not (report.dead or report.refusals) and report.complete
    blocked = f"; before, a Redis just started let nobody send for {report.blocked_s:.1f} s" if report.blocked_s else ""
    facts = (
        f"confirmed from the book after {report.confirmed_s:.2f} s; {plural(report.workers, 'worker')}; "
        f"{plural(report.repeated, 'order')} needed more than one cancel{blocked}"
    )
    return [
        Text(),
        _table(report),
        Text(),
        Text(_WORDS, style="dim"),
        Text(),
        Text.assemble("outcomes: ", counts_text(report.outcomes), f"; {facts}"),
        Text(report.line, style="bold green" if good else "bold red"),
    ]


def _table(report: Report) -> Table:
    statuses = sorted(report.outcomes)
    limits = (f"batch/{LIMITS.batch}", f"single/{LIMITS.single}")
    numbers = ("orders", "flat in", "rate used", *limits, "429", *statuses)
    made = table("instrument", *numbers, right=numbers)
    for each in report.instruments:
        refused = Text(number(each.refusals), style="bold red" if each.refusals else "green")
        figures = (number(each.orders), f"{each.flat_s:.2f} s", _rate(each), str(each.batch_max), str(each.single_max))
        counts = (Text(number(each.outcomes.get(name, 0)), style=STYLES.get(name, "")) for name in statuses)
        made.add_row(each.instId, *figures, refused, *counts)
    return made


def _rate(each: InstrumentReport) -> str:
    return "one window" if each.share is None else f"{each.share:.1%}"
