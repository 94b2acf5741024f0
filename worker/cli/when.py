"""Points in time as people type them."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from bulk_cancel.worker.cli.errors import CommandError

WHEN: Final = "a time such as 2026-02-26T10:00 (local, unless it names a zone), or how long ago: 90s, 15m, 8h, 7d"

_AGO: Final = re.compile(r"(\d{1,9})([smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def time_given(text: str | None, flag: str) -> datetime | None:
    """What `flag` says, None if it was not given; raises CommandError for what is no time."""
    if text is None:
        return None
    ago = _AGO.fullmatch(text.strip())
    try:
        if ago:
            return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        return datetime.fromisoformat(text.strip()).astimezone()
    except (ValueError, OverflowError):
        raise CommandError(f"{flag}: should be {WHEN}; is {text!r:.60}") from None
