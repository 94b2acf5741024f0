"""Is every order of a file found, and every bad row named with its line?"""

import io
import json
import random
from decimal import Decimal
from pathlib import Path

import pytest

from bulk_cancel.tasks.messages import Order
from bulk_cancel.worker.cli.orderfile import OrderFile, OrderFileError, read_orders
from bulk_cancel.worker.cli.orderfile.rounding import rounded_ids
from tests.support.checkout import ROOT

TWO = [Order(instId="BTC-USDT", ordId="2510789768709120"), Order(instId="ETH-USDT", clOrdId="a7")]
ROWS = [
    {"instId": "BTC-USDT", "ordId": "2510789768709120", "px": "1", "clOrdId": ""},
    {"instId": "ETH-USDT", "clOrdId": "a7"},
]


def read(content: str | bytes) -> OrderFile:
    """What standard input with this content holds."""
    raw = content if isinstance(content, bytes) else content.encode()
    return read_orders(["-"], account="desk1", stdin=io.BytesIO(raw))


def fault(content: str | bytes) -> str:
    """Why this content is no list of orders."""
    with pytest.raises(OrderFileError) as caught:
        read(content)
    return str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        "instId,ordId,clOrdId\nBTC-USDT,2510789768709120,\nETH-USDT,,a7\n",
        "\ufeffclOrdId,px,ORDID, instid \r\n,1.5,2510789768709120,btc-usdt\r\na7,,,ETH-USDT\r\n",
        '"instId","ordId","clOrdId"\n"BTC-USDT","2510789768709120",""\n"ETH-USDT","","a7"',
        "instId;clOrdId;ordId\nBTC-USDT;;2510789768709120\n\n;;\nETH-USDT;a7\n",
        "\n\ninstId\tordId\tclOrdId\nBTC-USDT\t2510789768709120\t\nETH-USDT\t\ta7\n",
        'note,instId,ordId,clOrdId\n"two\nlines, and a comma",BTC-USDT,2510789768709120,\n,ETH-USDT,,a7\n',
        "\n".join(json.dumps(row) for row in ROWS),
        "\r\n".join(json.dumps(row) for row in ROWS) + "\r\n\r\n",
        json.dumps(ROWS),
        json.dumps(ROWS, indent=2),
        json.dumps({"code": "0", "msg": "", "data": ROWS}),
        json.dumps({"data": ROWS, "code": 0, "msg": '"data": ['}, indent=4),
    ],
)
def test_each_format_is_told_by_its_content(content: str) -> None:
    """CSV of any column order, quoting and line end; JSON Lines; a JSON list; the exchange's answer."""
    assert read(content) == OrderFile(orders=TWO, bad=[])


