"""Tests of who may what: every role at every endpoint, and callers whose token is for some accounts only."""

import json
from pathlib import Path
from typing import Any, Final

import pytest

from bulk_cancel.worker.books.mass.products import Kind, Product, Products
from bulk_cancel.worker.gateway.callers import Caller, Role, Tokens
from bulk_cancel.worker.operators.status import BATCHES_SHOWN
from tests.support.cli_desk import Desk, Worker
from tests.support.contract import OPERATIONS
from tests.support.door import ROLES, Door, kind_of, token_file
from tests.support.stream import Stream

BATCH: Final[dict[str, Any]] = {"account": "desk1", "orders": [{"instId": "BTC-USDT", "ordId": "1"}]}
SCOPE: Final[dict[str, Any]] = {"account": "desk1", "side": "buy"}
TABLE: Final[dict[str, tuple[Role | None, dict[str, Any]]]] = {
    "PUT /v1/batches/{batch_id}": (Role.OPERATE, {"json": BATCH}),
    "POST /v1/batches": (Role.OPERATE, {"json": BATCH, "headers": {"Idempotency-Key": "b9"}}),
    "GET /v1/batches": (Role.WATCH, {}),
    "GET /v1/batches/{batch_id}": (Role.WATCH, {}),
    "GET /v1/batches/{batch_id}/outcomes": (Role.READ, {}),
    "POST /v1/batches/{batch_id}/retry": (Role.OPERATE, {}),
    "POST /v1/batches/{batch_id}/withdraw": (Role.OPERATE, {}),
    "PUT /v1/mass-cancels/{batch_id}": (Role.KILL, {"json": SCOPE}),
    "GET /v1/mass-cancels/{batch_id}": (Role.WATCH, {}),
    "GET /v1/mass-cancels": (Role.WATCH, {}),
    "POST /v1/mass-cancels/{batch_id}/release": (Role.OPERATE, {}),
    "POST /v1/dry-run": (Role.KILL, {"json": {"account": "none"}}),
    "PUT /v1/accounts/{account}/pause": (Role.OPERATE, {}),
    "DELETE /v1/accounts/{account}/pause": (Role.OPERATE, {}),
    "PUT /v1/lanes/{uid}/{meter}/pause": (Role.OPERATE, {}),
    "DELETE /v1/lanes/{uid}/{meter}/pause": (Role.OPERATE, {}),
    "GET /v1/events": (Role.WATCH, {"stream": True}),
    "GET /v1/batches/{batch_id}/events": (Role.WATCH, {"stream": True}),
    "GET /v1/status": (Role.WATCH, {}),
    "GET /v1/lanes": (Role.WATCH, {}),
    "GET /v1/accounts": (Role.WATCH, {}),
    "GET /v1/audit": (Role.READ, {}),
    "GET /v1/find": (Role.READ, {"params": {"q": "b1"}}),
    "POST /v1/retry": (Role.OPERATE, {}),
    "POST /v1/withdraw": (Role.OPERATE, {}),
    "GET /v1/refused": (Role.READ, {}),
    "GET /v1/session": (Role.WATCH, {}),
    "DELETE /v1/session": (Role.WATCH, {}),
    "POST /v1/session": (None, {"json": {"token": "watch"}}),
    "GET /metrics": (Role.WATCH, {}),
    "GET /healthz": (None, {}),
    "GET /readyz": (None, {}),
}
"""Endpoint → the least role that may, and what is sent. None: whoever asks."""

NAMES: Final = {"account": "desk1", "uid": "desk1", "meter": "BTC-USDT"}


def test_the_table_has_every_endpoint() -> None:
    """One that is added without a role here is found."""
    assert TABLE.keys() == {name for name, _ in OPERATIONS}


@pytest.mark.parametrize("endpoint", TABLE)
def test_a_token_can_do_what_its_role_allows_and_nothing_else(endpoint: str, desk: Desk, door: Door) -> None:
    """Refused is told by status and type, before anything was done."""
    door.call("PUT", "/v1/batches/b1", json=BATCH)
    door.call("PUT", "/v1/mass-cancels/m1", json=SCOPE)
    needed, sent = TABLE[endpoint]
    method, _, path = endpoint.partition(" ")
    path = path.format(**NAMES, batch_id="m1" if "mass" in path else "b1")
    events = desk.store.redis.xlen(desk.store.keys.of("audit"))
    allowed = []
    for token in (None, "nobody's", *ROLES):
        answer = door.call(method, path, token, **sent)
        door.session.cookies.clear()
        if answer.status_code in {401, 403}:
            assert kind_of(answer) == ("role" if token in ROLES else "no-token")
            assert desk.store.redis.xlen(desk.store.keys.of("audit")) == events
        else:
            allowed.append(token)
    expected = [role for role in Role if needed is None or list(Role).index(role) >= list(Role).index(needed)]
    assert allowed == ([None, "nobody's"] if needed is None else []) + expected


