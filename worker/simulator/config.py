"""The configuration of the simulated exchange at its start."""

from dataclasses import dataclass, field
from typing import ClassVar

from bulk_cancel.worker.simulator.accounts import ApiKey
from bulk_cancel.worker.simulator.book import Behaviour
from bulk_cancel.worker.simulator.faults import Network
from bulk_cancel.worker.simulator.meters import Limits

DEFAULT_KEY = ApiKey(key="simulated-key", secret="simulated-secret", passphrase="simulated-pass", uid="1001")  # noqa: S106
DEFAULT_INSTRUMENTS = (
    "BTC-USDT", "ETH-USDT", "SOL-USDT", "BTC-USDT-SWAP", "ETH-USDT-SWAP", "SOL-USDT-SWAP", "BTC-USD-SWAP",
    "BTC-USD-271231", "BTC-USD-271231-100000-C", "BTC-USD-271231-100000-P", "ETH-USD-271231-5000-C",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Config:
    """Everything the simulated exchange starts with; the control API changes most of it later.

    `port` and `ws_port` (the private channel's) 0 take free ones; a channel is closed after `channel_silence_s`
    without a word either way; `clock_offset_s` shifts the exchange's wall clock; the log keeps `log_limit` arrivals.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    host: str = "127.0.0.1"
    port: int = 0
    ws_port: int = 0
    channel_silence_s: float = 30.0
    accounts: tuple[ApiKey, ...] = (DEFAULT_KEY,)
    instruments: tuple[str, ...] = DEFAULT_INSTRUMENTS
    limits: Limits = field(default_factory=Limits)
    network: Network = field(default_factory=Network)
    behaviour: Behaviour = field(default_factory=Behaviour)
    clock_offset_s: float = 0.0
    seed: int | None = None
    log_limit: int = 2_000_000
    log_level: str = "warning"
