"""Does the simulated exchange answer as OKX's documentation says?"""

import json

import pytest

from bulk_cancel.worker.simulator.accounts import ApiKey, sign
from bulk_cancel.worker.simulator.book import Behaviour
from bulk_cancel.worker.simulator.config import Config
from bulk_cancel.worker.simulator.control import Control
from bulk_cancel.worker.simulator.exchange import Exchange
from bulk_cancel.worker.simulator.faults import Fault, ItemCode, Network, envelope
from bulk_cancel.worker.simulator.log import Filters
from bulk_cancel.worker.simulator.messages import ChannelFault
from bulk_cancel.worker.simulator.wire import Reply, Request
from tests.support.exchange_rig import NOW_US, TRADE, Body, call, exchange, items, request


def place(on: Exchange, count: int = 1, inst_id: str = "BTC-USDT") -> list[str]:
    """Open orders of the default key; their ordIds."""
    return [on.book.place("1001", on.book.instruments[inst_id], NOW_US, {}).ordId for _ in range(count)]


def cancel(on: Exchange, order_id: str, *, at_us: int = NOW_US, inst_id: str = "BTC-USDT") -> tuple[int, Body]:
    """A single cancel."""
    return call(on, "POST", TRADE + "cancel-order", {"instId": inst_id, "ordId": order_id}, at_us=at_us)


def test_the_signature_matches_the_published_vector() -> None:
    """The known answer of okx.md section 5."""
    secret = "chNOOS4KvNXR_Xq4k4c9qsfoKWvnDecLATCRlcBwyKDYnWgO"
    signed = sign(secret, "2020-12-08T09:08:57.715Z", "GET", "/api/v5/account/balance", b"")
    assert signed == "PJ61e1nb2F2Qd7D8SPiaIcx2gjdELc+o0ygzre9z33k="


