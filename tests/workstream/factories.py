"""Rows of the pipeline for tests: factories store past the use cases, `open_…` functions go through the services."""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import factory
from django.utils.timezone import now

from flowledger.tenancy.actors import Actor, ActorKind, Origin
from flowledger.tenancy.models import Organization
from flowledger.tenancy.scope import org_scope
from tests.factories import ClientFactory, ContactFactory, MembershipFactory, OrgFactory
from workstream import services
from workstream.machines import PursuitStage
from workstream.models import (
    Activity,
    BusinessCalendar,
    Candidate,
    ChecklistItem,
    ChecklistTemplate,
    CostEntry,
    Engagement,
    GateCheck,
    IntakeReject,
    IntakeSource,
    Problem,
    Proposal,
    ProposalTemplate,
    Pursuit,
    Signal,
    SignalCluster,
    SlaBreach,
    SlaClock,
    SlaRule,
    Solution,
    StageHistory,
    Tag,
    Task,
    WorkItemLink,
)
from workstream.models.activities import ActivityKind, LinkType
from workstream.models.checklists import ChecklistKind, TemplateKind
from workstream.models.intake import SourceKind
from workstream.models.signals import Channel, SourceType

AT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def _same_org(of: type[OrgFactory], **more: Any) -> Any:
    return factory.SubFactory(of, org=factory.SelfAttribute("..org"), **more)


class ProblemFactory(OrgFactory):
    class Meta:
        model = Problem

    name = factory.Sequence(lambda n: f"Problem {n}")


class SolutionFactory(OrgFactory):
    class Meta:
        model = Solution

    name = factory.Sequence(lambda n: f"Solution {n}")


class TagFactory(OrgFactory):
    class Meta:
        model = Tag

    name = factory.Sequence(lambda n: f"Tag {n}")


class SignalClusterFactory(OrgFactory):
    class Meta:
        model = SignalCluster

    algorithm = "by hand"
    algorithm_version = "1"


class SignalFactory(OrgFactory):
    class Meta:
        model = Signal

    source_type = SourceType.WEB_FORM
    ts = AT
    snippet = factory.Sequence(lambda n: f"We need help with machine {n}")
    contact_name = factory.Sequence(lambda n: f"Sender {n}")
    client = _same_org(ClientFactory)


class CandidateFactory(OrgFactory):
    class Meta:
        model = Candidate

    title = factory.Sequence(lambda n: f"Candidate {n}")
    client = _same_org(ClientFactory)
    state_entered_at = AT
    last_touch_at = AT


class PursuitFactory(OrgFactory):
    class Meta:
        model = Pursuit

    candidate = _same_org(CandidateFactory)
    client = factory.SelfAttribute("candidate.client")
    title = factory.Sequence(lambda n: f"Pursuit {n}")
    due_date = date(2026, 4, 1)
    forecast_value = Decimal("50000")
    state_entered_at = AT
    last_touch_at = AT


class ChecklistItemFactory(OrgFactory):
    class Meta:
        model = ChecklistItem

    pursuit = _same_org(PursuitFactory)
    kind = ChecklistKind.PINK
    name = factory.Sequence(lambda n: f"Item {n}")


class ChecklistTemplateFactory(OrgFactory):
    class Meta:
        model = ChecklistTemplate

    kind = TemplateKind.PINK
    version = factory.Sequence(lambda n: n + 1)
    items = factory.LazyFunction(lambda: [{"name": "Budget confirmed", "is_required": True}])


class ProposalFactory(OrgFactory):
    class Meta:
        model = Proposal

    pursuit = _same_org(PursuitFactory)
    version = 1
    title = factory.Sequence(lambda n: f"Proposal {n}")
    body = "# Scope\n\nEverything that we discussed."


class ProposalTemplateFactory(OrgFactory):
    class Meta:
        model = ProposalTemplate

    version = factory.Sequence(lambda n: n + 1)
    title = "Proposal for {{ client_name }}"
    body = "Dear {{ contact_name }}"


