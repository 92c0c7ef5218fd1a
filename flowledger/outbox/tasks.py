"""Celery tasks of the outbox: "go and look"; they carry nothing, so losing or doubling one is harmless."""

from __future__ import annotations

from typing import Any

import structlog
from celery import shared_task
from django.utils import timezone

from flowledger.errors import Conflict
from flowledger.outbox import drain as draining
from flowledger.outbox import emails, partitions, retention, shutdown
from flowledger.outbox.conf import OutboxSettings
from flowledger.outbox.standby import Standby
from flowledger.outbox.wake import DRAIN_TASK, EMAIL_TASK, heed, nudge, stand_by

log = structlog.get_logger(__name__)


@shared_task(name=DRAIN_TASK, ignore_result=True, acks_late=False)
def drain(**kwargs: Any) -> None:
    """Deliver what is ready; when the time is up before the work is done, ask for another turn."""
    heed(DRAIN_TASK)
    exhausted = draining.drain().exhausted
    while exhausted:
        match stand_by():
            case Standby.WOKEN:
                exhausted = draining.drain().exhausted
            case Standby.ELSEWHERE:
                return
            case Standby.OVER:
                break
    if not shutdown.requested():
        nudge(DRAIN_TASK)


@shared_task(name=EMAIL_TASK, ignore_result=True, acks_late=False)
def send_outgoing_emails(**kwargs: Any) -> None:
    """Send the emails that are due."""
    heed(EMAIL_TASK)
    emails.send_outgoing_emails()


@shared_task(name="flowledger.outbox.tasks.keep_partitions", ignore_result=True, acks_late=False)
def keep_partitions(**kwargs: Any) -> None:
    """Make the months of the event table ahead of time, and those that were missed."""
    partitions.keep_partitions(at=timezone.now(), ahead=OutboxSettings.read().partitions_ahead)


@shared_task(name="flowledger.outbox.tasks.archive_events", ignore_result=True, acks_late=False)
def archive_events(**kwargs: Any) -> None:
    """Archive and drop the months that are older than the organisation wants to keep; nothing unless it said so."""
    months = OutboxSettings.read().retention_months
    if months:
        try:
            retention.archive_and_drop(months=months, at=timezone.now())
        except Conflict as error:
            log.info("events are being archived already", error=error.message)
