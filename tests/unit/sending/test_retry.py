"""Does an order end, or come back, exactly as the policy says?"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulk_cancel.worker.okx.codes import CODES, Scope, Verdict
from bulk_cancel.worker.okx.verdicts import Judgement
from bulk_cancel.worker.sending.retry import Finish, Policy, Rest, Retry, decide, rest_for
from bulk_cancel.worker.state.statuses import Status

POLICY = Policy()


def judged(verdict: Verdict, scope: Scope = Scope.ORDER, *, slow: bool = False, code: str = "") -> Judgement:
    """A judgement of this kind."""
    return Judgement(verdict, scope, slow, code, "")


def decided(judgement: Judgement, *, attempts: int = 1, left_s: float = 900, rand: float = 1.0) -> Finish | Retry:
    """What follows under the default policy."""
    return decide(judgement, attempts=attempts, left_s=left_s, policy=POLICY, rand=lambda: rand)


@pytest.mark.parametrize(
    ("verdict", "finish"),
    [
        (Verdict.ACCEPTED, Finish(Status.ACCEPTED)),
        (Verdict.GONE, Finish(Status.GONE)),
        (Verdict.REJECTED, Finish(Status.REJECTED)),
        (Verdict.BUG, Finish(Status.REJECTED)),
    ],
)
def test_last_words_end_the_order(verdict: Verdict, finish: Finish) -> None:
    """A final verdict ends the order, even with attempts and time used up."""
    assert decided(judged(verdict)) == finish
    assert decided(judged(verdict), attempts=99, left_s=-1) == finish


@pytest.mark.parametrize(
    ("attempts", "delay_s"), [(1, 0.25), (2, 0.5), (3, 1.0), (4, 2.0), (5, 4.0), (6, 8.0), (7, 10.0)]
)
def test_backoff_doubles_up_to_its_cap(attempts: int, delay_s: float) -> None:
    """The longest wait doubles with each attempt and stops at the cap."""
    assert decided(judged(Verdict.RETRY), attempts=attempts) == Retry(delay_s, counts=True)
    assert decided(judged(Verdict.RETRY), attempts=attempts, rand=0.5) == Retry(delay_s / 2, counts=True)


def test_jitter_is_full() -> None:
    """The draw spreads the wait from nothing on."""
    assert decided(judged(Verdict.RETRY), attempts=5, rand=0.0) == Retry(0.0, counts=True)


def test_slow_backoff() -> None:
    """What takes minutes is asked less often."""
    slow = judged(Verdict.RETRY, slow=True)
    assert decided(slow) == Retry(5.0, counts=True)
    assert decided(slow, attempts=7) == Retry(60.0, counts=True)


@pytest.mark.parametrize("verdict", [Verdict.RETRY, Verdict.AMBIGUOUS, Verdict.UNKNOWN, Verdict.CLOCK])
def test_attempts_are_bounded(verdict: Verdict) -> None:
    """The last attempt, which is the present one, is the last."""
    assert isinstance(decided(judged(verdict), attempts=7), Retry)
    assert decided(judged(verdict), attempts=8) == Finish(Status.EXHAUSTED)


@pytest.mark.parametrize("scope", Scope)
def test_deadline_ends_every_retry(scope: Scope) -> None:
    """Without time left the order is exhausted, whoever else rests."""
    assert decided(judged(Verdict.RETRY, scope), left_s=0) == Finish(Status.EXHAUSTED)


def test_delay_is_cut_to_the_time_left() -> None:
    """A wait never goes past the deadline."""
    assert decided(judged(Verdict.RETRY), attempts=7, left_s=3.0) == Retry(3.0, counts=True)


@pytest.mark.parametrize("scope", [Scope.LANE, Scope.ACCOUNT, Scope.EXCHANGE])
@pytest.mark.parametrize("verdict", [Verdict.RETRY, Verdict.AMBIGUOUS, Verdict.CREDENTIALS])
def test_wider_scopes_burn_no_attempt(verdict: Verdict, scope: Scope) -> None:
    """Where a wider scope rests, the order neither waits nor pays itself."""
    assert decided(judged(verdict, scope), attempts=8) == Retry(0.0, counts=False)


def test_clock_is_tried_at_once_then_spread() -> None:
    """A measured clock mends it at once; if it did not, the attempts are not burnt in a moment."""
    assert decided(judged(Verdict.CLOCK)) == Retry(0.0, counts=True)
    assert decided(judged(Verdict.CLOCK), attempts=2) == Retry(0.5, counts=True)


@pytest.mark.parametrize(
    ("judgement", "rest"),
    [
        (judged(Verdict.RETRY, Scope.LANE, code="50011"), Rest(Scope.LANE, 2.0, 2.0)),
        (judged(Verdict.RETRY, Scope.LANE, slow=True), Rest(Scope.LANE, 5.0, 60.0)),
        (judged(Verdict.CREDENTIALS, Scope.ACCOUNT), Rest(Scope.ACCOUNT, 30.0, 30.0)),
        (judged(Verdict.RETRY, Scope.ACCOUNT), Rest(Scope.ACCOUNT, 2.0, 30.0)),
        (judged(Verdict.RETRY, Scope.ACCOUNT, slow=True), Rest(Scope.ACCOUNT, 2.0, 30.0)),
        (judged(Verdict.RETRY, Scope.EXCHANGE), Rest(Scope.EXCHANGE, 0.5, 10.0)),
        (judged(Verdict.AMBIGUOUS, Scope.EXCHANGE), Rest(Scope.EXCHANGE, 0.5, 10.0)),
        (judged(Verdict.RETRY, Scope.EXCHANGE, slow=True), Rest(Scope.EXCHANGE, 5.0, 60.0)),
        (judged(Verdict.RETRY), None),
        (judged(Verdict.AMBIGUOUS), None),
        (judged(Verdict.CLOCK), None),
        (judged(Verdict.GONE, Scope.LANE), None),
    ],
)
def test_who_rests(judgement: Judgement, rest: Rest | None) -> None:
    """Each scope rests as long as its kind of trouble lasts; an order's own trouble stops nobody."""
    assert rest_for(judgement, POLICY) == rest


def test_every_row_is_decided() -> None:
    """A row ends its order, or retries it; exactly the retries that burn no attempt make somebody rest."""
    for row in CODES.values():
        judgement = Judgement(row.verdict, row.scope, row.slow, row.code, "")
        decision = decided(judgement)
        free = isinstance(decision, Retry) and not decision.counts
        rests = rest_for(judgement, POLICY) is not None or row.scope is Scope.WORKER  # it stays away by itself
        assert free == rests, row


@settings(max_examples=50)
@given(
    st.sampled_from(Verdict),
    st.sampled_from(Scope),
    st.integers(0, 10_000),
    st.floats(-1e9, 1e9),
    st.floats(0, 1, exclude_max=True),
)
def test_delay_is_always_sane(verdict: Verdict, scope: Scope, attempts: int, left_s: float, rand: float) -> None:
    """No wait is negative, beyond the cap or beyond the deadline, whatever the numbers."""
    policy = Policy(max_attempts=20_000)
    decision = decide(
        judged(verdict, scope, slow=True), attempts=attempts, left_s=left_s, policy=policy, rand=lambda: rand
    )
    if isinstance(decision, Retry):
        assert 0 <= decision.delay_s <= min(policy.slow_cap_s, left_s)
