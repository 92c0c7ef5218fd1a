"""Use cases of notifications: telling people, what they have read, and how they want to be told."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from flowledger.errors import InvalidInput, PermissionRefused
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Membership, Organization
from flowledger.tenancy.permissions import authorize
from flowledger.tenancy.usecases import use_case
from workstream.email_times import Wishes, next_email_at
from workstream.models import Notification, NotificationPreference
from workstream.models.notifications import EmailMode

PREFERENCE_FIELDS = ("email_mode", "digest_time", "quiet_from", "quiet_to", "timezone")


@dataclass(frozen=True)
class Notice:
    """What is to be told; `source_key` names its cause, of which nobody hears twice."""

    kind: str
    source_key: str
    title: str
    body: str
    item_type: str
    item_id: int
    happened_at: datetime


@dataclass(frozen=True)
class Recipient:
    """An active member as somebody to tell."""

    user_id: int
    address: str
    wishes: Wishes


def notify(*, org: Organization, user_ids: Collection[int], notice: Notice, by_email: bool, at: datetime) -> None:
    """Tell these of the organisation's active members in the back office and, where each wants it, by email.

    However often it is called for one cause, also at the same moment: each person is told once.
    """
    Notification.objects.for_org(org).bulk_create(
        (
            Notification(
                org=org,
                user_id=person.user_id,
                kind=notice.kind,
                source_key=notice.source_key,
                title=notice.title[:200],
                body=notice.body[:1000],
                item_type=notice.item_type,
                item_id=notice.item_id,
                happened_at=notice.happened_at,
                email_due_at=next_email_at(person.wishes, at=at) if by_email and person.address else None,
            )
            for person in recipients(org=org, user_ids=user_ids)
        ),
        ignore_conflicts=True,
    )


def recipients(*, org: Organization, user_ids: Collection[int]) -> list[Recipient]:
    """Those of the users who are active members, in the order of their keys, with how each wants to be told."""
    members = Membership.objects.for_org(org).filter(user__in=user_ids, is_active=True, user__is_active=True)
    addresses: dict[int, str] = dict(members.values_list("user_id", "user__email"))
    rows = NotificationPreference.objects.for_org(org).filter(user__in=addresses)
    wanted = {row.user_id: row for row in rows}
    return [
        Recipient(user_id, addresses[user_id].strip(), wishes_of(org, wanted.get(user_id)))
        for user_id in sorted(addresses)
    ]


def wishes_of(org: Organization, preference: NotificationPreference | None) -> Wishes:
    """A stored preference, or what holds without one, for reckoning."""
    if preference is None:
        return Wishes(EmailMode.IMMEDIATE, ZoneInfo(org.timezone))
    return Wishes(
        mode=EmailMode(preference.email_mode),
        zone=ZoneInfo(preference.timezone or org.timezone),
        digest_time=preference.digest_time,
        quiet_from=preference.quiet_from,
        quiet_to=preference.quiet_to,
    )


@use_case
def mark_notification_read(*, org: Organization, notification_id: int, actor: Actor, at: datetime) -> Notification:
    """Note that the actor has read one of their notifications; what is read goes out by email no more.

    Raises NotFound also for somebody else's, PermissionRefused for an actor who is no person.
    """
    user_id = _person(actor)
    rows = Notification.objects.for_org(org).filter(user_id=user_id)
    row: Notification = rows.locked().fetch(notification_id)
    if row.read_at is None:
        row.read_at, row.email_due_at = at, None
        row.save(update_fields=["read_at", "email_due_at"])
    return row


@use_case
def mark_all_notifications_read(*, org: Organization, actor: Actor, at: datetime) -> int:
    """Note that the actor has read everything that they were told up to now; answers how much was unread.

    Raises PermissionRefused for an actor who is no person.
    """
    rows = Notification.objects.for_org(org).filter(user_id=_person(actor)).unread()
    keys = list(rows.locked().order_by("pk").values_list("pk", flat=True))
    marked: int = Notification.objects.for_org(org).filter(pk__in=keys).update(read_at=at, email_due_at=None)
    return marked


def preference_of(*, org: Organization, actor: Actor) -> NotificationPreference:
    """The actor's own preference, unsaved where they have set none. Raises PermissionRefused for no person."""
    user_id = _person(actor)
    row = NotificationPreference.objects.for_org(org).filter(user_id=user_id).order_by("pk").first()
    return row or NotificationPreference(org=org, user_id=user_id)


@use_case
def set_notification_preferences(
    *, org: Organization, fields: Mapping[str, Any], actor: Actor, at: datetime
) -> NotificationPreference:
    """Change how the actor wants to be told; emails that wait for their time are set to the new one.

    Raises PermissionRefused for an actor who is no person, InvalidInput for an unknown field, mode or time zone and for
    quiet hours with one end or without length.
    """
    user_id = _person(actor)
    rows = NotificationPreference.objects.for_org(org)
    rows.bulk_create([NotificationPreference(org=org, user_id=user_id)], ignore_conflicts=True)
    row: NotificationPreference = rows.locked().get(user_id=user_id)
    for name, value in fields.items():
        if name not in PREFERENCE_FIELDS:
            raise InvalidInput(f"There is no preference '{name}'.", fields={name: ["Unknown field."]})
        setattr(row, name, value)
    _require_possible(row)
    row.save()
    # Times come from the database or from the caller as either; reckon with what is stored.
    row.refresh_from_db()
    waiting = Notification.objects.for_org(org).filter(
        user_id=user_id, email_due_at__isnull=False, emailed_at__isnull=True
    )
    keys = list(waiting.locked().order_by("pk").values_list("pk", flat=True))
    due_at = next_email_at(wishes_of(org, row), at=at)
    Notification.objects.for_org(org).filter(pk__in=keys).update(email_due_at=due_at)
    return row


def _person(actor: Actor) -> int:
    """The actor's user. Raises PermissionRefused without one."""
    authorize(actor, "view")
    if actor.user_id is None:
        raise PermissionRefused("Notifications belong to people; sign in as a person instead of using an API key.")
    return actor.user_id


def _require_possible(row: NotificationPreference) -> None:
    fields: dict[str, list[str]] = {}
    if row.email_mode not in EmailMode.values:
        fields["email_mode"] = [f"Choose from: {', '.join(EmailMode.values)}."]
    if row.timezone and row.timezone not in available_timezones():
        fields["timezone"] = [f"'{row.timezone}' is no time zone; write an IANA name such as Europe/Berlin."]
    if (row.quiet_from is None) != (row.quiet_to is None):
        missing = "quiet_to" if row.quiet_to is None else "quiet_from"
        fields[missing] = ["Quiet hours need a begin and an end."]
    elif row.quiet_from is not None and row.quiet_from == row.quiet_to:
        fields["quiet_to"] = ["Quiet hours need an end that differs from their begin."]
    if fields:
        name, sentences = next(iter(fields.items()))
        raise InvalidInput(f"{name}: {sentences[0]}", fields=fields)
