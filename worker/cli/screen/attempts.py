"""One attempt of an order's log as a line. Pure."""

from collections.abc import Mapping

from bulk_cancel.worker.cli.screen.output import clean
from bulk_cancel.worker.state.times import time_of


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
    shown = time_of(at).astimezone()
    return f"{shown:%H:%M:%S}.{shown.microsecond // 1000:03d} {shown:%Z}"
