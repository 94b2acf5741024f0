"""Tests of the HTTP door: what is handed in, asked and decided through it is what the command line sees."""

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from bulk_cancel.tasks.utf8 import HALF
from bulk_cancel.worker.books.mass.masses import Masses
from bulk_cancel.worker.gateway.bodies import BODY_BYTES, LITTLE_BYTES
from bulk_cancel.worker.gateway.problems import FAULTS, ROWS_FAULTS
from bulk_cancel.worker.operators.audit import Audit
from bulk_cancel.worker.operators.matching import Match, Matching
from bulk_cancel.worker.state import batches
from bulk_cancel.worker.state.batches import BatchState, Row
from bulk_cancel.worker.state.rows import row_of
from tests.support.cli_desk import Desk
from tests.support.door import Door, kind_of, scraped, token_file
from tests.support.json_shapes import misfits
from tests.support.waiting import PATIENCE_S

ORDERS = [
    {"instId": "BTC-USDT", "ordId": "1"},
    {"instId": "BTC-USDT", "ordId": "2"},
    {"instId": "ETH-USDT", "clOrdId": "c"},
]
BATCH: dict[str, Any] = {"account": "desk1", "orders": ORDERS, "reason": "fat finger"}
TWICE = json.dumps({**BATCH, "orders": [{"instId": "BTC-USDT", "ordId": "5"}]}).replace('"5"', '"5", "ordId": "6"')


@pytest.fixture
def open_door(desk: Desk) -> Iterator[Door]:
    """A door without tokens."""
    with Door(desk.store) as found:
        yield found


def test_a_batch_is_taken_once_however_often_it_is_put(desk: Desk, door: Door) -> None:
    """201 durable, 200 the same again, 409 other orders; the token's name is who asked."""
    first = door.call("PUT", "/v1/batches/b1", json=BATCH)
    again = door.call("PUT", "/v1/batches/b1", json=BATCH)
    other = door.call("PUT", "/v1/batches/b1", json={**BATCH, "orders": ORDERS[:1]})
    assert [each.status_code for each in (first, again, other)] == [201, 200, 409]
    assert kind_of(other) == "conflict"
    assert misfits(first.json()) == misfits(again.json()) == []
    state = desk.store.batches.state("b1")
    assert (state.size, state.waiting, state.requested_by, state.reason) == (3, 3, "kill", "fat finger")


@pytest.mark.parametrize("path", ["/v1/batches/b1/retry", "/v1/retry"])
def test_true_is_no_number_of_seconds(path: str, door: Door) -> None:
    """As for a batch: whoever says it would have one second."""
    door.call("PUT", "/v1/batches/b1", json=BATCH)
    assert kind_of(door.call("POST", path, json={"deadline_s": True})) == "invalid"


@pytest.mark.parametrize("key", ["k1", '"k1"'])
def test_a_batch_may_be_named_by_its_idempotency_key(key: str, desk: Desk, door: Door) -> None:
    """The answer says where it is, relative to where it was asked."""
    taken = door.call("POST", "/v1/batches", json=BATCH, headers={"Idempotency-Key": key})
    assert (taken.status_code, taken.headers["Location"]) == (201, "batches/k1")
    assert desk.store.batches.state("k1").size == 3


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "two words"}])
def test_without_a_usable_key_nothing_is_taken(headers: dict[str, str], desk: Desk, door: Door) -> None:
    """A generated id could not be asked for again after a lost answer."""
    assert kind_of(door.call("POST", "/v1/batches", json=BATCH, headers=headers)) == "invalid"
    assert desk.store.batches.recent(0) == []


@pytest.mark.parametrize(
    ("method", "path", "words"),
    [
        ("POST", "/v1/batches", "Idempotency-Key: is required"),
        ("GET", "/v1/status?lanes=some", "lanes: should be 'busy', 'all' or 'none'"),
        ("GET", "/v1/batches?limit=0", "limit: should be greater than or equal to 1"),
        (
            "GET",
            "/v1/batches?stauts=exhausted",
            "stauts: is no parameter here; it has account, status, since, until, limit",
        ),
        ("PUT", "/v1/batches/b1?dry-run=1", "'dry-run': is no parameter here; it has none"),
        ("GET", "/metrics?a=1", "a: is no parameter here; it has none"),
    ],
)
def test_a_parameter_is_refused_in_the_words_of_a_body(method: str, path: str, words: str, door: Door) -> None:
    """They were pydantic's: "Field required", "Input should be …"."""
    refused = door.call(method, path, json=BATCH if method in {"POST", "PUT"} else None)
    assert refused.json()["errors"] == [words]
    assert kind_of(refused) == "invalid"


def test_every_fault_of_every_row_is_told_at_once(desk: Desk, door: Door) -> None:
    """And nothing is taken, not even the good rows."""
    rows = [{"instId": "BTC"}, ORDERS[0], {"instId": "BTC-USDT", "ordId": 1.5}]
    said = {"account": "DESK 1", "orders": rows, "urgent": "maybe", "batch_id": "x", "requested_by": "me", "colour": 1}
    refused = door.call("PUT", "/v1/batches/b1", json=said)
    assert kind_of(refused) == "invalid"
    places = sorted(line.partition(":")[0] for line in refused.json()["errors"])
    expected = ["account", "batch_id", "colour", "orders[0].instId", "orders[2].ordId", "requested_by", "urgent"]
    assert places == expected
    assert desk.store.batches.recent(0) == []