def test_a_cancel_is_answered_in_full() -> None:
    """Envelope 0, one item with both ids and sCode 0, gateway times."""
    on = exchange()
    status, answer = cancel(on, place(on)[0])
    item = items(answer)[0]
    assert (status, answer["code"], item["sCode"], item["clOrdId"]) == (200, "0", "0", "")
    assert item["ts"] == str(NOW_US // 1_000)
    assert answer["inTime"] == str(NOW_US)
    assert {"outTime", "msg", "data", "code", "inTime"} == set(answer)


def test_an_unknown_order_fails_in_the_item() -> None:
    """HTTP 200, code 1, sCode 51400, the id as it was asked."""
    status, answer = cancel(exchange(), "7")
    assert (status, answer["code"], items(answer)[0]["sCode"]) == (200, "1", "51400")
    assert items(answer)[0]["ordId"] == "7"


def test_a_batch_may_succeed_partly() -> None:
    """Code 2 when some items fail, 1 when all do."""
    on = exchange()
    good = [{"instId": "BTC-USDT", "ordId": order_id} for order_id in place(on, 2)]
    bad = {"instId": "BTC-USDT", "ordId": "7"}
    codes = [call(on, "POST", TRADE + "cancel-batch-orders", body)[1]["code"] for body in (good, [bad, bad])]
    assert codes == ["0", "1"]
    _, partly = call(on, "POST", TRADE + "cancel-batch-orders", [bad, {"instId": "BTC-USDT", "ordId": place(on)[0]}])
    assert partly["code"] == "2"
    assert [item["sCode"] for item in items(partly)] == ["51400", "0"]


def test_batches_are_charged_by_orders_and_batches_of_one_to_the_single_meter() -> None:
    """A batch of one uses single room, a mixed batch each instrument's, an option its family's."""
    on = exchange()
    one = [{"instId": "BTC-USDT", "ordId": "7"}]
    mixed = [*one, {"instId": "BTC-USD-271231-100000-C", "ordId": "8"}, {"instId": "BTC-USDT", "ordId": "9"}]
    for body in (one, mixed):
        call(on, "POST", TRADE + "cancel-batch-orders", body)
    charged = [dict(zip(row.meters, row.weights, strict=True)) for row in on.log.rows]
    assert charged == [
        {"single:1001:BTC-USDT": 1},
        {"batch:1001:BTC-USDT": 2, "batch:1001:BTC-USD:option": 1},
    ]


def test_more_than_twenty_orders_are_refused() -> None:
    """51406 with HTTP 400, nothing cancelled, nothing charged."""
    on = exchange()
    orders = [{"instId": "BTC-USDT", "ordId": order_id} for order_id in place(on, 21)]
    status, answer = call(on, "POST", TRADE + "cancel-batch-orders", orders)
    assert (status, answer["code"]) == (400, "51406")
    assert len(on.book.live["1001"]) == 21
    assert on.log.rows[0].meters == ()


def test_too_fast_is_refused_without_data() -> None:
    """The 61st cancel within two seconds gets the real 429 body; a window later there is room again."""
    on = exchange()
    orders = place(on, 62)
    answers = [cancel(on, order_id, at_us=NOW_US + i) for i, order_id in enumerate(orders[:61])]
    assert {status for status, _ in answers[:60]} == {200}
    assert answers[60] == (429, {"msg": "Too Many Requests", "code": "50011"})
    assert on.book.orders[orders[60]].open
    assert cancel(on, orders[61], at_us=NOW_US + 2_000_000)[0] == 200
    meter = on.log.summary(lambda _: 2_000_000)["single:1001:BTC-USDT"]
    assert (meter.requests, meter.refusals, meter.max_in_window) == (62, 1, 61)


@pytest.mark.parametrize(
    ("header", "value", "code"),
    [
        ("ok-access-key", "", "50103"),
        ("ok-access-passphrase", "", "50104"),
        ("ok-access-sign", "", "50106"),
        ("ok-access-timestamp", "", "50107"),
        ("ok-access-key", "other", "50111"),
        ("ok-access-passphrase", "other", "50105"),
        ("ok-access-sign", "other", "50113"),
        ("ok-access-timestamp", "yesterday", "50112"),
        ("ok-access-timestamp", "2020-12-08T09:08:57.715Z", "50102"),
        ("x-simulated-trading", "1", "50101"),
    ],
)
def test_wrong_credentials_are_turned_away(header: str, value: str, code: str) -> None:
    """Each wrong header has its code, HTTP 401, and a body without data."""
    on = exchange()
    right = request("POST", TRADE + "cancel-order", {"instId": "BTC-USDT", "ordId": place(on)[0]})
    reply = on.arrive(right._replace(headers={**right.headers, header: value}), NOW_US).reply
    answer = json.loads(reply.body)
    assert (reply.status, answer["code"], set(answer)) == (401, code, {"code", "msg"})
    assert on.log.rows[0].meters == ()
    assert len(on.book.live["1001"]) == 1


@pytest.mark.parametrize("offset_ms", [-30_000, 30_000])
def test_thirty_seconds_are_tolerated(offset_ms: int) -> None:
    """Exactly 30 s off passes, one ms more does not."""
    on = exchange()
    step = 1 if offset_ms > 0 else -1
    for late_ms, code in ((offset_ms, "1"), (offset_ms + step, "50102")):
        body = {"instId": "BTC-USDT", "ordId": "7"}
        signed = request("POST", TRADE + "cancel-order", body, at_us=NOW_US + late_ms * 1_000)
        assert json.loads(on.arrive(signed, NOW_US).reply.body)["code"] == code


def test_keys_can_lack_permission_or_address() -> None:
    """A read-only key may not cancel (50120), a wrong address may nothing (50110)."""
    for change, code in (({"permissions": ("read_only",)}, "50120"), ({"ip_allowed": False}, "50110")):
        fields = {"key": "k", "secret": "s", "passphrase": "p", "uid": "1001", **change}
        key = ApiKey(**fields)  # type: ignore[arg-type]
        on = Exchange(Config(accounts=(key,)), NOW_US)
        signed = request("POST", TRADE + "cancel-order", {}, key=key)
        assert json.loads(on.arrive(signed, NOW_US).reply.body)["code"] == code
        assert "passphrase" not in repr(key)


def test_orders_pending_pages_newest_first() -> None:
    """Pages by `after` until one is short; filters apply before paging."""
    on = exchange()
    swaps, spots = place(on, 150, "BTC-USDT-SWAP"), place(on, 10)
    first = items(call(on, "GET", TRADE + "orders-pending?instType=SWAP")[1])
    assert [row["ordId"] for row in first] == swaps[:49:-1]
    rest = items(call(on, "GET", TRADE + f"orders-pending?instType=SWAP&after={first[-1]['ordId']}")[1])
    assert [row["ordId"] for row in rest] == swaps[49::-1]
    newer = items(call(on, "GET", TRADE + f"orders-pending?before={swaps[-1]}&limit=3")[1])
    assert [row["ordId"] for row in newer] == spots[:6:-1]
    assert not items(call(on, "GET", TRADE + "orders-pending?ordType=post_only,fok")[1])
    assert call(on, "GET", TRADE + "orders-pending?after=x")[1]["code"] == "51000"


def test_an_order_is_read_back_by_either_id() -> None:
    """Placed, read by clOrdId, cancelled, found in history, unknown ones are 51603."""
    on = exchange()
    placed = items(call(on, "POST", TRADE + "order", {"instId": "BTC-USDT", "clOrdId": "mine", "sz": "2"})[1])[0]
    read = items(call(on, "GET", TRADE + "order?instId=BTC-USDT&clOrdId=mine")[1])[0]
    assert (read["ordId"], read["state"], read["sz"]) == (placed["ordId"], "live", "2")
    assert call(on, "POST", TRADE + "order", {"instId": "BTC-USDT", "clOrdId": "mine"})[1]["code"] == "1"
    cancel(on, placed["ordId"])
    past = items(call(on, "GET", TRADE + "orders-history?instType=SPOT")[1])
    assert [(row["ordId"], row["state"]) for row in past] == [(placed["ordId"], "canceled")]
    unknown = call(on, "GET", TRADE + "order?instId=BTC-USDT&ordId=7")
    assert (unknown[0], unknown[1]["code"], unknown[1]["data"]) == (200, "51603", [])
    assert call(on, "GET", TRADE + "order?ordId=7")[1]["code"] == "50014"


def test_unreadable_requests_have_codes() -> None:
    """Bad JSON 50002, wrong method 50115, unknown path 404."""
    on = exchange()
    signed = request("POST", TRADE + "cancel-order", "text")
    assert json.loads(on.arrive(signed, NOW_US).reply.body)["code"] == "50002"
    assert call(on, "GET", TRADE + "cancel-order")[1]["code"] == "50115"
    assert call(on, "GET", "/api/v5/nothing")[0] == 404


def test_public_endpoints_need_no_key() -> None:
    """Time and instruments answer anybody; the clock's offset shows in the time."""
    on = exchange()
    on.clock_offset_us = 60_000_000
    time = on.arrive(Request("GET", "/api/v5/public/time", {}, b"", 1, "127.0.0.1"), NOW_US).reply
    assert json.loads(time.body)["data"] == [{"ts": str(NOW_US // 1_000 + 60_000)}]
    target = "/api/v5/public/instruments?instType=OPTION&instFamily=BTC-USD"
    listed = on.arrive(Request("GET", target, {}, b"", 1, "127.0.0.1"), NOW_US).reply
    assert {row["optType"] for row in json.loads(listed.body)["data"]} == {"C", "P"}


def test_account_config_tells_the_uid() -> None:
    """The uid and the key's permissions; five requests in two seconds, not six."""
    on = exchange()
    answers = [call(on, "GET", "/api/v5/account/config") for _ in range(6)]
    assert items(answers[0][1])[0]["uid"] == "1001"
    assert items(answers[0][1])[0]["perm"] == "read_only,trade"
    assert [status for status, _ in answers] == [200] * 5 + [429]


def test_a_script_answers_in_sequence() -> None:
    """sCodes, then a whole answer, then the book: only the last one cancels."""
    on = exchange()
    order_id = place(on)[0]
    on.scripts.set(order_id, [ItemCode("51410"), envelope("50026", "system error", 500), ItemCode("54048", "bump")])
    answers = [cancel(on, order_id) for _ in range(3)]
    assert [(status, answer["code"]) for status, answer in answers] == [
        (200, "1"),
        (500, "50026"),
        (200, "1"),
    ]
    assert [items(answer)[0]["sCode"] for _, answer in (answers[0], answers[2])] == ["51410", "54048"]
    assert on.book.orders[order_id].open
    assert cancel(on, order_id)[1]["code"] == "0"


def test_a_script_of_one_order_leaves_the_rest_of_its_batch_alone() -> None:
    """One item fails as scripted, its neighbour is cancelled."""
    on = exchange()
    first, second = place(on, 2)
    on.scripts.set(first, [ItemCode("51410")])
    body = [{"instId": "BTC-USDT", "ordId": order_id} for order_id in (first, second)]
    _, answer = call(on, "POST", TRADE + "cancel-batch-orders", body)
    assert [item["sCode"] for item in items(answer)] == ["51410", "0"]


def test_an_item_can_be_missing_from_the_answer() -> None:
    """It is not in the data, whether the cancel happened or not; the next answer has it."""
    on = exchange()
    orders = place(on, 3)
    on.scripts.set(orders[0], [ItemCode("0", missing=True)])
    on.scripts.set(orders[1], [ItemCode("0", missing=True, takes_effect=True)])
    body = [{"instId": "BTC-USDT", "ordId": order_id} for order_id in orders]
    _, answer = call(on, "POST", TRADE + "cancel-batch-orders", body)
    assert (answer["code"], [item["ordId"] for item in items(answer)]) == ("0", orders[2:])
    assert [on.book.orders[order_id].open for order_id in orders] == [True, False, False]
    _, again = call(on, "POST", TRADE + "cancel-batch-orders", body)
    assert [(item["ordId"], item["sCode"]) for item in items(again)] == [
        (orders[0], "0"),
        (orders[1], "51400"),
        (orders[2], "51400"),
    ]


def test_batch_answers_can_be_shuffled() -> None:
    """Twenty items, each with its own verdict, in another order than asked; off by default, and then as asked."""
    for shuffle in (False, True):
        on = exchange()
        on.book.behaviour = Behaviour(shuffle_items=shuffle)
        orders = place(on, 20)
        on.scripts.set(orders[0], [ItemCode("51403")])
        body = [{"instId": "BTC-USDT", "ordId": order_id} for order_id in orders]
        told = {
            item["ordId"]: item["sCode"] for item in items(call(on, "POST", TRADE + "cancel-batch-orders", body)[1])
        }
        assert told == {orders[0]: "51403"} | dict.fromkeys(orders[1:], "0")
        assert (list(told) != orders) is shuffle


def test_a_fault_before_has_no_effect_one_after_has() -> None:
    """`before` keeps the order alive, `after` spoils only the answer; both count on the meter."""
    for when, alive in (("before", True), ("after", False)):
        on = exchange()
        order_id = place(on)[0]
        on.faults.add(Fault(when=when, body="<html>", status=502, count=1), NOW_US)  # type: ignore[arg-type]
        reply = on.arrive(request("POST", TRADE + "cancel-order", {"instId": "BTC-USDT", "ordId": order_id}), NOW_US)
        assert (reply.reply.status, reply.reply.body) == (502, b"<html>")
        assert on.book.orders[order_id].open is alive
        assert on.log.rows[0].meters == ("single:1001:BTC-USDT",)
        assert cancel(on, order_id)[1]["code"] == ("0" if alive else "1")


def test_a_fault_can_spoil_every_item() -> None:
    """An sCode fault answers well-formed; the cancel happens only with `after`."""
    for when, alive in (("before", True), ("after", False)):
        on = exchange()
        order_id = place(on)[0]
        on.faults.add(Fault(when=when, sCode="50011"), NOW_US)  # type: ignore[arg-type]
        status, answer = cancel(on, order_id)
        assert (status, answer["code"], items(answer)[0]["sCode"]) == (200, "1", "50011")
        assert on.book.orders[order_id].open is alive


def test_faults_hit_only_what_they_name_and_end() -> None:
    """Endpoint, instrument and user are matched; time and count end a fault."""
    on = exchange()
    on.faults.add(Fault(body="{}", endpoint="cancel-order", instId="BTC-USDT", uid="1001", count=1), NOW_US)
    assert cancel(on, "7", inst_id="ETH-USDT")[0] == 200
    assert call(on, "GET", TRADE + "orders-pending")[0] == 200
    assert [cancel(on, "7")[0] for _ in range(2)] == [503, 200]
    on.faults.add(Fault(body="{}", for_s=1.0), NOW_US)
    assert cancel(on, "7", at_us=NOW_US + 999_999)[0] == 503
    assert cancel(on, "7", at_us=NOW_US + 1_000_000)[0] == 200


def test_a_share_of_requests_is_hit() -> None:
    """With share 0.5 some fail and some do not."""
    on = exchange()
    on.faults.add(Fault(body="{}", share=0.5), NOW_US)
    statuses = [cancel(on, "7")[0] for _ in range(60)]
    assert 10 < statuses.count(503) < 50


def test_the_log_knows_orders_by_their_ordid() -> None:
    """A cancel by clOrdId is logged under the exchange's id, an unknown one under what was asked."""
    on = exchange()
    order = on.book.place("1001", on.book.instruments["BTC-USDT"], NOW_US, {"clOrdId": "mine"})
    for client_id in ("mine", "nobody"):
        call(on, "POST", TRADE + "cancel-order", {"instId": "BTC-USDT", "clOrdId": client_id})
    assert [row.ordIds for row in on.log.select(Filters(endpoint="cancel-order"))] == [
        (order.ordId,),
        ("nobody",),
    ]
    assert on.log.cancels[order.ordId] == 1


def test_ten_thousand_orders_cost_little() -> None:
    """Bulk placing through the control API takes less than half a second of CPU."""

    class Idle:
        """A server that is never asked."""

        network = Network()

        def refuse_connections(self, for_s: float, *, drop: bool) -> None:
            """Never called."""

        def accept_connections(self) -> None:
            """Never called."""

        def release(self) -> int:
            """Never called."""
            return 0

        def subscribed(self) -> int:
            """Never called."""
            return 0

        def connected(self) -> int:
            """Never called."""
            return 0

        def fault_channels(self, fault: ChannelFault) -> int:
            """Never called."""
            raise AssertionError(fault)

        def stop(self) -> None:
            """Never called."""

    on = exchange()
    body = b'{"uid": "1001", "instId": "BTC-USDT", "count": 10000, "prefix": "mine"}'
    reply = Control(on, Idle()).serve(Request("POST", "/control/orders", {}, body, 1, "127.0.0.1"), NOW_US)
    assert isinstance(reply, Reply)
    assert len(json.loads(reply.body)["ordIds"]) == len(on.book.live["1001"]) == 10_000
