"""Low-match alerts: a profile that matches too few of the newest signals is told of once, until it matches enough."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from flowledger.tenancy.actors import Actor, Role
from flowledger.tenancy.models import Membership, Organization
from flowledger.tenancy.permissions import authorize
from flowledger.tenancy.usecases import use_case
from spotlight.models import MatchAlert, Spotlight
from spotlight.reports import recent_rates
from spotlight.rules import MATCH_ALERTS
from workstream.services.notifications import Notice, notify

LOW = "spotlight.match_rate_low"


@dataclass(frozen=True)
class Watched:
    """How many stretches of low match rates began and ended."""

    begun: int = 0
    ended: int = 0


@use_case
def watch_match_rates(*, org: Organization, actor: Actor, at: datetime) -> Watched:
    """Begin a stretch for each active profile below the least match rate, end those of profiles that are above.

    A profile with too few signals is not judged: its stretch goes on. Stretches of profiles that are inactive, and all
    of them where the rule is off, end.
    """
    authorize(actor, "watch_match_rates")
    rule = MATCH_ALERTS.of(org)
    rates = {rate.spotlight_id: rate for rate in recent_rates(org=org, at=at)} if rule.is_on else {}
    # Whoever watches at the same time waits here and then finds what the first has begun.
    locked = Spotlight.objects.for_org(org).order_by("pk").locked()
    watched = {row.pk for row in locked if row.active and row.pk in rates}
    standing = {alert.spotlight_id: alert for alert in MatchAlert.objects.for_org(org).standing().order_by("pk")}
    begun = ended = 0
    for spotlight_id in sorted(watched - set(standing)):
        rate = rates[spotlight_id]
        if rate.is_judged(rule) and rate.is_low(rule):
            alert = MatchAlert(
                org=org,
                spotlight_id=spotlight_id,
                match_rate=rate.rate,
                least_rate=Decimal(str(rule.least_rate)).quantize(Decimal("0.0001")),
                signals=rate.signals,
                window_days=rule.window_days,
            )
            alert.begin(actor=actor, at=at)
            alert.save()
            begun += 1
    for spotlight_id, alert in sorted(standing.items()):
        recovered = rates.get(spotlight_id) if spotlight_id in watched else None
        if recovered is not None and (not recovered.is_judged(rule) or recovered.is_low(rule)):
            continue
        alert.end(match_rate=recovered.rate if recovered else None, actor=actor, at=at)
        alert.save(update_fields=["ended_at", "updated_at"])
        ended += 1
    return Watched(begun, ended)


def tell_of_low_rate(*, org: Organization, match_alert_id: int, at: datetime) -> None:
    """Tell the managers, or the administrators where there is none, while the stretch stands."""
    alerts = MatchAlert.objects.for_org(org).standing().select_related("spotlight")
    alert = alerts.filter(pk=match_alert_id).order_by("pk").first()
    if alert is None:
        return
    notice = Notice(
        kind=LOW,
        source_key=f"match-alert-{alert.pk}",
        title=f"Low match rate: {alert.spotlight.name}",
        body=(
            f"The profile matched {alert.match_rate * 100:.1f} % of {alert.signals:,} signals of the last "
            f"{alert.window_days} days; at least {float(alert.least_rate) * 100:g} % are asked for. Its criteria may "
            "be too narrow, or what they ask for is not known of the signals: see Analytics, Profile matches."
        ),
        item_type="spotlight",
        item_id=alert.spotlight_id,
        happened_at=alert.began_at,
    )
    notify(org=org, user_ids=_audience(org), notice=notice, by_email=True, at=at)


def _audience(org: Organization) -> set[int]:
    members = Membership.objects.for_org(org).filter(is_active=True, user__is_active=True)
    for role in (Role.MANAGER, Role.ADMIN):
        people = set(members.filter(role=role).values_list("user_id", flat=True))
        if people:
            return people
    return set()
