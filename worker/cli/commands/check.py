"""`bulk-cancel check`: one line per point; FAIL makes the exit status 2, else ACT makes it 1."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from itertools import chain

from rich.table import Table
from rich.text import Text

from bulk_cancel.worker.cli import context
from bulk_cancel.worker.cli.context import Json
from bulk_cancel.worker.cli.errors import Exit
from bulk_cancel.worker.cli.screen.output import clean, print_json, show, styled
from bulk_cancel.worker.config.dotenv import env_file
from bulk_cancel.worker.okx.client import OkxClient
from bulk_cancel.worker.operators.check import run_checks
from bulk_cancel.worker.operators.point import Point
from bulk_cancel.worker.operators.shapes import document, placed
from bulk_cancel.worker.operators.whole import Whole


def check(*, as_json: Json = False) -> int:
    """Redis, broker, exchange, accounts, workers, and what people must act on: what is wrong and how to mend it.

    The exit status is 2 if any point FAILs, else 1 if a condition holds that somebody must ACT on.
    """
    found: list[tuple[str, Point]] = []
    with context.whole() as whole:
        for shard, point in chain([("", _settings_point())], _points(whole)):
            found.append((shard, point))
            if not as_json:
                show(_lines(shard, point))
    levels = {point.level for _, point in found}
    if as_json:
        points = [placed(shard, asdict(point)) for shard, point in found]
        print_json(document("check", {"ok": not levels & {"FAIL", "ACT"}, "points": points}))
    return Exit.BAD if "FAIL" in levels else Exit.DEAD if "ACT" in levels else Exit.OK


def _points(whole: Whole) -> Iterator[tuple[str, Point]]:
    """Those of every shard, as they are answered; of one that is away they say so."""
    with closing(OkxClient(timeout_s=whole.shards.settings.http_timeout_s, pool=1)) as client:
        for shard in whole.shards.all():
            for point in run_checks(shard.store, client):
                yield shard.label, point


def _settings_point() -> Point:
    path = env_file()
    read = f" and {path.absolute()}" if path.exists() else f" alone: there is no {path.absolute()}"
    return Point("settings", "ok", f"from the environment{read}")


def _lines(shard: str, point: Point) -> Table:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=4)
    grid.add_column(overflow="fold")
    where = (f"shard {shard}: ", "dim") if shard else ""
    grid.add_row(styled(point.level), Text.assemble(where, (f"{point.name}: ", "bold"), clean(point.text)))
    if point.mend and point.level != "ok":
        grid.add_row("", Text(f"→ {point.mend}", style="dim"))
    return grid
