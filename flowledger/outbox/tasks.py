"""Celery tasks of the outbox: "go and look"; they carry nothing, so losing or doubling one is harmless."""

from __future__ import annotations

from typing import Any

from celery import shared_task

from flowledger.outbox import drain as draining
from flowledger.outbox import emails, shutdown
from flowledger.outbox.wake import DRAIN_TASK, EMAIL_TASK, heed, nudge


@shared_task(name=DRAIN_TASK, ignore_result=True, acks_late=False)
def drain(**kwargs: Any) -> None:
    """Deliver what is ready; when the time is up before the work is done, ask for another turn."""
    heed(DRAIN_TASK)
    result = draining.drain()
    if not result.exhausted and not shutdown.requested():
        nudge(DRAIN_TASK)


@shared_task(name=EMAIL_TASK, ignore_result=True, acks_late=False)
def send_outgoing_emails(**kwargs: Any) -> None:
    """Send the emails that are due."""
    heed(EMAIL_TASK)
    emails.send_outgoing_emails()
