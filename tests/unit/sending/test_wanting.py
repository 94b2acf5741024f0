"""Do lanes get their turns in the order in which they asked, and only those that this worker may and can send for?"""

from bulk_cancel.worker.config.gate import Gate
from bulk_cancel.worker.config.users import User
from bulk_cancel.worker.okx.limits import Limits
from bulk_cancel.worker.sending.reachability import Reachability
from bulk_cancel.worker.sending.wanting import WantingLanes
from tests.support.lane_rig import credentials

GATE = Gate({uid: User(uid, (), f"http://{uid}", Limits(60, 300), 0) for uid in ("u1", "u2", "u3")})
GATE.open("u1")
GATE.open("u2")


def wanting(*lanes: str, reachability: Reachability | None = None) -> WantingLanes:
    """A queue to which these were added."""
    queue = WantingLanes(GATE, reachability or Reachability())
    for lane in lanes:
        queue.add(lane)
    return queue


def left(queue: WantingLanes) -> list[str]:
    """All that stand in it, in their order."""
    return [queue.pop() for _ in range(len(queue))]


def test_a_lane_stands_in_it_once_where_it_asked_first() -> None:
    """Asking again gains and costs nothing."""
    assert left(wanting("u1/A", "u2/B", "u1/A", "u1/C")) == ["u1/A", "u2/B", "u1/C"]


def test_lanes_of_other_users_and_of_unready_ones_have_no_turn() -> None:
    """Those of an unready user stand behind the others once he is ready."""
    queue = wanting("u3/A", "u9/B", "u1/C")
    assert len(queue) == 1
    queue.opened("u3")
    assert left(queue) == ["u1/C", "u3/A"]
    queue.opened("u3")
    assert len(queue) == 0


def test_lanes_out_of_reach_are_not_counted_as_waiting_here() -> None:
    """Neither those that come then nor those that came before."""
    reachability = Reachability()
    queue = wanting("u1/A", "u2/B", reachability=reachability)
    reachability.lose("http://u1", "refused")
    queue.add("u1/C")
    assert len(queue) == 2
    queue.drop_lost()
    assert left(queue) == ["u2/B"]


def test_lanes_of_whom_the_exchange_does_not_let_in_are_left_to_others() -> None:
    """Until it does; then they stand in line again."""
    gate = Gate({uid: User(uid, (credentials(uid),), "http://x", Limits(60, 300), 0) for uid in ("u1", "u2")})
    gate.open("u1")
    gate.open("u2")
    queue = WantingLanes(gate, Reachability())
    for lane in ("u1/A", "u2/B"):
        queue.add(lane)
    gate.bar("u1", "50110")
    queue.drop_lost()
    queue.add("u1/C")
    assert left(queue) == ["u2/B"]
    gate.let_in("u1")
    queue.opened("u1")
    assert left(queue) == ["u1/C"]


def test_when_the_worker_stops_nobody_waits() -> None:
    """The board has them all."""
    queue = wanting("u1/A", "u2/B")
    queue.clear()
    assert len(queue) == 0
