"""Writes to the screen: rich in a terminal, plain text everywhere else, JSON when asked for.

Nothing that others wrote (reasons, labels, messages of the exchange) can bring control characters or markup along.
"""

import json
import select
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from io import StringIO, UnsupportedOperation
from typing import Any, Final, Self, TypeVar

from rich.box import SIMPLE_HEAD
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from bulk_cancel.worker.config.visible import visible
from bulk_cancel.worker.operators.shapes import document, plain

T = TypeVar("T")

ROOMY: Final = 100
clean: Final = visible
PLAIN_WIDTH: Final = 1_000
"""Columns when nobody looks: wide enough that no line is folded."""

STYLES: Final = {
    "accepted": "green", "canceled": "green", "filled": "cyan", "gone": "cyan", "withdrawn": "magenta",
    "rejected": "bold red", "exhausted": "bold red",
    "queued": "yellow", "sending": "blue", "retrying": "yellow",
    "ok": "green", "warn": "yellow", "ACT": "bold magenta", "FAIL": "bold red",
}  # fmt: skip


def console(*, stderr: bool = False) -> Console:
    """A console on stdout or stderr as they are now; honours NO_COLOR."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else PLAIN_WIDTH
    return Console(file=stream, width=width, markup=False, highlight=False, emoji=False)


def is_terminal() -> bool:
    """Whether a person looks at stdout."""
    return sys.stdout.isatty()


def reader_is_gone() -> bool:
    """Whether the program that read stdout has ended, as `head` does."""
    try:
        descriptor = sys.stdout.fileno()
    except UnsupportedOperation:  # not a file, so nobody can have closed it
        return False
    poller = select.poll()
    poller.register(descriptor, 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poller.poll(0))


def show(*parts: RenderableType) -> None:
    """Prints the parts; without a terminal every line ends with its last visible character."""
    target = console()
    if target.is_terminal:
        target.print(*parts, sep="\n")
        return
    sys.stdout.write(as_text(*parts))
    sys.stdout.flush()


def as_text(*parts: RenderableType) -> str:
    """The parts without colours and folds, every line ending with its last visible character."""
    target = Console(file=StringIO(), width=PLAIN_WIDTH, color_system=None, markup=False, highlight=False, emoji=False)
    with target.capture() as captured:
        target.print(*parts, sep="\n")
    return "".join(f"{line.rstrip()}\n" for line in captured.get().splitlines())


class _OfShards(Table):
    """Its rows come in the order of their shards' names, which each begins with."""

    def named(self, shards: Iterable[str]) -> Self:
        """The same table, with its first column."""
        self._shards = iter(shards)
        self.add_column("shard", no_wrap=True)
        return self

    def add_row(self, *cells: RenderableType | None, **told: Any) -> None:  # noqa: ANN401 (as rich has it)
        """A row of the next shard."""
        super().add_row(next(self._shards), *cells, **told)


def table(*columns: str, right: Iterable[str] = (), flexible: Iterable[str] = (), shards: Sequence[str] = ()) -> Table:
    """An empty table; columns in `right` hold numbers, those in `flexible` give way in a narrow terminal.

    `shards` has the shard of each row that will be added, in their order; nothing where there is only one.
    """
    kind = _OfShards if any(shards) else Table
    made = kind(
        box=SIMPLE_HEAD if is_terminal() else None,
        padding=(0, _gap(), 0, 0),
        pad_edge=False,
        show_edge=False,
        header_style="bold",
    )
    if isinstance(made, _OfShards):
        made.named(shards)
    for name in columns:
        made.add_column(
            name, justify="right" if name in right else "left", no_wrap=name not in flexible,
            overflow="fold" if name in flexible else "ellipsis",
        )  # fmt: skip
    return made


def is_narrow() -> bool:
    """Whether a person looks at a terminal that is too narrow for many columns."""
    return is_terminal() and console().width < ROOMY


def fact_grid(facts: Iterable[tuple[str, str | Text]]) -> Table:
    """Names in bold, and beside each its value."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in facts:
        grid.add_row(name, value)
    return grid


def _gap() -> int:
    """Blanks between columns, besides the one that a terminal's box brings."""
    if not is_terminal():
        return 2
    return 0 if is_narrow() else 1


def on_shard(text: Text, shard: str) -> Text:
    """A line that says of which shard it is, if its runner has several."""
    return text.append(f" (shard {shard})", "dim") if shard else text


def unzipped(placed: Sequence[tuple[str, T]]) -> tuple[list[T], list[str]]:
    """Rows, and the shards that they are of."""
    return [row for _, row in placed], [shard for shard, _ in placed]


def styled(word: str) -> Text:
    """A status word in its colour."""
    return Text(word, style=STYLES.get(word, ""))


def print_lines(schema: str, rows: Iterable[Mapping[str, object]]) -> None:
    """Many objects: one a line, also in a terminal."""
    sys.stdout.writelines(json.dumps(document(schema, row), default=plain) + "\n" for row in rows)
    sys.stdout.flush()


def print_json(value: object) -> None:
    """One JSON document: a line without a terminal, readable with one."""
    sys.stdout.write(json.dumps(value, default=plain, indent=2 if is_terminal() else None) + "\n")
    sys.stdout.flush()


def clock(at: datetime) -> str:
    """The time of day as the reader's clock shows it, with its zone: `12:00:03 CET`."""
    return at.astimezone().strftime("%H:%M:%S %Z")


def moment(at: datetime) -> str:
    """The same with the date in front, if that is another day than today."""
    shown = at.astimezone()
    return clock(at) if shown.date() == datetime.now(UTC).astimezone().date() else f"{shown:%Y-%m-%d} {clock(at)}"


def by_whom(by: str, reason: str) -> str:
    """`by risk: fat finger`, of what people decided."""
    return clean(f"by {by}" + (f": {reason}" if reason else ""))


def number(count: int) -> str:
    """`12,000`."""
    return f"{count:,}"


def plural(count: int, word: str, many: str = "") -> str:
    """`1 order`, `2 orders`, `3 batches`."""
    return f"{count:,} {word if count == 1 else many or f'{word}s'}"
