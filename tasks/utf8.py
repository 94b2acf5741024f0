"""Text that UTF-8 cannot say, so that Redis cannot keep it: a lone surrogate, which JSON allows and argv may bring."""

from typing import Final

HALF: Final = "should be whole characters; it holds half of a surrogate pair"
"""What is said of such text where it came as characters, as in JSON."""

NOT_UTF8: Final = "should be text in UTF-8"
"""The same where it came as bytes: from a command line or the environment."""


def writable(text: str) -> str:
    """The text as UTF-8 can say it: a lone surrogate, which JSON allows, in escaped form."""
    return text.encode("utf-8", "backslashreplace").decode()


def is_writable(text: str) -> bool:
    """Whether UTF-8 can say it as it is."""
    return writable(text) == text
