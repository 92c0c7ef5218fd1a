"""What the pipeline does about its own events; database work only, once per event."""

from __future__ import annotations

from django.db.models import QuerySet
from django.template.loader import render_to_string

from flowledger.outbox.emails import queue_email
from flowledger.outbox.registry import Delivery, handler
from flowledger.tenancy.actors import Role
from flowledger.tenancy.models import Membership
from workstream import services
from workstream.models import Proposal, Pursuit
from workstream.rendering import money


@handler("candidate.promoted", name="workstream.draft_first_proposal")
def draft_first_proposal(delivery: Delivery) -> None:
    """Version 1 of the proposal, if the pursuit has none."""
    services.ensure_first_proposal(
        org=delivery.org,
        pursuit_id=delivery.payload["pursuit_id"],
        actor=delivery.reacting_actor(),
        at=delivery.occurred_at,
    )


@handler("pursuit.submit", name="workstream.send_submitted_proposal", outside=True)
def send_submitted_proposal(delivery: Delivery) -> None:
    """The newest draft goes to the contact."""
    services.send_newest_draft(
        org=delivery.org,
        pursuit_id=delivery.payload["pursuit_id"],
        actor=delivery.reacting_actor(),
        at=delivery.occurred_at,
    )


@handler("proposal.sent", name="workstream.notify_proposal_sent", outside=True)
def notify_proposal_sent(delivery: Delivery) -> None:
    """The team hears that a version went out."""
    proposal = Proposal.objects.for_org(delivery.org).select_related("pursuit").get(pk=delivery.item_id)
    how = f"to {', '.join(proposal.recipients)}" if proposal.recipients else "without email; please deliver it"
    _notify_team(
        delivery,
        proposal.pursuit,
        subject=f"Proposal sent: {proposal.title}",
        sentence=f"Version {proposal.version} of the proposal was sent {how}.",
    )


@handler("pursuit.won", name="workstream.notify_won", outside=True)
def notify_won(delivery: Delivery) -> None:
    """The team hears of the win."""
    pursuit = Pursuit.objects.for_org(delivery.org).get(pk=delivery.item_id)
    _notify_team(
        delivery,
        pursuit,
        subject=f"Won: {pursuit.title}",
        sentence=f"The pursuit was won: {money(pursuit.forecast_value, pursuit.currency)}.",
    )


@handler("pursuit.lost", name="workstream.notify_lost", outside=True)
def notify_lost(delivery: Delivery) -> None:
    """The team hears of the loss and its reason."""
    pursuit = Pursuit.objects.for_org(delivery.org).get(pk=delivery.item_id)
    _notify_team(
        delivery,
        pursuit,
        subject=f"Lost: {pursuit.title}",
        sentence=f"The pursuit was lost. Reason: {pursuit.outcome_reason}",
    )


@handler("pursuit.won", name="workstream.open_engagement")
def open_engagement(delivery: Delivery) -> None:
    """The engagement of a won pursuit with its kickoff tasks."""
    services.open_engagement(
        org=delivery.org,
        pursuit_id=delivery.payload["pursuit_id"],
        actor=delivery.reacting_actor(),
        at=delivery.occurred_at,
    )


def _notify_team(delivery: Delivery, pursuit: Pursuit, *, subject: str, sentence: str) -> None:
    """One email to the pursuit's own people; to the managers when it has none with an address."""
    members: QuerySet[Membership] = Membership.objects.for_org(delivery.org).filter(
        is_active=True, user__is_active=True
    )
    people = {pursuit.owner_id, pursuit.capture_lead_id, pursuit.proposal_manager_id} - {None}
    addresses = _addresses(members.filter(user__in=people))
    if not addresses:
        addresses = _addresses(members.filter(role__in=[Role.MANAGER, Role.ADMIN]))
    if not addresses:
        return
    queue_email(
        org=delivery.org,
        key=delivery.idempotency_key,
        to=addresses,
        subject=subject,
        body=render_to_string(
            "emails/team.txt",
            {"org": delivery.org, "pursuit": pursuit, "sentence": sentence, "who": delivery.actor_label},
        ),
    )


def _addresses(members: QuerySet[Membership]) -> list[str]:
    rows = members.exclude(user__email="").order_by("user__email")
    return list(rows.values_list("user__email", flat=True).distinct())
