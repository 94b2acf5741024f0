"""Writes to the screen: rich in a terminal, plain text everywhere else, JSON when asked for.

Nothing that others wrote (reasons, labels, messages of the exchange) can bring control characters or markup along.
"""

import json
import select
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from io import StringIO, UnsupportedOperation
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from bulk_cancel.worker.config.visible import visible

ROOMY: Final = 100
clean: Final = visible
VERSION: Final = 1
"""Of the shapes of `cli/JSON.md`; a name that goes or changes its meaning makes the next one, a new name does not."""

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


def table(*columns: str, right: Iterable[str] = (), flexible: Iterable[str] = ()) -> Table:
    """An empty table; columns in `right` hold numbers, those in `flexible` give way in a narrow terminal."""
    made = Table(
        box=SIMPLE_HEAD if is_terminal() else None,
        padding=(0, _gap(), 0, 0),
        pad_edge=False,
        show_edge=False,
        header_style="bold",
    )
    for name in columns:
        made.add_column(
            name, justify="right" if name in right else "left", no_wrap=name not in flexible,
            overflow="fold" if name in flexible else "ellipsis",
        )  # fmt: skip
    return made


def _gap() -> int:
    """Blanks between columns, besides the one that a terminal's box brings."""
    if not is_terminal():
        return 2
    return 1 if console().width >= ROOMY else 0


def styled(word: str) -> Text:
    """A status word in its colour."""
    return Text(word, style=STYLES.get(word, ""))


def document(schema: str, said: Mapping[str, object]) -> dict[str, object]:
    """An object for programs, with the name and the version of its shape: see `cli/JSON.md`."""
    return {"schema": f"{schema}/{VERSION}", **said}


def print_lines(schema: str, rows: Iterable[Mapping[str, object]]) -> None:
    """Many objects: one a line, also in a terminal."""
    sys.stdout.writelines(json.dumps(document(schema, row), default=plain) + "\n" for row in rows)
    sys.stdout.flush()


def print_json(value: object) -> None:
    """One JSON document: a line without a terminal, readable with one."""
    sys.stdout.write(json.dumps(value, default=plain, indent=2 if is_terminal() else None) + "\n")
    sys.stdout.flush()


def plain(value: object) -> object:
    """What JSON has no word for: times as ISO 8601 UTC with milliseconds, values as objects."""
    if isinstance(value, datetime):
        return iso(value)
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence | set | frozenset):
        return list(value)
    raise TypeError(f"no JSON for {type(value).__name__}")


def iso(at: datetime) -> str:
    """`2026-02-26T10:00:00.123Z`."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


def iso_us(us: int | None) -> str | None:
    """The same from µs since the epoch; None stays None."""
    if us is None:
        return None
    seconds, rest = divmod(us, 1_000_000)
    return iso(datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest))


def clock(at: datetime) -> str:
    """The time of day as the reader's clock shows it, with its zone: `12:00:03 CET`."""
    return at.astimezone().strftime("%H:%M:%S %Z")


def moment(at: datetime) -> str:
    """The same with the date in front, if that is another day than today."""
    shown = at.astimezone()
    return clock(at) if shown.date() == datetime.now(UTC).astimezone().date() else f"{shown:%Y-%m-%d} {clock(at)}"


def number(count: int) -> str:
    """`12,000`."""
    return f"{count:,}"


def plural(count: int, word: str, many: str = "") -> str:
    """`1 order`, `2 orders`, `3 batches`."""
    return f"{count:,} {word if count == 1 else many or f'{word}s'}"
