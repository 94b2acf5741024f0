"""One attempt of an order's log as a line or as an object. Pure."""

from collections.abc import Mapping
from datetime import datetime

from bulk_cancel.worker.cli.screen.output import clean, iso_us


def attempt_json(attempt: Mapping[str, object]) -> dict[str, object]:
    """The attempt for programs: all that is known of it, its time in ISO 8601."""
    at = attempt.get("at")
    return {**attempt, "at": iso_us(at) if isinstance(at, int) else None}


def attempt_line(attempt: Mapping[str, object]) -> str:
    """When, how, with which account, by which worker, how long it took, and what the exchange said."""
    said = " ".join(str(attempt[name]) for name in ("sCode", "sMsg") if attempt.get(name))
    ways = {"endpoint": "{}", "account": "account {}", "worker": "worker {}", "latency_ms": "{} ms"}
    parts = [form.format(attempt[name]) for name, form in ways.items() if attempt.get(name) is not None]
    return clean("  ".join([_when(attempt), *parts, said or "no answer"]))


def _when(attempt: Mapping[str, object]) -> str:
    at = attempt.get("at")
    if not isinstance(at, int):
        return "--:--:--.---"
    seconds, micros = divmod(at, 1_000_000)
    at_second = datetime.fromtimestamp(seconds).astimezone()
    return f"{at_second:%H:%M:%S}.{micros // 1000:03d} {at_second:%Z}"
