"""Turns the µs of Redis into times that people read. Pure."""

from datetime import UTC, datetime


def time_of(us: float) -> datetime:
    """µs since the epoch as UTC."""
    return datetime.fromtimestamp(us / 1e6, UTC)
