"""The Celery app that is a worker: its queues, its tasks and the steps that start our runtime."""

import logging

import celery.apps.worker
from celery import Celery
from celery.signals import setup_logging

from bulk_cancel.worker.config.logs import configure_logs
from bulk_cancel.worker.config.settings import Settings
from bulk_cancel.worker.config.shards import on_shard
from bulk_cancel.worker.service.broker import RefusePool, celery_config
from bulk_cancel.worker.service.runtime import current
from bulk_cancel.worker.service.step import RunnerStep
from bulk_cancel.worker.state.formats import FORMATS, Formats


def create_app(settings: Settings, formats: Formats = FORMATS) -> Celery:
    """The Celery app that runs doors and drains under these settings, on a state in one of `formats`."""
    app = Celery("bulk-cancel")
    broker = on_shard(settings, settings.shard).broker_url.get_secret_value()
    app.config_from_object(celery_config(broker_url=broker, key_prefix=settings.key_prefix))
    app.conf.imports = ("bulk_cancel.tasks.cancel",)
    app.settings = settings
    app.formats = formats
    app.refuse = _refuse
    app.steps["worker"].add(RefusePool)
    app.steps["worker"].add(RunnerStep)
    celery.apps.worker.safe_say = _say
    setup_logging.connect(lambda **_: configure_logs(settings.log_level), weak=False)
    return app


def _say(words: str, *_: object) -> None:
    """What Celery says when it handles a signal; it would write to a stdout that perhaps nobody reads, and hang."""
    logging.getLogger("celery").info(words)


def _refuse(payload: str, errors: list[str], *, source: str, length: int) -> None:
    """The sink of the consumer; raises when the state Redis is away, so that the message stays where it is."""
    runtime = current()
    if runtime is None:
        raise RuntimeError("the worker is still starting")
    runtime.store.refusals.add(payload, errors, source=source, length=length)
