"""Tests of the package as others install it: beside their own `tasks.py` and `worker.py`, with what it needs alone."""

import json
import os
import signal
import subprocess
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final

import mypy.api
import pytest

from tests.support.checkout import ROOT
from tests.support.installed import Installed, build_wheel
from tests.support.rig import Rig
from tests.support.waiting import PATIENCE_S

Environments = Callable[[str], Installed]

UID: Final = "1001"
PRODUCER: Final = """
import json, sys
import tasks, bulk_cancel.tasks
from celery import Celery
from bulk_cancel.tasks import submit, submit_all
from bulk_cancel.tasks.cancel import cancel_orders

broker, *ids = sys.argv[1:]
first, second = ({"instId": "BTC-USDT", "ordId": each} for each in ids)
receipt = submit([first], account="desk1", batch_id="submitted")
[mass] = submit_all("desk1", instId="ETH-USDT", batch_id="everything")
app = Celery(broker=broker, set_as_current=True)
cancel_orders.apply_async(kwargs={"account": "desk1", "batch_id": "sent", "orders": [second]})
print(json.dumps([tasks.__file__, bulk_cancel.tasks.__file__, receipt.size, mass.batch_id]))
"""
IMPORT_ALL: Final = """
import importlib, pkgutil, sys
for room in sys.argv[1:]:
    package = importlib.import_module(room)
    for module in pkgutil.walk_packages(getattr(package, "__path__", ()), room + "."):
        if not module.name.endswith("__main__") and (".testing" in room or ".testing" not in module.name):
            importlib.import_module(module.name)
"""
TYPED: Final = """
from bulk_cancel.tasks import submit, submit_all

rows: list[dict[str, str]] = [{"instId": "BTC-USDT", "ordId": "1"}]
reveal_type(submit(rows, account="desk1", labels={"strategy": "mm-3"}))
reveal_type(submit_all("desk1", side="buy"))
submit(rows, account=1)
"""
SERVICE_TEST: Final = """
from bulk_cancel.tasks import submit

def test_a_service(bulk_cancel):
    submit([{"instId": "BTC-USDT", "ordId": "1"}], account="desk1", batch_id="b")
    assert bulk_cancel.end("b").counts == {"canceled": 1}
"""
PRODUCERS_ROOMS: Final = ("tasks", "worker.alive", "worker.config", "worker.state", "worker.operators.desk")
WORKERS_ROOMS: Final = ("worker.alerts", "worker.books", "worker.operators", "worker.sending", "worker.service")
"""Each brings what it imports, so not every room is named."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def environments(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environments:
    """An environment for each extra that is asked for, made once."""
    return cache(lambda extra: Installed(wheel, tmp_path_factory.mktemp("environment"), extra))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A directory in which somebody's own modules bear the names of our folders."""
    (tmp_path / "tasks.py").write_text("")
    (tmp_path / "worker.py").write_text("raise SystemExit('the wrong worker')")
    return tmp_path


def packed() -> set[str]:
    """What of this checkout should be in the wheel, by its name there."""
    kinds = (".py", ".lua", "py.typed", "openapi.json")
    found = [path for room in ("tasks", "worker") for path in (ROOT / room).rglob("*") if path.name.endswith(kinds)]
    files = [*found, *(ROOT / "worker" / "gateway" / "page").iterdir()]
    return {f"bulk_cancel/{path.relative_to(ROOT)}" for path in files}


def test_the_wheel_holds_our_packages_and_nothing_else(wheel: Path) -> None:
    """Every module, the marks of typed packages and the Lua files, under the one name `bulk_cancel`."""
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
        [top] = (name for name in archive.namelist() if name.endswith("top_level.txt"))
        assert archive.read(top).decode().split() == ["bulk_cancel"]
    assert held == packed()
    assert {
        "bulk_cancel/tasks/py.typed",
        "bulk_cancel/worker/py.typed",
        "bulk_cancel/worker/state/lua/admit.lua",
    } < held


def test_a_project_with_tasks_and_a_worker_of_its_own_hands_in_and_is_served(
    environments: Environments, project: Path
) -> None:
    """By all three ways of Python from a plain install; a worker that was started there cancels at the exchange."""
    with Rig(workers=0) as rig:
        ids = rig.exchange.control.place(UID, "BTC-USDT", 2)
        rig.exchange.control.place(UID, "ETH-USDT", 3)
        told = environments("").run("-c", PRODUCER, rig.redis.url, *ids, cwd=project, env=rig.environment)
        assert told.returncode == 0, told.stderr
        theirs, ours, size, mass = json.loads(told.stdout)
        assert (theirs, size, mass) == (str(project / "tasks.py"), 1, "everything")
        assert Path(ours).is_relative_to(environments("").packages)
        assert not Path(ours).resolve().is_relative_to(ROOT)
        rig.workers.append(start_worker(environments("worker"), project, rig))
        # a message is a batch only when the worker has read it, which may be after all other orders are done
        rig.taken("sent")
        counts = [rig.done(batch_id).counts for batch_id in ("submitted", "everything", "sent")]
        assert counts == [{"canceled": 1}, {"canceled": 3}, {"canceled": 1}]
        assert rig.stop_worker(rig.workers[0]) == 0