def test_who_watches_sees_no_order(desk: Desk, door: Door) -> None:
    """Neither by its id nor in a report."""
    order = {"instId": "BTC-USDT", "ordId": "731904258316402700"}
    door.call("PUT", "/v1/batches/b1", json={**BATCH, "orders": [order], "urgent": True})
    desk.finish("BTC-USDT", "exhausted")
    door.call("PUT", "/v1/batches/b2", json={**BATCH, "orders": [{**order, "instId": "ETH-USDT"}], "urgent": True})
    for path in ("/v1/status?lanes=all", "/v1/lanes", "/v1/batches", "/v1/batches/b1", "/v1/accounts"):
        assert order["ordId"] not in door.call("GET", path, "watch").text
    assert order["ordId"] in door.call("GET", "/v1/status", "read").text
    assert door.get("/v1/status", "watch")["oldest_urgent"]["lane"] == "desk1/ETH-USDT"


def test_who_watches_sees_no_order_of_a_mass_cancel(desk: Desk, door: Door) -> None:
    """Nor a bot, a spread order, an RFQ: how many are left and why, in reports, status and streams alike."""
    left, others = "731904258316402711", "731904258316402722"
    kind = Kind(stopped=1, left={left: Product("BTC-USDT", why="held")}, others=(others,))
    door.call("PUT", "/v1/mass-cancels/m1", json=SCOPE)
    desk.store.redis.hset(desk.store.keys.of("mass", "m1"), "products", Products({"grids": kind}).text)
    door.shell.desks.changed()

    def told(token: str) -> list[str]:
        with Stream(f"{door.url}/v1/events", token) as stream:
            snapshot = json.dumps(stream.until("snapshot")[-1].data)
        paths = ("/v1/mass-cancels", "/v1/mass-cancels/m1", "/v1/status")
        return [snapshot, *(door.call("GET", path, token).text for path in paths)]

    assert all(left in text for text in told("read"))
    assert not [text for text in told("watch") if left in text or others in text]
    [said] = door.get("/v1/mass-cancels/m1", "watch")["products"]
    assert (said["found"], [(each["id"], each["why"]) for each in said["left"]]) == (2, [(None, "held")])
    [mass] = door.get("/v1/status", "watch")["masses"]
    assert [each["why"] for each in mass["products"]["kinds"]["grids"]["left"].values()] == ["held"]


def test_a_token_for_one_account_acts_on_no_other(desk: Desk, door: Door) -> None:
    """Whatever it asks for."""
    door.call("PUT", "/v1/batches/b1", json=BATCH)
    door.call("PUT", "/v1/mass-cancels/h1", json={**SCOPE, "hold": True})
    asked: list[tuple[str, str, dict[str, Any]]] = [
        ("PUT", "/v1/batches/b2", {"json": BATCH}),
        ("POST", "/v1/batches/b1/retry", {}),
        ("POST", "/v1/batches/b1/withdraw", {}),
        ("PUT", "/v1/mass-cancels/m1", {"json": SCOPE}),
        ("PUT", "/v1/mass-cancels/m1", {"json": {"account": "*"}}),
        ("POST", "/v1/mass-cancels/h1/release", {}),
        ("POST", "/v1/dry-run", {"json": {"account": "*"}}),
        ("PUT", "/v1/accounts/desk1/pause", {}),
        ("DELETE", "/v1/accounts/desk1/pause", {}),
        ("PUT", "/v1/accounts/nobody/pause", {}),
        ("DELETE", "/v1/accounts/nobody/pause", {}),
        ("PUT", "/v1/lanes/desk1/BTC-USDT/pause", {}),
        ("DELETE", "/v1/lanes/desk1/BTC-USDT/pause", {}),
        ("GET", "/metrics", {}),
    ]
    events = desk.store.redis.xlen(desk.store.keys.of("audit"))
    for method, path, sent in asked:
        assert kind_of(door.call(method, path, "two", **sent)) == "account", path
    unknown = door.call("PUT", "/v1/lanes/desk2/BTC-USDT/pause", "two")
    assert kind_of(unknown) == "unknown-lane"
    assert "desk1" not in unknown.text
    assert desk.store.redis.xlen(desk.store.keys.of("audit")) == events
    assert door.call("PUT", "/v1/batches/b2", "two", json={**BATCH, "account": "desk2"}).status_code == 201
    assert door.call("PUT", "/v1/accounts/desk2/pause", "two").status_code == 200