class GateCheckFactory(OrgFactory):
    class Meta:
        model = GateCheck

    pursuit = _same_org(PursuitFactory)
    gate = PursuitStage.RED
    from_stage = PursuitStage.PINK
    passed = True
    actor_kind = ActorKind.SYSTEM
    origin = Origin.SYSTEM
    checked_at = AT


class StageHistoryFactory(OrgFactory):
    class Meta:
        model = StageHistory

    pursuit = _same_org(PursuitFactory)
    state = PursuitStage.QUAL
    entered_at = AT
    actor_kind = ActorKind.SYSTEM
    origin = Origin.SYSTEM


class CostEntryFactory(OrgFactory):
    class Meta:
        model = CostEntry

    pursuit = _same_org(PursuitFactory)
    role = "Solution architect"
    hours = Decimal("4")
    spent_on = date(2026, 3, 2)


class EngagementFactory(OrgFactory):
    class Meta:
        model = Engagement

    pursuit = _same_org(PursuitFactory)
    client = factory.SelfAttribute("pursuit.client")
    title = factory.Sequence(lambda n: f"Engagement {n}")
    value = Decimal("50000")
    currency = "USD"
    started_on = date(2026, 3, 2)


class ActivityFactory(OrgFactory):
    class Meta:
        model = Activity

    candidate = _same_org(CandidateFactory)
    kind = ActivityKind.CALL
    summary = factory.Sequence(lambda n: f"Call {n}")
    happened_at = AT
    actor_kind = ActorKind.SYSTEM
    origin = Origin.SYSTEM


class TaskFactory(OrgFactory):
    class Meta:
        model = Task

    candidate = _same_org(CandidateFactory)
    title = factory.Sequence(lambda n: f"Task {n}")


class BusinessCalendarFactory(OrgFactory):
    class Meta:
        model = BusinessCalendar

    name = factory.Sequence(lambda n: f"Calendar {n}")
    timezone = "Europe/Berlin"


class SlaRuleFactory(OrgFactory):
    class Meta:
        model = SlaRule

    item_type = "candidate"
    metric = "triage_sla"
    threshold_hours = Decimal(24)


class SlaClockFactory(OrgFactory):
    """A running clock of 24 hours on a candidate."""

    class Meta:
        model = SlaClock

    candidate = _same_org(CandidateFactory)
    rule = _same_org(SlaRuleFactory)
    metric = factory.SelfAttribute("rule.metric")
    rule_version = 1
    started_at = AT
    due_at = factory.LazyAttribute(lambda clock: clock.started_at + timedelta(hours=24))
    warn_at = factory.LazyAttribute(lambda clock: clock.started_at + timedelta(hours=18))


class SlaBreachFactory(OrgFactory):
    """An open breach of a candidate."""

    class Meta:
        model = SlaBreach

    clock = _same_org(SlaClockFactory)
    candidate = factory.SelfAttribute("clock.candidate")
    rule = factory.SelfAttribute("clock.rule")
    metric = factory.SelfAttribute("clock.metric")
    reason_code = "untouched"
    breached_at = factory.LazyAttribute(lambda breach: breach.clock.due_at)


class WorkItemLinkFactory(OrgFactory):
    class Meta:
        model = WorkItemLink

    candidate = _same_org(CandidateFactory)
    link_type = LinkType.URL
    target_ref = factory.Sequence(lambda n: f"https://example.org/{n}")


CLERK = Actor.system("tests")

PATH_TO = {
    PursuitStage.QUAL: (),
    PursuitStage.PINK: ("pink",),
    PursuitStage.RED: ("pink", "red"),
    PursuitStage.SUBMIT: ("pink", "red", "submit"),
    PursuitStage.WON: ("pink", "red", "submit", "won"),
    PursuitStage.LOST: ("pink", "red", "submit", "lost"),
}


