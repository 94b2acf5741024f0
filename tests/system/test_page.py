"""Tests of the page in a real Chromium, on a real runner: what a person sees and does there is what is so."""

import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import suppress
from io import StringIO
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect, sync_playwright
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from bulk_cancel.tasks.mass import CancelAll, parse_cancel_all
from bulk_cancel.tasks.messages import CancelOrders, parse_cancel_orders
from bulk_cancel.worker.books.mass.masses import Masses
from bulk_cancel.worker.operators.status import BATCHES_SHOWN
from bulk_cancel.worker.simulator.config import Config
from bulk_cancel.worker.simulator.embedded import EmbeddedRedis
from bulk_cancel.worker.simulator.faults import Network
from bulk_cancel.worker.simulator.messages import PlaceAlgos, PlaceOrders
from bulk_cancel.worker.simulator.products import ProductBehaviour
from bulk_cancel.worker.state.scopes import user_scope
from bulk_cancel.worker.state.shards import Shards
from tests.support.cli_desk import report_worker
from tests.support.door import Door, token_file
from tests.support.rig import Rig, orders
from tests.support.sharded import emptied, settings_for, urls_of
from tests.support.waiting import PATIENCE_S

CHROMIUM: Final = shutil.which("chromium")
UID: Final = "1001"
LANES: Final = 40
"""That the page shows."""

PICTURES: Final = os.environ.get("PICTURES", "")
"""A folder: then page and terminal are kept there as they look, in both themes and at both widths."""

MOMENT: Final = r"(?:\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d [A-Z]+"
"""How a time is told: of another day, once midnight is over, with its day."""

EACH: Final = 1_300 if PICTURES else 700
"""Orders of each instrument: pictures take their time."""

expect.set_options(timeout=1000 * PATIENCE_S)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH: the page is tested where there is one")


