"""Tests of the worker's pulse: it beats while the threads turn, and what it says needs no Redis."""

import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from bulk_cancel.worker import alive
from bulk_cancel.worker.service import pulse
from bulk_cancel.worker.service.pulse import Pulse, pulses
from bulk_cancel.worker.state.loop import Loop
from tests.support.waiting import PATIENCE_S

HOST = socket.gethostname()


class Turning(Loop):
    """A thread of the worker, whose round lasts until it is let go."""

    def __init__(self) -> None:
        super().__init__("turning", pause_s=0.01)
        self.let_go = Event()
        self.let_go.set()

    def round(self) -> None:
        """One round."""
        self.let_go.wait(30)


@pytest.fixture(autouse=True)
def _own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("BULK_CANCEL_REDIS_URL", "redis://127.0.0.1:1/0")


@pytest.fixture
def loop() -> Iterator[Turning]:
    """A running one."""
    turning = Turning()
    turning.start()
    yield turning
    turning.let_go.set()
    turning.stop()
    turning.join(PATIENCE_S)


def test_a_worker_whose_threads_turn_is_alive_without_redis(loop: Turning) -> None:
    """And is not ready, which asks Redis."""
    Pulse([loop]).round()
    assert alive.main([]) == 0
    assert str(alive.main(["--ready"])).startswith("Redis does not answer")


def test_a_thread_that_stands_still_stops_the_pulse(loop: Turning, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the pulse grows old, and the probe says so."""
    beating = Pulse([loop])
    beating.round()
    loop.let_go.clear()
    monkeypatch.setattr(pulse, "TURN_S", -1.0)
    monkeypatch.setattr(alive, "FRESH_S", -1.0)
    before = (tmp := Path(tempfile.gettempdir()) / f"bulk-cancel-worker-{HOST}-{os.getpid()}").read_text()
    beating.round()
    assert tmp.read_text() == before
    assert str(alive.main([])).startswith("the worker stands still")


def test_a_thread_that_has_ended_stops_the_pulse(loop: Turning) -> None:
    """Nothing ends it but a fault beyond all that is caught, or the stop of the worker."""
    loop.stop()
    loop.join(PATIENCE_S)
    Pulse([loop]).round()
    assert pulses(HOST) == []


def test_without_a_pulse_redis_is_asked_as_before() -> None:
    """An older worker leaves none, nor does one that has stopped: the plain call means what it always meant."""
    assert str(alive.main([])).startswith("Redis does not answer")


def test_a_worker_that_stops_takes_its_pulse_away(loop: Turning) -> None:
    """So that a host without a worker is not alive."""
    beating = Pulse([loop])
    beating.round()
    beating.leave()
    assert pulses(HOST) == []
    beating.leave()


def test_another_hosts_pulse_and_what_is_no_pulse_do_not_count(tmp_path: Path) -> None:
    """Files of others may lie in the same directory."""
    (tmp_path / "bulk-cancel-worker-elsewhere-1").write_text("1.0")
    (tmp_path / f"bulk-cancel-worker-{HOST}-0-1").write_text("1.0")
    (tmp_path / f"bulk-cancel-worker-{HOST}-2").write_text("soon")
    (tmp_path / "17").write_text("1.0")
    assert pulses(HOST) == []


def test_a_directory_that_cannot_be_written_ends_no_worker(loop: Turning, monkeypatch: pytest.MonkeyPatch) -> None:
    """It beats on; probes ask Redis then."""
    monkeypatch.setattr(tempfile, "tempdir", "/proc/nowhere")
    beating = Pulse([loop])
    beating.round()
    beating.round()
    assert pulses(HOST) == []


def test_files_of_killed_workers_go(loop: Turning, tmp_path: Path) -> None:
    """Of any host, half written ones too; not those of a worker that lives, nor anybody else's."""
    names = ("bulk-cancel-worker-there-7", ".bulk-cancel-worker-there-8", "bulk-cancel-worker-here-9", "bulk-cancel.x")
    for name in names:
        (tmp_path / name).write_text("1.0")
    for name in (names[0], names[1], names[3]):
        os.utime(tmp_path / name, (0, 0))
    beating = Pulse([loop])
    beating.start()
    while not beating._path.exists():
        assert beating.is_alive()
    beating.stop()
    beating.join(PATIENCE_S)
    assert {path.name for path in tmp_path.iterdir()} == {names[2], names[3], beating._path.name}
