"""Where do figures go? Into `results/<name>.json`, and as text between the README's markers of the same name."""

import json
import re
import sys
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench import bars, figures
from bench.machine import machine

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Sequence

    from _typeshed import DataclassInstance

README: Final = Path(__file__).parent / "README.md"
UNKEPT: Final = "With any option the figures are only printed: kept is what a run as a whole has found."


def is_whole(parser: "ArgumentParser", told: "Namespace") -> bool:
    """Whether the command line left everything as it is; a run of a part must not replace what is kept of the whole."""
    return told == parser.parse_args([])


def keep(name: str, text: str, found: "Sequence[DataclassInstance] | DataclassInstance") -> None:
    """Writes the figures, puts `text` with date, machine and command into the README, and judges the bars anew."""
    about = machine() | {"command": " ".join(["python -m", _module(), *sys.argv[1:]])}
    plain = asdict(found) if is_dataclass(found) else [asdict(each) for each in found]
    figures.RESULTS.mkdir(exist_ok=True)
    file = figures.RESULTS / f"{name}.json"
    file.write_text(json.dumps(about | {"figures": plain}, indent=1, ensure_ascii=False) + "\n")
    replace_part(README, name, f"{headline(about)}\n\n{text}")
    judge()


def judge() -> None:
    """Renews the table of bars from all that is kept."""
    replace_part(README, "bars", bars.table(figures.read(figures.RESULTS)))


def headline(about: dict[str, str]) -> str:
    """When, of which revision, where and how the figures were found, in one line."""
    code, versions = f"revision {about['revision']}", f"Python {about['Python']} · Redis {about['Redis']}"
    return f"{about['date']} · {code} · {about['processor']} · {about['system']} · {versions} · `{about['command']}`"


def replace_part(page: Path, name: str, text: str) -> None:
    """Puts `text` between `<!-- begin:name -->` and `<!-- end:name -->`; ValueError if they are not there once."""
    begin, end = f"<!-- begin:{name} -->", f"<!-- end:{name} -->"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    new, count = pattern.subn(lambda _: f"{begin}\n{text}\n{end}", page.read_text())
    if count != 1:
        raise ValueError(f"{page.name} should have the markers {begin} and {end} once")
    page.write_text(new)


def _module() -> str:
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return str(spec.name).removesuffix(".__main__") if spec else "bench"


if __name__ == "__main__":
    judge()
