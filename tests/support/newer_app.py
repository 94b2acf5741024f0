"""A worker of a release that reads one format more of each kind of state, for `celery -A`."""

from bulk_cancel.worker.config.settings import load_settings
from bulk_cancel.worker.service.app import create_app
from bulk_cancel.worker.state.formats import Reads

app = create_app(load_settings(require_accounts=True), {"exchange": Reads(1, 2), "runner": Reads(1, 2)})
