"""What the pursuit's page shows above its fields: gates, checklists and proposals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import Any

from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import may
from workstream import gates
from workstream.machines import CLOSED_STAGES, PursuitStage, allowed_targets
from workstream.models import ChecklistItem, Proposal, Pursuit
from workstream.models.checklists import ChecklistKind
from workstream.rules import rules_for

# Asked for by the button itself, so no page can show it as met beforehand.
ASKED_ON_CLOSING = "outcome_reason"


@dataclass
class GateCard:
    """One gate: what it asks for, what is missing and how to satisfy it, and what a manager waived."""

    label: str
    is_next: bool
    required_count: int
    missing: list[dict[str, str]]
    missing_count: int
    waived: list[Mapping[str, Any]]
    asks_reason: bool

    @property
    def passed(self) -> bool:
        return not self.missing_count

    @property
    def met_count(self) -> int:
        return self.required_count - self.missing_count


def gate_cards(pursuit: Pursuit, *, org: Organization) -> list[GateCard]:
    """Every gate, in the order of the stages; the ones that may be entered now are marked."""
    ahead = allowed_targets(pursuit)
    is_open = pursuit.stage not in CLOSED_STAGES
    return [
        _card(gate, is_next=gate["gate"] in ahead, is_open=is_open)
        for gate in gates.progress(pursuit, rules=rules_for(org))
    ]


def _card(gate: Mapping[str, Any], *, is_next: bool, is_open: bool) -> GateCard:
    required = [one for one in gate["required_items"] if one["requirement"] != ASKED_ON_CLOSING]
    missing = [miss for miss in gate["missing_items"] if miss["requirement"] != ASKED_ON_CLOSING]
    # Many items that are satisfied in the same way read better as one line.
    grouped = [
        {"names": ", ".join(miss["name"] for miss in misses), "how": how}
        for how, misses in groupby(missing, key=itemgetter("how"))
    ]
    return GateCard(
        label=PursuitStage(gate["gate"]).label,
        is_next=is_next,
        required_count=len(required),
        missing=grouped,
        missing_count=len(missing),
        waived=[one for one in required if one["waived"]],
        asks_reason=is_open and len(required) < len(gate["required_items"]),
    )


@dataclass
class ChecklistCard:
    """One review's items with how many of the required ones are met."""

    kind: str
    label: str
    items: list[ChecklistItem] = field(default_factory=list)

    @property
    def required_count(self) -> int:
        return sum(item.is_required for item in self.items)

    @property
    def met_count(self) -> int:
        return sum(item.is_required and item.is_met for item in self.items)

    @property
    def percent(self) -> int:
        return 100 * self.met_count // self.required_count if self.required_count else 0


def checklist_cards(pursuit: Pursuit) -> list[ChecklistCard]:
    """The pink and the red review."""
    cards = {kind.value: ChecklistCard(kind.value, f"{kind.label} checklist") for kind in ChecklistKind}
    rows = ChecklistItem.objects.for_org(pursuit.org_id).filter(pursuit=pursuit)
    for item in rows.select_related("done_by").order_by("kind", "position", "pk"):
        cards[item.kind].items.append(item)
    return list(cards.values())


@dataclass(frozen=True)
class ChecklistRights:
    """What the actor may do on the checklists of a pursuit."""

    complete: bool
    waive: bool


def checklist_rights(pursuit: Pursuit, *, actor: Actor) -> ChecklistRights:
    """Nothing on a closed pursuit."""
    is_open = pursuit.stage not in CLOSED_STAGES
    return ChecklistRights(
        complete=is_open and may(actor, "complete_checklist", pursuit), waive=is_open and may(actor, "waive")
    )


def proposals_of(pursuit: Pursuit) -> Iterable[Proposal]:
    """Every version, newest first, knowing its pursuit without another query."""
    rows = list(Proposal.objects.for_org(pursuit.org_id).filter(pursuit=pursuit).order_by("-version"))
    for row in rows:
        row.pursuit = pursuit
    return rows
