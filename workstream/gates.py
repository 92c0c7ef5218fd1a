"""The one gate engine: what a stage requires, what of it is unmet, and the ledger of every check."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from typing import Any

from flowledger.errors import GateBlocked
from flowledger.tenancy.actors import Actor
from workstream.machines import ProposalStatus, PursuitStage
from workstream.models import ChecklistItem, GateCheck, Proposal, Pursuit
from workstream.rules import PipelineRules


@dataclass(frozen=True)
class Unmet:
    """One thing that a gate misses: what it is, what is missing, and how to satisfy it."""

    requirement: str
    name: str
    missing: str
    how: str
    checklist_item_id: int | None = None


@dataclass(frozen=True)
class Required:
    """One thing that a gate asks for, met or not; `waived` tells why where a manager let it pass."""

    requirement: str
    name: str
    is_met: bool
    waived: str | None = None


@dataclass(frozen=True)
class Facts:
    """Everything a gate looks at. `outcome_reason` is the one given with the move."""

    pursuit: Pursuit
    items: Sequence[ChecklistItem]
    has_proposal: bool
    outcome_reason: str = ""


@dataclass(frozen=True)
class GateResult:
    """What one look at a gate found."""

    gate: str
    required: tuple[Required, ...]
    unmet: tuple[Unmet, ...]

    @property
    def passed(self) -> bool:
        return not self.unmet

    def ledger_row(self, pursuit: Pursuit, *, actor: Actor, at: datetime) -> GateCheck:
        """The unsaved ledger row of this look; `pursuit` has not moved yet."""
        return GateCheck(
            org_id=pursuit.org_id,
            pursuit_id=pursuit.pk,
            gate=self.gate,
            from_stage=pursuit.stage,
            passed=self.passed,
            unmet=[asdict(miss) for miss in self.unmet],
            actor_kind=actor.kind,
            actor_id=actor.pk,
            actor_label=actor.label,
            origin=actor.origin,
            checked_at=at,
        )


Finding = tuple[list[Required], list[Unmet]]


def _single(requirement: str, name: str, *, met: bool, missing: str, how: str) -> Finding:
    required = [Required(requirement, name, met)]
    return required, [] if met else [Unmet(requirement, name, missing, how)]


def _client(facts: Facts) -> Finding:
    return _single(
        "client",
        "Client",
        met=facts.pursuit.client_id is not None,
        missing="The pursuit has no client.",
        how="Set the pursuit's client.",
    )


def _owner(facts: Facts) -> Finding:
    return _single(
        "owner",
        "Owner",
        met=facts.pursuit.owner_id is not None,
        missing="Nobody owns the pursuit.",
        how="Set the pursuit's owner.",
    )


def _proposal(facts: Facts) -> Finding:
    return _single(
        "proposal",
        "Proposal",
        met=facts.has_proposal,
        missing="The pursuit has no proposal.",
        how="Create a proposal for the pursuit.",
    )


def _outcome_reason(facts: Facts) -> Finding:
    return _single(
        "outcome_reason",
        "Outcome reason",
        met=bool(facts.outcome_reason.strip()),
        missing="No reason for the loss was given.",
        how="Say why the pursuit was lost.",
    )


def _checklist(kind: str) -> Callable[[Facts], Finding]:
    requirement = f"{kind}_checklist"

    def look(facts: Facts) -> Finding:
        items = [item for item in facts.items if item.kind == kind and item.is_required]
        if not items:
            # Absence is not completion.
            return _single(
                requirement,
                f"{kind.capitalize()} checklist",
                met=False,
                missing=f"The pursuit has no required {kind} checklist items.",
                how=f"Add {kind} checklist items to the pursuit and complete them.",
            )
        required = [Required(requirement, item.name, item.is_met, item.waive_reason or None) for item in items]
        unmet = [
            Unmet(
                requirement,
                item.name,
                f"The {kind} checklist item is not done.",
                "Complete the item with its evidence, or ask a manager to waive it with a reason.",
                item.pk,
            )
            for item in items
            if not item.is_met
        ]
        return required, unmet

    return look


REQUIREMENTS: dict[str, Callable[[Facts], Finding]] = {
    "client": _client,
    "owner": _owner,
    "proposal": _proposal,
    "outcome_reason": _outcome_reason,
    "pink_checklist": _checklist("pink"),
    "red_checklist": _checklist("red"),
}


def inspect(facts: Facts, *, entering: str, rules: PipelineRules) -> GateResult:
    """Look at a gate without moving anything; pure. A stage without requirements passes."""
    required: list[Required] = []
    unmet: list[Unmet] = []
    for name in rules.gates.get(str(entering), ()):
        more_required, more_unmet = REQUIREMENTS[name](facts)
        required += more_required
        unmet += more_unmet
    return GateResult(str(entering), tuple(required), tuple(unmet))


def facts_of(pursuit: Pursuit, *, outcome_reason: str = "") -> Facts:
    """Read what a gate looks at; the caller holds the pursuit's lock when it will act on the result."""
    items = ChecklistItem.objects.for_org(pursuit.org_id).filter(pursuit=pursuit)
    # A version that was withdrawn is nothing to submit.
    proposals = Proposal.objects.for_org(pursuit.org_id).filter(pursuit=pursuit).exclude(status=ProposalStatus.VOID)
    return Facts(
        pursuit=pursuit,
        items=list(items.order_by("kind", "position", "pk")),
        has_proposal=proposals.exists(),
        outcome_reason=outcome_reason,
    )


