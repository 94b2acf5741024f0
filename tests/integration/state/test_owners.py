"""Is a User ID ever served on two Redis? Two and three real ones, at the same instant, and with one that is away."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from bulk_cancel.worker.operators.audit import Audit
from bulk_cancel.worker.simulator.embedded import EmbeddedRedis
from bulk_cancel.worker.state import owners
from bulk_cancel.worker.state.owners import Owned, Owners, OwnersHere, Refused, owned
from bulk_cancel.worker.state.shards import Shards
from tests.support.sharded import emptied, servers, settings_for, urls_of
from tests.support.waiting import until

USER = "http://okx|1001"
REGISTER = {"user": USER, "uid": "desk1", "kept_s": 30}


@pytest.fixture(scope="module")
def three() -> Iterator[list[EmbeddedRedis]]:
    """Three servers for all tests of this module; one that a test kills it starts again."""
    with servers(3) as started:
        yield started


@pytest.fixture
def shards(three: list[EmbeddedRedis]) -> Shards:
    """Three shards, empty."""
    return emptied(three, Shards(settings_for(urls_of(three), {})))


def holders(shards: Shards) -> list[str]:
    """The shards that own the User ID."""
    return [shard.name for shard in shards.all() if owned(shard.store) == [Owned(USER, "desk1")]]


def test_who_came_first_keeps_it(shards: Shards) -> None:
    """Every worker of its shard is let in, none of another one, by name."""
    assert Owners(shards, "a").register(USER, "desk1") is None
    assert Owners(shards, "a").register(USER, "desk1") is None
    refused = Owners(shards, "default").register(USER, "desk1")
    assert refused is not None
    assert (refused.elsewhere, "is served on shard a (UID desk1)" in refused.why) == (True, True)
    assert holders(shards) == ["a"]
    assert OwnersHere(shards.of("a").store).register(USER, "desk1") is None
    assert OwnersHere(shards.of("b").store).register(USER, "desk1") is not None


def test_a_runner_without_shards_is_seen(shards: Shards) -> None:
    """Its workers register a User ID on their own Redis alone, for 30 s at a time."""
    shards.of("b").store.scripts.run("register", REGISTER)
    refused = Owners(shards, "a").register(USER, "desk1")
    assert refused is not None
    assert refused.elsewhere
    assert holders(shards) == []


@pytest.mark.parametrize("count", [2, 3])
def test_two_at_the_same_instant_never_both_win(shards: Shards, count: int) -> None:
    """And in the end one has: whoever loses goes back, and asks again."""
    names, rounds = shards.names[:count], 20
    with ThreadPoolExecutor(count) as pool:
        for number in range(rounds):
            user, together = f"{USER}-{number}", Barrier(count)

            def race(name: str, user: str = user, together: Barrier = together) -> Refused | None:
                asking = Owners(shards, name)
                together.wait()
                for _ in range(200):
                    refused = asking.register(user, "desk1")
                    if refused is None or refused.elsewhere:
                        return refused
                return Refused("nobody won")

            told = list(pool.map(race, names))
            assert [refused is None for refused in told].count(True) == 1
            assert all(refused is None or refused.elsewhere for refused in told)
    assert sum(len(owned(shard.store)) for shard in shards.all()) == rounds


def test_a_shard_that_is_away_blocks_new_registrations_only(three: list[EmbeddedRedis], shards: Shards) -> None:
    """What is registered goes on; nothing of what was tried stays behind."""
    assert Owners(shards, "a").register(USER, "desk1") is None
    three[2].kill()
    try:
        assert Owners(shards, "a").register(USER, "desk1") is None
        refused = Owners(shards, "a").register("http://okx|2", "desk2")
        assert refused is not None
        assert (refused.elsewhere, "shard b is away" in refused.why) == (False, True)
    finally:
        three[2].start()
    assert Owners(shards, "default").register("http://okx|2", "desk2") is None


@pytest.mark.parametrize("late", ["ask", "hold"])
def test_who_died_on_the_way_keeps_nobody_out(shards: Shards, monkeypatch: pytest.MonkeyPatch, late: str) -> None:
    """Its asking ends by itself; and who slept over it has not won when he wakes."""
    slow = Owners(shards, "a")
    with monkeypatch.context() as short:
        short.setattr(owners, "LEASE_S", 0.05)
        slow._step(shards.of("a"), "ask", USER, "desk1")
    until(lambda: Owners(shards, "b").register(USER, "desk1") is None)
    if late == "hold":
        assert slow._step(shards.of("a"), "hold", USER, "desk1")["state"] == "free"
    refused = slow.register(USER, "desk1")
    assert refused is not None
    assert refused.elsewhere
    assert holders(shards) == ["b"]


def test_one_redis_under_two_names_is_told(three: list[EmbeddedRedis]) -> None:
    """By another name of the host no setting shows it."""
    urls = {"default": three[0].url, "a": three[0].url.replace("127.0.0.1", "127.1")}
    shards = emptied(three[:1], Shards(settings_for(urls, {})))
    refused = Owners(shards, "a").register(USER, "desk1")
    assert refused is not None
    assert "is the same Redis under another name" in refused.why


class TestDisown:
    """The verb by which people give a User ID up."""

    @pytest.mark.parametrize(
        ("before", "answer"),
        [
            (lambda _: None, "not owned"),
            (lambda run: run("own", step="hold"), "not paused"),
            (lambda run: (run("own", step="hold"), run("pause"), run("register")), "served"),
            (lambda run: (run("own", step="hold"), run("pause")), "given up"),
        ],
    )
    def test_it_is_refused_unless_nobody_can_send(
        self, shards: Shards, before: Callable[[Callable[..., object]], object], answer: str
    ) -> None:
        """Paused, and served by no worker for as long as one stays registered."""
        scripts = shards.of("a").store.scripts
        told = {
            "decision": "d",
            "by": "ann",
            "reason": "",
            "scope": "user:desk1",
            "account": "desk1",
            "retention_s": 60,
        }

        def run(verb: str, **more: str) -> object:
            if verb == "own":
                scripts.run(verb, {**REGISTER, "by": "w", "lease_us": 9_000_000, "step": "ask"})
                return scripts.run(verb, {**REGISTER, "by": "w", "lease_us": 9_000_000, **more})
            return scripts.run(verb, {**REGISTER, **told, "step": 0, "facts": "{}", "decision": verb})

        before(run)
        said = scripts.run("disown", {**told, "step": 0, "user": USER, "accounts": ["desk1"]})
        assert said == {"answer": answer}
        assert (owned(shards.of("a").store) == []) == (answer in {"given up", "not owned"})
        audited = [decision.event for decision in Audit(shards.of("a").store).read()]
        assert ("disown" in audited) == (answer == "given up")
