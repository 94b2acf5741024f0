"""What stands between Celery and Redis? A transport and a consumer that survive restarts and poison."""

from worker.service.broker.config import celery_config
from worker.service.broker.consumer import Consumer
from worker.service.broker.pool import RefusePool
from worker.service.broker.transport import SentinelTransport, Transport

__all__ = ["Consumer", "RefusePool", "SentinelTransport", "Transport", "celery_config"]
