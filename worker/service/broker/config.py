"""Celery's configuration: every setting that a worker's safety rests on."""

# mypy: allow-untyped-calls
from __future__ import annotations

import re
import ssl
from typing import Final
from urllib.parse import unquote, urlsplit

from kombu.entity import Exchange, Queue

from bulk_cancel.tasks.queues import QUEUES
from bulk_cancel.worker.service.broker import transport
from bulk_cancel.worker.state.queues import PRIORITIES

VISIBILITY_TIMEOUT_S: Final = 15
"""After how long an unacknowledged message is given out again; no task runs anywhere near as long."""


def celery_config(*, broker_url: str, key_prefix: str, concurrency: int = 32) -> dict[str, object]:
    """The whole configuration; also makes this process's Redis URLs use our transports.

    `broker_url` may hold a password; `;` parts several. Behind Sentinel it may name the service, as in
    `sentinel://host:26379/0?master_name=mymaster` (the default). `key_prefix` separates the unacknowledged
    messages of two runners but not their queues: they need two broker dbs. `concurrency` is in threads.
    """
    transport.register()
    url, master = _sentinel(broker_url)
    return {
        **_broker(url),
        **_worker(concurrency),
        **_tasks(),
        "broker_transport_options": _transport_options(key_prefix, master),
    }


def _sentinel(broker_url: str) -> tuple[str, str | None]:
    """The URL as kombu takes it, which is without a query, and the service name if it is a Sentinel's."""
    if not broker_url.startswith("sentinel:"):
        return broker_url, None
    named = re.search(r"[?&]master_name=([^&;]+)", broker_url)
    parts = re.sub(r"\?[^;]*", "", broker_url).split(";")
    db = next((path for part in parts if (path := urlsplit(part).path.strip("/"))), "")
    if db and not urlsplit(parts[0]).path.strip("/"):
        parts[0] = f"{parts[0].rstrip('/')}/{db}"  # kombu asks the first part alone
    return ";".join(parts), unquote(named[1]) if named else "mymaster"


def _broker(broker_url: str) -> dict[str, object]:
    tls = broker_url.startswith("rediss:")
    return {
        "broker_url": broker_url,
        # kombu would accept any certificate; `?ssl_cert_reqs=none` in the URL still wins
        "broker_use_ssl": {"ssl_cert_reqs": ssl.CERT_REQUIRED} if tls else False,
        "broker_heartbeat": 0,
        "broker_connection_retry": True,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_channel_error_retry": True,  # demoted primaries behind Sentinel
    }


def _worker(concurrency: int) -> dict[str, object]:
    return {
        "worker_pool": "threads",
        "worker_consumer": "bulk_cancel.worker.service.broker:Consumer",
        "worker_concurrency": concurrency,
        "worker_prefetch_multiplier": 1,
        "worker_disable_rate_limits": True,
        # its second channel doubles the time a silent broker takes from a shutdown, and `revoke` drops unseen
        "worker_enable_remote_control": False,
        "worker_detect_quorum_queues": False,
        "worker_enable_prefetch_count_reduction": False,  # old turns end in milliseconds
        "worker_cancel_long_running_tasks_on_connection_loss": False,  # threads cannot be cancelled
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        "worker_send_task_events": False,
    }


def _tasks() -> dict[str, object]:
    return {
        "accept_content": ["json"],
        "task_serializer": "json",
        "task_queues": [Queue(name, Exchange(name), routing_key=name) for name in QUEUES],
        "task_default_queue": "cancel",
        "task_create_missing_queues": False,  # a misspelt -Q is an error, not an idle worker
        "task_acks_late": True,
        "task_ignore_result": True,
        "task_publish_retry": False,
        "enable_utc": True,
        "timezone": "UTC",
    }


def _transport_options(key_prefix: str, master: str | None) -> dict[str, object]:
    unacked = f"{key_prefix}:broker:unacked"
    return {
        "visibility_timeout": VISIBILITY_TIMEOUT_S,
        "priority_steps": list(PRIORITIES),  # a client with other steps than kombu's own is read, too
        "unacked_restore_interval": 1,
        "unacked_restore_throttle": 1,
        "unacked_restore_limit": 1000,
        "unacked_key": unacked,
        "unacked_index_key": f"{unacked}:index",
        "unacked_mutex_key": f"{unacked}:mutex",
        "unacked_mutex_expire": 10,
        "socket_timeout": 2,
        "socket_connect_timeout": 1,
        "socket_keepalive": True,
        "health_check_interval": 3,
        # no retry_on_timeout: every command to a silent broker would take 8 s, and SIGTERM up to a minute
        # for publishing; the consumer's own reconnects are in `Consumer.ensure_connected`
        "interval_start": 0.2,
        "interval_step": 0.2,
        "interval_max": 1,
        **({"master_name": master} if master else {}),
    }