@pytest.mark.parametrize("path", ["/v1/withdraw", "/v1/retry"])
def test_who_may_act_on_no_account_acts_on_nobodys_orders(
    path: str, desk: Desk, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No file makes such a token; were there one, its filter would be empty, as that for all orders is."""
    door.call("PUT", "/v1/batches/b1", json={**BATCH, "orders": [*BATCH["orders"], {"instId": "X-Y", "ordId": "2"}]})
    desk.finish("BTC-USDT", "rejected")
    monkeypatch.setattr(Tokens, "caller", lambda *_: Caller("n", Role.KILL, frozenset()))
    for dry_run in (True, False):
        done = door.call("POST", path, json={"since": "2020-01-01T00:00:00Z", "dry_run": dry_run})
        assert (done.status_code, done.json()["orders"], done.json()["batches"]) == (200, 0, [])
    state = desk.store.batches.state("b1")
    assert (state.waiting, state.counts["rejected"]) == (1, 1)


def test_a_token_for_one_account_sees_no_other(desk: Desk, door: Door) -> None:
    """What is another's is as unknown as what never was."""
    door.call("PUT", "/v1/batches/b1", json=BATCH)
    door.call("PUT", "/v1/batches/b2", json={**BATCH, "account": "desk2"})
    door.call("PUT", "/v1/mass-cancels/m1", json=SCOPE)
    door.call("PUT", "/v1/accounts/desk1/pause", json={"reason": "news"})
    door.call("PUT", "/v1/lanes/desk1/BTC-USDT/pause", json={"reason": "news"})
    desk.store.refusals.add("x", ["y"], source="s", account="desk1")
    for path in ("/v1/batches/b1", "/v1/batches/b1/outcomes", "/v1/mass-cancels/m1", "/v1/audit?batch_id=b1"):
        assert door.call("GET", path, "two").status_code == 404
    desk.worker_reports()
    door.shell.desks.changed()
    seen = door.get("/v1/status?lanes=all", "two")
    assert [worker["accounts"] for worker in seen["workers"]] == [["desk2"]]
    assert [lane["name"] for lane in seen["lanes"]] == ["desk2/BTC-USDT"]
    assert [batch["batch_id"] for batch in seen["batches"]] == ["b2"]
    assert (seen["rests"], seen["masses"], seen["waiting"]) == ([], [], 1)
    assert [each["name"] for each in door.get("/v1/accounts", "two")["accounts"]] == ["desk2"]
    assert [each["batch_id"] for each in door.get("/v1/batches", "two")["batches"]] == ["b2"]
    assert [each["batch_id"] for each in door.get("/v1/audit", "two")["decisions"]] == ["b2"]
    assert door.get("/v1/refused", "two")["refused"] == door.get("/v1/mass-cancels", "two")["mass_cancels"] == []
    assert len(door.get("/v1/refused")["refused"]) == 1


def test_a_refusal_names_no_account_of_others(desk: Desk, tmp_path: Path) -> None:
    """Another's account and one that never was are refused alike; of its own that is gone a token hears just that."""
    with Door(desk.store, token_file(tmp_path / "tokens", accounts={"two": ["desk2", "gone"]})) as door:
        for method in ("PUT", "DELETE"):
            named = (f"/v1/accounts/{name}/pause" for name in ("desk1", "none"))
            others, nobodys = (door.call(method, path, "two").text for path in named)
            assert others.replace("desk1", "none") == nobodys
        gone = door.call("PUT", "/v1/batches/b1", "two", json={**BATCH, "account": "gone"})
        assert (kind_of(gone), gone.json()["detail"]) == ("unknown-account", "unknown account 'gone'")
        assert "known accounts: desk1" in door.call("PUT", "/v1/batches/b1", json={**BATCH, "account": "gone"}).text


def test_sums_are_of_a_tokens_own_accounts_or_not_told(desk: Desk, door: Door) -> None:
    """Null where only a part of all is read; whoever may see everything is told everything."""

    def sums(token: str) -> tuple[int | None, ...]:
        door.shell.desks.changed()
        seen = door.get("/v1/status", token)
        return seen["batches_waiting"], seen["may_be_live"], seen["refused"]

    door.call("PUT", "/v1/batches/b1", json=BATCH)
    desk.finish("BTC-USDT", "exhausted")
    door.call("PUT", "/v1/batches/b2", json=BATCH)
    assert (sums("watch"), sums("two")) == ((1, 1, 0), (0, 0, 0))
    door.call("PUT", "/v1/batches/own", json={**BATCH, "account": "desk2"})
    Worker(desk.store, "desk2").finish("BTC-USDT", "exhausted")
    door.call("PUT", "/v1/batches/own2", json={**BATCH, "account": "desk2"})
    desk.store.refusals.add("x", ["y"], source="s", account="desk1")
    assert (sums("watch"), sums("two")) == ((2, 2, 1), (1, 1, None))
    desk.store.redis.zadd(desk.store.keys.of("may_be_live"), {f"desk1/X-Y/o{number}": 2**52 for number in range(30)})
    for number in range(BATCHES_SHOWN):
        door.call("PUT", f"/v1/batches/more{number}", json=BATCH)
    assert (sums("watch"), sums("two")) == ((BATCHES_SHOWN + 2, 32, 1), (None, None, None))


def test_refusals_of_others_take_no_place_of_a_tokens_own(desk: Desk, door: Door) -> None:
    """However many came since."""
    desk.store.refusals.add("own", ["y"], source="s", account="desk2")
    for _ in range(150):
        desk.store.refusals.add("x", ["y"], source="s", account="desk1")
    assert [each["payload"] for each in door.get("/v1/refused?limit=2", "two")["refused"]] == ["own"]
    assert len(door.get("/v1/refused?limit=150")["refused"]) == 150
