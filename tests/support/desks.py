"""Who trades in a chaos test? Desks: accounts of users of their own, each with its own address of one exchange."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, cast

from bulk_cancel.tasks.messages import parse_cancel_orders
from bulk_cancel.tasks.receipts import Receipt
from bulk_cancel.worker.config.settings import Settings, load_settings
from bulk_cancel.worker.simulator.accounts import ApiKey
from bulk_cancel.worker.simulator.config import DEFAULT_KEY
from tests.support.rig import Rig
from tests.support.waiting import PATIENCE_S

HOUSE = DEFAULT_KEY.uid
"""The User ID of `desk1`, whom every rig has."""


@dataclass(frozen=True, slots=True)
class Desk:
    """One account and its key; `number` from 2 on, since the rig's own is `desk1`."""

    number: int
    key: ApiKey

    @property
    def name(self) -> str:
        """The account's name."""
        return f"desk{self.number}"

    @property
    def uid(self) -> str:
        """The User ID."""
        return self.key.uid

    def settings(self, **more: str) -> dict[str, str]:
        """What a worker is told of the account; names without the runner's prefix."""
        said = {"API_KEY": self.key.key, "API_SECRET": self.key.secret, "PASSPHRASE": self.key.passphrase, **more}
        return {f"ACCOUNTS__{self.name.upper()}__{field}": value for field, value in said.items()}


def desk(number: int) -> Desk:
    """A desk of a user of its own."""
    return Desk(number, replace(DEFAULT_KEY, key=f"simulated-key-{number}", uid=str(1000 + number)))


def spelt(url: str, number: int) -> str:
    """The address spelt in the given one of 512 ways (LOCALHOST, lOCALHOST, …): each rests for itself."""
    port = url.rpartition(":")[2]
    letters = (c.upper() if number >> place & 1 else c for place, c in enumerate("localhost"))
    return f"http://{''.join(letters)}:{port}"


def hand_in(
    rig: Rig, batch_id: str, rows: Iterable[Mapping[str, object]], *, account: str = "desk1", **fields: object
) -> Receipt:
    """Submits a batch from this process."""
    asked = parse_cancel_orders(account=account, batch_id=batch_id, orders=rows, **fields)  # type: ignore[arg-type]
    return rig.store.admission.admit(asked)


def cli(rig: Rig, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Runs `bulk-cancel` against the rig; `settings` are contract names that differ for this once."""
    differing = {f"BULK_CANCEL_{name}": value for name, value in settings.items()}
    return subprocess.run(
        [sys.executable, "-m", "bulk_cancel.worker.cli", *arguments],
        env=os.environ | rig.environment | differing, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


_LET_PASS: Final = """
for index = 2, #KEYS do
  if redis.call('ZCARD', KEYS[index]) > 0 then return 0 end
end
redis.call('HINCRBY', KEYS[1], 'skew', ARGV[1])
return 1
"""


def let_pass(rig: Rig, seconds: float) -> None:
    """Redis's clock, as the verbs see it, goes forward while nobody sends: a call on its way would be late."""
    keys, redis = rig.store.keys, rig.store.redis

    def passed() -> bool:
        claimed = [keys.of("claimed", str(lane)) for lane, _ in redis.zscan_iter(keys.of("lanes"))]
        return bool(redis.eval(_LET_PASS, 1 + len(claimed), keys.of("clock"), *claimed, str(round(seconds * 1e6))))

    rig.wait_for(passed)


def rest(rig: Rig, scope: str) -> dict[str, str]:
    """The rest of a scope as it stands in Redis; empty if it does not rest."""
    return cast("dict[str, str]", rig.store.redis.hgetall(rig.store.keys.of("rest", scope)))


def logged(rig: Rig) -> list[dict[str, Any]]:
    """What the rig's workers logged so far, without Celery's banner and a line that is being written."""
    whole = rig.log_file.read_text("utf-8").rpartition("\n")[0]
    return [json.loads(line) for line in whole.splitlines() if line.startswith("{")]


def last(rig: Rig, seconds: float) -> None:
    """Lets a fault last so long."""
    ends = time.monotonic() + seconds
    rig.wait_for(lambda: time.monotonic() >= ends, seconds + PATIENCE_S)


def settings_of(rig: Rig) -> Settings:
    """What the rig's workers are told, as they read it."""
    before = dict(os.environ)
    os.environ.update(rig.environment)
    try:
        return load_settings()
    finally:
        os.environ.clear()
        os.environ.update(before)
