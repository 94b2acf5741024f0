"""The runner on one screen, for `status --watch`: what matters most comes first, and lanes fill what is left.

Every row of a table is one line, however narrow the terminal, so that its height is known before it is drawn.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, TypeVar

from rich.console import Console, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from bulk_cancel.worker.cli.screen.output import clean, number, plural, table, unzipped
from bulk_cancel.worker.cli.screen.render import counts_text, held_back
from bulk_cancel.worker.cli.screen.runner import head_lines, lane_figures, worker_table
from bulk_cancel.worker.operators.status import Lane, Snapshot
from bulk_cancel.worker.state.batches import BatchState
from bulk_cancel.worker.state.fleet import Worker

T = TypeVar("T")
_BAR: Final = 8
_FRAME: Final = 3
"""Lines of a table besides its rows: a blank one before it, its header and a rule."""

_WORKERS_LEAST: Final = _FRAME + 2
"""Lines that the workers have whatever the batches need."""


def dashboard_parts(snapshot: Snapshot, screen: Console) -> list[RenderableType]:
    """What fits on the screen: head and rests, then batches, then workers, then lanes."""
    head = _head(snapshot, screen, screen.height // 2)
    room = screen.height - sum(_height(line, screen) for line in head)
    least = min(room, _WORKERS_LEAST) if snapshot.workers else 0
    batches = _section(
        snapshot.placed("batches"),
        room - least,
        lambda rows: _batch_table(rows, snapshot.at),
        total=snapshot.batches_waiting,
    )
    room -= _lines(batches)
    workers = _section(
        sorted(snapshot.placed("workers"), key=_is_well), room, lambda rows: worker_table(rows, text=_cut)
    )
    room -= _lines(workers)
    return [*head, *batches, *workers, *_section(snapshot.placed("lanes"), room, _lane_table)]


def snapshot_line(snapshot: Snapshot) -> str:
    """The runner in one line, for a file."""
    facts = [
        *snapshot.away,
        plural(snapshot.alive, "worker"),
        f"{plural(snapshot.waiting, 'order')} waiting",
        plural(snapshot.batches_waiting, "open batch", "open batches"),
        f"{number(snapshot.may_be_live)} may be live" if snapshot.may_be_live else "",
        f"ended: {counts_text(snapshot.outcomes)}" if snapshot.outcomes else "",
        *(f"{rest.scope} {held_back(rest)}" for rest in snapshot.rests),
    ]
    return "; ".join(filter(None, facts))


def _head(snapshot: Snapshot, screen: Console, room: int) -> list[Text]:
    """As many lines as there is room for; they fold, since a reason that is cut short helps nobody."""
    lines, shown = head_lines(snapshot), 0
    for line in lines:
        room -= _height(line, screen)
        if room < 1:
            break
        shown += 1
    left = len(lines) - shown
    return lines[:shown] + ([_cut(f"and {plural(left, 'line')} more in bulk-cancel status")] if left else [])


def _height(line: Text, screen: Console) -> int:
    return len(line.wrap(screen, screen.width))


def _section(
    rows: Sequence[T], room: int, made: Callable[[Sequence[T]], Table], *, total: int | None = None
) -> list[RenderableType]:
    """A blank line, the table of as many rows as fit into `room` lines, and how many there are besides."""
    total = len(rows) if total is None else total
    fits = room - _FRAME if total <= min(len(rows), room - _FRAME) else room - _FRAME - 1
    shown = rows[: max(0, fits)]
    if not shown:
        return []
    left = total - len(shown)
    drawn = made(shown)
    for column in drawn.columns:
        column.header = _cut(str(column.header))
    return [Text(), drawn, *([_cut(f"and {number(left)} more; --json shows all")] if left else [])]


def _lines(section: Sequence[RenderableType]) -> int:
    """How high a section is: its blank line is a part of its frame."""
    return sum(_FRAME - 1 + part.row_count if isinstance(part, Table) else 1 for part in section)


def _batch_table(placed: Sequence[tuple[str, BatchState]], now: datetime) -> Table:
    numbers = ("ended", "waiting", "dead", "time left")
    batches, shards = unzipped(placed)
    made = table("batch", "", *numbers, "account", "why", right=numbers, flexible=("account", "why"), shards=shards)
    for state in batches:
        ended = state.size - state.waiting
        bar = ProgressBar(state.size or 1, ended, width=_BAR)
        dead = Text(number(state.dead), style="bold red" if state.dead else "")
        why = ", ".join(filter(None, ("urgent" if state.urgent else "", state.reason)))
        figures = (f"{ended / (state.size or 1):.0%}", number(state.waiting), dead, _left(state.deadline_at - now))
        made.add_row(state.batch_id, bar, *figures, _cut(state.account), _cut(why))
    return made


def _lane_table(placed: Sequence[tuple[str, Lane]]) -> Table:
    numbers = ("waiting", "batch", "single", "sent", "429")
    lanes, shards = unzipped(placed)
    made = table("lane", *numbers, "held back", right=numbers, flexible=("lane", "held back"), shards=shards)
    for lane in lanes:
        held = held_back(lane.rest) if lane.rest else ""
        made.add_row(_cut(lane.name), number(lane.waiting), *lane_figures(lane), _cut(held))
    return made


def _is_well(placed: tuple[str, Worker]) -> bool:
    _, worker = placed
    return worker.alive and not worker.problems


def _cut(text: str) -> Text:
    """One line of what others wrote, cut short where the column is too narrow."""
    return Text(clean(text), no_wrap=True, overflow="ellipsis")


def _left(time: timedelta) -> str:
    """`14:03` until the deadline, or `1:14:03`; `passed` after it."""
    if time < timedelta(0):
        return "passed"
    minutes, seconds = divmod(int(time.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