def open_candidate(
    org: Organization, *, status: str = "new", actor: Actor = CLERK, at: datetime = AT, **fields: Any
) -> Candidate:
    """A candidate in a state, brought there by its verbs."""
    with org_scope(org):
        fields = {"title": "Press line", "client": ClientFactory(org=org), **fields}
        candidate = services.create_candidate(org=org, fields=fields, actor=actor, at=at)
        keys: dict[str, Any] = {"org": org, "candidate_id": candidate.pk, "actor": actor, "at": at}
        if status != "new":
            services.triage_candidate(**keys)
        if status == "nurture":
            services.nurture_candidate(**keys)
        elif status == "on_hold":
            services.hold_candidate(**keys, reason="Budget is decided in May")
        elif status == "archived":
            services.archive_candidate(**keys, reason="No need any more")
        elif status == "promoted":
            services.promote_candidate(**keys)
        return Candidate.objects.for_org(org).get(pk=candidate.pk)


def open_pursuit(
    org: Organization,
    *,
    stage: PursuitStage = PursuitStage.QUAL,
    with_email: str = "",
    actor: Actor = CLERK,
    at: datetime = AT,
    **fields: Any,
) -> Pursuit:
    """A pursuit in a stage, brought there through its gates: what they ask for is done on the way."""
    with org_scope(org):
        client = ClientFactory(org=org)
        if stage not in {PursuitStage.QUAL, PursuitStage.PINK} and "owner" not in fields:
            fields["owner"] = MembershipFactory(org=org).user
        if with_email:
            fields["contact"] = ContactFactory(org=org, client=client, email=with_email)
        candidate = open_candidate(org, status="triaged", client=client, actor=actor, at=at, **fields)
        keys: dict[str, Any] = {"org": org, "actor": actor, "at": at}
        pursuit = services.promote_candidate(candidate_id=candidate.pk, **keys).pursuit
        services.ensure_first_proposal(pursuit_id=pursuit.pk, **keys)
        for target in PATH_TO[stage]:
            if target in {"submit", "won", "lost"}:
                complete_checklist(pursuit, "pink" if target == "submit" else "red", actor=actor, at=at)
            services.move_pursuit(pursuit_id=pursuit.pk, stage=target, reason="They said so", **keys)
        return Pursuit.objects.for_org(org).get(pk=pursuit.pk)


def complete_checklist(pursuit: Pursuit, kind: str, *, actor: Actor = CLERK, at: datetime = AT) -> None:
    """Tick every item of one review."""
    with org_scope(pursuit.org_id):
        items = ChecklistItem.objects.for_org(pursuit.org_id).filter(pursuit=pursuit, kind=kind).order_by("pk")
        org = Organization.objects.get(pk=pursuit.org_id)
        for item in items:
            services.update_checklist_item(org=org, item_id=item.pk, is_done=True, actor=actor, at=at)


class IntakeSourceFactory(OrgFactory):
    """A web form that takes an address and a message."""

    class Meta:
        model = IntakeSource

    kind = SourceKind.WEB_FORM
    name = factory.Sequence(lambda n: f"Form {n}")
    source_type = SourceType.WEB_FORM
    token = factory.Sequence(lambda n: f"1-token-{n}")
    options = factory.LazyFunction(dict)


class IntakeRejectFactory(OrgFactory):
    """Something that came in by REST and was no JSON."""

    class Meta:
        model = IntakeReject

    channel = Channel.REST
    body = factory.Sequence(lambda n: b"not JSON %d" % n)
    content_type = "application/json"
    sha256 = factory.LazyAttribute(lambda reject: hashlib.sha256(reject.body).hexdigest())
    code = "invalid_json"
    reason = "The body is not valid JSON."
    received_at = factory.LazyFunction(now)
    last_received_at = factory.SelfAttribute("received_at")
