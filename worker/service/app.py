"""The Celery app that is a worker: its queues, its tasks and the steps that start our runtime."""

from celery import Celery
from celery.signals import setup_logging

from bulk_cancel.worker.config.logs import configure_logs
from bulk_cancel.worker.config.settings import Settings
from bulk_cancel.worker.service.broker import RefusePool, celery_config
from bulk_cancel.worker.service.runtime import current
from bulk_cancel.worker.service.step import RunnerStep


def create_app(settings: Settings) -> Celery:
    """The Celery app that runs doors and drains under these settings."""
    app = Celery("bulk-cancel")
    broker = settings.broker_url.get_secret_value()
    app.config_from_object(celery_config(broker_url=broker, key_prefix=settings.key_prefix))
    app.conf.imports = ("bulk_cancel.tasks.cancel",)
    app.settings = settings
    app.refuse = _refuse
    app.steps["worker"].add(RefusePool)
    app.steps["worker"].add(RunnerStep)
    setup_logging.connect(lambda **_: configure_logs(settings.log_level), weak=False)
    return app


def _refuse(payload: str, errors: list[str], *, source: str, length: int) -> None:
    """The sink of the consumer; raises when the state Redis is away, so that the message stays where it is."""
    runtime = current()
    if runtime is None:
        raise RuntimeError("the worker is still starting")
    runtime.store.refusals.add(payload, errors, source=source, length=length)
