"""The application's Celery with the fault tests' event and handlers: `celery -A tests.faults.worker worker`."""

from flowledger.celery import app
from tests.faults.parcels import declare_event, subscribe_handlers

__all__ = ["app"]

declare_event()
subscribe_handlers()
