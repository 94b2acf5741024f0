"""Errors of a call to the exchange that has no answer to judge order by order.

    ExchangeError
    ├── NeverSent            no byte left: no connection; its slots may be released
    │   └── TooLate          no byte left, because `write_by` had passed
    ├── OutcomeUnknown       bytes may have arrived: reset, unreadable answer, HTTP 4xx or 5xx without a known code
    │   └── DeadlinePassed   the total deadline cut the call: its bytes may still be on their way
    ├── Throttled            refused for speed: HTTP 429, 50011, 50040, 50061
    ├── Unavailable          the exchange as a whole does not serve: HTTP 503, 50001, 50013, …
    ├── NotAuthorised        the credentials do not open this door: 501xx, or HTTP 401 and 403 with another code
    ├── ClockSkew            our timestamp is too far from the exchange's clock: 50102, 50112
    └── Refused              a reading call got a code of its own; cancels carry such a code in their Answer

Refusals of one order are values (see verdicts.py), never exceptions.
"""

import re
from typing import ClassVar

_MSG_LIMIT = 300


class ExchangeError(Exception):
    """Base of all; `code` is the exchange's ("" if none), `http_status` None if no status line was read.

    `words` say what happened to a person, who need not know our classes.
    """

    words: ClassVar[str] = "no answer that can be judged"

    def __init__(self, msg: str = "", *, code: str = "", http_status: int | None = None) -> None:
        self.msg = msg[:_MSG_LIMIT]
        self.code = code
        self.http_status = http_status
        super().__init__(self.msg)

    def __str__(self) -> str:
        status = "" if self.http_status is None else f"HTTP {self.http_status}"
        return " ".join(part for part in (status, self.code, self.msg) if part) or self.words

    @property
    def redirects(self) -> bool:
        """The answer names another address, to which nothing of ours is ever sent."""
        return self.http_status is not None and 300 <= self.http_status < 400  # noqa: PLR2004 (HTTP's own words)

    @property
    def told(self) -> str:
        """What happened, and what the exchange or the system said of it."""
        said = str(self)
        return said if said == self.words else f"{self.words}: {said}"


class NeverSent(ExchangeError):  # noqa: N818 (says what happened, in the design's words)
    """Not one byte of the request left this process."""

    words = "no connection"


class TooLate(NeverSent):
    """`write_by` had passed: our side was late, which says nothing of the exchange."""

    words = "too late to be sent"


class OutcomeUnknown(ExchangeError):  # noqa: N818
    """The request may have been carried out; only asking again tells."""

    words = "no usable answer"


class DeadlinePassed(OutcomeUnknown):
    """The total deadline cut the call; the request may even arrive later than now."""

    words = "no answer in time"


class Throttled(ExchangeError):  # noqa: N818
    """The exchange refused the whole request for speed."""

    words = "refused for speed"


class Unavailable(ExchangeError):  # noqa: N818
    """The exchange cannot serve anybody now."""

    words = "the exchange does not serve"


class NotAuthorised(ExchangeError):  # noqa: N818
    """The exchange does not accept these credentials for this call."""

    words = "credentials refused"


class ClockSkew(ExchangeError):  # noqa: N818
    """The signed timestamp was refused: measure the clock and ask again."""

    words = "timestamp refused"


class Refused(ExchangeError):  # noqa: N818
    """A reading call was refused with a code that is none of the above."""

    words = "refused"


def in_words(kind: type[Exception]) -> str:
    """`ConnectTimeout` as `connect timeout`: for errors of which nothing but their class may be told."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind.__name__).lower()
