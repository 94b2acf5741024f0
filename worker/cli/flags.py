"""Refusals of what a command was asked for in its own words: flags instead of fields, and the values given."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from bulk_cancel.tasks.errors import AdmissionError, InvalidOrders
from bulk_cancel.worker.cli.errors import CommandError

_FLAGS: Final = {
    "account": "--account",
    "batch_id": "--batch-id",
    "clOrdId_prefix": "--cl-ord-id-prefix",
    "deadline_s": "--deadline",
    "hold": "--hold",
    "instFamily": "--inst-family",
    "instId": "--inst-id",
    "instType": "--inst-type",
    "labels": "--label",
    "min_age_s": "--min-age",
    "reason": "--reason",
    "requested_by": "--by",
    "side": "--side",
    "tag": "--tag",
    "until_flat_s": "--until-flat",
    "with": "--with",
    "protective": "--protective",
    "bots": "--bots",
}
_FIRST: Final = re.compile(rf"({'|'.join(_FLAGS)})(?=[:.\[])")
_LABEL: Final = re.compile(r"""labels(?:\.(\w+)|\[['"](.*?)['"]\])(?:\['\[key\]'\])?:""")
_UNMISTAKABLE: Final = re.compile(rf"\b({'|'.join(name for name in _FLAGS if not name.islower() or '_' in name)})\b")
"""Names that are no words of English: they mean the field wherever they stand."""

_SHOWN: Final = 60


@contextmanager
def as_flags(said: Mapping[str, object]) -> Iterator[None]:
    """Makes a CommandError of InvalidOrders and of an AdmissionError; `said` are the values by the fields' names."""
    try:
        yield
    except (InvalidOrders, AdmissionError) as error:
        raise CommandError(*(in_flags(line, said) for line in str(error).splitlines())) from error


def in_flags(line: str, said: Mapping[str, object]) -> str:
    """`batch_id: should be …` as `--batch-id: should be …; is 'a b'`."""
    first = _FIRST.match(line)
    value = said.get(first[1]) if first else None
    given = f"; is {value!r:.{_SHOWN}}" if isinstance(value, str | int | float) else ""
    line = _LABEL.sub(lambda match: f"--label {match[1] or match[2]}:", line)
    return _UNMISTAKABLE.sub(_flag, _FIRST.sub(_flag, line, count=1)) + given


def _flag(match: re.Match[str]) -> str:
    return _FLAGS[match[1]]
