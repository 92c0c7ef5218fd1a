"""Signals, candidates, pursuits and what hangs off them, in the past tense: ids and JSON values only."""

from __future__ import annotations

from dataclasses import dataclass

from flowledger.outbox.events import event


@event("signal.created", item="signal")
@dataclass(frozen=True)
class SignalCreated:
    """A signal was received and kept."""

    signal_id: int
    source_type: str
    contact_id: int | None
    client_id: int | None


@event("signal.repeated", item="signal")
@dataclass(frozen=True)
class SignalRepeated:
    """A signal with a known natural key was delivered again; nothing but its trail grew."""

    signal_id: int
    payload_sha256: str


@event("signal.linked", item="signal")
@dataclass(frozen=True)
class SignalLinked:
    """A signal was linked to a candidate."""

    signal_id: int
    candidate_id: int


@event("signal.rejected", item="signal")
@dataclass(frozen=True)
class SignalRejected:
    """A signal was put aside with a reason."""

    signal_id: int


@event("candidate.created", item="candidate")
@dataclass(frozen=True)
class CandidateCreated:
    """A qualified lead was opened."""

    candidate_id: int
    client_id: int | None
    contact_id: int | None
    owner_id: int | None
    signal_ids: list[int]


@event("candidate.triaged", item="candidate")
@dataclass(frozen=True)
class CandidateTriaged:
    """A candidate was judged worth work, or came back to it."""

    candidate_id: int
    previous_status: str


@event("candidate.nurtured", item="candidate")
@dataclass(frozen=True)
class CandidateNurtured:
    """A candidate was put into nurture."""

    candidate_id: int
    previous_status: str


@event("candidate.held", item="candidate")
@dataclass(frozen=True)
class CandidateHeld:
    """A candidate was put on hold, perhaps until a day."""

    candidate_id: int
    previous_status: str
    resume_at: str | None


@event("candidate.archived", item="candidate")
@dataclass(frozen=True)
class CandidateArchived:
    """A candidate was closed without a pursuit."""

    candidate_id: int
    previous_status: str


@event("candidate.promoted", item="candidate")
@dataclass(frozen=True)
class CandidatePromoted:
    """A candidate became a pursuit."""

    candidate_id: int
    pursuit_id: int


@event("pursuit.created", item="pursuit")
@dataclass(frozen=True)
class PursuitCreated:
    """A pursuit was opened by promotion."""

    pursuit_id: int
    candidate_id: int
    owner_id: int | None


@event("pursuit.stage_changed", item="pursuit")
@dataclass(frozen=True)
class PursuitStageChanged:
    """A pursuit moved between open stages before submission."""

    pursuit_id: int
    previous_stage: str
    stage: str


@event("pursuit.submit", item="pursuit")
@dataclass(frozen=True)
class PursuitSubmitted:
    """A pursuit was submitted to the customer."""

    pursuit_id: int
    previous_stage: str


@event("pursuit.won", item="pursuit")
@dataclass(frozen=True)
class PursuitWon:
    """A submitted pursuit was won; `value` is its forecast value in its currency."""

    pursuit_id: int
    value: str
    currency: str


@event("pursuit.lost", item="pursuit")
@dataclass(frozen=True)
class PursuitLost:
    """A submitted pursuit was lost; the reason stays on the pursuit."""

    pursuit_id: int
    value: str
    currency: str


@event("gate.waived", item="pursuit")
@dataclass(frozen=True)
class GateWaived:
    """A manager waived a checklist item; the reason stays on the item."""

    pursuit_id: int
    checklist_item_id: int
    kind: str


@event("checklist.item_done", item="pursuit")
@dataclass(frozen=True)
class ChecklistItemDone:
    """A checklist item was completed."""

    pursuit_id: int
    checklist_item_id: int
    kind: str


@event("proposal.created", item="proposal")
@dataclass(frozen=True)
class ProposalCreated:
    """A version of a proposal was drafted."""

    proposal_id: int
    pursuit_id: int
    version: int


@event("proposal.sent", item="proposal")
@dataclass(frozen=True)
class ProposalSent:
    """A version was sent, by email or (`by_email` false) without."""

    proposal_id: int
    pursuit_id: int
    version: int
    by_email: bool


@event("proposal.signed", item="proposal")
@dataclass(frozen=True)
class ProposalSigned:
    """A sent version was signed by the customer."""

    proposal_id: int
    pursuit_id: int
    version: int


@event("activity.logged", item="activity")
@dataclass(frozen=True)
class ActivityLogged:
    """Something was done on an item; `subject_*` say on which."""

    activity_id: int
    subject_type: str
    subject_id: int
    kind: str
    direction: str


@event("task.created", item="task")
@dataclass(frozen=True)
class TaskCreated:
    """A task was opened on an item."""

    task_id: int
    subject_type: str
    subject_id: int
    assignee_id: int | None


@event("task.done", item="task")
@dataclass(frozen=True)
class TaskDone:
    """A task was completed."""

    task_id: int
    subject_type: str
    subject_id: int


@event("engagement.created", item="engagement")
@dataclass(frozen=True)
class EngagementCreated:
    """A won pursuit became an engagement."""

    engagement_id: int
    pursuit_id: int
    client_id: int


@event("candidate.updated", item="candidate")
@dataclass(frozen=True)
class CandidateUpdated:
    """Plain fields or tags of a candidate were changed; `changed` names them."""

    candidate_id: int
    changed: list[str]


@event("pursuit.updated", item="pursuit")
@dataclass(frozen=True)
class PursuitUpdated:
    """Plain fields or tags of a pursuit were changed; `changed` names them."""

    pursuit_id: int
    changed: list[str]


@event("signal.clustered", item="signal")
@dataclass(frozen=True)
class SignalClustered:
    """A signal was found to be one buying event with others; `previous_cluster_id` is what it was in before."""

    signal_id: int
    cluster_id: int
    previous_cluster_id: int | None
