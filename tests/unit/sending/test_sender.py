"""Does the sender keep its permits, whatever comes of a claim, a call or a record?"""

from collections.abc import Callable, Iterator, Sequence
from threading import Event, Semaphore, Thread
from typing import TYPE_CHECKING, cast

import pytest
from redis.exceptions import ConnectionError as RedisGoneError
from redis.exceptions import ResponseError

from bulk_cancel.worker.config.gate import Gate
from bulk_cancel.worker.config.users import User
from bulk_cancel.worker.okx.answers import Answer, Item
from bulk_cancel.worker.okx.errors import ExchangeError, NeverSent, TooLate
from bulk_cancel.worker.okx.limits import Limits
from bulk_cancel.worker.okx.orders import OrderRef
from bulk_cancel.worker.sending.caller import Caller
from bulk_cancel.worker.sending.conclude import Concluder
from bulk_cancel.worker.sending.reachability import Reachability
from bulk_cancel.worker.sending.retry import Policy
from bulk_cancel.worker.sending.sender import Sender
from bulk_cancel.worker.state.claims import Call, Claim, Done, Job, Recorded, Result
from tests.support.lane_rig import credentials
from tests.support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from bulk_cancel.worker.okx.client import OkxClient
    from bulk_cancel.worker.state.lanes import Lanes

USER = User("u1", (credentials("a1"),), "http://x", Limits(60, 300), 0)
LANE = "u1/BTC-USDT"


class FakeLanes:
    """Lanes with a number of jobs each; what is recorded is kept."""

    def __init__(self, **jobs: int) -> None:
        self.left = {f"u1/{name}-USDT": count for name, count in jobs.items()}
        self.claimed: list[tuple[str, int]] = []
        self.recorded: list[Result] = []
        self.done = Semaphore(0)
        self.on_claim: Callable[[], None] = lambda: None
        self.on_record: Callable[[], None] = lambda: None

    def claim(self, lane: str, user: User, *, permits: int) -> Claim:
        """As many single calls as there are permits and jobs."""
        self.claimed.append((lane, permits))
        self.on_claim()
        count = min(permits, self.left.get(lane, 0))
        self.left[lane] = self.left.get(lane, 0) - count
        calls = tuple(Call(f"c:{n}", user.accounts[0], "single", (job(lane, n),)) for n in range(1, count + 1))
        due_s = 0.0 if self.left[lane] else None
        return Claim(id="c", lane=lane, user=user, asked_at=float("inf"), calls=calls, due_s=due_s)

    def record(self, calls: Sequence[Done]) -> list[Recorded]:
        """Kept; the lane is due as long as it has jobs."""
        self.on_record()
        self.recorded += [done.result for done in calls]
        self.done.release(len(calls))
        return [Recorded(0.0 if self.left[done.claim.lane] else None, 0) for done in calls]


class FakeClient:
    """Answers when it may; counts how many calls are in flight."""

    def __init__(self) -> None:
        self.may_answer = Event()
        self.may_answer.set()
        self.asked = Semaphore(0)
        self.orders: list[str] = []
        self.error: Exception | None = None

    def begin_cancel(
        self,
        _account: object,
        orders: Sequence[OrderRef],
        *,
        batch: bool,
        write_by: float,  # noqa: ARG002
        then: Callable[[Answer | ExchangeError], None],
    ) -> None:
        """Accepted, as soon as answers are let through, or the error that is set; another one is raised at once."""
        assert (len(orders), batch) == (1, False)
        ident = orders[0].ordId or ""
        self.orders.append(ident)
        self.asked.release()
        if self.error and not isinstance(self.error, ExchangeError):
            raise self.error
        Thread(target=self._answer, args=(ident, then), daemon=True).start()

    def _answer(self, ident: str, then: Callable[[Answer | ExchangeError], None]) -> None:
        assert self.may_answer.wait(PATIENCE_S)
        then(self.error if isinstance(self.error, ExchangeError) else Answer(200, "0", "", (Item(ident, "", "0", ""),)))


def job(lane: str, number: int) -> Job:
    """One claimed job."""
    return Job(f"{lane}/o{number}", OrderRef("BTC-USDT", str(number)), "a1", 1, 1, 900.0, ("b",))


def all_of(semaphore: Semaphore, count: int) -> bool:
    """Whether it was released so often in time."""
    return all(semaphore.acquire(timeout=PATIENCE_S) for _ in range(count))


def opened() -> Gate:
    """A gate that is open for the user."""
    gate = Gate({"u1": USER})
    gate.open("u1")
    return gate


@pytest.fixture
def client() -> FakeClient:
    """Answers at once unless told otherwise."""
    return FakeClient()


