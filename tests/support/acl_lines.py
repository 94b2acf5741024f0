"""The users of Redis as OPERATING.md has them: what each may do, and how a test lets one in."""

import re
from typing import Final

from redis import Redis

from tests.support.checkout import ROOT

PAGE: Final = (ROOT / "OPERATING.md").read_text("utf-8")
WORD: Final = "word"


def rules_of(user: str) -> list[str]:
    """The rules of a line; a worker's are also those of its broker, `celery` is a producer with Celery alone."""
    line = r"A Celery producer needs\n`(.+?)`" if user == "celery" else rf"^ACL SETUSER {user} on >\S+ (.+)$"
    (rules,) = re.findall(line, PAGE, re.MULTILINE)
    return str(rules).split()


def let_in(admin: Redis, user: str, *rules: str) -> None:
    """A user with these rights alone, and `WORD`."""
    admin.acl_deluser(user)
    admin.execute_command("ACL", "SETUSER", user, "on", f">{WORD}", *rules)  # type: ignore[no-untyped-call]
