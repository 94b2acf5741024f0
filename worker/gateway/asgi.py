"""The door that the environment describes, for other ASGI servers: `uvicorn --factory …gateway.asgi:door`."""

from bulk_cancel.worker.config.logs import configure_logs
from bulk_cancel.worker.config.settings import Settings, load_settings
from bulk_cancel.worker.config.shards import chosen
from bulk_cancel.worker.gateway.app import create_app
from bulk_cancel.worker.gateway.callers import Tokens
from bulk_cancel.worker.gateway.shell import Shell
from bulk_cancel.worker.state.shards import Shards


def door() -> Shell:
    """The door of the whole runner, or of the shard that BULK_CANCEL_SHARD chooses; raises SettingsError."""
    settings = chosen(load_settings())
    configure_logs(settings.log_level)  # what structlog does by itself shows each frame's variables
    return create_app(Shards(settings), tokens_of(settings))


def tokens_of(settings: Settings) -> Tokens | None:
    """The tokens that `GATEWAY_TOKENS_FILE` names; None: whoever is on this machine is let in."""
    return Tokens(settings.gateway_tokens_file) if settings.gateway_tokens_file else None
