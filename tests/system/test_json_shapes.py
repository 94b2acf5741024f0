"""A test of `worker/cli/JSON.md` for the commands that start workers of their own."""

import json
import subprocess
import sys

import pytest

from tests.support.json_shapes import misfits


@pytest.mark.parametrize(
    "arguments",
    [
        ["demo", "--orders", "10", "--instruments", "1"],
        ["drill", "--embedded", "--yes", "--orders", "2", "--until-flat", "0.5"],
    ],
    ids=["demo", "drill"],
)
def test_its_report_has_the_shape_of_the_page(arguments: list[str]) -> None:
    """One object on stdout, and nothing else."""
    command = [sys.executable, "-m", "bulk_cancel.worker.cli", *arguments, "--json"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=50)
    printed = json.loads(ended.stdout)
    assert (printed["schema"], misfits(printed)) == (f"{arguments[0]}/1", [])