class PursuitBlocked(GateBlocked):
    """A gate held the pursuit back; the refusal's ledger row outlives the rolled-back move."""

    def __init__(self, result: GateResult, *, pursuit: Pursuit, actor: Actor, at: datetime) -> None:
        self._ledger_row = partial(result.ledger_row, pursuit, actor=actor, at=at)
        names = ", ".join(miss.name for miss in result.unmet)
        super().__init__(
            f"{PursuitStage(result.gate).value.capitalize()} blocked; incomplete checklist: {names}.",
            gate=result.gate,
            missing_items=[asdict(miss) for miss in result.unmet],
            required_items=[asdict(one) for one in result.required],
        )

    def keep(self) -> None:
        # A row of its own each time: a use case inside another one writes it, and it is rolled back with the outer one.
        self._ledger_row().save()


def check(
    pursuit: Pursuit, *, entering: str, rules: PipelineRules, actor: Actor, at: datetime, outcome_reason: str = ""
) -> None:
    """Pass the gate of a stage or raise PursuitBlocked with all that is unmet; either way the ledger keeps it.

    Legality is the caller's, before this: an illegal move is never reported as a blocked one.
    """
    if not rules.gates.get(str(entering)):
        return
    result = inspect(facts_of(pursuit, outcome_reason=outcome_reason), entering=entering, rules=rules)
    if not result.passed:
        raise PursuitBlocked(result, pursuit=pursuit, actor=actor, at=at)
    result.ledger_row(pursuit, actor=actor, at=at).save()


def keep_checks(rows: Iterable[GateCheck]) -> None:
    """Write many ledger rows at once, for imports."""
    rows = list(rows)
    if rows:
        GateCheck.objects.for_org(rows[0].org_id).bulk_create(rows, batch_size=2000)


def progress(pursuit: Pursuit, *, rules: PipelineRules) -> list[dict[str, Any]]:
    """Every gate of the pursuit with what is required and unmet, for pages that show the way ahead."""
    facts = facts_of(pursuit, outcome_reason=pursuit.outcome_reason)
    results = (inspect(facts, entering=stage, rules=rules) for stage in rules.gates)
    return [
        {
            "gate": result.gate,
            "passed": result.passed,
            "required_items": [asdict(one) for one in result.required],
            "missing_items": [asdict(miss) for miss in result.unmet],
        }
        for result in results
    ]
