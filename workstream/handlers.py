"""What the pipeline does about its own events; database work only, once per event."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import QuerySet
from django.template.loader import render_to_string

from flowledger.outbox.emails import queue_email
from flowledger.outbox.recording import record_event
from flowledger.outbox.registry import Delivery, handler
from flowledger.tenancy.actors import Role
from flowledger.tenancy.models import Membership
from workstream import services
from workstream.events import TodayOutdated
from workstream.models import Proposal, Pursuit
from workstream.rendering import money
from workstream.services import sla_notices, today


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


@handler(
    [
        *("candidate.created", "candidate.updated", "candidate.triaged", "candidate.nurtured", "candidate.held"),
        *("candidate.archived", "candidate.promoted", "signal.linked"),
        *("pursuit.created", "pursuit.updated", "pursuit.stage_changed"),
        *("pursuit.submit", "pursuit.won", "pursuit.lost"),
        *("proposal.created", "proposal.sent", "proposal.signed", "checklist.item_done", "gate.waived"),
        *("activity.logged", "sla.warned", "sla.breached", "sla.resolved", "config.changed"),
        "config.took_effect",
    ],
    name="workstream.refresh_today",
    batch=True,
)
def refresh_today(deliveries: Sequence[Delivery]) -> None:
    """The Today panel follows its items and their clocks: one refresh for a whole batch of events."""
    items = {_item_on_panel(each) for each in deliveries}
    today.refresh_today(
        org=deliveries[0].org,
        candidate_ids=[key for kind, key in items if kind == "candidate"],
        pursuit_ids=[key for kind, key in items if kind == "pursuit"],
        at=deliveries[-1].occurred_at,
    )


@handler(["client.merged", "client.merge_undone"], name="workstream.follow_merged_clients")
def follow_merged_clients(delivery: Delivery) -> None:
    """The Today panel names the client that its items have after a merge or its undo."""
    facts = delivery.payload
    today.follow_clients(
        org=delivery.org, client_ids=[facts["client_id"], facts["merged_client_id"]], at=delivery.occurred_at
    )


@handler(["today.outdated", "sla.recomputed"], name="workstream.recompute_today")
def recompute_today(delivery: Delivery) -> None:
    """Other weights or other rules move every row: a slice now, the rest by an event of its own."""
    last = today.recompute_today(
        org=delivery.org, after_id=delivery.payload.get("after_id", 0), at=delivery.occurred_at
    )
    if last is not None:
        record_event(
            org=delivery.org,
            event=TodayOutdated(after_id=last),
            actor=delivery.reacting_actor(),
            at=delivery.occurred_at,
        )


@handler("sla.warned", name="workstream.notify_warned", outside=True)
def notify_warned(delivery: Delivery) -> None:
    """Owner and managers hear that an item is about to miss its time, in the back office and by email."""
    sla_notices.tell_of_warning(org=delivery.org, clock_id=delivery.payload["clock_id"], at=delivery.occurred_at)


@handler("sla.breached", name="workstream.notify_breached", outside=True)
def notify_breached(delivery: Delivery) -> None:
    """Owner and managers hear that an item has missed its time."""
    sla_notices.tell_of_breach(org=delivery.org, breach_id=delivery.payload["breach_id"], at=delivery.occurred_at)


@handler(["sla.rule_changed", "sla.recompute_continued"], name="workstream.recompute_sla_clocks")
def recompute_sla_clocks(delivery: Delivery) -> None:
    """The running clocks of a rule follow its edit: some now, the rest by an event of their own."""
    services.recompute_clocks(
        org=delivery.org,
        rule_id=delivery.payload["rule_id"],
        counted=delivery.payload.get("clocks", 0),
        after=delivery.payload.get("after_clock_id", 0),
        actor=delivery.reacting_actor(),
        at=delivery.occurred_at,
    )


@handler("sla.calendar_changed", name="workstream.recompute_sla_calendar")
def recompute_sla_calendar(delivery: Delivery) -> None:
    """The running clocks of every rule that counts by a calendar follow its edit."""
    services.recompute_calendar(
        org=delivery.org,
        calendar_id=delivery.payload["calendar_id"],
        actor=delivery.reacting_actor(),
        at=delivery.occurred_at,
    )


@handler(
    ["config.changed", "config.took_effect", "sla.touch_recompute_continued"],
    name="workstream.recompute_touch_clocks",
)
def recompute_touch_clocks(delivery: Delivery) -> None:
    """The touch clocks follow the hours that an item may go untouched: some now, the rest by an event of their own."""
    facts = delivery.payload
    if "rule_type" in facts and (facts["rule_type"], facts["key"]) != ("sla_rule", "untouched_hours"):
        return
    services.recompute_touch_clocks(
        org=delivery.org,
        counted=facts.get("clocks", 0),
        after=facts.get("after_clock_id", 0),
        actor=delivery.reacting_actor(),
        at=delivery.occurred_at,
    )


@handler("signal.created", name="workstream.cluster_signals", batch=True)
def cluster_signals(deliveries: Sequence[Delivery]) -> None:
    """New signals join those that are the same buying event; what follows from imported ones is imported too."""
    for origin in sorted({each.origin for each in deliveries}):
        mine = [each for each in deliveries if each.origin is origin]
        services.cluster_signals(
            org=mine[0].org,
            signal_ids=[each.payload["signal_id"] for each in mine],
            actor=mine[0].reacting_actor(),
            at=mine[-1].occurred_at,
        )


def _item_on_panel(delivery: Delivery) -> tuple[str, int]:
    """The kind and key of the candidate or pursuit whose row an event may move; of others, what moves none."""
    if delivery.item_type in {"candidate", "pursuit"}:
        return delivery.item_type, delivery.item_id or 0
    facts = delivery.payload
    if "subject_type" in facts:
        return facts["subject_type"], facts["subject_id"]
    kind = "pursuit" if "pursuit_id" in facts else "candidate"
    return kind, facts.get(f"{kind}_id") or 0


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
