"""Does a report land where it belongs, name its code, and leave alone what it did not measure?"""

# ruff: noqa: RUF001

import argparse
import subprocess
import sys
from pathlib import Path

import pytest

from bench import figures, report
from bench.machine import revision
from bench.percentile import percentile
from bench.report import headline, is_whole, keep, replace_part
from tests.support.checkout import ROOT
from tests.support.laps import lap

PAGE = "before\n<!-- begin:race -->\nold\n<!-- end:race -->\nbetween\n<!-- begin:race2 -->\n<!-- end:race2 -->\nafter\n"
ABOUT = {
    "date": "2026-11-22",
    "revision": "abc1234",
    "processor": "two cores",
    "system": "Linux",
    "Python": "3.11",
    "Redis": "6.2",
}


@pytest.mark.parametrize(
    ("share", "value"), [(0.0, 1.0), (0.5, 51.0), (0.9, 91.0), (0.99, 100.0), (0.989, 99.0), (1.0, 100.0)]
)
def test_a_percentile_has_its_share_below(share: float, value: float) -> None:
    """Of 1 to 100 in any order."""
    assert percentile([float(number) for number in range(100, 0, -1)], share) == value


def test_nothing_has_no_percentile() -> None:
    """Rather an error than a zero."""
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)


def test_only_the_named_part_is_replaced(tmp_path: Path) -> None:
    """The rest of the page stays byte for byte, whatever the text is made of."""
    page = tmp_path / "README.md"
    page.write_text(PAGE)
    replace_part(page, "race", r"new \1 \g<0>")
    assert page.read_text() == PAGE.replace("old", r"new \1 \g<0>")


@pytest.mark.parametrize("text", ["no markers", PAGE + PAGE, PAGE.replace("<!-- end:race -->", "")])
def test_a_page_without_the_markers_is_left_alone(tmp_path: Path, text: str) -> None:
    """None, two, or half of them: an error, and nothing is written."""
    page = tmp_path / "README.md"
    page.write_text(text)
    with pytest.raises(ValueError, match="markers"):
        replace_part(page, "race", "new")
    assert page.read_text() == text


@pytest.mark.parametrize(
    ("words", "whole"), [([], True), (["--only", "8×500"], False), (["--rounds", "5"], False), (["--tiny"], False)]
)
def test_only_a_run_without_options_is_kept(words: list[str], whole: bool) -> None:  # noqa: FBT001 (a parameter of a test)
    """Whatever was chosen made it a run of something else."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tiny", action="store_true")
    assert is_whole(parser, parser.parse_args(words)) is whole


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A README with the two parts, and results of its own; the machine is always the same."""
    page = tmp_path / "README.md"
    page.write_text("<!-- begin:bars -->\n<!-- end:bars -->\n<!-- begin:championship -->\n<!-- end:championship -->\n")
    monkeypatch.setattr(report, "README", page)
    monkeypatch.setattr(figures, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(report, "machine", lambda: dict(ABOUT))
    return page


def test_what_is_kept_is_judged_at_once(page: Path) -> None:
    """File, table and bars come from the same laps."""
    laps = [lap("1×500", "us ×2", last_s=last_s) for last_s in (2.1, 2.2, 2.3)]
    keep("championship", "the table", laps)
    assert figures.read(page.parent / "results").laps == tuple(laps)
    assert "| 1×500 flat | ≤ 2.20 s | – | 2.20 s | 2.30 s | **median only** |" in page.read_text()
    assert "revision abc1234" in page.read_text()
    assert "\n\nthe table\n<!-- end:championship -->" in page.read_text()


def test_the_headline_names_the_code() -> None:
    """Date, revision, machine, versions, command."""
    told = headline(ABOUT | {"command": "python -m bench"})
    assert told == "2026-11-22 · revision abc1234 · two cores · Linux · Python 3.11 · Redis 6.2 · `python -m bench`"


def git(root: Path, *words: str) -> str:
    """Runs git in a repository of the test."""
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    command = ["git", "-C", str(root), *identity, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_a_revision_says_whether_the_code_was_changed(tmp_path: Path) -> None:
    """What the bench writes itself is no change of the code."""
    (tmp_path / "bench" / "results").mkdir(parents=True)
    (tmp_path / "bench" / "README.md").write_text("page")
    git(tmp_path, "init")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "first")
    clean = git(tmp_path, "rev-parse", "--short", "HEAD")
    (tmp_path / "bench" / "README.md").write_text("another")
    (tmp_path / "bench" / "results" / "cost.json").write_text("{}")
    assert revision(tmp_path) == clean
    (tmp_path / "bench" / "cost.py").write_text("code")
    assert revision(tmp_path) == f"{clean}+changes"


def test_without_git_the_revision_is_unknown(tmp_path: Path) -> None:
    """A copy of the sources can be measured, too."""
    assert revision(tmp_path) == "unknown"


def test_help_needs_nothing_that_only_the_bench_has() -> None:
    """Without matplotlib and psutil, and with exit status 0."""
    hidden = "import sys; sys.modules |= {'matplotlib': None, 'psutil': None}; sys.argv = ['bench', '--help']"
    command = [sys.executable, "-c", f"{hidden}; import runpy; runpy.run_module('bench', run_name='__main__')"]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "--tiny" in done.stdout
