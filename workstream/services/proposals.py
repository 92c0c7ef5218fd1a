"""Use cases of proposals."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Max
from django.template.loader import render_to_string

from flowledger.errors import Conflict, InvalidInput
from flowledger.outbox.emails import queue_email
from flowledger.tenancy.actors import Actor, Origin
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import authorize
from flowledger.tenancy.usecases import use_case
from workstream import clocks, rendering
from workstream.machines import CLOSED_STAGES, ProposalStatus, require_legal
from workstream.models import Proposal, ProposalTemplate, Pursuit
from workstream.models.activities import ActivityKind, Direction
from workstream.models.sla import SlaMetric
from workstream.rules import rules_for
from workstream.services.activities import create_task, log_activity

PROPOSAL_FIELDS = frozenset({"title", "body", "amount", "currency"})


@use_case
def create_proposal(
    *, org: Organization, pursuit_id: int, fields: Mapping[str, Any], actor: Actor, at: datetime
) -> Proposal:
    """Draft the next version, void an unsent draft; what is not given comes from the version before or the template.

    Versions are 1, 2, … without gaps: the pursuit's lock is held while the next is taken. Raises NotFound,
    PermissionRefused, Conflict for a closed pursuit, InvalidInput for unknown fields or a blank title or body.
    """
    pursuit = _open_pursuit(org, pursuit_id, actor)
    values = _known(fields)
    newest = _newest(pursuit)
    if newest is not None and newest.status == ProposalStatus.DRAFT:
        newest.void(at=at)
        newest.save()
    return _draft(org, pursuit, newest, values, actor, at)


@use_case
def ensure_first_proposal(*, org: Organization, pursuit_id: int, actor: Actor, at: datetime) -> Proposal | None:
    """Draft version 1 from the template when the pursuit has no proposal; None when it has one or is closed."""
    pursuit: Pursuit = Pursuit.objects.for_org(org).locked().fetch(pursuit_id)
    authorize(actor, "write_proposal", pursuit)
    if pursuit.stage in CLOSED_STAGES or _newest(pursuit) is not None:
        return None
    return _draft(org, pursuit, None, {}, actor, at)


@use_case
def update_proposal(
    *, org: Organization, proposal_id: int, fields: Mapping[str, Any], actor: Actor, at: datetime
) -> Proposal:
    """Edit a draft. Raises NotFound, PermissionRefused, InvalidInput, Conflict for a version that is not a draft."""
    proposal, _ = _locked(org, proposal_id, actor)
    values = _known(fields)
    if proposal.status != ProposalStatus.DRAFT:
        raise Conflict(f"Version {proposal.version} is {proposal.status} and cannot change; create the next version.")
    for name, value in values.items():
        setattr(proposal, name, value)
    _require_content(proposal)
    proposal.save(update_fields=[*values])
    return proposal


@use_case
def send_proposal(*, org: Organization, proposal_id: int, actor: Actor, at: datetime) -> Proposal:
    """Send a draft to the pursuit's contact and freeze it.

    Without a contact's email it is marked sent without email and a task asks for the delivery; either way a task asks
    for the response. Raises NotFound, PermissionRefused, InvalidTransition, Conflict for a closed pursuit.
    """
    proposal, pursuit = _locked(org, proposal_id, actor)
    require_legal(proposal, to=ProposalStatus.SENT)
    if pursuit.stage in CLOSED_STAGES:
        raise Conflict(f"The pursuit is {pursuit.stage}; its proposals are closed.")
    address = pursuit.contact.email if pursuit.contact else ""
    proposal.send(recipients=[address] if address else [], actor=actor, at=at)
    proposal.save()
    clocks.proposal_sent(pursuit, at=at, actor=actor)
    if address:
        if actor.origin is not Origin.IMPORT:
            # What history sent is not sent again.
            _email(org, pursuit, proposal, address)
        log_activity(
            org=org,
            item_type="pursuit",
            item_id=pursuit.pk,
            kind=ActivityKind.EMAIL,
            direction=Direction.OUTBOUND,
            summary=f"Sent proposal version {proposal.version} to {address}",
            actor=actor,
            at=at,
        )
    else:
        create_task(
            org=org,
            item_type="pursuit",
            item_id=pursuit.pk,
            title=f"Deliver proposal version {proposal.version}: the contact has no email address",
            assignee=pursuit.owner,
            due_at=at + timedelta(days=1),
            rule="proposal sent without email",
            rule_key=f"proposal-delivery:{proposal.pk}",
            actor=actor,
            at=at,
        )
    create_task(
        org=org,
        item_type="pursuit",
        item_id=pursuit.pk,
        title=f"Ask for the answer to proposal version {proposal.version}",
        assignee=pursuit.owner,
        due_at=at + timedelta(hours=rules_for(org).response_hours),
        rule="proposal sent",
        rule_key=f"proposal-response:{proposal.pk}",
        actor=actor,
        at=at,
    )
    return proposal


@use_case
def send_newest_draft(*, org: Organization, pursuit_id: int, actor: Actor, at: datetime) -> Proposal | None:
    """Send the newest version if it is a draft; None when there is nothing to send any more."""
    newest = (
        Proposal.objects.for_org(org)
        .filter(pursuit_id=pursuit_id, status=ProposalStatus.DRAFT, pursuit__closed_at__isnull=True)
        .order_by("-version")
        .first()
    )
    if newest is None:
        return None
    return send_proposal(org=org, proposal_id=newest.pk, actor=actor, at=at)


@use_case
def sign_proposal(*, org: Organization, proposal_id: int, actor: Actor, at: datetime) -> Proposal:
    """Note that the customer signed a sent version. Raises NotFound, PermissionRefused, InvalidTransition."""
    proposal, pursuit = _locked(org, proposal_id, actor)
    require_legal(proposal, to=ProposalStatus.SIGNED)
    proposal.sign(actor=actor, at=at)
    proposal.save()
    # A signature is an answer.
    clocks.stop(pursuit, SlaMetric.RESPONSE, at=at, by="proposal.signed", actor=actor)
    return proposal


@use_case
def void_proposal(*, org: Organization, proposal_id: int, actor: Actor, at: datetime) -> Proposal:
    """Withdraw a draft or a sent version. Raises NotFound, PermissionRefused, InvalidTransition."""
    proposal, pursuit = _locked(org, proposal_id, actor)
    require_legal(proposal, to=ProposalStatus.VOID)
    was_sent = proposal.status == ProposalStatus.SENT
    proposal.void(at=at)
    proposal.save()
    newer = Proposal.objects.for_org(org).filter(pursuit=pursuit, version__gt=proposal.version, sent_at__isnull=False)
    if was_sent and not newer.exclude(status=ProposalStatus.VOID).exists():
        # Nobody waits for an answer to what was withdrawn.
        clocks.cancel(pursuit, SlaMetric.RESPONSE, at=at, by="proposal voided", actor=actor)
    return proposal


@use_case
def publish_proposal_template(
    *, org: Organization, title: str, body: str, actor: Actor, at: datetime
) -> ProposalTemplate:
    """Make the next version of the template for first drafts.

    Raises PermissionRefused, InvalidInput for a blank text or a variable that does not exist.
    """
    authorize(actor, "edit_templates")
    for field, text in (("title", title), ("body", body)):
        if not text.strip():
            raise InvalidInput(f"The {field} must not be blank.", fields={field: ["This must not be blank."]})
        rendering.require_known_variables(text, field=field)
    Organization.objects.select_for_update().get(pk=org.pk)
    newest = ProposalTemplate.objects.for_org(org).aggregate(newest=Max("version"))["newest"] or 0
    template = ProposalTemplate(org=org, version=newest + 1, title=title, body=body)
    template.save()
    return template


def first_version(*, org: Organization, pursuit: Pursuit, at: datetime, template: tuple[str, str]) -> Proposal:
    """The unsaved version 1 of a pursuit, rendered; shared by handler and import."""
    rules = rules_for(org)
    values = rendering.proposal_values(pursuit, org=org, at=at, response_hours=rules.response_hours)
    title, body = template
    longest = Proposal._meta.get_field("title").max_length or 0
    return Proposal(
        org=org,
        pursuit=pursuit,
        version=1,
        title=rendering.fill(title, values)[:longest],
        body=rendering.fill(body, values),
        amount=pursuit.forecast_value,
        currency=pursuit.currency,
    )


def proposal_template(org: Organization) -> tuple[str, str]:
    """Title and body of the template in force."""
    template = ProposalTemplate.objects.for_org(org).order_by("-version").first()
    if template is not None:
        return template.title, template.body
    rules = rules_for(org)
    return rules.proposal_title, rules.proposal_body


def _draft(
    org: Organization,
    pursuit: Pursuit,
    newest: Proposal | None,
    values: Mapping[str, Any],
    actor: Actor,
    at: datetime,
) -> Proposal:
    if newest is None:
        proposal = first_version(org=org, pursuit=pursuit, at=at, template=proposal_template(org))
    else:
        proposal = Proposal(
            org=org,
            pursuit=pursuit,
            version=newest.version + 1,
            title=newest.title,
            body=newest.body,
            amount=newest.amount,
            currency=newest.currency,
        )
    for name, value in values.items():
        setattr(proposal, name, value)
    _require_content(proposal)
    proposal.draft(actor=actor, at=at)
    proposal.save()
    return proposal


def _newest(pursuit: Pursuit) -> Proposal | None:
    rows = Proposal.objects.for_org(pursuit.org_id).filter(pursuit=pursuit)
    newest: Proposal | None = rows.locked().order_by("-version").first()
    return newest


def _locked(org: Organization, proposal_id: int, actor: Actor) -> tuple[Proposal, Pursuit]:
    """Pursuit first, then proposal: the order in which every writer locks them."""
    found = Proposal.objects.for_org(org).fetch(proposal_id)
    pursuit: Pursuit = Pursuit.objects.for_org(org).locked().fetch(found.pursuit_id)
    authorize(actor, "write_proposal", pursuit)
    proposal: Proposal = Proposal.objects.for_org(org).locked().fetch(proposal_id)
    return proposal, pursuit


def _open_pursuit(org: Organization, pursuit_id: int, actor: Actor) -> Pursuit:
    pursuit: Pursuit = Pursuit.objects.for_org(org).locked().fetch(pursuit_id)
    authorize(actor, "write_proposal", pursuit)
    if pursuit.stage in CLOSED_STAGES:
        raise Conflict(f"The pursuit is {pursuit.stage}; its proposals are closed.")
    return pursuit


def _known(fields: Mapping[str, Any]) -> dict[str, Any]:
    unknown = sorted(set(fields) - PROPOSAL_FIELDS)
    if unknown:
        raise InvalidInput(
            f"A proposal has no field {', '.join(unknown)} to write.",
            fields={name: ["This cannot be written."] for name in unknown},
        )
    return dict(fields)


def _require_content(proposal: Proposal) -> None:
    blank = [name for name in ("title", "body") if not getattr(proposal, name).strip()]
    if blank:
        raise InvalidInput(
            "A proposal has a title and a body.", fields={name: ["This must not be blank."] for name in blank}
        )


def _email(org: Organization, pursuit: Pursuit, proposal: Proposal, address: str) -> None:
    context = {"org": org, "pursuit": pursuit, "proposal": proposal, "contact": pursuit.contact}
    queue_email(
        org=org,
        key=f"proposal-sent:{proposal.pk}",
        to=[address],
        subject=proposal.title,
        body=render_to_string("emails/proposal.txt", context),
        html=render_to_string("emails/proposal.html", {**context, "document": rendering.html_of(proposal.body)}),
        reply_to=[pursuit.owner.email] if pursuit.owner and pursuit.owner.email else [],
    )