@pytest.fixture
def make(client: FakeClient) -> Iterator[Callable[..., Sender]]:
    """Makes senders with `concurrency` permits and stops them."""
    made: list[Sender] = []

    def build(
        lanes: FakeLanes,
        *,
        concurrency: int = 8,
        gate: Gate | None = None,
        freed: Callable[[], None] = lambda: None,
        reachability: Reachability | None = None,
        idle: Event | None = None,
    ) -> Sender:
        concluder = Concluder(Policy(), "w", lambda: 0.5)
        reachability = reachability or Reachability()
        sender = Sender(
            cast("Lanes", lanes),
            Caller(cast("OkxClient", client), concluder, reachability),
            gate or opened(),
            reachability,
            concurrency=concurrency,
            freed=freed,
            idle=idle,
        )
        made.append(sender)
        if gate:
            gate.tell(sender.opened)
        return sender

    yield build
    client.may_answer.set()
    assert all(sender.stop(PATIENCE_S) for sender in made)


def test_a_lane_is_drained_without_another_message(make: Callable[..., Sender]) -> None:
    """One drain, and claims go on until the lane is empty."""
    lanes = FakeLanes(BTC=100)
    make(lanes).drain([LANE])
    assert all_of(lanes.done, 100)
    assert len(lanes.recorded) == 100


def test_room_is_for_lanes_that_do_not_wait_already(make: Callable[..., Sender], client: FakeClient) -> None:
    """Sixteen permits of 64 are worth a claim; whoever frees some is told when they are there."""
    lanes, freed = FakeLanes(BTC=64), Event()
    sender: Sender = make(lanes, concurrency=64, freed=freed.set)
    assert sender.room() == 4
    client.may_answer.clear()
    sender.drain([LANE])
    assert sender.room() == 0
    client.may_answer.set()
    while not sender.room():
        assert freed.wait(PATIENCE_S)
        freed.clear()


def test_a_lane_here_does_not_go_before_those_that_wait_on_the_board(make: Callable[..., Sender]) -> None:
    """One of them may be urgent; the lane is on the board, too, and comes from there."""
    lanes, freed = FakeLanes(BTC=100), Event()
    sender = make(lanes, freed=freed.set)
    sender.drain([LANE], others_wait=True)
    assert all_of(lanes.done, 8)
    while sender.in_flight:
        assert freed.wait(PATIENCE_S)
        freed.clear()
    assert (len(lanes.claimed), sender.room_for_one()) == (1, True)


def test_no_room_before_any_user_is_known(make: Callable[..., Sender]) -> None:
    """Lanes are left to the workers that may send."""
    freed, gate = Event(), Gate({"u1": USER})
    sender = make(FakeLanes(BTC=1), gate=gate, freed=freed.set)
    assert (sender.room(), sender.room_for_one()) == (0, False)
    gate.open("u1")
    assert freed.is_set()
    assert sender.room() > 0


def test_it_is_idle_while_no_call_is_in_flight(make: Callable[..., Sender], client: FakeClient) -> None:
    """From the beginning, not from a claim on, and again when the last call of several is recorded."""
    lanes, idle = FakeLanes(BTC=3, ETH=0), Event()
    sender = make(lanes, idle=idle)
    assert idle.is_set()
    was_idle: list[bool] = []
    lanes.on_claim = lanes.on_record = lambda: was_idle.append(idle.is_set())
    client.may_answer.clear()
    sender.drain([LANE])
    assert all_of(client.asked, 3)
    assert not idle.is_set()
    client.may_answer.set()
    assert all_of(lanes.done, 3)
    assert idle.wait(PATIENCE_S)
    sender.drain(["u1/ETH-USDT"])  # has nothing
    assert idle.wait(PATIENCE_S)
    assert not any(was_idle)


def test_never_more_calls_in_flight_than_permits(make: Callable[..., Sender], client: FakeClient) -> None:
    """Hung calls hold permits, not the caller: drain returns."""
    lanes = FakeLanes(BTC=100)
    client.may_answer.clear()
    sender = make(lanes, concurrency=8)
    sender.drain([LANE])
    assert all_of(client.asked, 8)
    assert sender.in_flight == 8
    sender.drain([LANE])
    assert len(client.orders) == 8
    client.may_answer.set()
    assert all_of(lanes.done, 100)


def test_freed_permits_are_handed_on_by_the_handful(make: Callable[..., Sender]) -> None:
    """A claim for one costs as much as for several."""
    lanes = FakeLanes(BTC=400, ETH=400)
    sender = make(lanes, concurrency=64)
    sender.drain([LANE])
    sender.drain(["u1/ETH-USDT"])
    assert all_of(lanes.done, 800)
    assert len(lanes.claimed) <= 800 / 16 + 4  # the two drains, and each lane's last claim, may be for fewer


