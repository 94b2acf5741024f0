"""What Celery starts: `celery -A bulk_cancel.worker worker` finds `app` here, or a plain reason why there is none."""

import sys

from celery import Celery

from bulk_cancel.tasks.errors import SettingsError
from bulk_cancel.worker.config.extras import MissingPackageError, needing
from bulk_cancel.worker.config.settings import load_settings


def _app() -> Celery:
    try:
        with needing("worker"):
            from bulk_cancel.worker.service.app import create_app  # noqa: PLC0415 (needs what the extra brings)
        return create_app(load_settings(require_accounts=True))
    except (MissingPackageError, SettingsError) as error:
        print(f"bulk-cancel worker refuses to start:\n{error}", file=sys.stderr)  # noqa: T201 (no logging yet)
        raise SystemExit(2) from None


app = _app()
