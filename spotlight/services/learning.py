"""Use cases of learned weights: propose them from outcomes, take them over, turn them down, go back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from flowledger.errors import Conflict, Unavailable
from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from flowledger.tenancy.permissions import authorize
from flowledger.tenancy.usecases import use_case
from spotlight.evaluation.types import Criterion, Profile
from spotlight.evaluation.wording import range_text
from spotlight.learning import ExtraMissing, LearningRefused, Lesson, Outcome, Wish, learn
from spotlight.machines import ProposalStatus
from spotlight.models import Spotlight, VersionOrigin, WeightProposal
from spotlight.rules import LEARNING, Learning
from spotlight.services.definitions import profile_at
from spotlight.services.outcomes import closed_pursuits, outcomes_of
from spotlight.services.profiles import apply_weights, revert_spotlight
from workstream.machines import require_legal


@dataclass(frozen=True)
class Readiness:
    """How many outcomes there are, and how many learning needs: all together, and of won and lost each."""

    won: int
    lost: int
    needed: int
    needed_of_each: int

    @property
    def is_enough(self) -> bool:
        """Whether something can be learned."""
        return self.won + self.lost >= self.needed and min(self.won, self.lost) >= self.needed_of_each

    @property
    def sentence(self) -> str:
        """What there is and what is missing."""
        there = (
            f"There are {self.won + self.lost:,} closed pursuits to learn from ({self.won:,} won, {self.lost:,} lost)"
        )
        if self.is_enough:
            return f"{there}."
        return (
            f"{there}; learning needs {self.needed:,}, at least {self.needed_of_each:,} won and "
            f"{self.needed_of_each:,} lost."
        )


@use_case
def learning_readiness(*, org: Organization, actor: Actor, at: datetime) -> Readiness:
    """Whether enough pursuits were closed by then for learning. Raises PermissionRefused.

    A profile may know less: outcomes of which it knows nothing are left out when weights are proposed.
    """
    authorize(actor, "view")
    closed = closed_pursuits(org, at=at)
    return _readiness(closed.won, closed.lost, LEARNING.of(org))


@use_case
def propose_weights(*, org: Organization, spotlight_id: int, actor: Actor, at: datetime) -> WeightProposal:
    """Learn weights for the present version of a profile and keep them, with the evidence, for a manager to decide.

    A proposal that waits is superseded. Nothing else changes. Raises NotFound, PermissionRefused, Unavailable where
    scikit-learn is not installed, Conflict with what there is and what is needed for too few outcomes, for a profile
    that weighs nothing, and where the outcomes teach nothing or nothing new.
    """
    version = Spotlight.objects.for_org(org).fetch(spotlight_id).version
    authorize(actor, "learn_weights")
    profile = profile_at(org, spotlight_id, version)
    if not profile.is_evaluable:
        raise Conflict(f"The profile '{profile.name}' has no criterion with a weight. Give it some first.")
    outcomes = outcomes_of(org, profile)
    rule = LEARNING.of(org)
    _require_enough(outcomes, rule)
    lesson = _learn(profile, outcomes, rule)
    # Outcomes take a while to read; the profile is locked only now.
    spotlight: Spotlight = Spotlight.objects.for_org(org).locked().fetch(spotlight_id)
    if spotlight.version != version:
        raise Conflict("The profile was changed while its outcomes were read. Ask for weights once more.")
    _supersede(org, spotlight_id, below=version + 1, actor=actor, at=at)
    proposal = WeightProposal(
        org=org,
        spotlight=spotlight,
        base_version=version,
        weights={
            str(criterion.criterion_id): weight
            for criterion, weight in zip(profile.criteria, lesson.weights, strict=True)
        },
        evidence=lesson.as_dict(),
    )
    proposal.propose(actor=actor, at=at)
    proposal.save()
    return proposal


@use_case
def accept_weights(*, org: Organization, proposal_id: int, actor: Actor, at: datetime) -> WeightProposal:
    """Give the profile the proposed weights, as its next version.

    Raises NotFound, PermissionRefused, InvalidTransition, Conflict when the profile was changed since.
    """
    proposal, spotlight = _locked(org, proposal_id, actor)
    require_legal(proposal, to=ProposalStatus.ACCEPTED)
    if spotlight.version != proposal.base_version:
        raise Conflict(
            f"The profile '{spotlight.name}' is at version {spotlight.version}; these weights were learned for version "
            f"{proposal.base_version}. Ask for new ones."
        )
    changed = apply_weights(
        org=org,
        spotlight_id=spotlight.pk,
        weights={int(criterion_id): Decimal(str(weight)) for criterion_id, weight in proposal.weights.items()},
        origin=VersionOrigin.LEARNED,
        note=_note(proposal),
        actor=actor,
        at=at,
    )
    proposal.accept(version=changed.version, actor=actor, at=at)
    proposal.save()
    return proposal


@use_case
def reject_weights(*, org: Organization, proposal_id: int, actor: Actor, at: datetime) -> WeightProposal:
    """Turn a proposal down; the profile stays as it is. Raises NotFound, PermissionRefused, InvalidTransition."""
    proposal, _ = _locked(org, proposal_id, actor)
    require_legal(proposal, to=ProposalStatus.REJECTED)
    proposal.reject(actor=actor, at=at)
    proposal.save()
    return proposal


@use_case
def revert_weights(*, org: Organization, proposal_id: int, actor: Actor, at: datetime) -> WeightProposal:
    """Give the profile back what it was before it took the weights over, as its next version.

    Raises NotFound, PermissionRefused, InvalidTransition, Conflict when it was changed since: that would be lost.
    """
    proposal, spotlight = _locked(org, proposal_id, actor)
    require_legal(proposal, to=ProposalStatus.REVERTED)
    if spotlight.version != proposal.applied_version:
        raise Conflict(
            f"The profile '{spotlight.name}' was changed after it took these weights over, and that would be lost. "
            f"Go back to version {proposal.base_version} on the page of its versions if you mean it."
        )
    changed = revert_spotlight(
        org=org,
        spotlight_id=spotlight.pk,
        version=proposal.base_version,
        note=f"Took learned weights back: version {proposal.base_version} again",
        actor=actor,
        at=at,
    )
    proposal.revert(version=changed.version, actor=actor, at=at)
    proposal.save()
    return proposal


@use_case
def supersede_proposals(*, org: Organization, spotlight_id: int, version: int, actor: Actor, at: datetime) -> int:
    """Close the proposals that wait for versions before this one; answers how many there were."""
    authorize(actor, "learn_weights")
    Spotlight.objects.for_org(org).locked().filter(pk=spotlight_id).order_by("pk").first()
    return _supersede(org, spotlight_id, below=version, actor=actor, at=at)


def _readiness(won: int, lost: int, rule: Learning) -> Readiness:
    return Readiness(won, lost, rule.least_outcomes, rule.least_of_each)


def _require_enough(outcomes: list[Outcome], rule: Learning) -> None:
    won = sum(outcome.is_won for outcome in outcomes)
    readiness = _readiness(won, len(outcomes) - won, rule)
    if not readiness.is_enough:
        raise Conflict(
            f"Too few outcomes. {readiness.sentence} Only pursuits of which the profile knows something count.",
            won=readiness.won,
            lost=readiness.lost,
            needed=readiness.needed,
            needed_of_each=readiness.needed_of_each,
        )


def _learn(profile: Profile, outcomes: list[Outcome], rule: Learning) -> Lesson:
    wishes = [
        Wish(criterion.criterion_id, _in_words(criterion), float(criterion.weight)) for criterion in profile.criteria
    ]
    try:
        lesson = learn(wishes, outcomes, held_back=rule.held_back)
    except ExtraMissing as error:
        raise Unavailable(str(error)) from error
    except LearningRefused as error:
        raise Conflict(str(error)) from error
    if all(wish.weight == weight for wish, weight in zip(wishes, lesson.weights, strict=True)):
        raise Conflict("The outcomes propose just the weights that the profile has.")
    return lesson


def _in_words(criterion: Criterion) -> str:
    label = criterion.label or criterion.field_name
    return f"{label[:1].upper()}{label[1:]}: {range_text(criterion)}"


def _locked(org: Organization, proposal_id: int, actor: Actor) -> tuple[WeightProposal, Spotlight]:
    """The proposal and its profile for a change; the profile is locked first, as everywhere."""
    found: WeightProposal = WeightProposal.objects.for_org(org).fetch(proposal_id)
    authorize(actor, "learn_weights")
    spotlight: Spotlight = Spotlight.objects.for_org(org).locked().fetch(found.spotlight_id)
    proposal: WeightProposal = WeightProposal.objects.for_org(org).locked().fetch(proposal_id)
    return proposal, spotlight


def _supersede(org: Organization, spotlight_id: int, *, below: int, actor: Actor, at: datetime) -> int:
    waiting = WeightProposal.objects.for_org(org).filter(
        spotlight_id=spotlight_id, status=ProposalStatus.PROPOSED, base_version__lt=below
    )
    count = 0
    for proposal in waiting.locked().order_by("pk"):
        proposal.supersede(actor=actor, at=at)
        proposal.save()
        count += 1
    return count


def _note(proposal: WeightProposal) -> str:
    counts = proposal.evidence["counts"]
    return f"Learned from {counts['won'] + counts['lost']:,} closed pursuits ({counts['won']:,} won)"