def answer(*rows: dict[str, str], **more: object) -> str:
    """What OKX answers to `orders-pending`."""
    return json.dumps({"code": "0", "msg": "", "data": rows, **more})


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(f"{answer(ROWS[0])}\n{answer(ROWS[1])}\n", id="a page on each line"),
        pytest.param(f"[{answer(ROWS[0])},\n{answer(ROWS[1])}]", id="a list of pages"),
        pytest.param("\n".join(json.dumps(row, indent=2) for row in ROWS), id="objects as jq prints them"),
        pytest.param(" ".join(map(json.dumps, ROWS)), id="objects on one line"),
        pytest.param(",\n".join(map(json.dumps, ROWS)) + ",\n", id="lines that end in commas"),
        pytest.param("\n".join(json.dumps({**row, "data": {"src": "x"}}) for row in ROWS), id="rows with data"),
        pytest.param(
            "\n".join(json.dumps({"arg": {"channel": "orders", "uid": "1"}, "data": [row]}) for row in ROWS),
            id="a log of the private channel",
        ),
        pytest.param(
            json.dumps([{"info": row, "id": "2510789768709120", "symbol": "BTC/USDT:USDT"} for row in ROWS]),
            id="ccxt's rows",
        ),
        pytest.param(json.dumps({"id": "1", "op": "batch-cancel-orders", "args": ROWS}), id="a WebSocket request"),
        pytest.param(json.dumps({"batch_id": "b", "account": "desk1", "orders": ROWS}), id="our own message"),
        pytest.param(
            json.dumps({"request": {"data": [{"instId": "X-Y", "ordId": "1"}]}, **json.loads(answer(*ROWS))}),
            id="a list within another field",
        ),
        pytest.param(json.dumps({"arg": {"data": []}, "\\u0064ata": ROWS}).replace("\\\\", "\\"), id="an escaped name"),
        pytest.param("sep=;\ninstId;ordId;clOrdId\nBTC-USDT;2510789768709120;\nETH-USDT;;a7\n", id="Excel's sep="),
        pytest.param("# open orders\ninstId,ordId,clOrdId\nBTC-USDT,2510789768709120\nETH-USDT,,a7\n", id="a comment"),
        pytest.param('instId,ordId,clOrdId\nBTC-USDT,="2510789768709120",\nETH-USDT,,\'a7\n', id="kept as text"),
        pytest.param("instId,ordId,clOrdId\nBTC-USDT,\xa02510789768709120\xa0,,\nETH-USDT,,a7,\n", id="blanks, commas"),
        pytest.param(
            "\ufeffUID:1,\ufeffAccount Type:Main\n\ufeffid,Order id,Time,Symbol,clOrdId\n"
            "9,2510789768709120\t,2026-06-02 12:00:00,BTC-USDT,\n9,,2026-06-02 12:00:00,ETH-USDT\t,a7\n",
            id="the exchange's own export",
        ),
    ],
)
def test_what_people_have_is_read_by_what_it_is(content: str) -> None:
    """Shapes that say without doubt which orders are meant."""
    assert read(content) == OrderFile(orders=TWO, bad=[])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("<!DOCTYPE html><html>", "is a web page or XML"),
        ("8=FIX.4.4|35=F|11=a", "is a log of FIX messages"),
        ("- instId: BTC-USDT\n  ordId: '1'\n", "is YAML; write it as JSON"),
        (str(ROWS), "is a value as Python prints it; write it with json.dumps"),
        (str({"code": "0", "data": ROWS}), "is a value as Python prints it; write it with json.dumps"),
        (f"10:00:00 {json.dumps({'arg': {}, 'data': ROWS})}\n", "has text before its JSON, as logs do"),
    ],
)
def test_a_format_that_is_known_and_not_taken_is_named(content: str, said: str) -> None:
    """With what to change."""
    assert f"stdin: {said}" in fault(content)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"instrument_id": "BTC-USDT", "order_id": "1"}, "is a row of OKX's API v3"),
        ({"instrument_id": "BTC-USDT.OKX", "venue_order_id": "1"}, "is an order of nautilus-trader"),
        ({"sprdId": "BTC-USDT_BTC-USDT-SWAP", "ordId": "1"}, "is a spread order"),
        ({"instId": "BTC-USDT-SWAP", "posId": "1"}, "is a position"),
        ({"body": "W10=", "headers": {}}, "is a message as it lies in a broker"),
        ({"symbol": "BTCUSDT", "orderId": 1}, "is a row of another exchange"),
        ({"instIdCode": 10458, "ordId": "1"}, "names its instrument by instIdCode"),
        ({"id": "1", "symbol": "BTC/USDT"}, "is a row of ccxt without OKX's own row in `info`"),
        ({"id": "1", "symbol": "BTC/USDT", "info": {}}, "is a row of ccxt without OKX's own row in `info`"),
    ],
)
def test_a_row_that_is_known_and_not_taken_is_named(row: dict[str, object], said: str) -> None:
    """In the place of what fields it lacks; beside good ones."""
    found = read(json.dumps([row, ROWS[0]]))
    assert [each.errors[0][: len(said)] for each in found.bad] == [said]
    assert found.orders == TWO[:1]


ALGOS = [Order(instId="BTC-USDT", algoId="4500000000000001"), Order(instId="ETH-USDT", algoClOrdId="t7")]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(
            "instId,algoId,algoClOrdId\nBTC-USDT,4500000000000001,\nETH-USDT,,t7\n", id="a table of algo orders"
        ),
        pytest.param(
            answer(
                {
                    "instId": "BTC-USDT",
                    "algoId": "4500000000000001",
                    "ordType": "twap",
                    "ordId": "7",
                    "algoClOrdId": "",
                },
                {"instId": "ETH-USDT", "algoClOrdId": "t7", "ordType": "trigger", "ordId": "", "clOrdId": ""},
            ),
            id="what OKX answers to orders-algo-pending",
        ),
        pytest.param(
            "\n".join(
                json.dumps(
                    {"arg": {"channel": "orders-algo"}, "data": [{**row.model_dump(exclude_none=True), "ordId": ""}]}
                )
                for row in ALGOS
            ),
            id="a log of the business channel",
        ),
    ],
)
def test_algo_orders_are_taken(content: str) -> None:
    """As orders are."""
    assert read(content) == OrderFile(orders=ALGOS, bad=[])


