"""What is due when, for the parts of the simulated exchange that know no loop. Pure: the caller names the time."""

import heapq
from collections.abc import Callable


class Due:
    """Actions that are planned for instants (integer µs), in their order."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, str, Callable[[int], object]]] = []
        self._count = 0

    @property
    def next_us(self) -> int | None:
        """When the first of them is due; None if there is none."""
        return self._heap[0][0] if self._heap else None

    def after(self, now_us: int, delay_ms: float, action: Callable[[int], object], *, name: str = "") -> None:
        """Plan an action, which is told the instant planned; without a delay it happens at once."""
        if delay_ms <= 0:
            action(now_us)
            return
        self._count += 1
        heapq.heappush(self._heap, (now_us + round(delay_ms * 1e3), self._count, name, action))

    def has(self, name: str) -> bool:
        """Whether an action of that name is planned."""
        return any(each == name for _, _, each, _ in self._heap)

    def advance(self, now_us: int) -> None:
        """Do all that is due."""
        while self._heap and self._heap[0][0] <= now_us:
            due_us, _, _, action = heapq.heappop(self._heap)
            action(due_us)

    def clear(self) -> None:
        """Forget all of it."""
        self._heap.clear()
