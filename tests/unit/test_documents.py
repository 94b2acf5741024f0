"""Do the documents say what is so? Rooms, files, commands and versions that they name are compared with the project."""

import configparser
import re
import sys
import tomllib
from inspect import signature
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml

from bulk_cancel.worker.cli.app import COMMANDS
from bulk_cancel.worker.config.account import ACCOUNT_FIELDS
from bulk_cancel.worker.config.settings import Settings
from bulk_cancel.worker.config.shards import Shard
from tests.support.checkout import ROOT

WORKER = ROOT / "worker"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
MAKEFILE = (ROOT / "Makefile").read_text()
INSIDE = (WORKER / "README.md").read_text("utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
FOLDERS = ("bench", "examples", "findings", "tasks", "tests", "worker")
DOCUMENTS = [
    path.relative_to(ROOT).as_posix()
    for path in (*ROOT.glob("*.md"), *(ROOT / folder / "README.md" for folder in FOLDERS))
    if path.exists()
]
FILES = re.compile(r"(?<![\w/.-])[\w./-]*\w\.(?:py|lua|md|toml|yaml|lock)\b")
"""A file that a document names, with as much of its path as is needed to find it."""


def wall(name: str) -> dict[str, Any]:
    """One import contract of pyproject.toml."""
    contracts: list[dict[str, Any]] = PROJECT["tool"]["importlinter"]["contracts"]
    return next(contract for contract in contracts if contract["id"] == name)


def rows(text: str, header: str) -> list[list[str]]:
    """The cells of a table, without its header."""
    _, _, after = text.partition(header)
    table = after.partition("\n\n")[0].strip().splitlines()[1:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


def drawn() -> list[set[str]]:
    """The layers of the picture, from the top, each with its rooms."""
    levels = re.findall(r"^│(.*)│$", INSIDE, re.MULTILINE)
    return [{cell.strip() for cell in level.split("│")} for level in levels]


def layers() -> list[set[str]]:
    """The same by the contract that is checked."""
    return [{name.strip().rpartition(".")[2] for name in level.split("|")} for level in wall("layers")["layers"]]


def rooms() -> set[str]:
    """The folders of worker/ that are packages."""
    return {path.parent.name for path in WORKER.glob("*/__init__.py")}


def test_the_picture_of_the_layers_is_the_contract() -> None:
    """The same rows in the same order, the same rooms in each; and no room of worker/ is outside of them."""
    assert drawn() == layers()
    folders = set(chain(*layers())) - {"tasks", "celery", "alive"}
    assert folders | {"simulator"} == rooms()


def test_every_room_has_its_line() -> None:
    """One row a room, and one for the modules that are started by name."""
    named = [re.findall(r"`(\w+)(?:/|\.py)`", cells[0]) for cells in rows(INSIDE, "| room | answers | pure rules |")]
    assert sorted(chain(*named)) == sorted({*rooms(), "celery", "alive"})
    assert all(cells[1] for cells in rows(INSIDE, "| room | answers | pure rules |"))


def test_the_rules_that_are_called_pure_are_walled() -> None:
    """All of them, and nothing that is walled is left out."""
    table = rows(INSIDE, "| room | answers | pure rules |")
    named = {f"{cells[0].strip('`/')}/{rule}" for cells in table for rule in re.findall(r"`([\w/]+)`", cells[2])}
    modules = wall("pure")["source_modules"]
    assert named == {name.removeprefix("bulk_cancel.worker.").replace(".", "/") for name in modules}


def test_every_verb_is_named_once() -> None:
    """In the line about them, by what it is for."""
    (line,) = re.findall(r"^\| `state/lua/` \|(.*)`state/lua/lib/`", INSIDE, re.MULTILINE)
    verbs = sorted(path.stem for path in (WORKER / "state" / "lua").glob("*.lua"))
    assert sorted(re.findall(r"`(\w+)`", line)) == verbs


def known() -> list[str]:
    """Every file of the project, by its path."""
    found = chain(ROOT.glob("*"), *((ROOT / folder).rglob("*") for folder in FOLDERS))
    return [path.as_posix() for path in found]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_file_that_a_document_names_is_there(document: str) -> None:
    """Under that path, or a longer one."""
    named = set(FILES.findall((ROOT / document).read_text("utf-8")))
    paths = known()
    assert named
    assert [name for name in named if not any(path.endswith(f"/{name.removeprefix('../')}") for path in paths)] == []


def test_the_receiver_checks_as_the_readme_says() -> None:
    """Whoever copies either gets the same."""
    shown = (ROOT / "README.md").read_text("utf-8").partition("```python\n")[2].partition("```")[0]
    assert shown
    assert shown in (ROOT / "examples" / "webhook_receiver.py").read_text("utf-8")


def test_hooks_are_the_checks_but_for_the_tests() -> None:
    """Each is a target of `make check` under its own name, in the same order; none is fetched."""
    (repo,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert repo["repo"] == "local"
    checks = re.findall(r"^check: ([^#]*)", MAKEFILE, re.MULTILINE)[0].split()
    assert [hook["id"] for hook in repo["hooks"]] == [check for check in checks if check not in {"test", "servers"}]
    for hook in repo["hooks"]:
        assert hook["entry"] == f"make --no-print-directory {hook['id']}"
        assert (hook["language"], hook["pass_filenames"]) == ("system", False)


def test_what_is_installed_is_measured() -> None:
    """By folder: a module counts once, under whichever name it was imported."""
    tools = PROJECT["tool"]
    assert tools["coverage"]["run"]["source_dirs"] == [*tools["setuptools"]["package-dir"].values()]


def test_files_are_as_the_editor_is_told() -> None:
    """The same line length as ruff's; no tab but in the Makefile, no space at a line's end, a newline at the end."""
    told = configparser.ConfigParser()
    told.read_string("[top]\n" + (ROOT / ".editorconfig").read_text())
    assert told.getint("*.py", "max_line_length") == PROJECT["tool"]["ruff"]["line-length"]
    assert {name for name in told.sections() if told.get(name, "indent_style", fallback="") == "tab"} == {"Makefile"}
    for path in map(Path, known()):
        if path.suffix in {".py", ".lua", ".md", ".toml", ".yaml", ".json", ".lock"} or path.name == "Makefile":
            text = path.read_bytes().decode("utf-8")
            assert not re.search(r"[ \t\r]$", text, re.MULTILINE), path
            assert path.name == "Makefile" or "\t" not in text, path
            assert text.endswith("\n") or not text, path


def test_every_command_that_a_document_names_is_there() -> None:
    """Targets of the Makefile, and programs beside the Python that runs the tests."""
    text = "".join((ROOT / name).read_text("utf-8") for name in DOCUMENTS)
    targets = set(re.findall(r"(?:`|\$ )make ([a-z-]+)", text))
    assert "check" in targets
    assert targets <= set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
    programs = set(re.findall(r"\.venv/bin/([a-z-]+)", text))
    assert "pre-commit" in programs
    assert [name for name in programs if not (Path(sys.executable).parent / name).exists()] == []


def test_commands_without_json_are_named() -> None:
    """Those that are ended by a signal, as they should be."""
    told = (ROOT / "README.md").read_text("utf-8").partition("cleaning up; 0 of ")[2].partition("which are meant")[0]
    served = {name for name, command in COMMANDS.items() if "as_json" not in signature(command.load()).parameters}
    assert set(re.findall(r"`(\w+)`", told)) == served


def test_every_wall_is_explained() -> None:
    """One row a contract, in the order of pyproject.toml."""
    named = [cells[0].strip("`") for cells in rows(CONTRIBUTING, "| contract | in short |")]
    assert named == [contract["id"] for contract in PROJECT["tool"]["importlinter"]["contracts"]]


def test_every_setting_has_its_row() -> None:
    """All that a process can be told, of itself and of each account, and nothing else."""
    table = rows((ROOT / "README.md").read_text("utf-8"), "| name | default | |")
    cells = " ".join(cells[0] for cells in table)
    assert re.findall(r"`SHARDS__<NAME>__([A-Z_]+)`", cells) == [field.upper() for field in Shard.model_fields]
    named = re.findall(r"`(ACCOUNTS__<NAME>)?(__)?([A-Z_]+)`", cells)
    assert sorted(name.lower() for *_, of_an_account, name in named if of_an_account) == sorted(ACCOUNT_FIELDS)
    ours = {name.lower() for *_, of_an_account, name in named if not of_an_account}
    assert ours == Settings.model_fields.keys() - {"accounts", "shards"}


def test_the_changelog_knows_this_version() -> None:
    """What is not released yet stands first, then the last release, with its day."""
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    unreleased, newest = re.findall(r"^## (.*)$", text, re.MULTILINE)[:2]
    assert unreleased == "[Unreleased]"
    released = re.fullmatch(r"\[(\d+\.\d+\.\d+)\] - \d{4}-\d\d-\d\d", newest)
    assert released
    version, next_one, _ = PROJECT["project"]["version"].partition(".dev")
    assert (version != released[1]) == bool(next_one)
    assert not next_one or f"It will be {version};" in text