def test_lanes_out_of_reach_are_left_to_others(make: Callable[..., Sender], client: FakeClient) -> None:
    """A burst without a connection is one strike, and this worker takes no lane until a connection stands."""
    lanes, reachability = FakeLanes(BTC=100, ETH=1), Reachability()
    client.error = NeverSent("refused")
    client.may_answer.clear()
    sender = make(lanes, concurrency=8, reachability=reachability)
    sender.drain([LANE])
    assert all_of(client.asked, 8)
    client.may_answer.set()
    assert all_of(lanes.done, 8)
    assert [result.slots for result in lanes.recorded] == ["release"] * 8
    assert sum(result.strike is not None for result in lanes.recorded) == 1
    assert reachability.lost() == {"http://x": "refused"}
    sender.drain(["u1/ETH-USDT"])
    assert (sender.room(), sender.room_for_one(), len(lanes.claimed)) == (0, False, 1)
    client.error = None
    reachability.regain("http://x")
    sender.drain([LANE])
    assert all_of(lanes.done, 92)


def test_a_call_that_is_late_by_itself_is_no_lost_address(make: Callable[..., Sender], client: FakeClient) -> None:
    """Redis, or this machine, was slow: the exchange is as near as before."""
    lanes, reachability = FakeLanes(BTC=1), Reachability()
    client.error = TooLate("write_by passed")
    make(lanes, reachability=reachability).drain([LANE])
    assert all_of(lanes.done, 1)
    assert reachability.lost() == {}


def test_closing_claims_nothing_more(make: Callable[..., Sender]) -> None:
    """SIGTERM, before anybody waits for what is in flight."""
    lanes = FakeLanes(BTC=1)
    sender = make(lanes)
    sender.close()
    sender.drain([LANE])
    assert lanes.claimed == []


def test_lanes_of_a_user_who_is_not_ready_wait(make: Callable[..., Sender]) -> None:
    """They get their turn as soon as the exchange has told who he is."""
    lanes, gate = FakeLanes(BTC=3), Gate({"u1": USER})
    sender = make(lanes, gate=gate)
    sender.drain([LANE])
    assert lanes.claimed == []
    gate.open("u1")
    assert all_of(lanes.done, 3)


def test_a_lane_of_an_unknown_user_is_left_alone(make: Callable[..., Sender]) -> None:
    """Its account is not configured here."""
    lanes = FakeLanes()
    make(lanes).drain(["u2/BTC-USDT"])
    assert lanes.claimed == []


@pytest.mark.parametrize("error", [RedisGoneError("gone"), ResponseError("ERR"), KeyError("calls")])
def test_a_claim_that_fails_gives_its_permits_back(make: Callable[..., Sender], error: Exception) -> None:
    """The lane is on the board and gets another turn."""
    lanes = FakeLanes(BTC=1)

    def fail() -> None:
        lanes.on_claim = lambda: None
        raise error

    lanes.on_claim = fail
    sender = make(lanes)
    sender.drain([LANE])
    assert sender.in_flight == 0
    sender.drain([LANE])
    assert all_of(lanes.done, 1)


def test_a_result_is_kept_in_hand_while_redis_is_away(make: Callable[..., Sender]) -> None:
    """It is recorded when Redis is back."""
    lanes = FakeLanes(BTC=1)
    failures = iter([RedisGoneError("gone"), RedisGoneError("gone")])

    def fail() -> None:
        for error in failures:
            raise error

    lanes.on_record = fail
    make(lanes).drain([LANE])
    assert all_of(lanes.done, 1)


def test_a_result_that_redis_will_never_take_holds_no_permit(make: Callable[..., Sender], client: FakeClient) -> None:
    """Its claim runs out and its job goes again."""
    lanes = FakeLanes(BTC=1)

    def fail() -> None:
        raise ResponseError("ERR in a script")

    lanes.on_record = fail
    sender = make(lanes)
    sender.drain([LANE])
    assert all_of(client.asked, 1)
    assert sender.stop(PATIENCE_S)
    assert lanes.recorded == []


def test_stopping_claims_nothing_more_and_records_what_is_in_flight(
    make: Callable[..., Sender], client: FakeClient
) -> None:
    """Calls in flight end as they would; the rest stays in its lane."""
    lanes = FakeLanes(BTC=100)
    client.may_answer.clear()
    sender = make(lanes, concurrency=4)
    sender.drain([LANE])
    assert all_of(client.asked, 4)
    assert not sender.stop(0.0)
    client.may_answer.set()
    assert sender.stop(PATIENCE_S)
    assert len(lanes.recorded) == 4
    sender.drain([LANE])
    assert sum(permits for _, permits in lanes.claimed) == 4
