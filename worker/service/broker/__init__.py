"""What stands between Celery and Redis: a transport and a consumer that survive restarts and poison."""

from bulk_cancel.worker.service.broker.config import celery_config
from bulk_cancel.worker.service.broker.consumer import Consumer
from bulk_cancel.worker.service.broker.pool import RefusePool
from bulk_cancel.worker.service.broker.transport import SentinelTransport, Transport

__all__ = ["Consumer", "RefusePool", "SentinelTransport", "Transport", "celery_config"]
