"""What workers of two releases do when a format is raised between them, under load."""

import json
import signal
import time
from pathlib import Path

from bulk_cancel.worker.operators.decisions import Asked
from bulk_cancel.worker.operators.formats import raise_formats
from bulk_cancel.worker.state.formats import Formats, Reads
from bulk_cancel.worker.state.store import open_store
from tests.support.rig import Rig
from tests.support.waiting import PATIENCE_S
from tests.system.chaos.drill import BLACKOUT_S, QUICK, cancels, place, quick_exchange, started, submit, waiting

NEXT: Formats = {"exchange": Reads(1, 2), "runner": Reads(1, 2)}
"""As `tests/support/newer_app.py` reads them."""

ANN = Asked("ann")
REFUSAL = "the exchange's state in Redis has format 2, this reads 1: start a release that reads 2"


def test_a_format_is_raised_under_load(tmp_path: Path) -> None:
    """Not over a worker that lives; then nobody sends under the old meaning when the new one begins; nothing is lost.

    A worker that stood still meanwhile ends by itself, and one that is started refuses, each in one sentence.
    """
    with Rig(workers=0, config=quick_exchange(), settings=QUICK) as rig:
        rig.log_file = tmp_path / "log"
        (old,) = rig.start_workers(1)
        rig.start_workers(1, app="tests.support.newer_app")
        newer = open_store(rig.store.settings, NEXT)
        submit(rig, "b", place(rig, 2400, lanes=4))
        started(rig, "b")
        (beat,) = (name for name, pid in pids(rig).items() if pid == old.pid)
        assert [raised.blockers for raised in raise_formats(newer, ANN)] == [(f"bc {beat}", beat), (beat,)]

        old.send_signal(signal.SIGSTOP)
        rig.store.redis.hdel(rig.store.keys.of("workers"), beat)  # as after ten seconds
        rig.store.redis.hdel(rig.store.keys.of("fleet"), f"bc {beat}")
        assert waiting(rig, "b")
        raised_us = time.time_ns() // 1000  # before the raise: nobody may send sooner than a blackout after it
        assert all(raised.changed for raised in raise_formats(newer, ANN))
        old.send_signal(signal.SIGCONT)
        assert old.wait(PATIENCE_S) == 2
        assert "format_unreadable" in rig.log_file.read_text()
        assert REFUSAL in rig.log_file.read_text()

        rig.log_file = tmp_path / "refuses"
        assert rig.start_worker().wait(PATIENCE_S) == 2
        assert f"bulk-cancel worker refuses to start: {REFUSAL}\n" in rig.log_file.read_text()
        assert "Traceback" not in rig.log_file.read_text()

        rig.wait_for(lambda: newer.batches.state("b").complete, 30)
        assert set(newer.batches.state("b").counts) <= {"canceled", "gone"}
        after = [(each.at_us - raised_us) / 1e6 for each in cancels(rig) if each.at_us > raised_us]
        assert [each for each in after if 1.0 < each < BLACKOUT_S] == []  # until 1 s: granted before
        assert [each for each in after if each >= BLACKOUT_S]
        summary = rig.exchange.control.summary().meters
        assert sum(meter.refusals for meter in summary.values()) == 0


def pids(rig: Rig) -> dict[str, int]:
    """The process of each worker that has reported itself, by its name."""
    beats = rig.store.redis.hgetall(rig.store.keys.of("workers"))
    return {str(name): json.loads(beat)["pid"] for name, beat in beats.items()}