def test_a_table_may_have_orders_and_algo_orders() -> None:
    """Each row has the id of one of them, or `ordType` tells."""
    table = "instId,ordId,algoId,ordType\nBTC-USDT,2510789768709120,,\nBTC-USDT,,4500000000000001,\n"
    children = "BTC-USDT,2510789768709120,9,limit\nBTC-USDT,9,4500000000000001,trigger\n"
    assert read(table + children) == OrderFile(orders=[TWO[0], ALGOS[0]] * 2, bad=[])
    [bad] = read(table + "BTC-USDT,2510789768709120,4500000000000001,\n").bad
    assert str(bad).startswith(
        "stdin:4: names both an order and an algo order; leave out the ids of the one that is not"
    )


def test_an_order_that_has_such_a_field_as_well_is_taken() -> None:
    """OKX's own rows have empty ones."""
    found = read(json.dumps([{**ROWS[0], "algoId": "", "instIdCode": 10458, "symbol": "BTC/USDT"}]))
    assert found == OrderFile(orders=TWO[:1], bad=[])


def test_what_a_channel_says_between_its_pushes_is_passed_over() -> None:
    """It holds no order; its refusal is one."""
    log = [{"event": "login", "code": "0"}, {"event": "subscribe", "arg": {"channel": "orders"}}, {"data": ROWS}]
    assert read("\n".join(map(json.dumps, log))) == OrderFile(orders=TWO, bad=[])
    assert read("pong\n\npong\r\n" + "\npong\n ".join(map(json.dumps, log)) + "\nping") == OrderFile(orders=TWO, bad=[])
    assert "is a refusal by the exchange, code 60018" in fault(json.dumps({"event": "error", "code": "60018"}))


def test_one_line_of_json_lines_is_one_order() -> None:
    """As documented."""
    assert read(json.dumps(ROWS[0])) == OrderFile(orders=TWO[:1], bad=[])
    assert read(json.dumps({"code": "0", "data": ROWS[0]})) == OrderFile(orders=TWO[:1], bad=[])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"data":[{"instId":"BTC-USDT","ordId":"1"}],\n"data":[]}', "line 1: names 'data' twice in one object"),
        ('[\n{"instId":"BTC-USDT","ordId":"1","ordId":"2"}]', "names 'ordId' twice in one object"),
        (f'{{"orders":[],"data":[{json.dumps(ROWS[0])}]}}', "with several lists"),
    ],
)
def test_what_could_mean_two_things_is_refused(content: str, said: str) -> None:
    """Nobody guesses which orders were meant."""
    assert said in fault(content)


@pytest.mark.parametrize(
    "line",
    ['{"instId":"BTC-USDT","ordId":"1","ordId":"2"}', '{"data":[{"instId":"BTC-USDT","ordId":"1","ordId":"2"}]}'],
)
def test_a_line_that_could_mean_two_things_is_told_as_such(line: str) -> None:
    """It is JSON; of several lines the others are taken."""
    (row,) = read(line).bad
    assert str(row) == "stdin:1: names 'ordId' twice in one object; keep one of them"
    found = read(f"{json.dumps(ROWS[0])}\n{line}\n")
    assert (found.orders, [bad.line for bad in found.bad]) == (TWO[:1], [2])


def test_a_message_for_another_account_is_refused() -> None:
    """Its orders would be unknown to this one's key, as if they were gone."""
    (row,) = read(json.dumps({"account": "desk2", "orders": ROWS[:1]})).bad
    assert row.errors == ("is an order of account 'desk2', not of 'desk1'; name that account",)


