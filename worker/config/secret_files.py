"""Secrets that are handed over as files: `…_FILE` names a file that holds what the variable would.

So containers get them (`/run/secrets/…`), and no list of a process's environment shows them. Nothing that was read, and
no path, is part of an error: a secret may stand in the place of the path.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from bulk_cancel.tasks.errors import SettingsError

SECRETS: Final = ("redis_url", "broker_url", "alert_webhook_url", "alert_webhook_secret")
_OF_ACCOUNTS: Final = r"accounts__.+?__(?:api_key|api_secret|passphrase)"
_OF_SHARDS: Final = r"shards__.+?__(?:redis_url|broker_url)"
_NAMED: Final = re.compile(rf"({'|'.join(SECRETS)}|{_OF_ACCOUNTS}|{_OF_SHARDS})_file")


def with_files(variables: Mapping[str, str | None], *, prefix: str) -> dict[str, str | None]:
    """The variables (names in lower case) of one source, with what the files hold in the place of their names.

    Raises:
        SettingsError: one line for each file that cannot be read, and for each secret that is there in both ways.
    """
    found = dict(variables)
    faults: list[str] = []
    for name, path in variables.items():
        base = name.removesuffix("_file")
        if not name.startswith(prefix.lower()) or not _NAMED.fullmatch(name.removeprefix(prefix.lower())):
            continue
        del found[name]
        if path and found.get(base):
            faults.append(f"{base.upper()} and {name.upper()}: set one of them")
        elif path:
            found[base] = _read(path, name, faults)
    if faults:
        raise SettingsError("\n".join(faults))
    return found


def _read(path: str, name: str, faults: list[str]) -> str:
    try:
        text = Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        faults.append(f"{name.upper()}: names a file that cannot be read ({error.strerror})")
    except ValueError:
        faults.append(f"{name.upper()}: names a file that is not UTF-8 text")
    else:
        if not text:
            faults.append(f"{name.upper()}: names a file that is empty")
        return text
    return ""


def names() -> list[str]:
    """The settings of this kind that belong to neither an account nor a shard."""
    return [f"{secret}_file" for secret in SECRETS]