def start_worker(installed: Installed, project: Path, rig: Rig) -> subprocess.Popen[bytes]:
    """A worker as anybody starts one, in the project's directory."""
    command = [str(installed.python), "-m", "celery", "-A", "bulk_cancel.worker", "worker"]
    with (project / "worker.log").open("wb") as log:
        environment = installed.environment(rig.environment)
        return subprocess.Popen(command, cwd=project, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def test_a_type_checker_sees_what_submit_takes_and_gives(environments: Environments, project: Path) -> None:
    """That of another project, by `py.typed`."""
    (project / "uses.py").write_text(TYPED)
    options = ("--config-file=", "--strict", "--no-error-summary", "--cache-dir", os.devnull)
    python = ("--python-executable", str(environments("").python))
    out, err, _ = mypy.api.run([*options, *python, str(project / "uses.py")])
    found = [line.partition(": ")[2] for line in out.splitlines()]
    assert (err, found) == (
        "",
        [
            'note: Revealed type is "bulk_cancel.tasks.handles.Submitted"',
            'note: Revealed type is "list[bulk_cancel.tasks.handles.MassSubmitted]"',
            'error: Argument "account" to "submit" has incompatible type "int"; expected "str"  [arg-type]',
        ],
    )


@pytest.mark.parametrize(
    ("extra", "rooms"),
    [
        ("", PRODUCERS_ROOMS),
        ("testing", ("tasks.testing",)),
        ("worker", WORKERS_ROOMS),
        ("cli", ("worker.cli", "worker.simulator")),
    ],
)
def test_an_extra_brings_what_its_rooms_import(
    environments: Environments, project: Path, extra: str, rooms: tuple[str, ...]
) -> None:
    """Nothing is installed in there that the wheel's metadata does not name."""
    told = environments(extra).run("-c", IMPORT_ALL, *(f"bulk_cancel.{room}" for room in rooms), cwd=project)
    assert (told.returncode, told.stderr) == (0, "")


def test_the_kit_is_there_for_whoever_tests_a_service(environments: Environments, project: Path) -> None:
    """By pytest's entry point; its extra brings all that it needs."""
    (project / "test_service.py").write_text(SERVICE_TEST)
    arguments = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "test_service.py")
    told = environments("testing").run(*arguments, cwd=project)
    assert (told.returncode, told.stderr) == (0, ""), told.stdout


def test_a_producer_is_told_what_the_command_line_needs(environments: Environments, project: Path) -> None:
    """One plain line, or JSON; exit 2."""
    line = "typer is not installed; install it with: pip install 'bulk-cancel[cli]'"
    script = environments("").script("bulk-cancel")
    for arguments, said in (
        (("--help",), f"bulk-cancel: {line}\n"),
        (("status", "--json"), json.dumps({"schema": "error/1", "error": [line], "exit": 2}) + "\n"),
    ):
        told = environments("").run(script, *arguments, cwd=project)
        assert (told.returncode, told.stdout, told.stderr) == (2, "", said)


def test_a_producer_is_told_what_a_worker_needs(environments: Environments, project: Path) -> None:
    """The package that is missing, and what to install; exit 2, no traceback."""
    told = environments("").run("-m", "celery", "-A", "bulk_cancel.worker", "worker", cwd=project)
    assert told.returncode == 2
    assert told.stderr.startswith("bulk-cancel worker refuses to start:\n")
    assert told.stderr.endswith(" is not installed; install it with: pip install 'bulk-cancel[worker]'\n")
    assert "Traceback" not in told.stderr


def test_without_the_demos_server_it_says_what_to_install(environments: Environments, project: Path) -> None:
    """Where no redis-server is on PATH."""
    script = environments("cli").script("bulk-cancel")
    told = environments("cli").run(script, "demo", cwd=project, env={"PATH": "/nowhere"})
    assert told.returncode == 2
    assert "bulk-cancel: no redis-server: pip install 'bulk-cancel[demo]', or " in told.stderr
    assert "Traceback" not in told.stderr


def test_the_demo_needs_nothing_but_its_extra(environments: Environments, project: Path) -> None:
    """With a redis-server of its own, beside somebody's own `worker.py`."""
    script = environments("demo").script("bulk-cancel")
    arguments = ("demo", "--orders", "20", "--instruments", "2", "--json")
    told = environments("demo").run(script, *arguments, cwd=project, env={"PATH": "/nowhere"})
    assert told.returncode == 0, told.stderr
    assert sum(json.loads(told.stdout)["outcomes"].values()) == 20


def test_the_image_can_be_the_simulated_exchange(environments: Environments, project: Path) -> None:
    """It has worker and command line, and no Redis server; the exchange needs none."""
    installed = environments("cli")
    command = [installed.script("bulk-cancel"), "exchange"]
    with subprocess.Popen(command, cwd=project, env=installed.environment({}), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert b"http://127.0.0.1:" in process.stdout.readline()
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
