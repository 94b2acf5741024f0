"""Says what is wrong with settings, to the person who can mend them.

Pure: names and pydantic's error details in, one line per fault out. A line says which variable, what is
wrong and how to mend it; it never holds a value, since any value may be a secret in the wrong place.
"""

import difflib
import re
from collections.abc import Iterable, Sequence

from pydantic_core import ErrorDetails

from bulk_cancel.tasks.utf8 import NOT_UTF8

PREFIX = "BULK_CANCEL_"
_NESTED = "__"
_EXAMPLE = "DESK1"
_SHARD_FIELDS = ("redis_url", "broker_url")
_KUBERNETES = re.compile(
    r"(\w+?)_(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT(?:_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)?)"
)


def misspelt(names: Iterable[str], *, fields: Sequence[str], account_fields: Sequence[str]) -> list[str]:
    """One line for each name with our prefix (case ignored) that is no setting, with the nearest that is."""
    ours = sorted(name.upper() for name in names if name.upper().startswith(PREFIX))
    ours = [name for name in ours if not _is_of_kubernetes(name, ours)]
    known = [field.upper() for field in fields]
    return [
        f"{name}: no such setting{_did_you_mean(name, known, account_fields)}"
        for name in ours
        if not _is_known(name.removeprefix(PREFIX), known)
    ]


def faults_in(errors: Iterable[ErrorDetails], *, account_fields: Sequence[str]) -> list[str]:
    """One line per validation error."""
    # a default that depends on a wrong setting is no fault of its own
    return [_fault(error, account_fields) for error in errors if error["type"] != "default_factory_not_called"]


def no_account() -> list[str]:
    """One line per variable that the first account needs."""
    needed = ("API_KEY", "API_SECRET", "PASSPHRASE")
    return [
        f"{PREFIX}ACCOUNTS{_NESTED}{_EXAMPLE}{_NESTED}{field}: no account is set up; set this for an "
        f"account of your naming (here {_EXAMPLE.lower()}), or name a TOML file in {PREFIX}ACCOUNTS_FILE"
        for field in needed
    ]


def _is_of_kubernetes(name: str, names: Sequence[str]) -> bool:
    """Every pod is told of every service: one called `bulk-cancel-redis` comes as names with our prefix.

    They come together, so a misspelt `…_PORT` alone is still found.
    """
    match = _KUBERNETES.fullmatch(name)
    return match is not None and {f"{match[1]}_SERVICE_HOST", f"{match[1]}_SERVICE_PORT"} <= set(names)


def _is_known(rest: str, known: Sequence[str]) -> bool:
    """Fields of accounts and shards are checked by their models; accounts may come from a file, too."""
    return rest in known or rest.startswith((f"ACCOUNTS{_NESTED}", f"SHARDS{_NESTED}"))


def _did_you_mean(name: str, known: Sequence[str], account_fields: Sequence[str]) -> str:
    rest = name.removeprefix(PREFIX)
    near = _as_account_field(rest, account_fields) or next(iter(difflib.get_close_matches(rest, known, n=1)), "")
    return f"; did you mean {PREFIX}{near}?" if near else "; remove it"


def _as_account_field(rest: str, account_fields: Sequence[str]) -> str:
    """`ACCOUNT_DESK1_API_KEY` was meant as `ACCOUNTS__DESK1__API_KEY`."""
    fields = "|".join(field.upper() for field in account_fields)
    match = re.fullmatch(rf"ACCOUNTS?_+(.+?)_+({fields})", rest)
    return _NESTED.join(("ACCOUNTS", *match.groups())) if match else ""


def _fault(error: ErrorDetails, account_fields: Sequence[str]) -> str:
    place = [str(part) for part in error["loc"]]
    name = PREFIX + _NESTED.join(place).upper() if place else ""
    match error["type"]:
        case "missing" if place[0] == "shards":
            return f"{name}: is missing; set it or {name}_FILE"
        case "missing":
            return f"{name}: is missing; set it or {name}_FILE, or {place[-1]} of {place[1]} in the accounts file"
        case "extra_forbidden":
            fields = _SHARD_FIELDS if place[0] == "shards" else account_fields
            near = difflib.get_close_matches(place[-1], fields, n=1)
            hint = PREFIX + _NESTED.join([*place[:-1], *near]).upper() if near else ""
            return f"{name}: no such setting; " + (f"did you mean {hint}?" if hint else "remove it")
        case "bool_parsing":
            return f"{name}: should be on or off"
        case "string_unicode":
            return f"{name}: {NOT_UTF8}"
    words = error["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return f"{name}: {words}" if name else f"{PREFIX}{words}"
