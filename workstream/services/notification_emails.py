"""Emails of notifications: what is due for one person goes into one message, once.

A message goes out only while something in it still stands. A breach that was resolved in the meantime is mentioned at
its end; a warning of what has come or been done since, and whatever the person has read, is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog
from django.db import DatabaseError, transaction
from django.template.loader import render_to_string

from flowledger.errors import FlowLedgerError, InvalidInput
from flowledger.outbox import shutdown
from flowledger.outbox.emails import queue_email
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import org_scope, system_scope
from workstream.email_times import after_quiet_hours
from workstream.models import Notification, SlaBreach, SlaClock
from workstream.models.notifications import EmailMode
from workstream.services.notifications import Recipient, recipients
from workstream.services.sla_notices import WARNING_STANDS, breach_of, clock_of

log = structlog.get_logger(__name__)

# A flood is told by its number.
_LISTED = 50


@dataclass
class EmailRound:
    """What one round did: messages queued, and people whose message could not be."""

    queued: int = 0
    failed: int = 0


@dataclass
class _Standing:
    """The notifications of one message, by how they stand now."""

    open: list[Notification] = field(default_factory=list)
    resolved: list[Notification] = field(default_factory=list)


def send_due_notification_emails(*, at: datetime) -> EmailRound:
    """Queue one email for everybody who has notifications due, each in a transaction of its own.

    A cross-tenant sweep by index. Any number of workers may do it at once: each takes the rows that no other holds.
    """
    with system_scope("find due notification emails"):
        due = Notification.all_orgs.due_by_email(at=at)
        people = list(due.order_by("org_id", "user_id").values_list("org_id", "user_id").distinct())
        orgs = Organization.objects.in_bulk({org_id for org_id, _ in people})
    result = EmailRound()
    for org_id, user_id in people:
        if shutdown.requested():
            break
        try:
            result.queued += _email_person(orgs[org_id], user_id, at)
        except (FlowLedgerError, DatabaseError):
            # One whose message fails must not hold up the others; the next round finds them again.
            log.exception("notifications not emailed", org_id=org_id, user_id=user_id)
            result.failed += 1
    return result


def _email_person(org: Organization, user_id: int, at: datetime) -> bool:
    """Queue what is due for one person; answers whether there was anything to say."""
    with org_scope(org), transaction.atomic():
        mine = Notification.objects.for_org(org).filter(user_id=user_id).due_by_email(at=at)
        rows: list[Notification] = list(
            mine.select_for_update(skip_locked=True, no_key=True, of=("self",)).order_by("happened_at", "pk")
        )
        if not rows:
            return False
        person = next(iter(recipients(org=org, user_ids=[user_id])), None)
        if person is None or not person.address or person.wishes.mode == EmailMode.OFF:
            _set(org, rows, email_due_at=None)
            return False
        # Whoever sends late must not wake anybody.
        welcome_at = after_quiet_hours(person.wishes, at=at)
        if welcome_at > at:
            _set(org, rows, email_due_at=welcome_at)
            return False
        standing = _standing(org, rows)
        if not standing.open:
            _set(org, rows, email_due_at=None)
            return False
        try:
            _queue(org, person, rows, standing)
        except InvalidInput as error:
            # An address to which nothing can be sent; the back office still tells.
            log.warning("notifications have nowhere to go", org_id=org.pk, user_id=user_id, error=error.message)
            _set(org, rows, email_due_at=None)
            return False
        told = [*standing.open, *standing.resolved]
        _set(org, told, emailed_at=at)
        _set(org, [row for row in rows if row not in told], email_due_at=None)
        return True


def _queue(org: Organization, person: Recipient, rows: Sequence[Notification], standing: _Standing) -> None:
    number = len(standing.open)
    subject = standing.open[0].title if number == 1 else f"{number} items need attention"
    queue_email(
        org=org,
        # A notification is emailed once, so the first of a message names it: a retry finds its own.
        key=f"notifications-{min(row.pk for row in rows)}",
        to=[person.address],
        subject=subject,
        body=render_to_string("emails/notifications.txt", _context(org, standing)),
        html=render_to_string("emails/notifications.html", _context(org, standing)),
    )


def _context(org: Organization, standing: _Standing) -> dict[str, Any]:
    return {
        "org": org,
        "open": standing.open[:_LISTED],
        "more_open": max(len(standing.open) - _LISTED, 0),
        "resolved": standing.resolved[:_LISTED],
        "more_resolved": max(len(standing.resolved) - _LISTED, 0),
    }


def _standing(org: Organization, rows: Iterable[Notification]) -> _Standing:
    """How what the notifications told of stands now, in two statements."""
    rows = list(rows)
    breaches = {row.pk: breach_of(row.source_key) for row in rows}
    clocks = {row.pk: clock_of(row.source_key) for row in rows}
    ended: dict[int, datetime] = dict(
        SlaBreach.objects.for_org(org)
        .filter(pk__in={key for key in breaches.values() if key}, resolved_at__isnull=False)
        .values_list("pk", "resolved_at")
    )
    running = set(
        SlaClock.objects.for_org(org)
        .filter(WARNING_STANDS, pk__in={key for key in clocks.values() if key})
        .values_list("pk", flat=True)
    )
    standing = _Standing()
    for row in rows:
        if breaches[row.pk] in ended:
            standing.resolved.append(row)
        elif clocks[row.pk] is None or clocks[row.pk] in running:
            standing.open.append(row)
    return standing


def _set(org: Organization, rows: Iterable[Notification], **fields: datetime | None) -> None:
    keys = [row.pk for row in rows]
    if keys:
        Notification.objects.for_org(org).filter(pk__in=keys).update(**fields)
