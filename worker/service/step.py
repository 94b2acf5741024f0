"""Celery's bootstep around the runtime: when it starts and stops within a worker, before the broker's connection."""

import sys
import time
from typing import Final

import structlog
from celery import bootsteps
from celery.worker import WorkController, state
from redis.exceptions import AuthenticationError, RedisError

from bulk_cancel.tasks.errors import UnreadableFormatError
from bulk_cancel.worker.config.settings import redacted
from bulk_cancel.worker.service.runtime import Runtime, set_current
from bulk_cancel.worker.state.connection import UnfitRedisError
from bulk_cancel.worker.state.scripts import TRANSIENT

log = structlog.get_logger(__name__)

WAIT_FOR_REDIS_S: Final = 30.0
"""A worker and its Redis are often started together, and a large file takes time to load."""

REFUSED: Final = 2
"""The exit status of a worker that cannot work with its Redis."""

_AGAIN_S: Final = 0.5
_LOOK_S: Final = 0.05


class RunnerStep(bootsteps.StartStopStep):
    """Starts after the pool, stops before it; refusing to start is SystemExit, all else Celery swallows."""

    requires = ("celery.worker.components:Pool",)

    def __init__(self, parent: WorkController, **options: object) -> None:
        super().__init__(parent, **options)
        self._runtime: Runtime | None = None

    def start(self, parent: WorkController) -> None:
        """Builds and starts the runtime once Redis answers."""
        settings = parent.app.settings
        runtime = Runtime(settings, parent.app.formats, _end)
        try:
            _start(runtime)
        except (UnfitRedisError, UnreadableFormatError) as error:
            _refuse(str(error))
        except RedisError as error:
            _refuse(f"no answer from Redis at {redacted(runtime.store.settings.redis_url)}: {error}")
        set_current(runtime)
        self._runtime = runtime

    def close(self, parent: WorkController) -> None:  # noqa: ARG002 (Celery's signature)
        """SIGTERM: no new claims."""
        if self._runtime:
            self._runtime.close()

    def stop(self, parent: WorkController) -> None:  # noqa: ARG002
        """What is in flight is recorded."""
        if self._runtime:
            self._runtime.stop()

    terminate = stop


def _start(runtime: Runtime) -> None:
    gives_up = time.monotonic() + WAIT_FOR_REDIS_S
    while True:
        try:
            return runtime.start()
        except TRANSIENT as error:
            if isinstance(error, AuthenticationError) or time.monotonic() > gives_up:
                raise
            log.warning("waiting_for_redis", error=str(error))
            _pause(_AGAIN_S)


def _pause(for_s: float) -> None:
    """Ends at once, and the worker with it, when SIGTERM was received: Celery's handler only notes it."""
    ends = time.monotonic() + for_s
    while time.monotonic() < ends:
        state.maybe_shutdown()
        time.sleep(_LOOK_S)
    state.maybe_shutdown()


def _end() -> None:
    """Celery stops the worker, as on SIGTERM, with the exit status of one that refuses to start."""
    state.should_stop = REFUSED


def _refuse(why: str) -> None:
    print(f"bulk-cancel worker refuses to start: {why}", file=sys.stderr)  # noqa: T201 (logging may not be set up)
    raise SystemExit(REFUSED)
