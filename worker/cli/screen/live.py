"""Shows something that changes: redrawn in a terminal, a line a second everywhere else."""

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, Self, TypeVar

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress import Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.progress_bar import ProgressBar
from rich.text import Text

from bulk_cancel.worker.cli.screen.output import (
    STYLES,
    console,
    is_terminal,
    print_json,
    reader_is_gone,
    show,
)
from bulk_cancel.worker.cli.screen.render import outcomes_text
from bulk_cancel.worker.operators.shapes import iso, plain
from bulk_cancel.worker.state.batches import BatchState

T = TypeVar("T")
FRAME_S: Final = 0.08
LINE_S: Final = 1.0
"""Without a terminal progress is told at most so often."""


def watch(
    values: Iterable[T],
    *,
    draw: Callable[[T], Sequence[RenderableType]],
    line: Callable[[T], str],
    tell: Callable[[T], Mapping[str, object]],
    as_json: bool,
) -> T:
    """Shows every value as it comes: redrawn in a terminal, as `line` once a second everywhere else.

    A `line` that is empty is left out; after the lines the last value is drawn as a whole. JSON comes whenever what
    `tell` says has changed. Returns the last value; raises ValueError if there was none, BrokenPipeError when nobody
    reads stdout any more.
    """
    if is_terminal() and not as_json:
        return _redraw(values, draw)
    if as_json:
        return _given(_documents(_read(values), tell))
    last = _given(_lines(_read(values), line))
    show(*draw(last))
    return last


def present(
    value: T,
    *,
    draw: Callable[[T], Sequence[RenderableType]],
    tell: Callable[[T], Mapping[str, object]],
    as_json: bool,
) -> T:
    """Shows one value, for people or for programs; returns it."""
    if as_json:
        print_json(tell(value))
    else:
        show(*draw(value))
    return value


def _read(values: Iterable[T]) -> Iterator[T]:
    """The values, as long as somebody reads what is made of them: a pipe tells only those who write or ask."""
    for value in values:
        if reader_is_gone():
            raise BrokenPipeError
        yield value


def _documents(values: Iterable[T], tell: Callable[[T], Mapping[str, object]]) -> T | None:
    last, before = None, ""
    for last in values:
        said = tell(last)
        now = json.dumps({name: value for name, value in said.items() if name not in {"at", "workers"}}, default=plain)
        if now != before:
            print_json(said)
        before = now
    return last


def _lines(values: Iterable[T], line: Callable[[T], str]) -> T | None:
    last, next_at = None, 0.0
    for last in values:
        words = line(last)
        if words and time.monotonic() >= next_at:
            show(f"{iso(datetime.now(UTC))}  {words}")
            next_at = time.monotonic() + LINE_S
    return last


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


class Bar(ProgressColumn):
    """A bar in the colour of its outcome (the task's field `style`)."""

    def render(self, task: Task) -> ProgressBar:
        """The bar as it stands."""
        style = str(task.fields.get("style") or "bold")
        total, done = task.total or 0, task.completed
        return ProgressBar(total=total or 1, completed=done, complete_style=style, finished_style=style)


class Count(ProgressColumn):
    """`390/1,000`."""

    def render(self, task: Task) -> Text:
        """The count as it stands."""
        return Text(f"{task.completed:,.0f}/{task.total or 0:,.0f}", justify="right")


class Bars:
    """Bars by name on stderr, drawn when told to; nothing without a terminal (`hidden`)."""

    def __init__(self) -> None:
        self.hidden = not sys.stderr.isatty()
        name = TextColumn("{task.description}", justify="right", markup=False)
        screen = console(stderr=True)
        self._progress = Progress(name, Bar(), Count(), console=screen, auto_refresh=False, disable=self.hidden)
        self._ids: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """What is drawn stays; other output may follow."""
        self._progress.stop()

    def say(self, line: str) -> None:
        """A line above the bars."""
        self._progress.console.print(line)

    def draw(self, done: Mapping[str, int], total: Mapping[str, int], style: Mapping[str, str]) -> None:
        """Sets every bar in `done`, in that order, and draws them."""
        self._progress.start()
        for name, count in done.items():
            if name not in self._ids:
                self._ids[name] = self._progress.add_task(name, total=total[name], style=style.get(name, "green"))
            self._progress.update(self._ids[name], completed=count, total=total[name])
        self._progress.refresh()


class BatchProgress:
    """Shows a batch on its way on stderr: a bar in all and one per outcome, or a line now and then."""

    def __init__(self) -> None:
        self._bars = Bars()
        self._told_at, self._told = 0.0, ""

    def follow(self, states: Iterable[BatchState]) -> BatchState:
        """Shows each state; returns the last one."""
        last = None
        with self._bars:
            for last in states:
                self._draw(last)
                if not last.complete:
                    time.sleep(FRAME_S)  # outcomes come faster than anybody reads
        return _given(last)

    def _draw(self, state: BatchState) -> None:
        done = {"ended": state.size - state.waiting, **state.counts}
        self._bars.draw(done, dict.fromkeys(done, state.size), STYLES)
        if self._bars.hidden:
            self._line(state)

    def _line(self, state: BatchState) -> None:
        line = ended_words(state)
        if line != self._told and (state.complete or time.monotonic() - self._told_at >= LINE_S):
            sys.stderr.write(f"{line}\n")
            self._told_at, self._told = time.monotonic(), line


def ended_words(state: BatchState) -> str:
    """`390 of 1,000 ended: 380 canceled, 10 gone`."""
    ended = f"{state.size - state.waiting:,} of {state.size:,} ended"
    return f"{ended}: {outcomes_text(state)}" if state.counts else ended
