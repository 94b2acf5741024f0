"""The permits of one process: how many calls may be in flight, and how many of them a lane gets at a time."""


class Permits:
    """`count` permits, each the right to one call in flight. Not thread-safe: whoever hands them out has the lock.

    A lane is given a handful at least, for a claim for one call costs as much as a claim for ten.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self.free = count
        self.handful = max(1, count // 4)  # so that four lanes at least are under way at the same time

    @property
    def in_flight(self) -> int:
        """How many are in use now."""
        return self._count - self.free

    @property
    def handfuls(self) -> int:
        """How many lanes could have a handful each."""
        return self.free // self.handful

    def take(self, *, lanes: int) -> int:
        """What one of so many lanes that want some is given: a fair part of those that are free, or all that are."""
        taken = min(self.free, max(self.handful, self.free // lanes))
        self.free -= taken
        return taken

    def give(self, count: int) -> None:
        """So many are free again."""
        self.free += count
