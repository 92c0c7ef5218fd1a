"""The clocks of imported history: ended ones with the outcome they would have had, running ones for what is open.

Written after the fact (see `workstream.hindsight`). Times between the ends that an export gives are inferred, so rules
that are bound to a state measure only the one an item is in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from flowledger.tenancy.actors import Actor
from flowledger.tenancy.models import Organization
from workstream import clocks
from workstream.clocks import Item
from workstream.hindsight import Hindsight
from workstream.history.journeys import Journey
from workstream.machines import CLOSED_STAGES, CandidateStatus, ProposalStatus
from workstream.models import Proposal, Pursuit
from workstream.models.sla import SlaMetric


@dataclass
class ClockWriter:
    """Collects the clocks of a chunk of an import."""

    hindsight: Hindsight
    actor: Actor

    @classmethod
    def for_chunk(cls, org: Organization, *, actor: Actor, at: datetime) -> ClockWriter:
        """Inside the chunk's transaction: the rules stay what they are until it ends."""
        return cls(Hindsight.in_force(org, at=at), actor)

    def store(self) -> None:
        """Insert what was collected."""
        self.hindsight.store()

    def add(self, journey: Journey) -> None:
        """The clocks of a new journey, whose rows are stored."""
        if journey.signal is not None and journey.link is not None:
            self.hindsight.measure(
                journey.signal, SlaMetric.TRIAGE, journey.signal.ts, journey.link.linked_at, by="signal.linked"
            )
        candidate = journey.candidate
        is_new = candidate.status == CandidateStatus.NEW
        self.hindsight.measure(
            candidate,
            SlaMetric.TRIAGE,
            candidate.last_touch_at,
            None if is_new else candidate.promoted_at,
            by="candidate.triaged",
        )
        if is_new:
            self.hindsight.run_softly(candidate)
        if journey.pursuit is not None:
            self._add_pursuit(journey.pursuit, journey.proposal)

    def follow(self, journey: Journey, *, is_opened: bool) -> None:
        """The clocks of a journey that moved on; `is_opened` when its pursuit is of this import, too."""
        candidate, pursuit, proposal = journey.candidate, journey.pursuit, journey.proposal
        if pursuit is None:
            return
        if is_opened:
            self._stop(candidate, tuple(SlaMetric), candidate.promoted_at, by="candidate.promoted")
            self._add_pursuit(pursuit, proposal)
            return
        self._stop(pursuit, (SlaMetric.PROPOSAL,), pursuit.submitted_at, by="pursuit.submit")
        self._stop(pursuit, tuple(SlaMetric), pursuit.closed_at, by=_closed_by(pursuit))
        if proposal is not None and proposal.status == ProposalStatus.SENT and proposal.sent_at == pursuit.submitted_at:
            self._answer(pursuit, proposal)

    def _add_pursuit(self, pursuit: Pursuit, proposal: Proposal | None) -> None:
        began = pursuit.last_touch_at
        self.hindsight.measure(pursuit, SlaMetric.PROPOSAL, began, pursuit.submitted_at, by="pursuit.submit")
        if proposal is not None and proposal.sent_at is not None:
            self._answer(pursuit, proposal)
        if pursuit.stage not in CLOSED_STAGES:
            self.hindsight.run_softly(pursuit)

    def _answer(self, pursuit: Pursuit, proposal: Proposal) -> None:
        assert proposal.sent_at is not None
        self.hindsight.measure(pursuit, SlaMetric.RESPONSE, proposal.sent_at, pursuit.closed_at, by=_closed_by(pursuit))

    def _stop(self, item: Item, metrics: Sequence[SlaMetric], when: datetime | None, *, by: str) -> None:
        if when is not None:
            clocks.stop(item, *metrics, at=self.hindsight.at, happened_at=when, by=by, actor=self.actor)


def _closed_by(pursuit: Pursuit) -> str:
    return f"pursuit.{pursuit.stage}"
