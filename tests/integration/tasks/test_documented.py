"""The examples of `tasks/README.md` as they are printed there: each runs on a runner whose orders end by themselves."""

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bulk_cancel.tasks.testing import Kit
from tests.support.checkout import ROOT

README = (ROOT / "tasks" / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"^```python( pytest)?\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
PROGRAMS = [code.replace("redis://127.0.0.1:6379/0", "{url}") for kind, code in BLOCKS if not kind]
TESTS = [code for kind, code in BLOCKS if kind]


@pytest.fixture
def workers(bulk_cancel: Kit) -> Iterator[Kit]:
    """The runner, with something in the place of workers: every order ends a moment after it was admitted."""
    stopping = threading.Event()

    def work() -> None:
        while not stopping.wait(0.01):
            for batch in bulk_cancel.batches():
                if batch.waiting:
                    bulk_cancel.end(batch.batch_id)

    thread = threading.Thread(target=work)
    thread.start()
    yield bulk_cancel
    stopping.set()
    thread.join()


def test_there_are_examples() -> None:
    """Of each kind."""
    assert len(PROGRAMS) == 5
    assert len(TESTS) == 1


@pytest.mark.parametrize("code", PROGRAMS, ids=lambda code: code.strip().splitlines()[0])
def test_a_program_runs(workers: Kit, tmp_path: Path, code: str) -> None:
    """As a process of its own, which the environment tells where Redis is."""
    if "follow" in code:
        workers.client.submit([{"instId": "BTC-USDT", "ordId": "1"}], account="desk1")
    program = tmp_path / "program.py"
    program.write_text(code.replace("{url}", workers.url))
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("code", TESTS)
def test_a_test_passes(tmp_path: Path, code: str) -> None:
    """By pytest, outside of this project."""
    (tmp_path / "test_it.py").write_text(code)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
