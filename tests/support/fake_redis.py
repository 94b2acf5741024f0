"""A Redis inside the process for tests of what producers do: fakeredis with its Lua, and what it lacks.

No guarantee is tested on it: it has one thread, its own clock, no memory to be full and no server to fail.
"""

from typing import Any

from fakeredis import FakeRedis, FakeServer


class InProcessRedis(FakeRedis):
    """Answers text, as our own connections do, and `INFO`, which fakeredis does not know: nothing bounds its memory."""

    def __init__(self) -> None:
        super().__init__(server=FakeServer(version=(7,)), decode_responses=True, protocol=2)

    def info(self, *_sections: object, **_options: object) -> dict[str, Any]:
        """What a submit reads of it."""
        return {"redis_version": "7.0.0", "maxmemory": 0, "used_memory": 0}
