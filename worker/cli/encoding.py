"""Output in a locale that is not UTF-8: letters that its encoding lacks are written in ASCII."""

import codecs
import sys
from typing import Final, TextIO

_NAME: Final = "bulk-cancel"
_ASCII: Final = str.maketrans({"→": "->", "…": "...", "±": "+-", "—": "-", "━": "-", "╸": "-", "╺": "-", "─": "-"})


def speak_any_encoding() -> None:
    """Sets stdout and stderr so; a letter without a likeness in ASCII is written as its code."""
    codecs.register_error(_NAME, _likeness)
    for stream in (sys.stdout, sys.stderr):
        _reconfigure(stream)


def _reconfigure(stream: TextIO) -> None:
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors=_NAME)


def _likeness(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(_ASCII)
    return text.encode("ascii", "backslashreplace").decode(), error.end
