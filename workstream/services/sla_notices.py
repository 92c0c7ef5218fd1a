"""Who is told of SLA warnings and breaches, and in which words."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.apps import apps
from django.db.models import Q

from flowledger.tenancy.actors import Role
from flowledger.tenancy.models import Membership, Organization
from workstream.models import SlaBreach, SlaClock
from workstream.models.sla import CLOCKED_MODELS, SlaMetric
from workstream.rule_schemas import Audience
from workstream.rules import SLA_NOTICES
from workstream.services.notifications import Notice, notify

# The clock was warned of, and neither began anew nor came to an end since.
WARNING_STANDS = Q(warned_at__isnull=False, breached_at__isnull=True, stopped_at__isnull=True)
WARNED, BREACHED = "sla.warned", "sla.breached"
_WARNING, _BREACH = "warning-", "breach-"


def tell_of_warning(*, org: Organization, clock_id: int, at: datetime) -> None:
    """Tell of a warning, unless it was taken back or what it warned of has come or can come no more."""
    clock = SlaClock.objects.for_org(org).filter(WARNING_STANDS, pk=clock_id).order_by("pk").first()
    if clock is None:
        return
    rule = SLA_NOTICES.of(org)
    if clock.metric not in rule.metrics:
        return
    item = _item(org, clock)
    if clock.due_at is None:
        title = "Past its due date" if clock.metric == SlaMetric.DUE_DATE else "Untouched for long"
        body = f"This has been so since {_moment(org, clock.warn_at or at)}."
    else:
        title = f"{clock.get_metric_display()} due soon"
        body = f"The {clock.item_type} must be dealt with by {_moment(org, clock.due_at)}."
    notice = Notice(
        kind=WARNED,
        # A clock that began anew, or got another time, warns of something else.
        source_key=f"{_WARNING}{clock.pk}-{int((clock.warn_at or at).timestamp())}",
        title=_title(title, item),
        body=body,
        item_type=clock.item_type,
        item_id=clock.item_id,
        happened_at=clock.warned_at or at,
    )
    _tell(org, item, rule.warned, notice, by_email=True, at=at)


def tell_of_breach(*, org: Organization, breach_id: int, at: datetime) -> None:
    """Tell of a breach; one that is resolved already is noted in the back office and not worth an email."""
    rows = SlaBreach.objects.for_org(org).select_related("clock")
    breach = rows.filter(pk=breach_id).order_by("pk").first()
    rule = SLA_NOTICES.of(org)
    if breach is None or breach.metric not in rule.metrics:
        return
    item = _item(org, breach)
    body = f"The {breach.item_type} should have been dealt with by {_moment(org, breach.breached_at)}."
    if breach.resolved_at is not None:
        body += f" It was at {_moment(org, breach.resolved_at)}."
    notice = Notice(
        kind=BREACHED,
        source_key=f"{_BREACH}{breach.pk}",
        title=_title(breach.get_reason_code_display(), item),
        body=body,
        item_type=breach.item_type,
        item_id=breach.item_id,
        happened_at=breach.breached_at,
    )
    _tell(org, item, rule.breached, notice, by_email=breach.resolved_at is None, at=at)


def breach_of(source_key: str) -> int | None:
    """The breach that a notification is about; None for one about something else."""
    return int(source_key.removeprefix(_BREACH)) if source_key.startswith(_BREACH) else None


def clock_of(source_key: str) -> int | None:
    """The clock that a notification warns of; None for one about something else."""
    return int(source_key.split("-")[1]) if source_key.startswith(_WARNING) else None


def _tell(org: Organization, item: Any, audience: Audience, notice: Notice, *, by_email: bool, at: datetime) -> None:
    people = _people(org, item.owner_id, audience)
    notify(org=org, user_ids=people, notice=notice, by_email=by_email and audience.email, at=at)


def _people(org: Organization, owner_id: int | None, audience: Audience) -> set[int]:
    """Active members of the audience. Managers stand in for a missing owner, administrators where nobody is left."""
    members = Membership.objects.for_org(org).filter(is_active=True, user__is_active=True)
    people: set[int] = set()
    if audience.owner and owner_id is not None:
        people |= set(members.filter(user=owner_id).values_list("user_id", flat=True))
    roles = {Role.MANAGER: audience.managers or (audience.owner and not people), Role.ADMIN: audience.admins}
    wanted = [role for role, is_told in roles.items() if is_told]
    people |= set(members.filter(role__in=wanted).values_list("user_id", flat=True))
    if not people and (audience.owner or audience.managers):
        people |= set(members.filter(role=Role.ADMIN).values_list("user_id", flat=True))
    return people


def _item(org: Organization, row: SlaClock | SlaBreach) -> Any:
    model: Any = apps.get_model(CLOCKED_MODELS[row.item_type])
    return model.objects.for_org(org).get(pk=row.item_id)


def _title(what: str, item: Any) -> str:
    return f"{what}: {' '.join(str(item).split())}"


def _moment(org: Organization, at: datetime) -> str:
    """An instant as people of the organisation say it."""
    local = at.astimezone(ZoneInfo(org.timezone))
    return f"{local.day} {local:%B %Y, %H:%M} ({local:%Z})"
