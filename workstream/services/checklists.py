"""Use cases of review checklists and their templates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import Max

from flowledger.errors import Conflict, InvalidInput
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import authorize
from flowledger.tenancy.usecases import use_case
from workstream.machines import CLOSED_STAGES
from workstream.models import ChecklistItem, ChecklistTemplate, Pursuit
from workstream.models.checklists import ChecklistKind, TemplateKind
from workstream.rule_schemas import KickoffTask, TemplateItem
from workstream.rules import rules_for


def template_items(*, org: Organization) -> dict[str, tuple[int, tuple[TemplateItem, ...]]]:
    """The checklist that a new pursuit gets per kind: (template version, items); version 0 is the default."""
    rules = rules_for(org)
    newest = _newest_templates(org)
    answer: dict[str, tuple[int, tuple[TemplateItem, ...]]] = {}
    for kind, default in ((ChecklistKind.PINK, rules.pink_items), (ChecklistKind.RED, rules.red_items)):
        template = newest.get(kind.value)
        if template is None:
            answer[kind.value] = (0, default)
        else:
            items = tuple(TemplateItem(line["name"], line.get("is_required", True)) for line in template.items)
            answer[kind.value] = (template.version, items)
    return answer


def kickoff_tasks(*, org: Organization) -> tuple[KickoffTask, ...]:
    """The tasks that a new engagement begins with."""
    template = _newest_templates(org).get(TemplateKind.KICKOFF.value)
    if template is None:
        return rules_for(org).kickoff_tasks
    return tuple(KickoffTask(line["name"], line["due_in_days"]) for line in template.items)


def _newest_templates(org: Organization) -> dict[str, ChecklistTemplate]:
    rows = ChecklistTemplate.objects.for_org(org).order_by("kind", "-version").distinct("kind")
    return {row.kind: row for row in rows}


def new_checklist(
    *, pursuit: Pursuit, templates: Mapping[str, tuple[int, tuple[TemplateItem, ...]]]
) -> list[ChecklistItem]:
    """The unsaved checklist of a pursuit; also sets the pursuit's counters."""
    items = [
        ChecklistItem(
            org_id=pursuit.org_id,
            pursuit=pursuit,
            kind=kind,
            name=line.name,
            position=position,
            is_required=line.is_required,
            template_version=version,
        )
        for kind, (version, lines) in templates.items()
        for position, line in enumerate(lines)
    ]
    count(pursuit, items)
    return items


def count(pursuit: Pursuit, items: Sequence[ChecklistItem]) -> None:
    """Set the pursuit's counters and its compliance score (share of required items met) from its items."""
    for kind in ChecklistKind.values:
        required = [item for item in items if item.kind == kind and item.is_required]
        setattr(pursuit, f"{kind}_required", len(required))
        setattr(pursuit, f"{kind}_done", sum(item.is_met for item in required))
    required_count = pursuit.pink_required + pursuit.red_required
    done_count = pursuit.pink_done + pursuit.red_done
    share = Decimal(done_count) / required_count if required_count else Decimal(0)
    pursuit.compliance_score = share.quantize(Decimal("0.001"))


def materialise_checklists(*, org: Organization, pursuit: Pursuit) -> None:
    """Give a new pursuit its items from the templates in force and store its counters."""
    items = new_checklist(pursuit=pursuit, templates=template_items(org=org))
    ChecklistItem.objects.for_org(org).bulk_create(items)
    _store_counts(pursuit)


@use_case
def add_checklist_item(
    *,
    org: Organization,
    pursuit_id: int,
    kind: str,
    name: str,
    is_required: bool = True,
    actor: Actor,
    at: datetime,
) -> ChecklistItem:
    """Add a point to an open pursuit's review.

    Raises NotFound, PermissionRefused, Conflict for a closed pursuit or a name that the review has already,
    InvalidInput for a blank name.
    """
    pursuit = _open_pursuit(org, pursuit_id, actor)
    if not name.strip():
        raise InvalidInput("A checklist item needs a name.", fields={"name": ["This must not be blank."]})
    if kind not in ChecklistKind.values:
        known = ", ".join(ChecklistKind.values)
        raise InvalidInput(f"There is no {kind} checklist.", fields={"kind": [f"Choose from: {known}."]})
    items = _items_of(pursuit)
    if any(item.kind == kind and item.name == name.strip() for item in items):
        raise Conflict(f"The {kind} checklist of this pursuit has an item '{name.strip()}' already.")
    position = max((item.position for item in items if item.kind == kind), default=-1) + 1
    item = ChecklistItem(
        org=org, pursuit=pursuit, kind=kind, name=name.strip(), is_required=is_required, position=position
    )
    item.save()
    count(pursuit, [*items, item])
    _store_counts(pursuit)
    return item


