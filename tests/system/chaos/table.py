"""How are the faults survived shown? A table in the terminal, and the same as markdown: `python -m … REPORT`."""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from tests.system.chaos.report import Finding

COLUMNS: Final = (
    ("fault", "fault"),
    ("orders", "orders"),
    ("faults", "kills or outages"),
    ("lost", "lost"),
    ("wrong", "wrong outcome"),
    ("exceeded", "windows exceeded"),
    ("refusals", "refusals"),
    ("most_sends", "most sends of one order"),
    ("resume_s", "time to resume"),
)


def read(path: Path) -> list[Finding]:
    """The findings of one run, by name of the fault; a later line of the same fault replaces the earlier."""
    found = (Finding(**json.loads(line)) for line in path.read_text("utf-8").splitlines())
    return sorted({finding.fault: finding for finding in found}.values(), key=lambda finding: finding.fault)


def cells(finding: Finding) -> list[str]:
    """One line of the table."""
    return [_shown(name, getattr(finding, name)) for name, _ in COLUMNS]


def markdown(findings: Iterable[Finding]) -> str:
    """The table as bench/README.md holds it."""
    head = [[title for _, title in COLUMNS], ["---", *["---:"] * (len(COLUMNS) - 1)]]
    return "\n".join("| " + " | ".join(row) + " |" for row in [*head, *map(cells, findings)])


def table(findings: Iterable[Finding]) -> Table:
    """The table as the terminal shows it."""
    shown = Table(title="bulk-cancel under faults")
    for index, (_, title) in enumerate(COLUMNS):
        shown.add_column(title, justify="right" if index else "left")
    for finding in findings:
        shown.add_row(*cells(finding))
    return shown


def _shown(name: str, value: object) -> str:
    if name == "resume_s":
        return "-" if value is None else f"{value:.1f} s"
    return f"{value:,}" if isinstance(value, int) else str(value)


def main() -> None:
    """Print both for the report named on the command line."""
    findings = read(Path(sys.argv[1]))
    console = Console()
    console.print(table(findings))
    console.print(markdown(findings), markup=False, soft_wrap=True)


if __name__ == "__main__":
    main()