def ids(*ord_ids: str) -> str:
    """A file with these orders."""
    return "instId,ordId\n" + "".join(f"BTC-USDT,{ord_id}\n" for ord_id in ord_ids)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(ids("731904258316402000", "731904258316417000", "731904258316498000"), id="15 digits"),
        pytest.param(ids("731904652218136800", "731904258316402700", "731904258316417300"), id="JavaScript"),
        pytest.param(ids(*(f"17531976871828{n:02d}000" for n in range(3)), "1753197687182819328"), id="most of them"),
    ],
)
def test_ids_that_all_lost_their_digits_are_refused_together(content: str) -> None:
    """One may end in zeros by chance; the orders that are meant would stay live, and be reported as gone."""
    assert "were rounded by a spreadsheet or by JavaScript" in fault(content)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(ids("731904258316402000"), id="one, by chance"),
        pytest.param(ids("2510789768709120", "2510789768709130", "2510789768709140"), id="exact in every program"),
        pytest.param(ids("731904652218136846", "731904652218136800", "731904652218136853"), id="one of three"),
        pytest.param(ids(*map(str, range(731904652218136000, 731904652218137000, 7))), id="all kinds"),
    ],
)
def test_ids_that_are_whole_are_taken(content: str) -> None:
    """Whatever they end in."""
    assert not read(content).bad


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        ("instId,ordId\nBTC-USDT,x\nBTC-USDT,7\n\nBTCUSDT,8\n", [2, 5]),
        ('note,instId,ordId\n"a\nb",BTC-USDT,7\n,BTC-USDT,x\n', [4]),
        ("\ninstId,ordId\nBTC-USDT,1,000\n,7\nBTC-USDT,8\n", [3, 4]),
        ('{"instId":"BTC-USDT","ordId":"7"}\n{"instId":\n5\n\n{"instId":"BTC-USDT"}\n', [2, 3, 5]),
        ('{"instId":\n{"instId":"BTC-USDT","ordId":"7"}\n', [1]),
        ("# a\nsep=;\ninstId;ordId\nBTC-USDT;7\nBTC-USDT;x\n", [5]),
        ('{"instId":"BTC-USDT","ordId":"7"}\n{"ordId":"8"}\n', [2]),
        ('{"code":"0","data":[]}\n{"data":[{"instId":"BTC-USDT","ordId":"7"},\n5]}\n', [3]),
        ('[\n {"instId":"BTC-USDT","ordId":"7"},\n {"instId":"BTC-USDT",\n  "ordId":"x"},\n\n 5\n]', [3, 6]),
        ('{"code":"0",\n"data":[\n{"instId":"BTC-USDT","ordId":"7"},\n{"instId":"X"}]}', [4]),
    ],
)
def test_every_bad_row_is_named_with_its_line(content: str, lines: list[int]) -> None:
    """The good rows are there all the same."""
    found = read(content)
    assert [row.line for row in found.bad] == lines
    assert len(found.orders) == 1
    assert all(str(row).startswith(f"stdin:{row.line}: {row.errors[0]}") for row in found.bad)


def test_a_row_of_one_long_line_is_named_by_its_place() -> None:
    """The exchange's answer is a single line, so its place in `data` is what helps."""
    found = read(json.dumps({"code": "0", "data": [ROWS[0], {"instId": "BTC-USDT", "ordId": 1.5}]}))
    assert found.bad[0].errors[0].startswith("data[1].ordId: ")
    assert found.bad[0].payload == '{"instId": "BTC-USDT", "ordId": 1.5}'


def test_an_id_that_a_spreadsheet_has_rounded_is_told() -> None:
    """The digits are gone; only a new export helps."""
    (row,) = read("instId,ordId\nBTC-USDT,2.51079E+15\n").bad
    assert "rounded, most likely by a spreadsheet" in row.errors[0]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is empty"),
        (" \n\n", "is empty"),
        ("\ufeff", "is empty"),
        ("BTC-USDT,2510789768709120\n", "line 1: the first line of a CSV file should be a header"),
        ("instId,px\n", "line 1: the first line of a CSV file should be a header"),
        ("instId,ordId,ORDID\n", "line 1: names a column twice"),
        ('instId,ordId\nBTC-USDT,7\n"BTC-USDT,7\nBTC-USDT,8\n', "is not CSV: unexpected end of data"),
        ("instId,ordId\nBTC-USDT,7\n".encode("utf-16"), "is UTF-16"),
        ("instId,ordId\n".encode("utf-16-le"), "line 1: is binary or UTF-16"),
        (b"instId,ordId\nBTC-USDT,7\0\n", "line 2: is binary"),
        (b"instId,ordId\nBTC-USDT,\xff\n", "line 2: is not UTF-8"),
        (b"PK\x03\x04...", "is a workbook or an archive"),
        ('[\n{"instId": }]', "line 2: is not JSON"),
        ('{"code":"0",\n"data":[', "line 2: is not JSON"),
        ("[" * 200_000, "beyond reason"),
        ("{" * 3, "line 1: is not JSON"),
        ('{"code":"50111","msg":"Invalid OK-ACCESS-KEY"}\n\n', "code 50111 'Invalid OK-ACCESS-KEY'"),
        ('{"code":"50011",\n"msg":"Too Many Requests"}', "is a refusal by the exchange, code 50011"),
        ('{"code":"0","data":{}}', 'without a list "data"'),
    ],
)
def test_a_file_that_is_no_list_of_orders_is_told(content: str | bytes, said: str) -> None:
    """What is wrong, where, and how to mend it."""
    assert f"stdin: {said}" in fault(content) or said in fault(content)


