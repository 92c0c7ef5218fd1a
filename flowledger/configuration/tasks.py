"""Scheduled work of configuration: read the clock, call one function."""

from __future__ import annotations

from typing import Any

import structlog
from celery import shared_task
from django.utils import timezone

from flowledger.configuration import announcing

log = structlog.get_logger(__name__)


@shared_task
def announce_changes(**kwargs: Any) -> None:
    """Tell of planned values whose time has come."""
    told = announcing.announce_changes(at=timezone.now())
    if told:
        log.info("planned configuration took effect", changes=told)
