"""One worker process. The only room that knows Celery."""
