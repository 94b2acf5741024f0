"""Does `check` say how to mend an account of another region, without ever trying its key there?"""

import pytest

from bulk_cancel.worker.okx.credentials import Credentials
from bulk_cancel.worker.okx.errors import ExchangeError, NotAuthorised, OutcomeUnknown, Unavailable
from bulk_cancel.worker.operators.check import away_point, refusal_point

GLOBAL = "https://openapi.okx.com (global)"
EEA = "https://eea.okx.com (EEA, my.okx.com)"
US = "https://us.okx.com (US and Australia, app.okx.com)"
REDIRECT = OutcomeUnknown("unreadable answer", http_status=302)
UNKNOWN = NotAuthorised("API key doesn't exist", code="50119", http_status=401)
FIELD = "BULK_CANCEL_ACCOUNTS__DESK1__"


def account(base_url: str) -> Credentials:
    """Credentials at an address."""
    return Credentials("desk1", "k", "s", "p", base_url, demo=False)


@pytest.mark.parametrize(
    ("base_url", "others"),
    [
        ("https://openapi.okx.com", f"{EEA} or {US}"),
        ("https://www.okx.com", f"{EEA} or {US}"),
        ("https://my.okx.com", f"{GLOBAL} or {US}"),
        ("https://us.okx.com", f"{GLOBAL} or {EEA}"),
    ],
)
def test_a_key_that_is_unknown_may_be_of_another_region(base_url: str, others: str) -> None:
    """Each other one is named, with the setting."""
    point = refusal_point(account(base_url), UNKNOWN)
    assert point.level == "FAIL"
    assert point.mend == (
        f"correct {FIELD}API_KEY, or set {FIELD}BASE_URL to the account's own region; the other regions are {others}"
    )


@pytest.mark.parametrize(
    ("error", "level", "words"),
    [
        (NotAuthorised("Invalid Sign", code="50113"), "FAIL", f"correct {FIELD}API_KEY, {FIELD}API_SECRET"),
        (Unavailable("busy", code="50001", http_status=503), "warn", "try again"),
        (REDIRECT, "FAIL", f"correct {FIELD}BASE_URL; the other regions are {EEA} or {US}"),
    ],
)
def test_regions_are_named_for_no_other_cause(error: ExchangeError, level: str, words: str) -> None:
    """But for a redirect."""
    point = refusal_point(account("https://openapi.okx.com"), error)
    assert (point.level, point.mend[: len(words)]) == (level, words)
    assert ("region" in point.mend.replace("BASE_URL (region)", "")) == (error is REDIRECT)


def test_a_test_exchange_has_no_regions() -> None:
    """Its unknown keys are only wrong, its redirects only not followed."""
    elsewhere = account("http://127.0.0.1:1")
    assert "other regions" not in refusal_point(elsewhere, UNKNOWN).mend
    assert refusal_point(elsewhere, REDIRECT).mend == f"correct {FIELD}BASE_URL"
    assert away_point("http://127.0.0.1:1", REDIRECT).mend.endswith("(or the account's BASE_URL)")


def test_the_clock_s_address_redirects() -> None:
    """That is told, and the other regions."""
    point = away_point("https://www.okx.com", REDIRECT)
    assert point.text.endswith("HTTP 302 unreadable answer: a redirect, which is not followed")
    assert point.mend.endswith(f"; the other regions are {EEA} or {US}")
    assert "open the way there" in away_point("https://www.okx.com", OutcomeUnknown("no answer in time")).mend