def test_of_too_many_faults_the_first_are_listed(desk: Desk, door: Door) -> None:
    """And how many there are besides: of a batch, whose rows somebody mends, many more than of anything else."""
    rows = [{"instId": "BTC"}] * (ROWS_FAULTS + 20)
    batch = door.call("PUT", "/v1/batches/b1", json={**BATCH, "orders": rows}).json()
    other = door.call("POST", "/v1/withdraw", json={f"f{number}": 1 for number in range(FAULTS + 1)}).json()
    assert [len(said["errors"]) for said in (batch, other)] == [ROWS_FAULTS, FAULTS]
    assert batch["detail"] == f"{ROWS_FAULTS + 20} faults; nothing was taken; 20 more than are listed"
    assert other["detail"] == f"{FAULTS + 1} faults; nothing was taken; 1 more than are listed"
    assert desk.store.batches.recent(0) == []


def test_who_begins_a_session_says_no_more_than_a_token(door: Door) -> None:
    """Nobody has to be known for it, so nobody is to keep the door busy with it."""
    told = {"Content-Type": "application/json"}
    longest = json.dumps({"token": "\N{GRINNING FACE}" * 1000})
    assert kind_of(door.call("POST", "/v1/session", None, told, data=longest)) == "no-token"
    for data in (b" " * (LITTLE_BYTES + 1), iter([b" " * 2**10] * 17)):
        assert kind_of(door.call("POST", "/v1/session", None, told, data=data)) == "too-large"


