FROM python:3.12-slim AS build
RUN python -m venv /opt/bulk-cancel
ENV PATH=/opt/bulk-cancel/bin:$PATH
WORKDIR /src
# the lock of a worker, its command line and the HTTP door: no Redis server of its own, no development tools
COPY requirements.lock ./
RUN pip install --no-cache-dir --require-hashes --requirement requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY tasks tasks
COPY worker worker
RUN pip install --no-index --no-deps --no-build-isolation .

FROM python:3.12-slim
COPY --from=build /opt/bulk-cancel /opt/bulk-cancel
ENV PATH=/opt/bulk-cancel/bin:$PATH PYTHONUNBUFFERED=1
USER 10001:10001
STOPSIGNAL SIGTERM
CMD ["celery", "-A", "bulk_cancel.worker", "worker"]
