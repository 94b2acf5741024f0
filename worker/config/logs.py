"""The format of log lines: readable in a terminal, one JSON object a line everywhere else."""

import logging
import sys
from typing import Final

import structlog

from bulk_cancel.worker.config.patient import PatientHandler
from bulk_cancel.worker.config.visible import visible

QUIET: Final = ("celery.app.trace", "celery.worker.strategy", "kombu", "urllib3", "amqp")
"""Loggers that have a line per message at INFO, or show too much at DEBUG."""


def configure_logs(level: str) -> None:
    """Sends every logger of this process, Celery's too, through one formatter to stderr, for which nobody waits."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
    )
    handler = PatientHandler(sys.stderr)
    handler.setFormatter(_formatter(shared))
    logging.basicConfig(handlers=[handler], level=level, force=True)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def _formatter(shared: list[structlog.typing.Processor]) -> logging.Formatter:
    terminal = sys.stderr.isatty()
    renderer: structlog.typing.Processor = (
        # its own choice would show the variables of each frame, and with them secrets
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if terminal
        else structlog.processors.JSONRenderer()
    )
    before: structlog.typing.Processor = _visible if terminal else structlog.processors.format_exc_info
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, before, renderer],
    )


def _visible(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """JSON escapes what a refused message brings along; on a terminal it would be carried out."""
    return {name: visible(value) if isinstance(value, str) else value for name, value in event.items()}
