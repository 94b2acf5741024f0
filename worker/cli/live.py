"""How does one look at something that changes? Redrawn in a terminal, a block of lines per change everywhere else."""

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeVar

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from worker.batches import BatchState
from worker.cli.output import STYLES, console, is_terminal, plain, print_json, show

T = TypeVar("T")
FRAME_S: Final = 0.08
LINE_S: Final = 1.0
"""Without a terminal progress is told at most so often."""


def watch(
    values: Iterable[T],
    *,
    draw: Callable[[T], Sequence[RenderableType]],
    tell: Callable[[T], Mapping[str, object]],
    as_json: bool,
) -> T:
    """Shows every value as it comes; `tell` is its JSON, which without a terminal also says whether it changed.

    Returns the last value; raises ValueError if there was none.
    """
    if is_terminal() and not as_json:
        return _redraw(values, draw)
    last, before = None, ""
    for last in values:
        said = tell(last)
        now = json.dumps({name: value for name, value in said.items() if name not in {"at", "workers"}}, default=plain)
        if now != before:
            _ = print_json(said) if as_json else show(*draw(last))
        before = now
    return _given(last)


def _redraw(values: Iterable[T], draw: Callable[[T], Sequence[RenderableType]]) -> T:
    last = None
    with Live(console=console(), auto_refresh=False, vertical_overflow="ellipsis") as live:
        for last in values:
            live.update(Group(*draw(last)), refresh=True)
    return _given(last)


def _given(last: T | None) -> T:
    if last is None:
        raise ValueError("nothing to watch")
    return last


def every(read: Callable[[], T], period_s: float) -> Iterator[T]:
    """What `read` says, again and again."""
    while True:
        yield read()
        time.sleep(period_s)


class BatchProgress:
    """Shows a batch on its way on stderr: a bar in all and one per outcome, or a line now and then."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description:>10}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
            console=console(stderr=True), auto_refresh=False, disable=not sys.stderr.isatty(),
        )  # fmt: skip
        self._bars: dict[str, TaskID] = {}
        self._told_at, self._told = 0.0, ""

    def follow(self, states: Iterable[BatchState]) -> BatchState:
        """Shows each state; returns the last one."""
        last = None
        with self._progress:
            for last in states:
                self._draw(last)
                if not last.complete:
                    time.sleep(FRAME_S)  # outcomes come faster than anybody reads
        return _given(last)

    def _draw(self, state: BatchState) -> None:
        for name, count in {"ended": state.size - state.waiting, **state.counts}.items():
            if name not in self._bars:
                label = f"[{STYLES.get(name, 'bold')}]{name}[/]"
                self._bars[name] = self._progress.add_task(label, total=state.size)
            self._progress.update(self._bars[name], completed=count)
        self._progress.refresh()
        if self._progress.disable:
            self._line(state)

    def _line(self, state: BatchState) -> None:
        counts = ", ".join(f"{count:,} {name}" for name, count in sorted(state.counts.items()))
        line = f"{state.size - state.waiting:,} of {state.size:,} ended" + (f": {counts}" if counts else "")
        if line != self._told and (state.complete or time.monotonic() - self._told_at >= LINE_S):
            sys.stderr.write(f"{line}\n")
            self._told_at, self._told = time.monotonic(), line