@use_case
def update_checklist_item(
    *,
    org: Organization,
    item_id: int,
    pursuit_id: int | None = None,
    is_done: bool | None = None,
    evidence: str | None = None,
    actor: Actor,
    at: datetime,
) -> ChecklistItem:
    """Complete or reopen an item, or change its evidence. Doing what is done already changes nothing.

    With `pursuit_id` the item must belong to that pursuit. Raises NotFound, PermissionRefused, Conflict for a closed
    pursuit.
    """
    item = _locked_item(org, item_id, pursuit_id)
    pursuit = _open_pursuit(org, item.pursuit_id, actor)
    changed = False
    if evidence is not None and evidence != item.evidence:
        item.evidence, changed = evidence, True
    if is_done is True and not item.is_done:
        item.complete(evidence=item.evidence, actor=actor, at=at)
        changed = True
    elif is_done is False and item.is_done:
        item.reopen()
        changed = True
    if changed:
        item.save()
        count(pursuit, _items_of(pursuit))
        _store_counts(pursuit)
    return item


@use_case
def waive_checklist_item(
    *, org: Organization, item_id: int, pursuit_id: int | None = None, reason: str, actor: Actor, at: datetime
) -> ChecklistItem:
    """Let the gates pass without this item; stays listed for ever and cannot be taken back.

    Raises NotFound, PermissionRefused below manager, Conflict for a closed pursuit or an item that is done or waived,
    InvalidInput for a blank reason.
    """
    item = _locked_item(org, item_id, pursuit_id)
    authorize(actor, "waive")
    pursuit = _open_pursuit(org, item.pursuit_id, actor)
    if not reason.strip():
        sentence = "Say why the item may be waived."
        raise InvalidInput(sentence, fields={"reason": [sentence]})
    if item.is_met:
        raise Conflict(f"'{item.name}' is {'done' if item.is_done else 'waived'} already.")
    item.waive(reason=reason, actor=actor, at=at)
    item.save()
    count(pursuit, _items_of(pursuit))
    _store_counts(pursuit)
    return item


@use_case
def publish_checklist_template(
    *, org: Organization, kind: str, items: Sequence[Mapping[str, Any]], actor: Actor, at: datetime
) -> ChecklistTemplate:
    """Make the next version of a template; pursuits that have their items keep them.

    Raises PermissionRefused, InvalidInput for an unknown kind, no items, blank or repeated names, or negative days.
    """
    authorize(actor, "edit_templates")
    if kind not in TemplateKind.values:
        raise InvalidInput(f"There is no template '{kind}'.", fields={"kind": [", ".join(TemplateKind.values)]})
    lines = [_template_line(kind, line) for line in items]
    names = [line["name"] for line in lines]
    if not names or len(set(names)) < len(names):
        sentence = "Give at least one item, and no name twice."
        raise InvalidInput(sentence, fields={"items": [sentence]})
    # One publisher at a time; the organisation's row is the lock that a first version has too.
    Organization.objects.select_for_update().get(pk=org.pk)
    newest = ChecklistTemplate.objects.for_org(org).filter(kind=kind).aggregate(newest=Max("version"))["newest"] or 0
    template = ChecklistTemplate(org=org, kind=kind, version=newest + 1, items=lines, published_by_id=actor.user_id)
    template.save()
    return template


def _template_line(kind: str, line: Mapping[str, Any]) -> dict[str, Any]:
    name = str(line.get("name", "")).strip()
    longest = ChecklistItem._meta.get_field("name").max_length or 0
    if not name or len(name) > longest:
        sentence = f"Every item needs a name of 1 to {longest} characters."
        raise InvalidInput(sentence, fields={"items": [sentence]})
    if kind != TemplateKind.KICKOFF:
        return {"name": name, "is_required": bool(line.get("is_required", True))}
    days = line.get("due_in_days", 0)
    if not isinstance(days, int) or isinstance(days, bool) or not 0 <= days <= 3650:
        sentence = "due_in_days is a whole number from 0 to 3650."
        raise InvalidInput(sentence, fields={"items": [sentence]})
    return {"name": name, "due_in_days": days}


def _locked_item(org: Organization, item_id: int, pursuit_id: int | None) -> ChecklistItem:
    """The item under its pursuit's lock: pursuit first, then item, as every writer does."""
    rows = ChecklistItem.objects.for_org(org)
    if pursuit_id is not None:
        rows = rows.filter(pursuit_id=pursuit_id)
    found = rows.fetch(item_id)
    Pursuit.objects.for_org(org).locked().fetch(found.pursuit_id)
    item: ChecklistItem = rows.locked().fetch(item_id)
    return item


def _open_pursuit(org: Organization, pursuit_id: int, actor: Actor) -> Pursuit:
    pursuit: Pursuit = Pursuit.objects.for_org(org).locked().fetch(pursuit_id)
    authorize(actor, "complete_checklist", pursuit)
    if pursuit.stage in CLOSED_STAGES:
        raise Conflict(f"The pursuit is {pursuit.stage}; its checklist is closed.")
    return pursuit


def _items_of(pursuit: Pursuit) -> list[ChecklistItem]:
    return list(ChecklistItem.objects.for_org(pursuit.org_id).filter(pursuit=pursuit).order_by("pk"))


def _store_counts(pursuit: Pursuit) -> None:
    pursuit.save(update_fields=["pink_done", "pink_required", "red_done", "red_required", "compliance_score"])
