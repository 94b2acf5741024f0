"""The TOML file that `ACCOUNTS_FILE` names: a source of settings that comes last."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

from pydantic.fields import FieldInfo
from pydantic_settings import PydanticBaseSettingsSource

from bulk_cancel.tasks.errors import SettingsError
from bulk_cancel.worker.config.faults import PREFIX


class AccountsFile(PydanticBaseSettingsSource):
    """The TOML file that `ACCOUNTS_FILE` names; it comes last, so the path is known by then."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[object, str, bool]:
        """Required by the base class; the file is read as a whole, never field by field."""
        raise NotImplementedError(f"{field_name} of {field}")

    def __call__(self) -> dict[str, object]:
        """The accounts of the file; nothing without a file."""
        path = self.current_state.get("accounts_file")
        return {"accounts": _read_accounts(Path(str(path)))} if path else {}


def _read_accounts(path: Path) -> dict[str, object]:
    """One table per account, `[desk1]` or `[accounts.desk1]`; names and fields come back lower-cased."""
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{PREFIX}ACCOUNTS_FILE: cannot read {path}: {error.strerror}") from None
    except ValueError as error:
        place = re.search(r"line \d+, column \d+", str(error))  # the whole message may quote a secret
        where = place.group() if place else "no position known"
        raise SettingsError(f"{PREFIX}ACCOUNTS_FILE: {path} is not TOML in UTF-8 ({where})") from None
    tables = found.get("accounts", found)
    if not isinstance(tables, dict):
        raise SettingsError(f"{PREFIX}ACCOUNTS_FILE: {path} should hold one table per account, such as [desk1]")
    return _lower(tables)


def _lower(tables: Mapping[str, object]) -> dict[str, object]:
    lowered: dict[str, object] = {}
    for name, fields in tables.items():
        if name.lower() in lowered:
            raise SettingsError(f"{PREFIX}ACCOUNTS_FILE: {name.lower()} is there twice; names ignore case")
        lowered[name.lower()] = _lower(fields) if isinstance(fields, Mapping) else fields
    return lowered
