"""What stands between Celery and Redis? A transport and a consumer that survive restarts and poison."""

from worker.broker.config import celery_config
from worker.broker.consumer import Consumer
from worker.broker.pool import RefusePool
from worker.broker.transport import SentinelTransport, Transport

__all__ = ["Consumer", "RefusePool", "SentinelTransport", "Transport", "celery_config"]
