"""The application's Celery with the benchmark's events and handlers: `celery -A tests.bench.worker worker`.

Nobody else is subscribed: what is measured is the outbox, not what the application does with its events.
"""

import os
from typing import Any

from celery import signals

from flowledger.celery import app
from tests.bench.outbox.peers.signs import READY, say_ready

__all__ = ["app"]


@signals.import_modules.connect(sender=app)
def subscribe(**kwargs: Any) -> None:
    """When Django is set up and the applications have subscribed their handlers."""
    from tests.bench.outbox import subscriptions

    subscriptions.replace_all()


@signals.worker_ready.connect
def take_work(**kwargs: Any) -> None:
    if READY in os.environ:
        say_ready()