class Gateway:
    """The command `gateway` of a rig, at a port that stays its own when it is started anew."""

    def __init__(self, rig: Rig, tokens: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = str(free.getsockname()[1])
        self._environment = os.environ | rig.environment | {"BULK_CANCEL_GATEWAY_TOKENS_FILE": str(tokens)}
        self.start()

    def start(self) -> None:
        """Serves once this returns."""
        command = [sys.executable, "-m", "bulk_cancel.worker.cli", "gateway", "--port", self._port]
        self._process = subprocess.Popen(
            command, env=self._environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()

    def stop(self) -> int:
        """SIGTERM; its exit status."""
        self._process.send_signal(signal.SIGTERM)
        assert self._process.stdout is not None
        self._process.stdout.close()
        return self._process.wait(PATIENCE_S)


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    """One worker, and an exchange that is some way off."""
    with Rig(workers=1, config=Config(network=Network(delay_ms=20))) as running:
        yield running


@pytest.fixture(scope="module")
def gateway(rig: Rig, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """With a token of each role."""
    served = Gateway(rig, token_file(tmp_path_factory.mktemp("page") / "tokens"))
    yield served
    served.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium as Debian has it."""
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """An empty one; a script that fails, and whatever the policy forbids, fails the test."""
    with browser.new_context(viewport={"width": 1280, "height": 800}) as context:
        faults: list[str] = []
        opened = context.new_page()
        opened.on("pageerror", lambda error: faults.append(str(error)))
        opened.on("console", lambda said: faults.append(said.text) if "Content Security" in said.text else None)
        yield opened
        assert faults == []


def sign_in(page: Page, gateway: Gateway | Door, token: str) -> None:
    """As a person does."""
    page.goto(gateway.url)
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#link")).to_have_text("live")


def picture(page: Page, name: str) -> None:
    """Keeps it as it looks, in both themes and at both widths."""
    for theme in ("light", "dark") if PICTURES else ():
        for width in (1280, 400):
            page.emulate_media(color_scheme=theme)
            page.set_viewport_size({"width": width, "height": 800})
            page.screenshot(path=f"{PICTURES}/{name}-{theme}-{width}.png", full_page=width < 1000)


def terminal_picture(rig: Rig, page: Page, name: str) -> None:
    """Keeps what `status` prints in a terminal."""
    if not PICTURES:
        return
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (30, 110))
    command = [sys.executable, "-m", "bulk_cancel.worker.cli", "status"]
    subprocess.run(
        command,
        env={**os.environ, **rig.environment, "TERM": "xterm-256color"},
        stdout=theirs,
        stdin=theirs,
        check=True,
    )
    os.close(theirs)
    shown = b""
    with suppress(OSError):  # as a terminal tells its end
        while part := os.read(ours, 1 << 16):
            shown += part
    os.close(ours)
    console = Console(record=True, width=110, file=StringIO(), force_terminal=True)
    console.print(Text.from_ansi(f"$ bulk-cancel status\n{shown.decode().replace(chr(13), '')}"))
    page.set_content(console.export_html(theme=MONOKAI))
    page.locator("pre").screenshot(path=f"{PICTURES}/{name}.png")


def answer(page: Page, reason: str) -> None:
    """The question is answered with a reason."""
    page.locator("#ask-reason").fill(reason)
    page.locator("#ask .yes").click()
    expect(page.locator("#ask")).to_be_hidden()


def test_a_mass_cancel_is_begun_and_watched_through_a_restart_of_the_door(
    rig: Rig, gateway: Gateway, page: Page
) -> None:
    """Looked at first, held, followed to its end: nothing is lost, and nothing comes twice."""
    names = ("BTC-USDT", "ETH-USDT", "SOL-USDT")
    for name in names:
        rig.exchange.control.place(UID, name, EACH)
    sign_in(page, gateway, "kill")
    page.get_by_role("button", name="Cancel all…").click()
    page.locator("#kill-account").select_option("desk1")
    page.get_by_role("button", name="Look first").click()
    expect(page.locator("#kill-scope")).to_contain_text(f"desk1: {3 * EACH:,} orders would be cancelled")
    page.locator("#kill-reason").fill("exchange halt")
    page.locator("#kill-hold").focus()
    page.keyboard.down("Enter")
    expect(page.locator("#kill")).to_be_hidden()
    page.keyboard.up("Enter")
    progress = page.locator("#batches progress")
    expect(progress).to_have_count(1)
    expect(page.locator("#outcomes tbody tr").first).to_be_visible()
    if PICTURES:  # what a person sees who looks for a moment
        expect(page.locator("#lanes tbody tr").first).to_be_visible()
    picture(page, "page")
    with page.context.browser.new_page() as terminal:  # type: ignore[union-attr]
        terminal_picture(rig, terminal, "status")
    assert gateway.stop() == 0
    expect(page.locator("#link")).to_have_text("not connected, trying again")
    gateway.start()
    expect(page.locator("#link")).to_have_text("live")
    row = page.locator("#batches tbody tr")
    expect(row).to_contain_text(f"{3 * EACH:,} of {3 * EACH:,} ended", timeout=50_000)
    expect(row).to_contain_text(re.compile(r"mass cancel, \w+, complete"), timeout=50_000)
    expect(row.get_by_role("button")).to_have_count(0)
    expect(page.locator("#outcomes-title")).to_have_text(f"Outcomes as they come: {3 * EACH:,}")
    expect(page.locator("#audit tbody tr").first).to_contain_text("by kill: exchange halt")
    arrivals = [arrival for arrival in rig.exchange.control.log() if "cancel" in arrival.endpoint]
    arrived = [order_id for arrival in arrivals for order_id in arrival.ordIds]
    assert len(arrived) == len(set(arrived)) == 3 * EACH


def test_a_mass_cancel_on_hold_is_shown_so_until_it_is_released(rig: Rig, gateway: Gateway, page: Page) -> None:
    """With the time from which on nothing was open; afterwards as one that is over, which nobody may take back."""
    Masses(rig.store).take(parse_cancel_all({"account": "desk1", "batch_id": "held", "hold": True}))
    sign_in(page, gateway, "operate")
    row = page.locator("#batches tbody tr", has_text="held")
    expect(row).to_contain_text(re.compile(rf"mass cancel, on hold, empty since {MOMENT}"))
    expect(row.get_by_role("button", name="Withdraw held")).to_be_visible()
    row.get_by_role("button", name="Release held").click()
    answer(page, "calm again")
    expect(row).to_contain_text(re.compile(r"mass cancel, \w+, complete"))
    expect(row.get_by_role("button")).to_have_count(0)


def test_a_place_that_the_door_cannot_read_is_left(gateway: Gateway, page: Page) -> None:
    """The stream begins afresh, once the door that had told the place is another one."""
    refused: list[str] = []
    sign_in(page, gateway, "read")

    def refuse(route: Route) -> None:
        refused.append(route.request.url)
        route.fulfill(status=422, content_type="application/problem+json", body="{}")

    page.route("**/v1/events?last_event_id=*", refuse)
    assert gateway.stop() == 0
    expect(page.locator("#link")).to_have_text("not connected, trying again")
    gateway.start()
    expect(page.locator("#link")).to_have_text("live")
    assert refused


def test_who_is_quicker_than_the_door_sees_its_accounts_as_they_come(gateway: Gateway, page: Page) -> None:
    """In a dialog that is open already; a door in trouble is asked again, and nobody has to load the page anew."""
    troubled = {"session": True, "accounts": True}
    asked: list[str] = []

    def trouble(route: Route) -> None:
        name = route.request.url.rsplit("/", 1)[1]
        asked.append(name)
        if troubled[name]:
            troubled["session"] = False
            route.fulfill(status=503, content_type="application/problem+json", body="{}")
        else:
            route.continue_()

    sign_in(page, gateway, "kill")
    for name in troubled:
        page.route(f"**/v1/{name}", trouble)
    page.reload()
    page.get_by_role("button", name="Cancel all…").click()
    choices = page.locator("#kill-account option")
    expect(choices).to_have_text(["accounts are being read…"])
    troubled["accounts"] = False
    expect(choices).to_have_text(["choose…", "desk1"])
    page.locator("#kill-account").select_option("desk1")
    expect(page.locator("#some-account option")).to_have_text(["all", "desk1"])
    assert asked.count("session") >= 2
    assert asked.count("accounts") >= 2


def test_what_places_orders_is_ended_as_well(rig: Rig, gateway: Gateway, page: Page) -> None:
    """If it is chosen; else the look says what would be left. A filter by which it cannot be told apart is refused."""
    rig.exchange.control.place(UID, "BTC-USDT", 2)
    rig.exchange.control.place_algos(PlaceAlgos(UID, "BTC-USDT", "trigger", 3))
    sign_in(page, gateway, "kill")
    page.get_by_role("button", name="Cancel all…").click()
    page.locator("#kill-account").select_option("desk1")
    look, scope = page.get_by_role("button", name="Look first"), page.locator("#kill-scope")
    look.click()
    expect(scope).to_contain_text("desk1: 2 orders would be cancelled")
    expect(scope).to_contain_text("Not cancelled, and can place orders: 3")
    page.get_by_label("bots").check()
    page.get_by_label("Side").select_option("buy")
    look.click()
    expect(page.locator("#kill .fault")).to_contain_text("bots cannot be told apart by it")
    expect(page.locator("#kill-hold")).to_be_disabled()
    page.get_by_label("bots").uncheck()
    page.get_by_label("Side").select_option("both")
    page.get_by_label("algo orders").check()
    look.click()
    expect(scope).to_contain_text("desk1: 5 orders would be cancelled")
    expect(scope).not_to_contain_text("can place orders")
    page.locator("#kill-reason").fill("exchange halt")
    page.locator("#kill-hold").focus()
    page.keyboard.down("Enter")
    expect(page.locator("#kill")).to_be_hidden()
    page.keyboard.up("Enter")
    row = page.locator("#batches tbody tr", has_text="5 of 5 ended")
    expect(row).to_contain_text("complete", timeout=50_000)  # flat for 3 s: it cancels no other test's orders
    assert not [algo for algo in rig.exchange.control.algos() if algo.state == "live"]


def test_what_a_mass_cancel_left_is_told(rig: Rig, gateway: Gateway, page: Page) -> None:
    """That it is flat is not all: what can still place orders, what was filled, and what the exchange never knew."""
    control = rig.exchange.control
    control.place_orders(PlaceOrders(UID, "SOL-USDT-SWAP", 2, accFillSz="0.5", sz="2"))
    control.place_algos(PlaceAlgos(UID, "SOL-USDT-SWAP", "trigger", 2))
    control.set_product_behaviour(ProductBehaviour(unavailable={"rfq": "50013"}))
    sign_in(page, gateway, "kill")
    page.get_by_role("button", name="Cancel all…").click()
    page.locator("#kill-account").select_option("desk1")
    page.get_by_role("button", name="Look first").click()
    expect(page.locator("#kill-scope")).to_contain_text("Not known, and may place orders: rfq, quote")
    page.keyboard.press("Escape")
    Masses(rig.store).take(CancelAll(account="desk1", batch_id="left"))
    row = page.locator("#batches tbody tr", has_text="left")
    expect(row).to_contain_text("mass cancel, done, NOT complete")
    expect(row).to_contain_text("Not cancelled, and can place orders: 2 triggers")
    expect(row).to_contain_text("Not known, and may place orders: rfq, quote")
    expect(row).to_contain_text(re.compile(rf"2 canceled; 2 partly filled; over {MOMENT}"))
    expect(page.locator("#outcomes tbody")).to_contain_text("canceled, 0.5 filled")
    control.set_product_behaviour(ProductBehaviour())
    Masses(rig.store).take(CancelAll.model_validate({"account": "desk1", "batch_id": "swept", "with": ["algos"]}))
    expect(page.locator("#batches tbody tr", has_text="swept")).to_contain_text("mass cancel, done, complete")
    rig.store.admission.admit(_batch("never", "1"))
    expect(page.locator("#batches tbody tr", has_text="never")).to_contain_text("1 gone (1 never known)")
    expect(page.locator("#outcomes tbody")).to_contain_text("gone, never known: its id may be wrong")


def _fail(rig: Rig, page: Page, batch_id: str, inst_id: str = "ETH-USDT") -> tuple[Locator, str]:
    """A batch whose one order could not be cancelled: its row on the page, and the order's id."""
    [bad] = rig.exchange.control.place(UID, inst_id, 1)
    rig.exchange.control.script(bad, ["51403"])
    rig.store.admission.admit(_batch(batch_id, bad, inst_id=inst_id))
    row = page.locator("#batches tbody tr", has_text=batch_id)
    expect(row).to_contain_text("1 may be live")
    return row, bad


def test_a_failed_order_is_let_go_again(rig: Rig, gateway: Gateway, page: Page) -> None:
    """The question says how many, and what is not touched."""
    sign_in(page, gateway, "operate")
    row, bad = _fail(rig, page, "failed")
    row.get_by_role("button", name="Retry failed").click()
    expect(page.locator("#ask-scope")).to_contain_text("1 order of account desk1")
    expect(page.locator("#ask-scope")).to_contain_text("are not touched")
    answer(page, "it was a mistake")
    expect(row).to_contain_text("1 canceled")
    page.get_by_label("Batch, order id, client id or account").fill(bad)
    page.keyboard.press("Enter")
    expect(page.locator("#found-orders tbody tr")).to_contain_text(f"ETH-USDT {bad}")


def _decide(page: Page, reason: str, button: str) -> None:
    """What fits is done, as it was counted."""
    page.locator("#some-reason").fill(reason)
    page.get_by_role("button", name=button, exact=True).click()
    expect(page.locator("#some")).to_be_hidden()


def test_all_that_failed_and_fit_are_let_go_again_at_once(rig: Rig, gateway: Gateway, page: Page) -> None:
    """Of every batch, each is named first; what does not fit is left."""
    sign_in(page, gateway, "operate")
    (row, _), (other, _) = _fail(rig, page, "in-vain"), _fail(rig, page, "other", "SOL-USDT")
    page.locator("#decide").click()
    scope = page.locator("#some-scope")
    expect(scope).to_contain_text("other: 1 order of desk1")
    page.get_by_role("textbox", name="Instrument").fill("eth-usdt")
    page.get_by_role("combobox", name="Account").select_option("desk1")
    expect(scope).to_contain_text("1 order in all; batches: 1")
    expect(scope).to_contain_text("in-vain: 1 order of desk1")
    expect(scope).to_contain_text("not touched")
    picture(page, "some")
    _decide(page, "it was a mistake", "Retry 1 order")
    expect(row).to_contain_text("1 canceled")
    expect(other).to_contain_text("1 may be live")
    page.locator("#decide").click()
    _decide(page, "all of it was", "Retry 1 order")
    expect(other).to_contain_text("1 canceled")


def test_all_that_wait_and_fit_are_withdrawn_at_once(rig: Rig, gateway: Gateway, page: Page) -> None:
    """Everything is never meant by saying nothing; what was withdrawn is never sent."""
    sign_in(page, gateway, "operate")
    page.get_by_role("button", name="Pause account desk1").click()
    answer(page, "news")
    [left] = rig.exchange.control.place(UID, "ETH-USDT", 1)
    rig.store.admission.admit(_batch("waits", left))
    row = page.locator("#batches tbody tr", has_text="waits")
    expect(row).to_contain_text("0 of 1 ended")
    page.locator("#decide").click()
    page.get_by_role("combobox", name="Do", exact=True).select_option("withdraw")
    expect(page.locator("#some-scope")).to_have_text("Say whose: an account, an instrument, an sCode or a time.")
    expect(page.locator("#some .yes")).to_be_disabled()
    page.get_by_role("combobox", name="Account").select_option("desk1")
    expect(page.locator("#some-scope")).to_contain_text("waits: 1 order of desk1")
    _decide(page, "no need", "Withdraw 1 order")
    expect(row).to_contain_text("1 withdrawn")
    page.get_by_role("button", name="Resume account desk1").click()
    answer(page, "calm again")
    expect(page.locator("#loud")).to_be_hidden()
    assert [*rig.exchange.control.log(ordId=left)] == []


def test_how_batches_end_is_told_and_not_asked_for(rig: Rig, gateway: Gateway, page: Page) -> None:
    """The more pages are open, the more it would cost Redis."""
    sign_in(page, gateway, "read")
    expect(page.locator("#accounts tbody tr")).to_have_count(1)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for number in range(4):
        rig.store.admission.admit(_batch(f"told-{number}", *rig.exchange.control.place(UID, "ETH-USDT", 1)))
        expect(page.locator("#batches tbody tr", has_text=f"told-{number}")).to_contain_text("complete")
    assert [url for url in asked if "/v1/batches" in url] == []


def test_an_account_is_paused_and_resumed(rig: Rig, gateway: Gateway, page: Page) -> None:
    """It stands in the loud strip meanwhile, with who and why."""
    sign_in(page, gateway, "operate")
    page.get_by_role("button", name="Pause account desk1").click()
    answer(page, "news")
    strip = page.locator("#loud")
    expect(strip).to_contain_text("desk1: paused by operate: news")
    paused = rig.store.keys.of("paused")
    assert rig.store.redis.smembers(paused) == {user_scope("desk1")}
    picture(page, "paused")
    page.get_by_role("button", name="Resume account desk1").click()
    answer(page, "calm again")
    expect(strip).to_be_hidden()
    assert rig.store.redis.smembers(paused) == set()


def test_a_browser_can_do_nothing_that_its_role_forbids(gateway: Gateway, page: Page) -> None:
    """There is no button, and what a script sends is refused."""
    sign_in(page, gateway, "read")
    expect(page.locator("#accounts tbody tr")).to_have_count(1)
    for name in ("Pause", "Cancel all", "Retry", "Withdraw"):
        expect(page.get_by_role("button", name=name)).to_have_count(0)
    sent = "(path) => fetch(path, {method: 'PUT'}).then((answer) => answer.status)"
    assert page.evaluate(sent, "v1/accounts/desk1/pause") == 403
    assert page.evaluate("() => document.cookie") == ""


def test_the_page_is_worked_without_a_mouse(gateway: Gateway, page: Page) -> None:
    """The first stop leads to the work, every button has a name of its own, and Escape ends a question."""
    sign_in(page, gateway, "kill")
    expect(page.locator("#accounts tbody tr")).to_have_count(1)
    page.locator("body").focus()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="To the work")).to_be_focused()
    page.get_by_role("button", name="Pause account desk1").press("Enter")
    expect(page.locator("#ask-reason")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#ask")).to_be_hidden()
    expect(page.get_by_role("button", name="Pause account desk1")).to_be_focused()
    names = page.locator("button:visible").evaluate_all("(all) => all.map((one) => one.ariaLabel || one.textContent)")
    assert len(names) == len(set(names))
    assert page.locator("progress:not([aria-label])").count() == 0


@pytest.mark.parametrize("width", [400, 1280])
def test_nothing_is_wider_than_the_screen(width: int, rig: Rig, gateway: Gateway, page: Page) -> None:
    """With everything on it."""
    page.set_viewport_size({"width": width, "height": 800})
    sign_in(page, gateway, "kill")
    [order_id] = rig.exchange.control.place(UID, "ETH-USDT", 1)
    rig.store.admission.admit(_batch(f"wide-{width}", order_id))
    expect(page.locator("#batches tbody tr").first).to_be_visible()
    assert page.evaluate("() => document.documentElement.scrollWidth") == width
    for opens, dialog in (("#decide", "#some"), ("#cancel-all", "#kill")):
        page.locator(opens).click()
        expect(page.locator(dialog)).to_be_visible()
        assert page.locator(dialog).evaluate("(each) => each.scrollWidth <= each.clientWidth")
        page.keyboard.press("Escape")
        expect(page.locator(dialog)).to_be_hidden()


@pytest.mark.parametrize(
    ("zone", "told"),
    [
        pytest.param("UTC", ["00:05:09 UTC", "2026-11-30 23:59:59 UTC"], id="the hour of midnight"),
        pytest.param("Europe/Berlin", ["01:05:09 CET", "00:59:59 CET"], id="east"),
        pytest.param("America/New_York", ["2026-11-30 19:05:09 GMT-5", "2026-11-30 18:59:59 GMT-5"], id="west"),
    ],
)
def test_a_time_has_its_zone_and_its_day_if_not_today(
    zone: str, told: list[str], gateway: Gateway, browser: Browser
) -> None:
    """Two digits each: most locales write the hours before ten with one, 0:05:09, once the zone is to be told, too."""
    with browser.new_context(timezone_id=zone) as context, context.new_page() as page:
        page.goto(gateway.url)
        page.clock.set_fixed_time("2026-12-01T12:00:00Z")
        moments = "(all) => import('./dom.js').then((dom) => all.map(dom.moment))"
        assert page.evaluate(moments, ["2026-12-01T00:05:09Z", "2026-11-30T23:59:59.9Z", None]) == [*told, ""]


def test_what_is_not_shown_is_said(tmp_path: Path, page: Page) -> None:
    """Of thousands of lanes those that are held back and the busiest are shown, of batches the next; why, aloud."""
    with Rig(workers=0) as rig, Door(rig.store, token_file(tmp_path / "tokens")) as door:
        names = [f"A{number}-USDT" for number in range(LANES + 5)]
        for number in range(BATCHES_SHOWN + 2):
            rows = [order for name in names for order in orders(name, [str(number + 1)])]
            rig.store.admission.admit(parse_cancel_orders(account="desk1", batch_id=f"b{number}", orders=rows))
        assert door.call("PUT", f"/v1/lanes/desk1/{names[-1]}/pause").ok
        switch = rig.store.keys.of("switch", "desk1")
        rig.store.redis.hset(switch, mapping={"holder": "w1", "timeout_s": 10, "ran_out": 1_700_000_000_000_000})
        sign_in(page, door, "read")
        expect(page.locator("#loud")).to_contain_text("No worker is alive: nothing is sent.")
        expect(page.locator("#loud")).to_contain_text("The dead man's switch of desk1 ran out")
        told = f"Lanes with work: those held back and the busiest, {LANES} of {len(names)}"
        expect(page.locator("#lanes-title")).to_have_text(told)
        expect(page.locator("#lanes tbody tr")).to_have_count(LANES)
        expect(page.locator("#lanes tbody tr").first).to_contain_text(names[-1])
        told = f"Mass cancels and batches: the next, {BATCHES_SHOWN} of {BATCHES_SHOWN + 2}"
        expect(page.locator("#work-title")).to_have_text(told)


def test_a_shard_that_is_away_is_told_aloud_and_never_shown_as_empty(tmp_path: Path, page: Page) -> None:
    """What was known of it stays, as what it is; who comes then is told, too; and it comes back by itself."""
    kept = {"appendonly": "yes", "appendfsync": "always"}
    with EmbeddedRedis() as here, EmbeddedRedis(options=kept) as there:
        shards = emptied(
            [here, there], Shards(settings_for(urls_of([here, there]), {"desk1": "default", "desk2": "a"}))
        )
        for shard in shards.all():
            shard.store.directory.publish(shard.store.scripts)
            report_worker(shard.store)
        for name, account in (("default", "desk1"), ("a", "desk2")):
            shards.of(name).store.admission.admit(_batch(f"of-{account}", "1", account))
        with Door(shards, token_file(tmp_path / "tokens")) as door:
            sign_in(page, door, "kill")
            row = page.locator("#batches tbody tr", has_text="of-desk2")
            expect(row).to_contain_text("shard a")
            expect(page.locator("#accounts tbody tr")).to_have_count(2)
            there.kill()
            expect(page.locator("#loud")).to_contain_text("Shard a is away: its Redis does not answer here")
            expect(row).to_contain_text("shard a is away: as it was")
            expect(page.locator("#accounts tbody tr", has_text="desk2")).to_contain_text("not known")
            expect(page.locator("#figures")).to_have_text("1 worker, 1 order waiting, without shard a")
            picture(page, "shard-away")
            page.reload()
            expect(page.locator("#loud")).to_contain_text("Shard a is away")
            expect(page.locator("#batches tbody tr")).to_contain_text(["of-desk1"])
            expect(page.locator("section:has(#outcomes) .none")).to_have_text("Not known: shard a is away.")
            there.start()
            expect(row).to_contain_text("0 of 1 ended")
            expect(page.locator("#loud")).not_to_contain_text("Shard a is away")
        for store in shards.opened:
            store.redis.close()


def test_a_format_that_cannot_be_read_is_told_aloud(rig: Rig, gateway: Gateway, page: Page) -> None:
    """The last test: the worker ends then, as it should, and tells no more."""
    sign_in(page, gateway, "read")
    expect(page.locator("#accounts tbody tr")).to_have_count(1)
    report_worker(rig.store, formats={"exchange": [2, 3], "runner": [1, 1]})
    expect(page.locator("#loud")).to_contain_text("host:1 cannot read format 1 of the exchange's state")
    rig.store.redis.hset(rig.store.keys.of("formats"), "exchange", 9)
    expect(page.locator("#loud")).to_contain_text("the exchange's state in Redis has format 9, this reads 1")


def _batch(batch_id: str, order_id: str, account: str = "desk1", inst_id: str = "ETH-USDT") -> CancelOrders:
    return parse_cancel_orders(account=account, batch_id=batch_id, orders=orders(inst_id, [order_id]))
