"""Is it said what of the workers keeps orders waiting?"""

from datetime import UTC, datetime

from bulk_cancel.worker.state.fleet import Worker, troubles


def worker(late_s: float = 0, *, problems: dict[str, str] | None = None, accounts: tuple[str, ...] = ("a",)) -> Worker:
    """One that reported itself so long ago."""
    return Worker("w", late_s, 0, 64, datetime(2026, 1, 1, tzinfo=UTC), problems or {}, accounts)


def test_nothing_is_said_while_all_is_well() -> None:
    """Any of the workers may serve an account."""
    assert troubles([worker(), worker(accounts=("b",))], ["a", "b"]) == []


def test_nobody_alive_is_all_there_is_to_say() -> None:
    """A silent one counts for nothing."""
    assert troubles([], ["a"]) == troubles([worker(60, problems={"x": "y"})], ["a"]) == ["no worker is alive"]


def test_who_is_not_served_and_what_does_not_work() -> None:
    """Once each, however many workers say so."""
    told = [worker(problems={"account a": "50105"}), worker(problems={"account a": "50105"})]
    assert troubles(told, ["a", "b"]) == ["no worker that is alive serves account b", "account a: 50105"]