@pytest.mark.parametrize(
    ("sent", "kind", "status"),
    [
        ({"data": b"{", "headers": {"Content-Type": "application/json"}}, "not-json", 400),
        ({"data": b"[1]", "headers": {"Content-Type": "application/json"}}, "not-json", 400),
        ({"data": TWICE, "headers": {"Content-Type": "application/json"}}, "not-json", 400),
        ({"data": b'"\xff"', "headers": {"Content-Type": "application/json; charset=latin-1"}}, "not-json", 400),
        ({"data": b"[" * 100_000, "headers": {"Content-Type": "application/json"}}, "not-json", 400),
        ({"data": json.dumps(BATCH)}, "media-type", 415),
        ({"data": {"account": "desk1"}}, "media-type", 415),
    ],
)
def test_a_body_that_is_no_object_of_json_is_refused(sent: dict[str, Any], kind: str, status: int, door: Door) -> None:
    """By what it is."""
    refused = door.call("PUT", "/v1/batches/b1", **sent)
    assert (kind_of(refused), refused.status_code) == (kind, status)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_long_is_not_read_to_its_end(chunked: bool, door: Door) -> None:  # noqa: FBT001 (a case)
    """Whether or not it says its length beforehand."""
    data: Any = iter([b" " * 2**20] * (BODY_BYTES // 2**20 + 2)) if chunked else b" " * (BODY_BYTES + 1)
    refused = door.call("PUT", "/v1/batches/b1", data=data, headers={"Content-Type": "application/json"})
    assert (kind_of(refused), refused.status_code) == ("too-large", 413)


def test_the_largest_batch_fits() -> None:
    """100,000 orders, every field at its longest."""
    inst_id = "-".join(["A" * 15] * 4)
    order = {"instId": inst_id, "ordId": "1" * 20, "clOrdId": "c" * 32}
    assert len(json.dumps({**BATCH, "orders": [order] * 100_000})) < BODY_BYTES


@pytest.mark.parametrize("batch_id", ["a/b", "a%2Fb", "x/outcomes", "?&#", "~!"])
def test_any_batch_id_has_its_address(batch_id: str, desk: Desk, door: Door) -> None:
    """Percent-encoded, a slash is a part of the name."""
    path = "/v1/batches/" + "".join(f"%{ord(letter):02X}" for letter in batch_id)
    assert door.call("PUT", path, json=BATCH).status_code == 201
    assert door.get(path)["batch_id"] == desk.store.batches.state(batch_id).batch_id == batch_id
    assert len(door.get(f"{path}/outcomes")["outcomes"]) == 3


def test_answers_have_the_shapes_of_the_command_line(desk: Desk, door: Door) -> None:
    """The objects of `cli/JSON.md`, by the names in their `schema`."""
    desk.worker_reports()
    door.call("PUT", "/v1/batches/b1", json=BATCH)
    door.call("PUT", "/v1/batches/b2", json={**BATCH, "orders": ORDERS[2:]})
    desk.finish("BTC-USDT", "rejected", "51000")
    paused = door.call("PUT", "/v1/lanes/desk1/ETH-USDT/pause", json={"reason": "news"}).json()
    resumed = door.call("DELETE", "/v1/lanes/desk1/ETH-USDT/pause?reason=over").json()
    withdrawn = door.call("POST", "/v1/batches/b1/withdraw", json={}).json()
    retried = door.call("POST", "/v1/batches/b1/retry").json()
    mass = door.call("PUT", "/v1/mass-cancels/m1", json={"account": "desk1", "side": "buy"}).json()["mass_cancels"][0]
    for said in (paused, resumed, withdrawn, retried, door.get("/v1/status?lanes=all")):
        assert misfits(said) == []
    assert misfits(door.get("/v1/batches/b1")) == ["batch/1.estimate_s"]
    assert misfits(door.get("/v1/mass-cancels/m1")) == misfits({"schema": "mass/1", **mass}) == ["mass/1.estimate_s"]
    assert [misfits(row) for row in door.get("/v1/batches/b1/outcomes")["outcomes"]] == [[]] * 3
    assert [misfits({"schema": "decision/1", **row}) for row in door.get("/v1/audit")["decisions"]] == [[]] * 7
    assert (retried["opened"], withdrawn["withdrawn"], len(resumed["ended"])) == (2, 1, 1)


def test_what_is_decided_here_stands_in_the_audit_under_the_tokens_name(desk: Desk, door: Door) -> None:
    """With its reason."""
    door.call("PUT", "/v1/batches/b1", "operate", json=BATCH)
    door.call("PUT", "/v1/accounts/desk1/pause", "operate", json={"reason": "news"})
    door.call("DELETE", "/v1/accounts/desk1/pause?reason=over", "operate")
    door.call("POST", "/v1/batches/b1/withdraw", "kill", json={"reason": "enough"})
    _, printed, _ = desk("audit", "--json")
    told = [json.loads(line) for line in printed.splitlines()]
    assert [(each["event"], each["by"], each["reason"]) for each in told] == [
        ("submitted", "operate", "fat finger"),
        ("pause", "operate", "news"),
        ("resume", "operate", "over"),
        ("withdraw", "kill", "enough"),
    ]


def test_outcomes_come_in_pages_lines_and_a_table(desk: Desk, door: Door) -> None:
    """Each order once, in the order in which it was handed in; no spreadsheet gets a formula."""
    rows = [{"instId": "BTC-USDT", "ordId": str(number)} for number in range(1, 8)]
    door.call("PUT", "/v1/batches/b1", json={**BATCH, "orders": rows})
    desk.finish("BTC-USDT", "rejected", "=1+1")
    pages: list[list[str]] = []
    after: int | None = -1
    while after is not None:
        page = door.get(f"/v1/batches/b1/outcomes?limit=3&after={after}&status=rejected")
        pages.append([row["ordId"] for row in page["outcomes"]])
        after = page["next"]
    assert pages == [["1", "2", "3"], ["4", "5", "6"], ["7"]]
    lines = door.call("GET", "/v1/batches/b1/outcomes?format=ndjson").text.splitlines()
    assert [json.loads(line)["ordId"] for line in lines] == [row["ordId"] for row in rows]
    table = door.call("GET", "/v1/batches/b1/outcomes?format=csv").text.splitlines()
    assert table[0].startswith("batch_id,account,instId,ordId,")
    assert [line.split(",")[3:7:3] for line in table[1:]] == [[row["ordId"], "'=1+1"] for row in rows]
    assert door.get("/v1/batches/b1/outcomes?status=gone")["outcomes"] == []


def test_a_page_makes_no_more_of_a_batch_than_it_tells(desk: Desk, door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader of 100,000 outcomes, a page after the other, must not have all of them read into values each time."""
    rows = [{"instId": "BTC-USDT" if number % 2 else "ETH-USDT", "ordId": str(number)} for number in range(1, 41)]
    door.call("PUT", "/v1/batches/b1", json={**BATCH, "orders": rows})
    desk.finish("BTC-USDT")
    every, made = desk.store.batches.rows("b1"), list[str]()

    def counted(state: BatchState, job: str, text: str, live: Mapping[str, Any] | None) -> Row:
        made.append(job)
        return row_of(state, job, text, live)

    monkeypatch.setattr(batches, "row_of", counted)
    page = door.get("/v1/batches/b1/outcomes?limit=3&after=9")
    assert ([row["ordId"] for row in page["outcomes"]], page["next"], len(made)) == (["11", "12", "13"], 12, 4)
    assert door.get("/v1/batches/b1/outcomes?limit=2&after=37")["next"] is None
    made.clear()
    left = desk.store.batches.ordered("b1", at_once=5)
    assert (next(left), len(made)) == (every[0], 5)
    assert [*left] == every[1:]


def test_batches_are_found_by_account_and_by_what_became_of_them(desk: Desk, door: Door) -> None:
    """The newest first."""
    for number, account in enumerate(("desk1", "desk2", "desk1")):
        door.call("PUT", f"/v1/batches/b{number}", json={**BATCH, "account": account})
    desk.finish("BTC-USDT", "rejected")

    def found(query: str) -> list[str]:
        return [batch["batch_id"] for batch in door.get(f"/v1/batches?{query}")["batches"]]

    assert found("") == ["b2", "b1", "b0"]
    assert found("account=desk1") == ["b2", "b0"]
    assert found("status=rejected&limit=1") == ["b2"]
    assert found("status=complete") == []
    assert found("until=2020-01-01T00:00:00") == []


def test_lanes_without_work_are_told_only_when_asked_for(desk: Desk, door: Door) -> None:
    """5,000 of them would be most of the answer."""
    door.call("PUT", "/v1/batches/b1", json=BATCH)
    desk.finish("ETH-USDT")
    names = {
        kind: [lane["name"] for lane in door.get(f"/v1/status?lanes={kind}")["lanes"]]
        for kind in ("busy", "all", "none")
    }
    assert names == {"busy": ["desk1/BTC-USDT"], "all": ["desk1/BTC-USDT", "desk1/ETH-USDT"], "none": []}


def test_the_limits_of_algo_orders_are_known(desk: Desk, door: Door) -> None:
    """500 of one instrument take 48 s: that is told when they are taken, and while they wait."""
    orders = [{"instId": "BTC-USDT", "algoId": str(ident)} for ident in range(1, 501)]
    taken = door.call("PUT", "/v1/batches/b1", json={"account": "desk1", "orders": orders}).json()
    told = [datetime.fromisoformat(taken[name]) for name in ("created_at", "earliest_done_at")]
    assert 48 <= (told[1] - told[0]).total_seconds() < 60
    assert door.get("/v1/batches/b1")["estimate_s"] == 48.0
    assert desk.json("status")["lanes"][0]["limits"] == {"single": 20, "batch": 0}


def test_a_mass_cancel_is_taken_once(desk: Desk, door: Door) -> None:
    """201, 200 the same again, 409 with another scope; `*` is one for each User ID."""
    scope = {"account": "desk1", "instType": "SWAP", "until_flat_s": 1, "reason": "halt"}
    answers = [door.call("PUT", "/v1/mass-cancels/m1", json=said) for said in (scope, scope, {**scope, "side": "buy"})]
    assert [each.status_code for each in answers] == [201, 200, 409]
    everywhere = door.call("PUT", "/v1/mass-cancels/m2", json={"account": "*"})
    assert [each["batch_id"] for each in everywhere.json()["mass_cancels"]] == ["m2-desk1", "m2-desk2"]
    assert {each["batch_id"] for each in door.get("/v1/mass-cancels")["mass_cancels"]} == {"m1", "m2-desk1", "m2-desk2"}
    assert door.get("/v1/mass-cancels/m1")["requested_by"] == "kill"
    for said, kind in (
        ({"side": "both"}, "invalid"),
        ({"instType": "SPOT", "instFamily": "BTC-USDT"}, "contradiction"),
        ({"with": ["bots"]}, "contradiction"),
        ({"with": ["rfqs"], "instId": "BTC-USDT"}, "contradiction"),
        ({"with": ["bots"], "bots": "sell"}, "invalid"),
    ):
        refused = door.call("PUT", "/v1/mass-cancels/m3", json={"account": "desk1", **said})
        assert kind_of(refused) == kind
        assert "message: " not in refused.json()["detail"]
    assert desk.store.batches.state("m1").reason == "halt"
    wanted = {"with": ["bots", "spreads"], "bots": "keep-positions"}
    said = door.call("PUT", "/v1/mass-cancels/m4", json={"account": "desk1", **wanted}).json()["mass_cancels"][0]
    assert (said["scope_asked"], said["products"]) == (wanted, [])


@pytest.mark.parametrize(
    ("address", "said", "fault"),
    [
        ("PUT /v1/batches/b2", {**BATCH, "caf\udce9": 1}, r"['caf\\udce9']: is no field of this message"),
        ("PUT /v1/mass-cancels/m", {"account": "desk1", "\ud83d": 1}, r"['\\ud83d']: is no field of this message"),
        ("POST /v1/retry", {"sCode": ["51403", "\ud83d"]}, f"sCode[1]: {HALF}"),
        ("POST /v1/withdraw", {"sCode": ["51403", "\ud83d"]}, f"sCode[1]: {HALF}"),
        ("POST /v1/batches/b1/withdraw", {"reason": "\ud83d"}, f"reason: {HALF}"),
    ],
)
def test_half_a_character_is_named(desk: Desk, door: Door, address: str, said: dict[str, object], fault: str) -> None:
    """As a value and as a field's name, beside everything else that is wrong; nothing is done."""
    door.call("PUT", "/v1/batches/b1", json=BATCH)
    desk.finish("BTC-USDT", "rejected", "51403")
    headers = {"Content-Type": "application/json"}
    method, path = address.split()
    refused = door.call(method, path, data=json.dumps({**said, "deadline_s": 0}), headers=headers)
    assert (refused.status_code, kind_of(refused)) == (422, "invalid")
    assert fault in refused.json()["errors"]
    assert [each.batch_id for each in desk.store.batches.recent(0)] == ["b1"]
    assert {each.event for each in Audit(desk.store).newest(10)} == {"submitted"}


def test_a_hold_is_released(desk: Desk, door: Door) -> None:
    """By name, with its reason in the audit, as often as one likes; what is not on hold is told so."""
    for name, hold in (("h1", True), ("m1", None)):
        said = door.call("PUT", f"/v1/mass-cancels/{name}", json={"account": "desk1", "hold": hold})
        assert said.json()["mass_cancels"][0]["hold"] is bool(hold)
    told = [door.call("POST", "/v1/mass-cancels/h1/release", json={"reason": "over"}).json() for _ in range(2)]
    assert [misfits(each) for each in told] == [[], []]
    assert [(each["changed"], each["state"]) for each in told] == [(True, "released"), (False, "released")]
    decision = Audit(desk.store).newest(1)[0]
    assert (decision.event, decision.batch_id, decision.reason) == ("release", "h1", "over")
    assert kind_of(door.call("POST", "/v1/mass-cancels/m1/release")) == "not-on-hold"
    assert kind_of(door.call("POST", "/v1/mass-cancels/none/release")) == "unknown-mass-cancel"


def test_what_is_not_there_is_told_by_its_kind(door: Door) -> None:
    """404, each with a type of its own."""
    asked = {
        "/v1/batches/none": "unknown-batch",
        "/v1/batches/none/outcomes": "unknown-batch",
        "/v1/audit?batch_id=none": "unknown-batch",
        "/v1/mass-cancels/none": "unknown-mass-cancel",
        "/v2": "not-found",
        "/v1/batches/a/b": "not-found",
    }
    assert {path: kind_of(door.call("GET", path)) for path in asked} == asked
    assert kind_of(door.call("PUT", "/v1/accounts/none/pause")) == "unknown-account"
    assert kind_of(door.call("PUT", "/v1/lanes/desk1/XX-YY/pause")) == "unknown-lane"
    assert kind_of(door.call("PATCH", "/v1/batches/b1")) == "method"
    assert kind_of(door.call("GET", "/v1/batches?limit=0")) == "invalid"


@pytest.mark.parametrize("below", ["", "/bulk"])
def test_an_address_names_every_method_that_it_takes(below: str, desk: Desk) -> None:
    """Whichever of them is the first."""
    asked = {
        "/v1/batches": "GET, POST",
        "/v1/batches/b1": "GET, PUT",
        "/v1/batches/a%2Fb": "GET, PUT",
        "/v1/batches/b1/outcomes": "GET",
        "/v1/accounts/desk1/pause": "DELETE, PUT",
        "/v1/session": "DELETE, GET, POST",
        "/": "GET, HEAD",
        "/readyz": "GET, HEAD",
    }
    with Door(desk.store, below=below) as door:
        told = {path: door.call("PATCH", path, token=None) for path in asked}
    assert {kind_of(answer) for answer in told.values()} == {"method"}
    assert {path: answer.headers["Allow"] for path, answer in told.items()} == asked


def test_a_dry_run_needs_the_exchange(door: Door) -> None:
    """It is not there in this test: nothing is guessed."""
    assert kind_of(door.call("POST", "/v1/dry-run", json={"account": "none"})) == "unknown-account"


@pytest.mark.parametrize("path", ["/", "/main.js", "/healthz", "/readyz"])
def test_a_head_tells_what_a_get_would(path: str, door: Door) -> None:
    """Balancers and monitors probe by it."""
    asked, told = (door.call(method, path, token=None) for method in ("HEAD", "GET"))
    names = ("Content-Type", "Content-Length", "Cache-Control", "ETag")
    assert asked.status_code == told.status_code
    assert [asked.headers.get(name) for name in names] == [told.headers.get(name) for name in names]
    assert (asked.content, bool(told.content)) == (b"", True)


def test_health_says_what_is_missing(desk: Desk, door: Door) -> None:
    """Without a token; ready means that Redis answers and a worker is alive."""
    assert door.call("GET", "/healthz", token=None).status_code == 200
    not_yet = door.call("GET", "/readyz", token=None)
    assert (not_yet.status_code, not_yet.json()["ready"]) == (503, {"redis": True, "format": True, "worker": False})
    desk.worker_reports()
    door.shell.desks.changed()
    assert door.call("GET", "/readyz", token=None).status_code == 200
    desk.store.redis.hset(desk.store.keys.of("formats"), "exchange", "9")
    door.shell.desks.changed()
    assert door.call("GET", "/readyz", token=None).json()["ready"] == {"redis": True, "format": False, "worker": True}
    assert kind_of(door.call("PUT", "/v1/batches/b1", json=BATCH)) == "format"


@pytest.mark.parametrize(
    "path",
    [
        *("status", "lanes", "accounts", "batches", "batches/b1", "batches/b1/outcomes", "mass-cancels", "find?q=b1"),
        *("audit", "refused"),
    ],
)
def test_what_cannot_be_read_is_not_told(desk: Desk, door: Door, path: str) -> None:
    """Also of a door that stood there when a later release raised the format, and remembers what it saw."""
    assert door.call("PUT", "/v1/batches/b1", json=BATCH).ok
    assert door.call("GET", f"/v1/{path}").ok
    desk.store.redis.hset(desk.store.keys.of("formats"), f"runner:{desk.store.keys.prefix}", "2")
    door.shell.desks.changed()
    for _ in range(2):
        assert kind_of(door.call("GET", f"/v1/{path}")) == "format"
    assert scraped(door) == {"up": 0}


def test_without_redis_it_says_so_and_when_to_come_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """503 with Retry-After; the process itself is well."""
    from bulk_cancel.worker.config.settings import load_settings  # noqa: PLC0415
    from bulk_cancel.worker.state.store import open_store  # noqa: PLC0415

    monkeypatch.setenv("BULK_CANCEL_REDIS_URL", "redis://user:hidden@127.0.0.1:1/0")
    with Door(open_store(load_settings()), token_file(tmp_path / "tokens")) as door:
        for away in (door.call("GET", "/v1/status"), door.call("PUT", "/v1/batches/b1", json=BATCH)):
            assert (kind_of(away), away.headers["Retry-After"]) == ("redis-away", "1")
            assert "hidden" not in away.text
        assert door.call("GET", "/readyz", token=None).json()["ready"] == {
            "redis": False,
            "format": False,
            "worker": False,
        }
        assert door.call("GET", "/healthz", token=None).status_code == 200


def test_a_full_redis_takes_nothing_and_says_so(desk: Desk, door: Door) -> None:
    """503 with a longer wait."""
    redis = desk.store.redis
    redis.config_set("maxmemory", int(redis.info("memory")["used_memory"]) // 2)
    try:
        full = door.call("PUT", "/v1/batches/b1", json=BATCH)
    finally:
        redis.config_set("maxmemory", 0)
    assert (kind_of(full), full.headers["Retry-After"]) == ("redis-full", "30")


def test_it_works_below_a_path(desk: Desk, tmp_path: Path) -> None:
    """As a proxy has it, or as it is mounted in another app."""
    with Door(desk.store, token_file(tmp_path / "tokens"), below="/bulk") as door:
        assert door.call("PUT", "/v1/batches/a%2Fb", json=BATCH).status_code == 201
        begun = door.call("POST", "/v1/session", token=None, json={"token": "read"})
        assert "Path=/bulk;" in begun.headers["Set-Cookie"]


@pytest.mark.parametrize(
    ("mounted", "sent"),
    [("/m", "/m"), ("/desk é/x", "/desk%20%C3%A9/x"), ("/desk é/x", "/desk%20%c3%a9%2Fx"), ("/a~b", "/a%7Eb")],
)
def test_it_is_mounted_below_any_path(mounted: str, sent: str, desk: Desk, tmp_path: Path) -> None:
    """However a client writes it: so a browser gives the cookie back."""
    with Door(desk.store, token_file(tmp_path / "tokens"), mounted=mounted) as door:
        assert door.call("GET", f"{sent}/").headers["Content-Type"].startswith("text/html")
        assert raw_call(door, "PUT", f"{sent}/v1/batches/a%2Fb", BATCH).status == 201
        begun = raw_call(door, "POST", f"{sent}/v1/session", {"token": "read"})
        assert f"Path={sent};" in str(begun.headers["Set-Cookie"])


def raw_call(door: Door, method: str, path: str, body: Mapping[str, Any]) -> HTTPResponse:
    """One request whose path is sent as it is."""
    connection = HTTPConnection(door.url.partition("//")[2], timeout=PATIENCE_S)
    headers = {"Authorization": "Bearer kill", "Content-Type": "application/json"}
    connection.request(method, path, json.dumps(body), headers)
    with connection.getresponse() as found:
        found.read()
    connection.close()
    return found


def test_every_answer_tells_a_browser_what_it_may_do(door: Door) -> None:
    """Problems, too."""
    for answer in (
        door.call("GET", "/v1/status"),
        door.call("GET", "/none"),
        door.call("GET", "/v1/status", token=None),
    ):
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'self'; ")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"


def test_without_tokens_only_this_machine_is_let_in(open_door: Door) -> None:
    """By its own names: a site whose name leads here, and a proxy, are somebody else."""
    door = open_door
    assert door.call("GET", "/v1/status", token=None).status_code == 200
    port = door.url.rpartition(":")[2]
    assert door.call("GET", "/v1/status", token=None, headers={"Host": f"localhost:{port}"}).status_code == 200
    others = ({"Host": host} for host in (f"evil.example:{port}", "[x", ""))
    for headers in (*others, {"X-Forwarded-For": "127.0.0.1"}, {"Forwarded": "for=1"}):
        assert kind_of(door.call("GET", "/v1/status", token=None, headers=headers)) == "loopback-only"


def test_a_browser_is_let_in_by_a_cookie_that_no_script_reads(door: Door) -> None:
    """It does what the token may, and what another site sends is refused."""
    assert kind_of(door.call("POST", "/v1/session", token=None, json={"token": "wrong"})) == "no-token"
    begun = door.call("POST", "/v1/session", token=None, json={"token": "operate"})
    assert begun.json()["may"] == ["watch", "read", "operate"]
    cookie = begun.headers["Set-Cookie"]
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= {part.strip() for part in cookie.split(";")}
    origin = {"Origin": door.url}
    same, other = {"Sec-Fetch-Site": "same-origin"}, {"Origin": "http://evil.example"}
    assert door.call("GET", "/v1/session", token=None).json()["name"] == "operate"
    for headers in ({}, origin, same, {**same, **other}):
        assert door.call("PUT", "/v1/accounts/desk1/pause", token=None, headers=headers).status_code == 200
    sites = ({"Sec-Fetch-Site": site} for site in ("cross-site", "same-site", "none"))
    for headers in (*sites, other, *({"Origin": origin} for origin in ("null", "http://[x", ""))):
        refused = door.call("PUT", "/v1/accounts/desk1/pause", token=None, headers=headers)
        assert kind_of(refused) == "cross-site"
    assert kind_of(door.call("POST", "/v1/session", None, other, json={"token": "kill"})) == "cross-site"
    assert kind_of(door.call("PUT", "/v1/accounts/desk1/pause", "kill", other)) == "cross-site"
    door.call("DELETE", "/v1/session", token=None)
    assert kind_of(door.call("GET", "/v1/session", token=None)) == "no-token"


@pytest.mark.parametrize("host", ["", "[x", "[::1", "a:b:c", "\xe9"])
def test_whatever_host_is_asked_for_is_no_fault_of_ours(host: str, door: Door) -> None:
    """With a token any name is good."""
    named = {"Host": host}
    assert door.call("GET", "/v1/status", headers=named).status_code == 200
    assert kind_of(door.call("GET", "/none", None, named)) == "not-found"
    assert kind_of(door.call("POST", "/v1/session", None, {**named, "Origin": "http://[x"}, json={})) == "cross-site"


def test_a_fault_of_ours_is_logged_without_a_variable(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Even by structlog as nobody has set it: frames hold the token of the request."""
    monkeypatch.setattr(Masses, "state", lambda *_: 1 / 0)
    with Door(desk.store, token_file(tmp_path / "tokens", accounts={"hush" * 4: ["desk1"]})) as door:
        door.call("PUT", "/v1/mass-cancels/m1", json={"account": "desk1"})
        assert kind_of(door.call("GET", "/v1/mass-cancels/m1", "hush" * 4)) == "internal"
    told = "".join(capsys.readouterr())
    assert "gateway_fault" in told
    assert "ZeroDivisionError" in told
    assert "hushhush" not in told


def test_orders_and_batches_are_found_by_any_name_that_they_have(desk: Desk, door: Door) -> None:
    """Of the caller's accounts alone."""
    door.call("PUT", "/v1/batches/b1", json=BATCH)
    door.call("PUT", "/v1/batches/b2", json={**BATCH, "account": "desk2", "orders": ORDERS[1:]})
    desk.finish("BTC-USDT")

    def found(name: str, token: str = "read") -> tuple[list[str], list[str]]:
        said = door.get(f"/v1/find?q={name}", token)
        return [each["batch_id"] for each in said["batches"]], [row["batch_id"] for row in said["orders"]]

    assert found("b1") == (["b1"], [])
    assert found("DESK2") == (["b2"], [])
    assert found("1") == ([], ["b1"])
    assert found("c") == ([], ["b2", "b1"])
    assert found("c", "two") == ([], ["b2"])
    assert found("b1", "two") == found("desk1", "two") == found("none") == ([], [])


def test_what_fits_a_filter_is_counted_then_done(desk: Desk, door: Door) -> None:
    """Over all batches; who may act on one account only means that one."""
    door.call("PUT", "/v1/batches/b1", json=BATCH)
    door.call("PUT", "/v1/batches/b2", json={**BATCH, "account": "desk2"})
    desk.finish("BTC-USDT", "rejected", "51403")
    said = {"instId": ["btc-usdt"], "sCode": ["51403"]}
    counted = door.call("POST", "/v1/retry", json={**said, "dry_run": True}).json()
    assert (counted["orders"], [each["batch_id"] for each in counted["batches"]]) == (2, ["b1"])
    assert door.call("POST", "/v1/retry", "two", json={**said, "dry_run": True}).json()["orders"] == 0
    assert kind_of(door.call("POST", "/v1/retry", "two", json={"account": ["desk1"]})) == "account"
    assert desk.store.batches.state("b1").waiting == 1
    done = door.call("POST", "/v1/retry", json={**said, "reason": "again"})
    assert (misfits(done.json()), done.json()["opened"]) == ([], 2)
    waiting = {"account": ["desk2"], "since": "2020-01-01T00:00:00"}
    assert door.call("POST", "/v1/withdraw", json={**waiting, "dry_run": True}).json()["orders"] == 3
    taken = door.call("POST", "/v1/withdraw", "operate", json=waiting)
    assert (misfits(taken.json()), taken.json()["withdrawn"]) == ([], 3)
    assert [each["event"] for each in door.get("/v1/audit")["decisions"]][-2:] == ["retry", "withdraw"]


def test_a_batch_that_takes_no_decision_is_left_out(desk: Desk, door: Door) -> None:
    """Not handed in completely: it is named, and neither counted nor let go."""
    for batch_id in ("b1", "b2"):
        door.call("PUT", f"/v1/batches/{batch_id}", json={**BATCH, "account": "desk1" if batch_id == "b1" else "desk2"})
    for instrument in ("BTC-USDT", "ETH-USDT"):
        desk.finish(instrument, "rejected", "51403")
    desk.store.redis.hset(desk.store.keys.of("batch", "b1"), "sealed", "0")
    said = {"sCode": ["51403"], "account": ["desk1"]}
    counted = door.call("POST", "/v1/retry", json={**said, "dry_run": True}).json()
    assert (counted["orders"], counted["batches"]) == (0, [])
    done = door.call("POST", "/v1/retry", json=said).json()
    assert (done["orders"], done["opened"], done["batches"], done["left_out"]) == (0, 0, [], ["b1"])


def test_an_order_of_two_batches_is_one_order(desk: Desk, door: Door) -> None:
    """Let go by the one, joined by the other."""
    for batch_id in ("b1", "b2"):
        door.call("PUT", f"/v1/batches/{batch_id}", json={**BATCH, "orders": ORDERS[:1]})
    desk.finish(ORDERS[0]["instId"], "rejected", "51403")
    said = {"sCode": ["51403"]}
    assert door.call("POST", "/v1/retry", json={**said, "dry_run": True}).json()["orders"] == 1
    done = door.call("POST", "/v1/retry", json=said).json()
    assert (done["orders"], done["opened"], done["joined"]) == (1, 1, 1)


@pytest.mark.parametrize("body", [{}, {"dry_run": True}, {"reason": "x", "since": None}, {"account": []}])
@pytest.mark.parametrize("verb", ["retry", "withdraw"])
def test_everything_is_never_meant_by_saying_nothing(
    verb: str, body: dict[str, object], desk: Desk, door: Door
) -> None:
    """As on the command line, and in its words."""
    door.call("PUT", "/v1/batches/b1", json=BATCH)
    desk.finish(ORDERS[0]["instId"], "rejected", "51403")
    before = desk.store.batches.state("b1")
    said = door.call("POST", f"/v1/{verb}", json=body)
    assert kind_of(said) == "invalid"
    ways = "account, instId, sCode, since or statuses" if verb == "retry" else "account, instId, sCode or since"
    assert said.json()["errors"] == [f"name a batch (in the address), or say whose orders with {ways}"]
    assert desk.store.batches.state("b1") == before
    assert door.call("POST", "/v1/retry", json={"statuses": ["rejected"]}).json()["opened"] == 2


def test_a_list_that_is_none_is_told_so_once(door: Door) -> None:
    """In words of JSON."""
    said = {"account": "desk1", "instId": "BTC-USDT", "sCode": 51403, "statuses": "gone"}
    assert door.call("POST", "/v1/retry", json=said).json()["errors"] == [
        "account: should be a list of accounts' names",
        "instId: should be a list of instruments",
        "sCode: should be a list of sCodes, as text",
        "statuses: should be a list of rejected, exhausted, withdrawn, gone",
    ]
    door.call("PUT", "/v1/batches/b1", json=BATCH)
    for path in ("/v1/retry", "/v1/batches/b1/retry"):
        wrong, none = (door.call("POST", path, json={"statuses": each}).json()["errors"] for each in (["done"], []))
        assert wrong == ["statuses[0]: should be 'rejected', 'exhausted', 'withdrawn' or 'gone'"]
        assert none == ["statuses: should name one at least; leave it out for rejected and exhausted"]


def test_a_batch_that_went_since_it_was_read_is_passed_over(
    desk: Desk, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those after it are decided all the same."""
    for batch_id, rows in (("b1", ORDERS[:1]), ("b2", ORDERS[1:2])):
        door.call("PUT", f"/v1/batches/{batch_id}", json={**BATCH, "orders": rows})
    unsent = Matching.unsent

    def then_one_goes(matching: Matching, *asked: Any) -> list[Match]:  # noqa: ANN401 (whatever it takes)
        found = unsent(matching, *asked)
        desk.store.redis.delete(desk.store.keys.of("batch", "b2"), desk.store.keys.of("rows", "b2"))
        return found

    monkeypatch.setattr(Matching, "unsent", then_one_goes)
    done = door.call("POST", "/v1/withdraw", json={"account": ["desk1"]})
    assert (done.status_code, [each["batch_id"] for each in done.json()["batches"]]) == (200, ["b1"])


def test_times_at_the_ends_of_the_calendar_are_refused_or_understood(door: Door) -> None:
    """A time whose UTC has no year is a fault of the request."""
    for since in ("0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-05:00"):
        asked = door.call("GET", f"/v1/batches?since={quote(since)}")
        filtered = door.call("POST", "/v1/withdraw", json={"since": since, "dry_run": True})
        assert [(answer.status_code, kind_of(answer)) for answer in (asked, filtered)] == [(422, "invalid")] * 2
    door.call("PUT", "/v1/batches/b1", json=BATCH)
    for since, count in (("2020-01-01T00:00:00", 1), ("2020-01-01T00:00:00+05:00", 1), ("2999-01-01T00:00:00Z", 0)):
        assert len(door.get(f"/v1/batches?since={quote(since)}")["batches"]) == count


def test_lanes_without_work_are_read_seldom(desk: Desk, door: Door) -> None:
    """A lane that got work, or lost it, is told at once all the same."""
    names = [f"A{number}-USDT" for number in range(200)]
    door.call("PUT", "/v1/batches/b1", json={**BATCH, "orders": [{"instId": name, "ordId": "1"} for name in names]})
    for name in names[1:]:
        desk.finish(name)
    door.get("/v1/status")

    def reads(act: Callable[[], object]) -> int:
        before = desk.store.redis.info("stats")["total_commands_processed"]
        act()
        return int(desk.store.redis.info("stats")["total_commands_processed"]) - int(before)

    def asked() -> list[str]:
        door.shell.desks.changed()
        return [lane["name"] for lane in door.get("/v1/status")["lanes"]]

    assert reads(asked) < 100
    desk.finish(names[0])
    assert asked() == []
    door.call("PUT", "/v1/batches/b2", json={**BATCH, "orders": [{"instId": names[7], "ordId": "2"}]})
    assert asked() == [f"desk1/{names[7]}"]
    assert len(door.get("/v1/status?lanes=all")["lanes"]) == 200
