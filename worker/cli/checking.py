"""What is wrong here, and how is it mended? One line per point; FAIL makes the exit status 2."""

from contextlib import closing

from rich.table import Table
from rich.text import Text

from worker.check import Point, run_checks
from worker.cli import context
from worker.cli.context import Json
from worker.cli.errors import Exit
from worker.cli.output import clean, print_json, show, styled
from worker.okx.client import OkxClient


def check(*, as_json: Json = False) -> int:
    """Redis, broker, exchange, accounts and workers: what is wrong and how to mend it. Exit 2 if any point FAILs."""
    points = []
    with context.opened() as store, closing(OkxClient(timeout_s=store.settings.http_timeout_s, pool=1)) as client:
        for point in run_checks(store, client):
            points.append(point)
            if not as_json:
                show(_lines(point))
    failed = any(point.level == "FAIL" for point in points)
    if as_json:
        print_json({"ok": not failed, "points": points})
    return Exit.BAD if failed else Exit.OK


def _lines(point: Point) -> Table:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=4)
    grid.add_column(overflow="fold")
    grid.add_row(styled(point.level), Text.assemble((f"{point.name}: ", "bold"), clean(point.text)))
    if point.mend and point.level != "ok":
        grid.add_row("", Text(f"→ {point.mend}", style="dim"))
    return grid
