"""Does the demo run for real, from anywhere, and leave nothing behind however it ends?"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from redis import Redis

from bulk_cancel.worker.simulator.embedded import EmbeddedRedis
from tests.support.waiting import PATIENCE_S

ORDERS = 200


class Demo:
    """Starts `bulk-cancel demo` in an empty directory; whatever it starts inherits a mark and its TMPDIR."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.mark = uuid.uuid4().hex
        self.environment = {**os.environ, "DEMO_MARK": self.mark, "TMPDIR": str(directory)}

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """The running demo."""
        command = [sys.executable, "-P", "-m", "bulk_cancel.worker.cli", "demo", "--orders", str(ORDERS), *arguments]
        return subprocess.Popen(
            command, cwd=self.directory, env={**self.environment, **environment},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def left(self) -> list[str]:
        """Processes and files that are still there."""
        files = [path.name for path in self.directory.iterdir()]
        return [*map(_command, self._processes()), *files]

    def _processes(self) -> Iterator[Path]:
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if f"DEMO_MARK={self.mark}".encode() in (process / "environ").read_bytes():
                    yield process
            except OSError:  # gone by now, or somebody else's
                continue


@pytest.fixture
def demo() -> Iterator[Demo]:
    """A demo with a directory of its own."""
    with tempfile.TemporaryDirectory() as directory:
        yield Demo(Path(directory))


def test_the_demo_reports_and_leaves_nothing_behind(demo: Demo) -> None:
    """Every order ends, nothing dead, no refusal, exit 0; the report holds together."""
    with demo.start("--json", "--instruments", "4") as process:
        out, err = process.communicate(timeout=50)
    assert process.returncode == 0, err
    report = json.loads(out)
    assert report["complete"]
    assert (report["dead"], report["refusals"], report["workers"]) == (0, 0, 2)
    assert sum(report["outcomes"].values()) == ORDERS
    assert report["outcomes"]["filled"] == ORDERS // 40
    assert [each["orders"] for each in report["instruments"]] == [80, 40, 40, 40]
    assert all(each["batch_max"] <= 300 and each["single_max"] <= 60 for each in report["instruments"])
    assert report["line"].startswith("200 orders, 4 instruments: flat in ")
    assert demo.left() == []


def test_its_page_shows_the_same_demo_until_ctrl_c(demo: Demo) -> None:
    """The address is printed, the report, too; then it ends as any other."""
    with demo.start("--web", "--instruments", "4", "--json") as process:
        assert process.stderr is not None
        assert process.stdout is not None
        lines = iter(process.stderr.readline, "")
        url = next(line for line in lines if line.startswith("the page: ")).split()[-1]
        assert "<title>bulk-cancel</title>" in requests.get(url, timeout=PATIENCE_S).text
        report = json.loads(process.stdout.readline())
        [batch] = requests.get(f"{url}v1/batches", timeout=PATIENCE_S).json()["batches"]
        assert (batch["batch_id"], batch["counts"]) == (report["batch_id"], report["outcomes"])
        assert any("until Ctrl-C" in line for line in lines)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0
    assert demo.left() == []


def test_it_runs_where_another_worker_and_other_settings_lie(demo: Demo) -> None:
    """A `worker.py` and a `.env` in the working directory are somebody else's."""
    (demo.directory / "worker.py").write_text("raise SystemExit('the wrong worker')")
    (demo.directory / ".env").write_text("BULK_CANCEL_REDIS_ULR=x\nBULK_CANCEL_KEY_PREFIX=mine\n")
    with demo.start("--instruments", "2") as process:
        _, err = process.communicate(timeout=50)
    assert process.returncode == 0, err
    assert sorted(demo.left()) == [".env", "worker.py"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_nothing_behind(demo: Demo, number: signal.Signals) -> None:
    """In the middle of the cancel: exit 130, no traceback."""
    with demo.start("--delay-ms", "500") as process:
        assert process.stderr is not None
        assert "starting Redis" in process.stderr.readline()
        assert "cancelling 200 orders" in process.stderr.readline()
        process.send_signal(number)
        _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert demo.left() == []


def test_on_a_redis_of_ours_only_its_own_keys_go(demo: Demo) -> None:
    """What was there stays, what the demo wrote is gone, and nothing was sent before a restart's slots had ended."""
    with EmbeddedRedis() as server, Redis.from_url(server.url, decode_responses=True) as redis:
        redis.set("bc:mine", "1")
        with demo.start("--json", BULK_CANCEL_REDIS_URL=server.url, BULK_CANCEL_HTTP_TIMEOUT_S="0.2") as process:
            out, err = process.communicate(timeout=50)
        assert process.returncode == 0, err
        assert sorted(redis.keys()) == ["bc:mine", "bulk-cancel:clock"]
    assert json.loads(out)["blocked_s"] > 1
    assert demo.left() == []


def test_a_demo_that_cannot_start_says_why(demo: Demo) -> None:
    """A Redis that evicts: the worker's own words, exit 2, nothing left."""
    with EmbeddedRedis(options={"maxmemory-policy": "allkeys-lru"}) as server:
        with demo.start(BULK_CANCEL_REDIS_URL=server.url) as process:
            _, err = process.communicate(timeout=50)
        assert process.returncode == 2
        assert "set maxmemory-policy noeviction" in err
        assert "Traceback" not in err
    assert demo.left() == []


def _command(process: Path) -> str:
    return (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
