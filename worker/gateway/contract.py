"""`python -m bulk_cancel.worker.gateway.contract`: writes `openapi.json` beside this file."""

from pathlib import Path

from bulk_cancel.worker.config.settings import load_settings
from bulk_cancel.worker.gateway.app import contract, make_api
from bulk_cancel.worker.state.shards import Shards

if __name__ == "__main__":
    text = contract(make_api(Shards(load_settings()), None))
    Path(__file__).with_name("openapi.json").write_text(text, encoding="utf-8")
