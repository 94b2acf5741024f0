"""The lines of a file of settings that say nothing: python-dotenv would pass them over, and the defaults would hold."""

from pathlib import Path

from dotenv.parser import Binding, parse_stream

from bulk_cancel.worker.config.faults import PREFIX


def unreadable_lines(path: Path) -> list[str]:
    """One line for each that cannot be read, and for each name of ours without a value; none shows what it says.

    Raises OSError and UnicodeDecodeError.
    """
    if not path.is_file():
        return []
    with path.open(encoding="utf-8") as lines:
        return [
            f"{path}: line {_line(each)}: should be NAME=value, with both quotes or none"
            for each in parse_stream(lines)
            if each.error or _is_bare(each)
        ]


def _is_bare(each: Binding) -> bool:
    """Other programs' names without `=` are theirs to judge."""
    return each.value is None and (each.key or "").upper().startswith(PREFIX)


def _line(each: Binding) -> int:
    """Where it begins: the parser counts from the blank lines before it."""
    text = each.original.string
    blank = text[: len(text) - len(text.lstrip())]
    return each.original.line + blank.count("\n")