@pytest.mark.parametrize(
    ("content", "none_open"), [("instId,ordId\n", False), ("[]", True), ('{"code":"0","msg":"","data":[]}', True)]
)
def test_no_orders_is_no_fault(content: str, none_open: bool) -> None:  # noqa: FBT001 (a case)
    """Nothing is open, if it is a list that says so; the caller decides what that means."""
    assert read(content) == OrderFile(orders=[], bad=[], none_open=none_open)


def test_a_wrong_value_is_shown() -> None:
    """Shortened; rows with the same fault are of one kind, whatever their values and places."""
    bad = read(
        json.dumps([{"instId": "nope", "ordId": "1"}, {"instId": "n" * 99, "ordId": "2"}, {"instId": "A-B"}])
    ).bad
    assert bad[0].errors == ("row[0].instId: should be an instrument such as BTC-USDT or BTC-USDT-SWAP; is 'nope'",)
    assert bad[1].errors[0].endswith(f"; is '{'n' * 59}")
    assert bad[0].kind == bad[1].kind == "instId: should be an instrument such as BTC-USDT or BTC-USDT-SWAP"
    assert bad[2].errors[0].startswith("row[2]: ordId or clOrdId is required, or of an algo order")


def test_several_files_are_read_in_order(tmp_path: Path) -> None:
    """Formats may differ, whatever the names; rows are named by file."""
    one, two = tmp_path / "one.csv", tmp_path / "two.csv"
    one.write_text("instId,ordId\nBTC-USDT,1\nBTC-USDT,x\n")
    two.write_text('[{"instId":"BTC-USDT","ordId":"2"},{"instId":"BTC-USDT"}]')
    found = read_orders([one, two], account="desk1")
    assert [order.ordId for order in found.orders] == ["1", "2"]
    assert [(row.source, row.line) for row in found.bad] == [(str(one), 2 + 1), (str(two), 1)]


def test_every_unreadable_file_is_told(tmp_path: Path) -> None:
    """A missing file and a folder, one line each."""
    with pytest.raises(OrderFileError) as caught:
        read_orders([tmp_path / "none", tmp_path], account="desk1")
    assert [line.rpartition(": ")[2] for line in str(caught.value).splitlines()] == [
        "No such file or directory",
        "Is a directory",
    ]


def test_a_long_row_is_shortened() -> None:
    """A bad row is shown, not dumped."""
    (row,) = read('[{"instId":"' + "x" * 1000 + '"}]').bad
    assert len(row.payload) == 201


@pytest.mark.parametrize("digits", [16, 17, 18, 19])
@pytest.mark.parametrize("step", [None, 1, 4096], ids=["anywhere", "one after another", "with low bits of zero"])
def test_no_whole_ids_are_called_rounded(digits: int, step: int | None) -> None:
    """Whatever the exchange's way of counting is: among 500 files, none."""
    dice = random.Random(digits)
    for _ in range(500):
        first, count = dice.randrange(10 ** (digits - 1), 10**digits - 10**8), dice.choice([1, 3, 10, 200])
        span = range(first, 10**digits) if step is None else range(first, first + step * 10**4, step)
        assert rounded_ids(str(dice.choice(span)) for _ in range(count)) == []


@pytest.mark.parametrize("digits", [18, 19, 20])
def test_ids_that_javascript_wrote_are_found(digits: int) -> None:
    """Of twelve orders or more, in every file, even if every tenth order came another way."""
    dice = random.Random(digits)
    for _ in range(200):
        written = [str(int(float(dice.randrange(10 ** (digits - 1), 10**digits)))) for _ in range(12)]
        shortest = [str(int(Decimal(repr(float(each))))) for each in written]
        assert set(rounded_ids([*shortest, "731904652218136846"])) >= {each for each in shortest if each.endswith("00")}


@pytest.mark.parametrize("path", sorted((ROOT / "examples" / "files").iterdir()), ids=lambda path: path.name)
def test_every_example_of_a_file_holds_the_same_orders(path: Path) -> None:
    """One of each kind that people have."""
    found = read_orders([path], account="desk1")
    assert [(order.instId, order.algoId if "algo" in path.name else order.ordId) for order in found.orders] == [
        ("BTC-USDT-SWAP", "2510789768709120"),
        ("ETH-USDT", "2510789768709121"),
    ]
    assert found.bad == []
