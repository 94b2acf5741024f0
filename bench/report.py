"""Where do figures go? Into `results/<name>.json`, and as text between the README's markers of the same name."""

import json
import re
import sys
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.cpu import machine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from _typeshed import DataclassInstance

HERE: Final = Path(__file__).parent
README: Final = HERE / "README.md"
RESULTS: Final = HERE / "results"
PICTURES: Final = HERE / "pictures"


def keep(name: str, text: str, figures: "Sequence[DataclassInstance] | DataclassInstance") -> None:
    """Writes the figures and puts `text` with date, machine and command into the README."""
    about = machine()
    command = " ".join(["python -m", _module(), *sys.argv[1:]])
    plain = asdict(figures) if is_dataclass(figures) else [asdict(each) for each in figures]
    kept = {**about, "command": command, "figures": plain}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")
    versions = f"Python {about['Python']} · Redis {about['Redis']}"
    head = f"{about['date']} · {about['processor']} · {about['system']} · {versions} · `{command}`"
    replace_part(README, name, f"{head}\n\n{text}")


def replace_part(page: Path, name: str, text: str) -> None:
    """Puts `text` between `<!-- begin:name -->` and `<!-- end:name -->`; ValueError if the page has no such markers."""
    begin, end = f"<!-- begin:{name} -->", f"<!-- end:{name} -->"
    pattern = re.compile(f"{begin}.*?{end}", re.DOTALL)
    new, count = pattern.subn(lambda _: f"{begin}\n{text}\n{end}", page.read_text())
    if count != 1:
        raise ValueError(f"{page.name} should have the markers {begin} and {end} once")
    page.write_text(new)


def _module() -> str:
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return str(spec.name).removesuffix(".__main__") if spec else "bench"
