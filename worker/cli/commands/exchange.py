"""`bulk-cancel exchange`: the simulated exchange alone, without a password: for loopback or test nets."""

import sys
from itertools import cycle, islice
from threading import Thread
from typing import Annotated, Final

import typer

from bulk_cancel.worker.cli.errors import CommandError, Exit, joined
from bulk_cancel.worker.config.faults import PREFIX
from bulk_cancel.worker.simulator.client import ControlClient, ControlError
from bulk_cancel.worker.simulator.config import DEFAULT_INSTRUMENTS, DEFAULT_KEY, Config
from bulk_cancel.worker.simulator.faults import Network
from bulk_cancel.worker.simulator.serve import READY, serve

ACCOUNT: Final = "desk1"


def exchange(
    *,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0 takes a free one.")] = 0,
    ws_port: Annotated[int, typer.Option(min=0, max=65_535, help="The private channel's; 0 takes a free one.")] = 0,
    orders: Annotated[int, typer.Option(min=0, max=1_000_000, help="Orders to put on the book at start.")] = 0,
    delay_ms: Annotated[float, typer.Option(min=0, help="Network delay of each way.")] = 0.0,
) -> int:
    """The simulated exchange alone, until Ctrl-C: prints its URL and the settings that point workers at it.

    What it is told while it runs, by POST, PUT and DELETE under URL/control/: orders (places some), orders/end,
    instruments, accounts, accounts/change, network, limits, behaviour, clock, algos,
    algos/fire, algos/behaviour, products, products/behaviour, faults, scripts, release,
    refuse-connections, accept-connections, channels, log, summary, reset, shutdown; the README's section "The simulated
    exchange" has their bodies.

    For example: curl -X POST URL/control/orders -d '{"uid": "1001", "instId": "BTC-USDT"}'
    """
    config = Config(host=host, port=port, ws_port=ws_port, network=Network(delay_ms=delay_ms))
    try:
        serve(config, ready=lambda url, ws_url: _announce(_here(url), _here(ws_url), orders))
    except OSError as error:
        raise CommandError(
            f"cannot listen on {host}:{port} and {host}:{ws_port}: {error.strerror}; "
            "choose another --host, --port or --ws-port"
        ) from None
    return Exit.OK


def environment(url: str, ws_url: str) -> dict[str, str]:
    """What workers and producers are told so that they use the simulator with its one account."""
    account = f"{PREFIX}ACCOUNTS__{ACCOUNT.upper()}__"
    return {
        f"{PREFIX}OKX_BASE_URL": url,
        f"{account}API_KEY": DEFAULT_KEY.key,
        f"{account}API_SECRET": DEFAULT_KEY.secret,
        f"{account}PASSPHRASE": DEFAULT_KEY.passphrase,
        f"{PREFIX}OKX_WS_URL": ws_url,
    }


def place(control: ControlClient, orders: int) -> None:
    """Puts so many orders of the one account on the book, spread over the instruments; raises ControlError, OSError."""
    wanted = list(islice(cycle(DEFAULT_INSTRUMENTS), orders))
    for inst_id in dict.fromkeys(wanted):
        control.place(DEFAULT_KEY.uid, inst_id, wanted.count(inst_id))


def submit_hint(url: str) -> str:
    """What cancels the orders on the book, as a comment to a shell."""
    return f"#   curl -s '{url}/control/orders?state=live' | bulk-cancel submit - --account {ACCOUNT} --wait"


def _here(url: str) -> str:
    """The URL as a client on this machine may use it."""
    return url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//::", "//[::1]")


def _announce(url: str, ws_url: str, orders: int) -> None:
    lines = [f"{READY}{url}", *(f"export {name}={value}" for name, value in environment(url, ws_url).items())]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
    if orders:
        # the exchange serves from this thread, so it can only be asked from another
        Thread(target=_place, args=(url, orders), daemon=True).start()


def _place(url: str, orders: int) -> None:
    try:
        place(ControlClient(url), orders)
    except (ControlError, OSError) as error:
        sys.stderr.write(joined([f"could not place the orders: {error}"]))
        return
    sys.stdout.write(f"# {orders:,} orders are on the book; cancel them:\n{submit_hint(url)}\n")
    sys.stdout.flush()
