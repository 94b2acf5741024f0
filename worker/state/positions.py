"""Where a reader of all shards' outcomes is: a position of each shard's stream, in one text. Pure.

`a=1764378000000-0;default=1764378000123-4`. A shard that is not named is read from its beginning, so that one added
later loses nothing; one that is no longer there stays named. A runner with one Redis has plain positions.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from bulk_cancel.tasks.errors import NotAPositionError
from bulk_cancel.worker.config.shards import DEFAULT_SHARD
from bulk_cancel.worker.state.outcomes import START

_OF: Final = "="
_NEXT: Final = ";"
_ID: Final = re.compile(r"([0-9]{1,20})(?:-([0-9]{1,20}))?")
_LARGEST: Final = 2**64 - 1
"""Of the two numbers of an id in a stream."""


def parse(position: str, shards: Iterable[str]) -> dict[str, str]:
    """The position of each shard: a time is every shard's, an outcome of a runner that had one Redis is `default`'s.

    Raises NotAPositionError.
    """
    if _OF not in position:
        own = dict.fromkeys(shards, position if "-" not in position else START)
        return _checked(position, own | ({DEFAULT_SHARD: position} if "-" in position else {}))
    parts = [part.partition(_OF) for part in position.split(_NEXT)]
    if not all(name for name, _, _ in parts):
        raise NotAPositionError(position)
    return _checked(position, {**dict.fromkeys(shards, START), **{name: at for name, _, at in parts}})


def parse_for_one(position: str, shard: str) -> str:
    """The position of the only shard there is: of several ones its own. Raises NotAPositionError."""
    if _OF not in position:
        return _checked(position, {shard: position})[shard]
    found = parse(position, ())
    if shard not in found:
        raise NotAPositionError(position)
    return found[shard]


def _checked(position: str, found: dict[str, str]) -> dict[str, str]:
    """Redis would refuse another id, and whoever repeats what Redis did not do would repeat it for ever."""
    ids = [_ID.fullmatch(at) for at in found.values()]
    if not all(match and max(map(int, match.groups("0"))) <= _LARGEST for match in ids):
        raise NotAPositionError(position)
    return found


def compose(positions: Mapping[str, str]) -> str:
    """The text of the shards' positions."""
    return _NEXT.join(f"{name}{_OF}{at}" for name, at in sorted(positions.items()))
